//! `signet request`: what it signs is verified by an API that knows nothing of the program (`support::signed_api`).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use signet::domain::printable::is_hidden;

use crate::support::authority::Authority;
use crate::support::program::{Program, Said, free_address};
use crate::support::receiver::{Answer, Receiver};
use crate::support::signed_api::{ALGORITHMS, SignedApi, jwk};

/// A folder with a key of each algorithm, and nothing of a server.
struct Caller(Program);

impl Caller {
    async fn new() -> Self {
        let program = Program::new().await;
        for algorithm in ALGORITHMS {
            let mut key = jwk(algorithm);
            key.insert("kid".to_owned(), algorithm.into());
            write_key(&program, &format!("{algorithm}.jwk"), &Value::Object(key));
        }
        Self(program)
    }

    fn ask(&self, arguments: &[&str]) -> Said {
        self.0.run(&[&["request"], arguments].concat())
    }
}

fn write_key(program: &Program, name: &str, key: &Value) {
    program.write(name, &key.to_string());
    fs::set_permissions(program.folder.path().join(name), fs::Permissions::from_mode(0o600)).unwrap();
}

fn is_there(at: &Path) -> bool {
    at.exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_signed_by_every_algorithm_and_sent() {
    let (api, caller) = (SignedApi::start().await, Caller::new().await);
    for algorithm in ALGORITHMS {
        let key = format!("{algorithm}.jwk");
        let said = caller.ask(&["POST", &api.at("/orders?x=%2f&y=a+b"), "--sign", &key, "--data", "{\"item\": 7}"]);
        assert_eq!((said.code, said.err.as_str()), (0, "HTTP/1.1 200 OK\n"), "{algorithm}: {}", said.out);
        assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap()["keyid"], algorithm);
        let seen = api.let_in().remove(0);
        assert_eq!((seen.algorithm.as_str(), seen.target.as_str()), (algorithm, "/orders?x=%2f&y=a+b"));
        assert_eq!(seen.covered, ["\"@method\"", "\"@target-uri\"", "\"content-digest\""]);
        assert_eq!((seen.body, seen.expires), (b"{\"item\": 7}".to_vec(), None));
    }
    assert!(!is_there(&caller.0.data()), "it needs no data directory");
}

