//! Session Management (OpenID Connect Session Management 1.0): `session_state`, the browser's state beside it, and the page
//! that apps embed. What the page's script answers is tried in `browser::sessions`.

use std::collections::HashMap;

use reqwest::Response;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use signet::domain::secret::base64url;

use super::{address, signed_in};
use crate::support::{Browser, Server};

/// The lines of an answer that set the browser's state.
fn set(response: &Response) -> Vec<String> {
    let lines = response.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap().to_owned());
    lines.filter(|line| line.contains("session-state")).collect()
}

/// What the script would compute (§3.2).
fn computed(client: &str, origin: &str, state: &str, salt: &str) -> String {
    format!("{}.{salt}", base64url(&Sha256::digest(format!("{client} {origin} {state} {salt}"))))
}

/// Signs in as `name` at `/login` and gives back the line that sets the state.
async fn sign_in(browser: &Browser, name: &str, remember: bool) -> Vec<String> {
    let page = browser.page("/login").await;
    let mut fields = vec![("username", name), ("password", crate::support::PASSWORD)];
    fields.extend(remember.then_some(("remember", "1")));
    let (action, form) = page.form(&fields);
    set(&browser.raw_post(&action, &form).await)
}

fn value(line: &str) -> String {
    line.split(';').next().unwrap().split_once('=').unwrap().1.to_owned()
}

/// §2 and §3.2: what comes back with the code is what the script computes from the cookie, for the origin of the page at
/// the redirect URI.
#[tokio::test]
async fn session_state_is_what_the_browser_computes() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    let state = value(&sign_in(&browser, "alice", false).await[0]);
    let callback = browser.sign_in(&server.authorize(&[])).await;
    let session_state = &callback["session_state"];
    let salt = session_state.split_once('.').unwrap().1;
    assert_eq!(session_state, &computed("web", "http://127.0.0.1:9999", &state, salt));
    let again = browser.open(&server.authorize(&[("prompt", "none")])).await.err().unwrap();
    assert_ne!(&again["session_state"], session_state, "another salt each time");
    // Another origin, another client: another state.
    assert_ne!(session_state, &computed("web", "https://evil.example", &state, salt));
    assert_ne!(session_state, &computed("other", "http://127.0.0.1:9999", &state, salt));
}

#[tokio::test]
async fn only_openid_requests_of_web_pages_have_one_and_errors_have_none() {
    let server = Server::with_alice().await;
    server.client("phone", json!({ "redirect_uris": ["com.example.app:/cb"], "application_type": "native" })).await;
    let browser = server.browser();
    let without = browser.sign_in(&server.authorize(&[("scope", "profile")])).await;
    assert!(without.contains_key("code") && !without.contains_key("session_state"));
    let phone = server.authorize(&[("client_id", "phone"), ("redirect_uri", "com.example.app:/cb")]);
    let page = browser.page(&phone).await;
    let (action, form) = page.form(&[("decision", "allow")]);
    let mut response = browser.raw_post(&action, &form).await;
    while response.headers()["location"].to_str().unwrap().starts_with('/') {
        let to = response.headers()["location"].to_str().unwrap().to_owned();
        response = browser.raw(&to).await;
    }
    let to = response.headers()["location"].to_str().unwrap();
    assert!(to.starts_with("com.example.app:/cb?code=") && !to.contains("session_state"), "{to}");
    let refused = server.browser().open(&server.authorize(&[("prompt", "none")])).await.err().unwrap();
    assert_eq!((refused["error"].as_str(), refused.get("session_state")), ("login_required", None));
}

