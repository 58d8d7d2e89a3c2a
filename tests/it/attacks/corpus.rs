//! Ways to write an address so that one reader takes it for another: user information, hosts within hosts, dots, slashes,
//! encodings, letter case, control characters. Made, not listed, so that any address can be tried.

const USERS: &str = "evil.example@ user:pass@ @ :@ evil.example%40 evil.example\\@ evil.example#@";
const HOSTS: &str = "evil.example evil.example. [::1] 0x7f.1 127.1 2130706433 127.0.0.1.nip.io xn--80ak6aa92e.com";
const BETWEEN: &str = ". @ # ? / \\ %2f %5c %00 %23 & ; :80@ %E3%80%82";
const AFTER_HOST: &str = ". %2e : :0 :443 :80 :65536 :00443 %20 \u{3002} \u{ad} % .evil.example";
const SCHEMES: &str = "http HTTPS javascript data ftp ws file Https //";
const SLASHES: &str = ": :/ :/// :\\\\ :/\\ :\t// :%2f%2f";
const STEPS: &str = "/ ./ ../ ..;/ %2e/ %2e%2e/ .%2e/ ..%2f ..%252f ..\\ ..%5c %2f %252f // ;a/ \t \n \r %09 %0a %0d%0a %00 \0 \
                     x/../ evil/..%2f %c0%ae%c0%ae/ \u{2025}/ /../ %20";
const TAILS: &str = "/ ? ?? # #a %23 %23a &a=b ?a=b &code=x &state=x . %20 + * \\ \" < | %3f %26 \u{200b} \u{feff} %ef%bb%bf ' ` \
                     %0d%0aLocation:%20https://evil.example ;jsessionid=1";

/// Several hundred near misses of `uri`, which is `scheme://host/path`. None of them is `uri`.
pub fn mutated(uri: &str) -> Vec<String> {
    let (scheme, rest) = uri.split_once("://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut all = vec![format!("{scheme}://{host} /{path}"), format!(" {uri}"), format!("{uri} ")];
    let mut add = |text: String| all.push(text);
    for user in USERS.split(' ') {
        add(format!("{scheme}://{user}{host}/{path}"));
        add(format!("{scheme}://{host}{user}evil.example/{path}"));
    }
    for evil in HOSTS.split(' ') {
        add(format!("{scheme}://{evil}{host}/{path}"));
        for between in BETWEEN.split(' ') {
            add(format!("{scheme}://{evil}{between}{host}/{path}"));
        }
    }
    for tail in AFTER_HOST.split(' ') {
        add(format!("{scheme}://{host}{tail}/{path}"));
    }
    for other in SCHEMES.split(' ').filter(|other| *other != scheme) {
        add(format!("{other}://{host}/{path}"));
        add(format!("{other}:{host}/{path}"));
    }
    for slashes in SLASHES.split(' ') {
        add(format!("{scheme}{slashes}{host}/{path}"));
    }
    for step in STEPS.split(' ') {
        add(format!("{scheme}://{host}/{step}{path}"));
        add(format!("{scheme}://{host}/{path}{step}"));
        add(format!("{scheme}://{host}{step}{path}"));
        add(format!("{step}{uri}"));
    }
    for tail in TAILS.split(' ') {
        add(format!("{uri}{tail}"));
        add(format!("{tail}{uri}"));
    }
    for (at, character) in uri.char_indices().filter(|(_, c)| c.is_ascii_alphanumeric()) {
        let (before, after) = uri.split_at(at);
        let after = after.strip_prefix(character).unwrap();
        // The same to a reader who decodes, or who ignores case.
        add(format!("{before}%{:02x}{after}", u32::from(character)));
        let other = if character.is_ascii_lowercase() { character.to_ascii_uppercase() } else { 'x' };
        add(format!("{before}{other}{after}"));
    }
    all.retain(|text| text != uri);
    all.sort();
    all.dedup();
    all
}
