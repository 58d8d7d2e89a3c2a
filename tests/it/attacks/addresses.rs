//! Addresses: where the answer goes, and where a person goes afterwards.

use serde_json::json;
use signet::domain::redirect_uri::RedirectUri;
use url::Url;

use super::corpus::mutated;
use crate::support::{Browser, PASSWORD, Server};

const REGISTERED: &str = "https://app.example.com/oauth/cb?tenant=a";
const LOOPBACK: &str = "http://127.0.0.1:7777/cb";

fn with(server: &Server, uri: &str) -> String {
    server.authorize(&[("client_id", "strict"), ("redirect_uri", uri)])
}

/// T8: CVE-2024-52289 (a dot that matched anything), CVE-2020-15234 (case), CVE-2023-6291 and CVE-2024-8883 (user
/// information), GO-2026-4653, CVE-2020-15233 (loopback): an address that was not registered byte for byte.
#[tokio::test]
async fn a_redirect_uri_is_its_bytes() {
    let server = Server::with_alice().await;
    server.client("strict", json!({ "redirect_uris": [REGISTERED, LOOPBACK], "consent": "trusted" })).await;
    let browser = server.browser();
    let corpus: Vec<String> = mutated(REGISTERED).into_iter().chain(mutated(LOOPBACK)).collect();
    assert!(corpus.len() > 600, "{}", corpus.len());
    for uri in &corpus {
        let response = browser.raw(&with(&server, uri)).await;
        assert_eq!(response.status(), 400, "{uri:?}");
        assert!(response.headers().get("location").is_none(), "{uri:?}");
    }
    // The registered ones are good, and a web client's port is part of them.
    for (uri, status) in [(REGISTERED, 303), (LOOPBACK, 303), ("http://127.0.0.1:7778/cb", 400)] {
        assert_eq!(browser.raw(&with(&server, uri)).await.status(), status, "{uri}");
    }
}

/// T8, CVE-2020-15233: RFC 8252 §7.3 lets a native app's loopback port differ, and nothing else. The oracle is the WHATWG
/// parser: what is accepted is the same but for the port, to it too.
#[test]
fn a_native_app_may_choose_its_port_and_nothing_else() {
    let registered = RedirectUri::parse(LOOPBACK).unwrap();
    for good in ["http://127.0.0.1:1/cb", "http://127.0.0.1/cb", "http://127.0.0.1:65535/cb", LOOPBACK] {
        assert!(registered.matches(good, true), "{good}");
    }
    for uri in mutated(LOOPBACK) {
        if registered.matches(&uri, true) {
            let (mut theirs, mut ours) = (Url::parse(&uri).unwrap(), Url::parse(LOOPBACK).unwrap());
            theirs.set_port(None).unwrap();
            ours.set_port(None).unwrap();
            assert_eq!(theirs.as_str(), ours.as_str(), "{uri:?}");
        }
        assert!(!registered.matches(&uri, false), "{uri:?}");
    }
    let elsewhere = RedirectUri::parse(REGISTERED).unwrap();
    assert!(mutated(REGISTERED).iter().all(|uri| !elsewhere.matches(uri, true)));
}

proptest::proptest! {
    /// The same oracle over whatever may be written with an address's characters.
    #[test]
    fn what_matches_is_equal_or_differs_in_a_loopback_port(rest in "[a-z0-9.:/@?#%\\\\\\[\\]-]{0,24}") {
        let registered = RedirectUri::parse(LOOPBACK).unwrap();
        for uri in [format!("http://127.0.0.1{rest}"), format!("http://{rest}"), format!("{LOOPBACK}{rest}")] {
            if registered.matches(&uri, true) && uri != LOOPBACK {
                let parsed = Url::parse(&uri).unwrap();
                let same = (parsed.host_str(), parsed.path(), parsed.query(), parsed.username());
                assert_eq!(same, (Some("127.0.0.1"), "/cb", None, ""), "{uri}");
            }
        }
    }
}

/// Where a browser would be after following `location` from a page of `server`.
fn lands(server: &Server, location: &str) -> Url {
    Url::parse(&format!("{}/login", server.url)).unwrap().join(location).unwrap()
}

async fn login_with_next(browser: &Browser, next: &str) -> String {
    let page = browser.page("/login").await;
    let (action, mut form) = page.form(&[("username", "alice"), ("password", PASSWORD)]);
    form.retain(|(name, _)| name != "next");
    form.push(("next".to_owned(), next.to_owned()));
    let response = browser.raw_post(&action, &form).await;
    assert_eq!(response.status(), 303, "{next:?}");
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// T9: CVE-2024-39694, CVE-2021-32786, GHSA-qr9h-f4fq-2h85: a "local" return path that leaves the site. Whatever `next`
/// says, the browser stays.
#[tokio::test]
async fn a_return_path_never_leaves_the_server() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    let paths = "//evil.example ///evil.example ////evil.example /\\evil.example \\\\evil.example /\t/evil.example /\n/evil.example \
                 /\r/evil.example /%09/evil.example /%2fevil.example /%5cevil.example /.//evil.example /..//evil.example \
                 /;@evil.example https://evil.example HTTPS://evil.example https:evil.example javascript:alert(1) \
                 data:text/html,x //evil.example/%2f.. /@evil.example @evil.example evil.example .evil.example \
                 /\u{2215}evil.example //\u{ff0f}evil.example /%0d%0aLocation:https://evil.example /%00/evil.example \
                 \u{feff}//evil.example /./\\evil.example";
    for next in paths.split(' ').chain(["/ /evil.example", " //evil.example"]) {
        let to = login_with_next(&browser, next).await;
        let landed = lands(&server, &to);
        assert_eq!(landed.origin(), lands(&server, "/").origin(), "{next:?} led to {to}");
        assert!(to.starts_with('/') && !to.starts_with("//"), "{next:?} led to {to}");
        // The page does not carry it on either.
        let page = browser
            .page(&format!("/login?next={}", url::form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>()))
            .await;
        if let Some(kept) = page.attribute("input[name=next]", "value") {
            assert_eq!(lands(&server, &kept).origin(), lands(&server, "/").origin(), "{next:?}");
        }
    }
    assert_eq!(login_with_next(&browser, "/account?a=b").await, "/account?a=b");
}

/// T9: the same for where an app sends people after signing out: registered byte for byte, or a page without a link.
#[tokio::test]
async fn a_logout_address_is_its_bytes() {
    let server = Server::with_alice().await;
    server.client("strict", json!({ "post_logout_redirect_uris": [REGISTERED] })).await;
    let browser = server.browser();
    for uri in mutated(REGISTERED) {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("client_id", "strict"), ("post_logout_redirect_uri", uri.as_str())])
            .finish();
        let response = browser.raw(&format!("/oauth2/logout?{query}")).await;
        assert!(response.headers().get("location").is_none(), "{uri:?}");
        // No parameter has a NUL.
        if uri.contains('\0') {
            assert_eq!(response.status(), 400, "{uri:?}");
            continue;
        }
        let page = browser.follow(response).await.ok().unwrap();
        assert_eq!((page.status, page.name().as_str()), (200, "signed-out"), "{uri:?}");
        assert_eq!(page.attribute("main a.btn", "href").as_deref(), Some("/login"), "{uri:?}");
    }
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("client_id", "strict"), ("post_logout_redirect_uri", REGISTERED), ("state", "a\r\nb&c=#d")])
        .finish();
    let response = browser.raw(&format!("/oauth2/logout?{query}")).await;
    assert_eq!(response.headers()["location"], format!("{REGISTERED}&state=a%0D%0Ab%26c%3D%23d"));
}