/// The state is there as long as the session, and another one for another session; it is no part of the session's id.
#[tokio::test]
async fn the_browsers_state_comes_and_goes_with_the_session() {
    let server = Server::with_alice().await;
    server.user("bob").await;
    let (browser, cookie) = (server.browser(), server.cookie("session-state"));
    assert_eq!(set(&browser.raw("/login").await), Vec::<String>::new(), "nobody is signed in");
    let alice = sign_in(&browser, "alice", false).await;
    assert_eq!(alice, [format!("{cookie}={}; Path=/; SameSite=Lax", value(&alice[0]))], "readable by scripts");
    assert_eq!(set(&browser.raw("/account").await), Vec::<String>::new(), "it is set once");
    assert_eq!(sign_in(&browser, "alice", false).await, Vec::<String>::new(), "the same session goes on");
    let bob = sign_in(&browser, "bob", false).await;
    assert_ne!(value(&bob[0]), value(&alice[0]));
    let page = browser.page("/oauth2/logout").await;
    let (action, form) = page.form(&[("decision", "allow")]);
    let gone = set(&browser.raw_post(&action, &form).await);
    assert_eq!(gone, [format!("{cookie}=; Path=/; SameSite=Lax; Max-Age=0")]);
    let remembered = sign_in(&browser, "alice", true).await;
    let whole = format!("; Max-Age={}", server.app.config.lifetimes.remembered);
    assert!(remembered[0].ends_with(&whole), "as long as the session's own: {remembered:?}");
}

/// A session that was ended elsewhere: the browser learns of it with its next visit.
#[tokio::test]
async fn a_session_that_was_ended_elsewhere_takes_its_state_along() {
    let server = Server::with_alice().await;
    let (here, there) = (server.browser(), server.browser());
    sign_in(&here, "alice", false).await;
    sign_in(&there, "alice", false).await;
    here.press("/account/sessions", "/account/sessions/end-others").await;
    assert!(set(&there.raw("/").await)[0].contains("Max-Age=0"));
    assert_eq!(set(&here.raw("/").await), Vec::<String>::new());
}

/// A request from another site has none of the cookies that are for this site alone: it tells nothing of the session.
#[tokio::test]
async fn a_request_from_another_site_does_not_take_the_state_away() {
    let server = Server::with_alice().await;
    let request = reqwest::Client::new().get(format!("{}/login", server.url));
    let response =
        request.header("cookie", format!("{}=something", server.cookie("session-state"))).send().await.unwrap();
    assert_eq!(set(&response), Vec::<String>::new());
}

#[tokio::test]
async fn over_https_frames_on_other_sites_have_it() {
    let server = Server::start_with(|config| {
        config.issuer = signet::config::Issuer::parse("https://id.example.com").unwrap();
    })
    .await;
    server.user("alice").await;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = format!("{}/login", server.url);
    let login = http.get(&url).send().await.unwrap();
    let cookies: HashMap<String, String> = login
        .headers()
        .get_all("set-cookie")
        .iter()
        .filter_map(|line| line.to_str().unwrap().split(';').next()?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let cookies = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
    let html = login.text().await.unwrap();
    let csrf = html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = [("csrf", csrf.as_str()), ("username", "alice"), ("password", crate::support::PASSWORD)];
    let done = http.post(&url).header("cookie", cookies).form(&form).send().await.unwrap();
    let lines = set(&done);
    assert_eq!(
        lines,
        [format!("{}={}; Path=/; SameSite=None; Secure", server.cookie("session-state"), value(&lines[0]))]
    );
}

/// §3.2: anybody's page may have it in a frame, and nothing else of ours; it runs our script alone.
#[tokio::test]
async fn the_page_may_be_framed_and_no_other() {
    let server = Server::with_alice().await;
    let (browser, hint) = signed_in(&server).await;
    let discovery: serde_json::Value = browser.raw("/.well-known/openid-configuration").await.json().await.unwrap();
    let response = browser.raw(discovery["check_session_iframe"].as_str().unwrap()).await;
    assert_eq!(response.status(), 200);
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert_eq!(policy, "default-src 'none'; script-src 'self'; base-uri 'none'; frame-ancestors *");
    assert!(response.headers().get("x-frame-options").is_none());
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 0, "no cookie is looked at or set");
    let html = response.text().await.unwrap();
    assert!(
        html.contains(&format!("data-cookie=\"{}\"", server.cookie("session-state")))
            && html.contains("/static/check_session.js?v=")
    );
    for other in ["/login", "/account", &address(&[("id_token_hint", &hint)])] {
        let response = browser.raw(other).await;
        assert_eq!(response.headers()["x-frame-options"], "DENY", "{other}");
        assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
    }
    let refused = browser.raw_post("/oauth2/check_session", &[]).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["x-frame-options"].to_str().unwrap()), (405, "DENY"));
}
