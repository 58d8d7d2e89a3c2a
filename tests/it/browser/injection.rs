//! Text of strangers on our pages stays text (T20: GHSA-8rmm-gm28-pj8q, CVE-2026-42849, CVE-2026-29191, GO-2026-4861).
//! The oracle is the browser: no script of theirs ran, and the Content-Security-Policy had nothing to stop.

use serde_json::json;

use super::landing;
use crate::support::chromium::Chromium;
use crate::support::{PASSWORD, Server};

const PAYLOADS: [&str; 5] = [
    "\"><script>window.__pwned = 1</script>",
    "'><img src=x onerror=window.__pwned=1>",
    "</title></textarea><svg onload=window.__pwned=1>",
    "\" autofocus onfocus=window.__pwned=1 x=\"",
    "javascript:window.__pwned=1//&lt;script&gt;",
];

async fn is_harmless(browser: &Chromium, page: &str, payload: &str) {
    browser.wait_for(&format!("main[data-page={page}]")).await;
    let pwned = browser.script("return window.__pwned ?? null").await;
    assert_eq!(pwned, json!(null), "a script ran on {page}: {payload}");
    assert_eq!(browser.complaints().await, Vec::<String>::new(), "{page}: {payload}");
}

fn query(address: &str, parameters: &[(&str, &str)]) -> String {
    url::Url::parse_with_params(address, parameters).unwrap().into()
}

#[tokio::test]
async fn a_clients_name_is_text() {
    let browser = Chromium::start().await;
    let server = Server::start().await;
    server.user("alice").await;
    for (index, payload) in PAYLOADS.into_iter().enumerate() {
        let id = format!("client-{index}");
        server.client(&id, json!({ "client_name": payload })).await;
        let authorize = |more| format!("{}{}", server.url, server.authorize(&[("client_id", id.as_str()), more]));
        browser.open(&authorize(("prompt", "login"))).await;
        is_harmless(&browser, "login", payload).await;
        assert_eq!(browser.text("#client-name").await, payload);
        if index == 0 {
            browser.sign_in("alice", PASSWORD).await;
        } else {
            browser.open(&authorize(("prompt", "consent"))).await;
        }
        is_harmless(&browser, "consent", payload).await;
        assert_eq!(browser.text("#client-name").await, payload);
        browser.open(&authorize(("prompt", "select_account"))).await;
        is_harmless(&browser, "select-account", payload).await;
        browser.open(&query(&format!("{}/oauth2/logout", server.url), &[("client_id", &id)])).await;
        is_harmless(&browser, "logout", payload).await;
    }
}

#[tokio::test]
async fn what_a_request_carries_is_text() {
    let browser = Chromium::start().await;
    let server = Server::start().await;
    server.user("alice").await;
    let address = landing::of_web(&server, json!({ "consent": "trusted" })).await;
    let authorize = |changes: &[(&str, &str)]| {
        let all = [&[("redirect_uri", address.as_str())], changes].concat();
        format!("{}{}", server.url, server.authorize(&all))
    };
    for payload in PAYLOADS {
        browser.open(&authorize(&[("login_hint", payload), ("state", payload)])).await;
        is_harmless(&browser, "login", payload).await;
        assert_eq!(browser.script("return document.querySelector('#username').value").await, json!(payload));
        browser.fill("#username", payload).await;
        browser.fill("#password", payload).await;
        browser.click("button.primary[type=submit]").await;
        browser.wait_for("#login-error").await;
        is_harmless(&browser, "login", payload).await;
        browser.open(&authorize(&[("redirect_uri", payload)])).await;
        is_harmless(&browser, "error", payload).await;
        browser.open(&authorize(&[("client_id", payload)])).await;
        is_harmless(&browser, "error", payload).await;
        browser.open(&query(&format!("{}/setup", server.url), &[("token", payload)])).await;
        is_harmless(&browser, "error", payload).await;
        browser.open(&query(&format!("{}/oauth2/logout", server.url), &[("post_logout_redirect_uri", payload)])).await;
        is_harmless(&browser, "signed-out", payload).await;
        browser.open(&query(&format!("{}/login", server.url), &[("next", payload)])).await;
        is_harmless(&browser, "login", payload).await;
        // The page that sends itself to the app: as it is, and what arrives.
        browser.open(&authorize(&[("state", payload), ("response_mode", "form_post"), ("prompt", "none")])).await;
        assert_eq!(landing::answer(&browser, "POST").await["state"], payload);
        assert_eq!(browser.complaints().await, Vec::<String>::new(), "{payload}");
    }
}
