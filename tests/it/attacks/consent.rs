//! T53: consent is remembered only where the redirect identifies the client (RFC 8252 §8.6, RFC 9700 §2.6).

use serde_json::json;

use crate::device;
use crate::support::{PASSWORD, Server};

const HTTPS: &str = "https://app.example.com/cb";

/// A public client with redirects of each kind, which asks alice.
async fn with_public(changes: serde_json::Value) -> Server {
    let server = Server::start().await;
    server.user("alice").await;
    let mut meta = json!({
        "token_endpoint_auth_method": "none", "application_type": "native", "scope": "openid email offline_access",
        "redirect_uris": ["http://127.0.0.1/cb", "com.example.app:/cb", HTTPS],
    });
    meta.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    server.client("app", meta).await;
    server
}

fn asked(server: &Server, uri: &str, more: &[(&str, &str)]) -> String {
    server.authorize(&[&[("client_id", "app"), ("redirect_uri", uri)][..], more].concat())
}

#[tokio::test]
async fn consent_is_remembered_for_https_only() {
    let server = with_public(json!({ "scope": "openid profile email" })).await;
    let browser = server.browser();
    // Allowed at a loopback port: neither that port nor another one, nor any other address, gets a code silently.
    browser.sign_in(&asked(&server, "http://127.0.0.1:5000/cb", &[])).await;
    for uri in ["http://127.0.0.1:5000/cb", "http://127.0.0.1:6666/cb", "com.example.app:/cb", HTTPS] {
        let page = browser.page(&asked(&server, uri, &[])).await;
        assert_eq!(page.name(), "consent", "{uri}");
        let silent = browser.raw(&asked(&server, uri, &[("prompt", "none")])).await;
        let to = silent.headers()["location"].to_str().unwrap().to_owned();
        assert!(to.starts_with(uri) && to.contains("error=consent_required"), "{to}");
    }
    browser.sign_in(&asked(&server, HTTPS, &[])).await;
    assert!(browser.open(&asked(&server, HTTPS, &[("prompt", "none")])).await.err().unwrap().contains_key("code"));
    let page = browser.page(&asked(&server, "http://127.0.0.1:6666/cb", &[])).await;
    assert_eq!(page.name(), "consent", "what the https address may have is nothing to other addresses");
}

/// What the user saw on the page is the redirect's host.
#[tokio::test]
async fn consent_at_one_host_does_not_count_at_another() {
    const OTHER: &str = "https://other.example.com/cb";
    let server = with_public(json!({ "redirect_uris": [HTTPS, OTHER], "scope": "openid profile email" })).await;
    let browser = server.browser();
    browser.sign_in(&asked(&server, HTTPS, &[])).await;
    assert!(browser.open(&asked(&server, HTTPS, &[("prompt", "none")])).await.err().unwrap().contains_key("code"));
    assert_eq!(browser.page(&asked(&server, OTHER, &[])).await.name(), "consent");
    browser.sign_in(&asked(&server, OTHER, &[])).await;
    for uri in [HTTPS, OTHER] {
        assert!(browser.open(&asked(&server, uri, &[("prompt", "none")])).await.err().unwrap().contains_key("code"));
    }
}

#[tokio::test]
async fn confidential_client_is_asked_about_once_at_loopback() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    assert!(browser.open(&server.authorize(&[("prompt", "none")])).await.err().unwrap().contains_key("code"));
}

#[tokio::test]
async fn consent_given_for_a_device_does_not_count_for_redirects() {
    let server = Server::start().await;
    server.user("alice").await;
    let meta = json!({
        "redirect_uris": [HTTPS], "scope": "openid email",
        "grant_types": [device::GRANT, "authorization_code", "refresh_token"],
    });
    device::tv(&server, "tv", meta).await;
    let answer = device::ask(&server, "openid email").await;
    let browser = device::decide(&server, &answer, "allow").await;
    let asked = server.authorize(&[("client_id", "tv"), ("redirect_uri", HTTPS), ("scope", "openid email")]);
    assert_eq!(browser.page(&asked).await.name(), "consent");
    assert!(browser.page("/account/apps").await.html.contains("Kitchen Display"), "it is listed all the same");
}

/// A first-party app on a device is not silent either: any program there could be it.
#[tokio::test]
async fn trusted_public_client_at_loopback_needs_the_user_each_time() {
    let server = with_public(json!({ "consent": "trusted", "scope": "openid profile email" })).await;
    let browser = server.browser();
    let loopback = "http://127.0.0.1:5000/cb";
    let login = browser.page(&asked(&server, loopback, &[])).await;
    let answer = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await;
    assert!(answer.err().expect("no consent page after a sign-in for this app").contains_key("code"));
    assert_eq!(browser.page(&asked(&server, loopback, &[])).await.name(), "consent");
    let silent = browser.open(&asked(&server, loopback, &[("prompt", "none")])).await.err().unwrap();
    assert_eq!(silent["error"], "consent_required");
    assert!(browser.open(&asked(&server, HTTPS, &[("prompt", "none")])).await.err().unwrap().contains_key("code"));
}