/// Digests, headers and parameters, as they are asked for.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_is_what_was_said() {
    let (api, caller) = (SignedApi::start().await, Caller::new().await);
    let at = api.at("/orders/1");
    let big: Vec<u8> = (0_u32..200_000).map(|n| u8::try_from(n % 251).unwrap()).collect();
    fs::write(caller.0.folder.path().join("body"), &big).unwrap();
    for (method, data, covers, body) in [
        ("GET", None, false, vec![]),
        ("delete", None, false, vec![]),
        ("DELETE", Some("x"), true, b"x".to_vec()),
        ("GET", Some(""), true, vec![]),
        ("POST", None, true, vec![]),
        ("PUT", None, true, vec![]),
        ("PATCH", Some("@body"), true, big.clone()),
        ("POST", Some("a\n\u{e4}"), true, "a\n\u{e4}".into()),
    ] {
        let mut arguments = vec![method, &at, "--sign", "ed25519.jwk"];
        arguments.extend(data.iter().flat_map(|data| ["--data", data]));
        let said = caller.ask(&arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.out, said.err);
        let seen = api.let_in().remove(0);
        assert_eq!((seen.method.as_str(), seen.body == body), (method.to_ascii_uppercase().as_str(), true), "{data:?}");
        assert_eq!(seen.covered.contains(&"\"content-digest\"".to_owned()), covers, "{arguments:?}");
        assert!(!seen.headers.contains_key("content-type"), "nobody said what it is");
    }
    let arguments = ["POST", &at, "--sign", "-", "--keyid", "ed25519", "--data", "@body", "--expires", "30"];
    let headers = ["-H", "X-Tenant: acme , b", "--header", "x-tenant:c", "-H", "Accept: text/csv"];
    let cover = ["--cover", "X-Tenant", "--cover", "@authority", "--cover", "\"accept\";bs", "--cover", "@method"];
    let mut nonces = Vec::new();
    for _ in 0..2 {
        let key = fs::read_to_string(caller.0.folder.path().join("ed25519.jwk")).unwrap();
        let said = caller.0.run_with(&[&["request"], &arguments[..], &headers, &cover].concat(), &key);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        let seen = api.let_in().remove(0);
        let covered =
            ["\"@method\"", "\"@target-uri\"", "\"content-digest\"", "\"x-tenant\"", "\"@authority\"", "\"accept\";bs"];
        assert_eq!((seen.covered, seen.expires), (covered.map(str::to_owned).into(), Some(seen.created + 30)));
        let tenants: Vec<_> = seen.headers.get_all("x-tenant").iter().map(|it| it.to_str().unwrap()).collect();
        assert_eq!((tenants, seen.headers["accept"].to_str().unwrap()), (vec!["acme , b", "c"], "text/csv"));
        nonces.push(seen.nonce);
    }
    assert!(nonces[0] != nonces[1] && nonces[0].len() >= 22, "{nonces:?}");
    // From stdin, with the key in a file.
    let said = caller.0.run_with(&["request", "PUT", &at, "--sign", "hmac-sha256.jwk", "--data", "@-"], "from stdin");
    assert_eq!((said.code, api.let_in().remove(0).body), (0, b"from stdin".to_vec()), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prints_the_request_and_sends_nothing() {
    let (api, caller) = (SignedApi::start().await, Caller::new().await);
    let at = api.at("/orders?x=1#part");
    let arguments = ["POST", &at, "--sign", "hmac-sha256.jwk", "--data", "a=b\n", "--dry-run"];
    let out = caller.ask(&arguments).done();
    let (head, body) = out.split_once("\n\n").unwrap();
    let lines: Vec<&str> = head.lines().collect();
    let host = api.url.trim_start_matches("http://");
    assert_eq!((&lines[..2], body), (&["POST /orders?x=1 HTTP/1.1", &format!("Host: {host}")][..], "a=b\n"));
    assert!(lines.contains(&"Content-Digest: sha-256=:d+fOd8cHqBR7tlpxCsGvP8oCyN0r42di7JYR2Q+1wEE=:"), "{head}");
    assert!(head.contains("\nSignature-Input: sig1=(\"@method\" \"@target-uri\" \"content-digest\");created="));
    assert_eq!(api.let_in().len(), 0);
    // What is printed is what would be sent: an API takes it from somebody else's hands.
    let shown: Value = serde_json::from_str(&caller.ask(&[&arguments[..], &["--json"]].concat()).done()).unwrap();
    let mut request = reqwest::Client::new().post(shown["url"].as_str().unwrap());
    for (name, values) in shown["headers"].as_object().unwrap() {
        request = request.header(name, values[0].as_str().unwrap());
    }
    let answer = request.body(shown["body"].as_str().unwrap().to_owned()).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), api.let_in().len()), (200, 1), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_shown_and_its_status_is_the_commands() {
    let (receiver, caller) = (Receiver::start().await, Caller::new().await);
    receiver
        .answer("/bytes", Answer::body("application/octet-stream", [0, 255, 10]).header("x-a", "1").header("x-a", "2"));
    receiver.answer("/none", Answer::status(204));
    receiver.answer("/moved", Answer::status(302).header("location", "/none"));
    let challenge = "Signature realm=\"Orders\"";
    receiver.answer("/no", Answer::status(401).header("www-authenticate", challenge));
    receiver.answer("/esc", Answer::status(403).header("x-gate-reason", "a\u{9b}31m"));
    receiver.answer("/late", Answer::silence());
    let ask =
        |path: &str, more: &[&str]| caller.ask(&[&["GET", &receiver.at(path), "--sign", "ed25519.jwk"], more].concat());
    let said = ask("/none", &["--verbose"]);
    assert!(said.code == 0 && said.err.starts_with("HTTP/1.1 204 No Content\n"), "{}", said.err);
    let shown: Value = serde_json::from_str(&ask("/bytes", &["--json"]).done()).unwrap();
    assert_eq!((&shown["status"], &shown["body_base64"]), (&json!(200), &json!("AP8K")));
    assert_eq!(shown["headers"]["x-a"], json!(["1", "2"]));
    let out = fs::File::create(caller.0.folder.path().join("out")).unwrap();
    let said = caller.0.run_into(&["request", "GET", &receiver.at("/bytes"), "--sign", "ed25519.jwk"], out);
    assert_eq!((said.code, fs::read(caller.0.folder.path().join("out")).unwrap()), (0, vec![0, 255, 10]));

    assert!(ask("/no", &[]).refused().contains(&format!("401 Unauthorized; www-authenticate: {challenge}")));
    assert!(ask("/gone", &[]).refused().contains("404 Not Found"));
    let before = receiver.requests("/none").len();
    assert!(ask("/moved", &[]).refused().contains("302 Found; to /none"));
    assert_eq!(receiver.requests("/none").len(), before, "it is not followed");
    assert!(ask("/esc", &[]).refused().contains("x-gate-reason: a\\u{9b}31m"), "nothing that a terminal obeys");
    let said = ask("/no", &["--verbose"]);
    assert!(said.code == 1 && said.err.starts_with("HTTP/1.1 401 Unauthorized\n"), "{}", said.err);
    let said = ask("/no", &["--json"]);
    let shown: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&shown["status"], shown["headers"]["www-authenticate"][0].as_str()), (&json!(401), Some(challenge)));
    said.refused();
    assert!(ask("/late", &["--timeout", "1"]).refused().contains("no answer"));
    let nobody = format!("http://{}/", free_address());
    assert!(caller.ask(&["GET", &nobody, "--sign", "ed25519.jwk"]).refused().contains(&nobody));
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_characters_of_an_answer_are_escaped() {
    let (receiver, caller) = (Receiver::start().await, Caller::new().await);
    let hidden = "a\u{202e}b\u{2028}c\u{200b}d\u{feff}e";
    receiver.answer("/", Answer::status(403).header("x-gate-reason", hidden).header("x-a", hidden));
    let said = caller.ask(&["GET", &receiver.at("/"), "--sign", "ed25519.jwk", "--verbose"]);
    let shown = "a\\u{202e}b\\u{2028}c\\u{200b}d\\u{feff}e";
    for line in [format!("\nx-a: {shown}\n"), format!("; x-gate-reason: {shown}")] {
        assert!(said.code == 1 && said.err.contains(&line), "{}", said.err);
    }
    assert!(!said.err.chars().any(|letter| letter != '\n' && is_hidden(letter)), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn https_with_an_authority_of_ones_own() {
    let (authority, mut caller) = (Authority::new(), Caller::new().await);
    let receiver = Receiver::start_tls(&authority).await;
    receiver.answer("/", Answer::json(&json!({})));
    let at = receiver.at("/");
    let arguments = ["GET", &at, "--sign", "ed25519.jwk", "--json"];
    assert!(caller.ask(&arguments).refused().contains("certificate"));
    caller.0.write("ca.pem", &authority.root);
    caller.0.set("SIGNET_OUTBOUND__CA_FILE", "ca.pem");
    assert_eq!(serde_json::from_str::<Value>(&caller.ask(&arguments).done()).unwrap()["body"], "{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_never_told_and_what_is_wrong_with_it_is() {
    let caller = Caller::new().await;
    let private = jwk("ed25519");
    let with = |changes: Value| {
        let mut key = private.clone();
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                key.remove(name)
            } else {
                key.insert(name.clone(), value.clone())
            };
        }
        Value::Object(key)
    };
    for (name, key) in [
        ("no-kid", with(json!({}))),
        ("public", with(json!({ "d": null }))),
        ("mixed", with(json!({ "x": jwk("ecdsa-p256-sha256")["x"] }))),
        ("encrypts", with(json!({ "use": "enc" }))),
        ("other", with(json!({ "crv": "Ed448" }))),
        ("short", json!({ "kty": "oct", "k": "c2hvcnQ" })),
        ("set", json!({ "keys": [with(json!({}))] })),
        ("list", json!([with(json!({}))])),
        ("kid", with(json!({ "kid": "k\u{e4}" }))),
    ] {
        write_key(&caller.0, name, &key);
    }
    write_key(&caller.0, "pem", &json!("x"));
    caller.0.write("pem", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI");
    let (secret, inline) = (private["d"].as_str().unwrap(), Value::Object(private.clone()).to_string());
    for (key, more, says) in [
        ("no-kid", &[][..], "--keyid"),
        ("public", &["--keyid", "k"], "lacks the member d"),
        ("mixed", &["--keyid", "k"], "do not make a key"),
        ("encrypts", &["--keyid", "k"], "use"),
        ("other", &["--keyid", "k"], "Ed25519"),
        ("short", &["--keyid", "k"], "32 bytes"),
        ("set", &["--keyid", "k"], "set of keys"),
        ("list", &["--keyid", "k"], "no JWK"),
        ("pem", &["--keyid", "k"], "no JWK"),
        ("kid", &[], "keyid has characters"),
        ("gone", &["--keyid", "k"], "gone: No such file"),
        (&inline, &["--keyid", "k"], "an argument can be read"),
        ("ed25519.jwk", &["--cover", "date"], "date is not in the request"),
        ("ed25519.jwk", &["--data", "@gone"], "@gone: No such file"),
        ("-", &["--data", "@-"], "both come from stdin"),
    ] {
        let arguments = [&["GET", "http://127.0.0.1:1/", "--sign", key, "--dry-run"], more].concat();
        let line = caller.ask(&arguments).refused();
        assert!(line.contains(says) && !line.contains(secret), "{arguments:?}: {line}");
    }
    for url in ["orders", "ftp://127.0.0.1/", "http://a:b@127.0.0.1/", "http:///"] {
        caller.ask(&["GET", url, "--sign", "ed25519.jwk", "--dry-run"]).refused();
    }
    assert!(
        caller.ask(&["G T", "http://127.0.0.1/", "--sign", "ed25519.jwk", "--dry-run"]).refused().contains("method")
    );
    for wrong in [
        &["--header", "nothing"][..],
        &["--header", "Host: x"],
        &["--header", "content-digest: sha-256=:AA==:"],
        &["--header", "Signature: x"],
        &["--header", "a b: x"],
        &["--header", "a: x\r\nb: y"],
        &["--cover", "@status"],
        &["--cover", "\"a\";tr"],
        &["--expires", "0"],
        &["--verbose", "--json"],
    ] {
        let said = caller.ask(&[&["GET", "http://127.0.0.1/", "--sign", "ed25519.jwk", "--dry-run"], wrong].concat());
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{wrong:?}");
    }
    assert_eq!(caller.ask(&["GET", "http://127.0.0.1/", "--dry-run"]).code, 2, "without a key there is nothing to do");
    // A key that others can read signs, and is complained of.
    let file = caller.0.folder.path().join("ed25519.jwk");
    let dry = ["GET", "http://127.0.0.1/", "--sign", "ed25519.jwk", "--dry-run"];
    for (mode, warns) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let said = caller.ask(&dry);
        assert_eq!((said.code, said.err.contains("chmod 600 ed25519.jwk")), (0, warns), "{mode:o}: {}", said.err);
        assert!(!(said.out + &said.err).contains(secret));
    }
}
