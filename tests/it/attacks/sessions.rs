//! Cookies and who is signed in: a session begins at the sign-in, belongs to one browser and one person, and nobody can
//! make or keep one.

use std::collections::HashMap;

use reqwest::Response;
use signet::store::sessions;

use super::http;
use crate::support::{Browser, PASSWORD, Server, VERIFIER};
use crate::token::claims;

/// The cookies that an answer sets, by name.
fn set(response: &Response) -> HashMap<String, String> {
    response
        .headers()
        .get_all("set-cookie")
        .iter()
        .filter_map(|line| line.to_str().unwrap().split(';').next().unwrap().split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn header(cookies: &HashMap<String, String>) -> String {
    cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

/// Signs in with these cookies and no others; every cookie afterwards.
async fn sign_in(server: &Server, name: &str, mut cookies: HashMap<String, String>) -> HashMap<String, String> {
    let url = format!("{}/login", server.url);
    let login = http().get(&url).header("cookie", header(&cookies)).send().await.unwrap();
    cookies.extend(set(&login));
    let html = login.text().await.unwrap();
    let csrf = html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = [("csrf", csrf.as_str()), ("username", name), ("password", PASSWORD)];
    let done = http().post(&url).header("cookie", header(&cookies)).form(&form).send().await.unwrap();
    assert_eq!(done.status(), 303);
    cookies.extend(set(&done));
    cookies
}

/// Whose account these cookies open.
async fn account(server: &Server, cookies: &HashMap<String, String>) -> Option<String> {
    let request = http().get(format!("{}/account", server.url)).header("cookie", header(cookies));
    let response = request.send().await.unwrap();
    if response.status() != 200 {
        return None;
    }
    let html = response.text().await.unwrap();
    ["alice@example.com", "bob@example.com"].into_iter().find(|name| html.contains(*name)).map(ToOwned::to_owned)
}

/// T14, CVE-2026-7507: a session from before the sign-in that lives on after it. The cookie changes at each sign-in, and
/// the value that somebody planted opens nothing.
#[tokio::test]
async fn the_session_changes_at_every_sign_in() {
    let server = Server::with_alice().await;
    let name = &server.cookie("session");
    let planted = HashMap::from([(name.clone(), "AAAAAAAAAAAAAAAAAAAAAA".to_owned())]);
    let first = sign_in(&server, "alice", planted.clone()).await;
    assert_ne!(first[name], planted[name]);
    assert_eq!(account(&server, &planted).await, None);
    let second = sign_in(&server, "alice", first.clone()).await;
    assert_ne!(second[name], first[name]);
    assert_eq!(account(&server, &first).await, None, "the old cookie is worth nothing");
    assert_eq!(account(&server, &second).await.as_deref(), Some("alice@example.com"));
}

/// T14, GHSA-mq4x-r2w3-j7mr: a cookie that subdomains see or set. Over https each has the prefix __Host- and what it
/// stands for; over http on loopback the same but for Secure.
#[tokio::test]
async fn cookies_are_for_this_host_alone() {
    let secure = Server::start_with(|config| {
        config.issuer = signet::config::Issuer::parse("https://id.example.com").unwrap();
    })
    .await;
    let plain = Server::start().await;
    for (server, prefix) in [(&secure, "__Host-signet-"), (&plain, "signet-")] {
        server.user("alice").await;
        let url = format!("{}/login", server.url);
        let login = http().get(&url).send().await.unwrap();
        let mut lines: Vec<String> = all_set(&login);
        let cookies = set(&login);
        let html = login.text().await.unwrap();
        let csrf = html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let form = [("csrf", csrf.as_str()), ("username", "alice"), ("password", PASSWORD), ("remember", "1")];
        lines.extend(all_set(&http().post(&url).header("cookie", header(&cookies)).form(&form).send().await.unwrap()));
        // What scripts are to read says nothing, and over https it is for frames on other sites (`logout`).
        lines.retain(|line| !line.contains("-session-state="));
        assert_eq!(lines.len(), 3, "browser, session, known: {lines:?}");
        for line in lines {
            assert!(line.starts_with(prefix), "{line}");
            let low = line.to_lowercase();
            assert!(low.contains("; path=/") && low.contains("; httponly") && low.contains("; samesite=lax"), "{line}");
            assert!(!low.contains("domain="), "{line}");
            assert_eq!(low.contains("; secure"), prefix.starts_with("__Host-"), "{line}");
        }
    }
}

fn all_set(response: &Response) -> Vec<String> {
    response.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap().to_owned()).collect()
}

/// T15, CVE-2026-119128: a cookie that could be computed. One character of any of them changed, and it is worth nothing.
#[tokio::test]
async fn a_changed_cookie_is_no_cookie() {
    let server = Server::with_alice().await;
    let cookies = sign_in(&server, "alice", HashMap::new()).await;
    assert_eq!(account(&server, &cookies).await.as_deref(), Some("alice@example.com"));
    let name = server.cookie("session");
    let value = cookies[&name].clone();
    for changed in changes(&value) {
        let mut cookies = cookies.clone();
        cookies.insert(name.clone(), changed.clone());
        assert_eq!(account(&server, &cookies).await, None, "{changed} for {value}");
    }
    // The browser's own: another value is a new browser, which is given a cookie.
    let name = server.cookie("browser");
    let value = cookies[&name].clone();
    for changed in changes(&value) {
        let request = http().get(format!("{}/login", server.url)).header("cookie", format!("{name}={changed}"));
        assert!(set(&request.send().await.unwrap()).contains_key(&name), "{changed} for {value}");
    }
}

/// A cookie that another app on this host has set, in letters that a header may carry and that are no ASCII.
#[tokio::test]
async fn a_neighbours_cookie_signs_nobody_out() {
    let server = Server::with_alice().await;
    let cookies = sign_in(&server, "alice", HashMap::new()).await;
    for (before, after) in [("city=Malmö; ", ""), ("", "; city=Malmö"), ("a=1; city=Malmö;", ";b=2")] {
        let ours = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let line = reqwest::header::HeaderValue::from_bytes(format!("{before}{ours}{after}").as_bytes()).unwrap();
        let answer = http().get(format!("{}/account", server.url)).header("cookie", line).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{before}{after}");
    }
}

/// Every character replaced by another that base64url has too; the last one of each part by one that differs in the bits
/// that count.
fn changes(value: &str) -> Vec<String> {
    let mut all = vec![String::new(), format!("{value}A"), value.split_at(1).1.to_owned(), format!(".{value}")];
    for at in 0..value.len() {
        let ((before, rest), mut after) = (value.split_at(at), String::new());
        after.push(if rest.starts_with('g') { 'w' } else { 'g' });
        after.push_str(rest.split_at(1).1);
        all.push(format!("{before}{after}"));
    }
    all
}

/// T15, T23: the tag that says "this browser knows alice" is another's in another browser: copied, it buys no tries.
#[tokio::test]
async fn a_copied_tag_buys_no_tries() {
    let server = Server::with_alice().await;
    let known = sign_in(&server, "alice", HashMap::new()).await;
    let mut stranger = set(&http().get(format!("{}/login", server.url)).send().await.unwrap());
    let (tag, session) = (server.cookie("known"), server.cookie("session"));
    stranger.insert(tag.clone(), known[&tag].clone());
    let mut last = 0;
    for _ in 0..11 {
        last = bad_login(&server, &stranger).await;
    }
    assert_eq!(last, 429, "counted with all strangers");
    stranger.remove(&tag);
    assert_eq!(bad_login(&server, &stranger).await, 429);
    let mut hers = known.clone();
    hers.remove(&session);
    assert_eq!(bad_login(&server, &hers).await, 200, "her own browser has tries left");
}

async fn bad_login(server: &Server, cookies: &HashMap<String, String>) -> u16 {
    let url = format!("{}/login", server.url);
    let html = http().get(&url).header("cookie", header(cookies)).send().await.unwrap().text().await.unwrap();
    let csrf = html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = [("csrf", csrf.as_str()), ("username", "alice"), ("password", "wrong wrong")];
    let request = http().post(&url).header("cookie", header(cookies)).form(&form);
    request.send().await.unwrap().status().as_u16()
}

/// T21, CVE-2022-39222: a code from the consent page without the browser that began. Each page of an interaction, opened
/// or posted to in another browser, signed in or not, gives nothing, and the first browser goes on.
#[tokio::test]
async fn an_interaction_opens_in_its_own_browser_alone() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    let login = browser.open(&server.authorize(&[])).await.ok().unwrap();
    let id = login.path.rsplit('/').next().unwrap().to_owned();
    let consent = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    let signed_in = server.browser();
    signed_in.sign_in(&server.authorize(&[])).await;
    for thief in [&signed_in, &server.browser()] {
        let csrf = thief.page("/login").await.attribute("input[name=csrf]", "value").unwrap();
        for path in ["/oauth2/authorize/", "/login/", "/consent/", "/select-account/"] {
            let page = thief.open(&format!("{path}{id}")).await.expect("a page");
            assert_eq!((page.status, page.error().as_str()), (400, "invalid_request"), "{path}");
            let form = [
                ("csrf", csrf.as_str()),
                ("decision", "allow"),
                ("account", "new"),
                ("username", "alice"),
                ("password", PASSWORD),
            ];
            let form: Vec<_> = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let status = thief.raw_post(&format!("{path}{id}"), &form).await.status().as_u16();
            assert!([400, 405].contains(&status), "{path} {status}");
        }
    }
    let callback = browser.submit(&consent, &[("decision", "allow")]).await.err().unwrap();
    assert_eq!(server.redeem(&callback["code"]).await.0, 200);
}

/// T14: an attacker's own session in the victim's browser (a cookie tossed from elsewhere): the victim's sign-in ends it
/// and does not join it.
#[tokio::test]
async fn a_tossed_session_is_left_at_the_sign_in() {
    let server = Server::with_alice().await;
    server.user("bob").await;
    let attacker = sign_in(&server, "bob", HashMap::new()).await;
    let victim = HashMap::from([(server.cookie("session"), attacker[&server.cookie("session")].clone())]);
    let victim = sign_in(&server, "alice", victim).await;
    assert_eq!(account(&server, &victim).await.as_deref(), Some("alice@example.com"));
    assert_eq!(account(&server, &attacker).await, None, "bob's own session went with it");
    let bob = server.person("bob").await.id;
    assert!(sessions::of_user(server.app.store().read(), bob, server.app.env().now()).await.unwrap().is_empty());
}

/// T33, CVE-2025-12390: a shared device on which one person got another's tokens. Two people take turns in one browser,
/// signing in, out, over each other, coming back after expiry; every token is of whoever signed in last.
#[tokio::test]
async fn on_a_shared_device_each_token_is_of_whoever_is_signed_in() {
    let server = Server::with_alice().await;
    server.user("bob").await;
    server.client("trusted", serde_json::json!({ "consent": "trusted" })).await;
    let browser = server.browser();
    let ids = HashMap::from([
        ("alice", server.person("alice").await.id.to_string()),
        ("bob", server.person("bob").await.id.to_string()),
    ]);
    let mut here: Option<&str>;
    let mut sids: HashMap<String, &str> = HashMap::new();
    for step in "alice bob out alice alice expiry bob alice out out bob expiry alice bob bob".split(' ') {
        server.advance(60);
        match step {
            "out" => {
                let page = browser.page("/oauth2/logout").await;
                if page.has("button#logout-confirm") {
                    browser.submit(&page, &[("decision", "allow")]).await.ok().unwrap();
                }
                here = None;
            }
            "expiry" => {
                server.advance(server.app.config.lifetimes.session + 1);
                here = None;
            }
            name => {
                browser.sign_in_as(name).await;
                here = Some(name);
            }
        }
        let silent = server.authorize(&[("client_id", "trusted"), ("prompt", "none")]);
        let answer = browser.open(&silent).await.err().unwrap();
        let Some(name) = here else {
            assert_eq!(answer["error"], "login_required", "after {step}");
            continue;
        };
        let id_token = id_token(&server, &answer["code"]).await;
        assert_eq!(id_token["sub"], ids[name], "after {step}");
        let owner = *sids.entry(id_token["sid"].as_str().unwrap().to_owned()).or_insert(name);
        assert_eq!(owner, name, "a sid is one person's for ever");
    }
}

async fn id_token(server: &Server, code: &str) -> serde_json::Value {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", crate::support::CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let (_, tokens) = server.token_as("trusted", &form).await;
    claims(tokens["id_token"].as_str().unwrap_or_else(|| panic!("{tokens}")))
}

/// T14, login CSRF: a sign-in form that a stranger made, with a token of their own browser, signs nobody in.
#[tokio::test]
async fn nobody_is_signed_in_by_somebody_elses_form() {
    let server = Server::with_alice().await;
    let (theirs, hers): (Browser, Browser) = (server.browser(), server.browser());
    let (action, form) = theirs.page("/login").await.form(&[("username", "alice"), ("password", PASSWORD)]);
    hers.page("/login").await;
    let response = hers.raw_post(&action, &form).await;
    assert_eq!(response.status(), 400);
    assert!(!set(&response).contains_key(&server.cookie("session")));
    // And none that says it comes from elsewhere, with the right token or not.
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "http://localhost"),
    ] {
        let cookies = set(&http().get(format!("{}/login", server.url)).send().await.unwrap());
        let url = format!("{}/login", server.url);
        let html = http().get(&url).header("cookie", header(&cookies)).send().await.unwrap().text().await.unwrap();
        let csrf = html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let form = [("csrf", csrf.as_str()), ("username", "alice"), ("password", PASSWORD)];
        let request = http().post(&url).header("cookie", header(&cookies)).header(name, value).form(&form);
        assert_eq!(request.send().await.unwrap().status(), 400, "{name}: {value}");
    }
}
