//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): who is signed out without a question, and where they go.

use super::{address, is_signed_in, signed_in};
use crate::support::Server;

const BYE: &str = "http://127.0.0.1:9999/bye";

/// §2: an expired hint is a hint all the same.
#[tokio::test]
async fn a_hint_of_this_session_signs_out_at_once_even_expired() {
    let server = Server::with_alice().await;
    let (browser, hint) = signed_in(&server).await;
    server.advance(3601);
    let back = browser
        .open(&address(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE), ("state", "a b&c")]))
        .await;
    assert_eq!(back.err().expect("back at the app")["state"], "a b&c");
    assert!(!is_signed_in(&browser).await);
}

#[tokio::test]
async fn another_sessions_hint_asks_first() {
    let server = Server::with_alice().await;
    let (_, other) = signed_in(&server).await;
    let (browser, _) = signed_in(&server).await;
    let page = browser.page(&address(&[("id_token_hint", &other), ("post_logout_redirect_uri", BYE)])).await;
    assert_eq!(page.name(), "logout");
    assert!(page.has("#client-name") && is_signed_in(&browser).await);
    let stay = browser.submit(&page, &[("decision", "deny")]).await.ok().unwrap();
    assert!(stay.path == "/" && is_signed_in(&browser).await);
    let back = browser.submit(&page, &[("decision", "allow")]).await;
    assert!(back.is_err() && !is_signed_in(&browser).await, "out, and back at the app");
}

/// §2: parameters may come by POST, from another site and so without the session's cookie.
#[tokio::test]
async fn a_post_of_an_app_is_asked_again_by_get() {
    let server = Server::with_alice().await;
    let (browser, hint) = signed_in(&server).await;
    let form = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE)]
        .map(|(a, b)| (a.to_owned(), b.to_owned()));
    let response = browser.raw_post("/oauth2/logout", &form).await;
    assert_eq!(response.status(), 303);
    assert!(response.headers()["location"].to_str().unwrap().starts_with("/oauth2/logout?"));
    assert!(is_signed_in(&browser).await, "nothing has happened yet");
}

/// §2, §3 and §4: whatever does not fit ends on a page here, and nobody is signed out by it.
#[tokio::test]
async fn a_request_that_does_not_fit_is_a_page_and_no_redirect() {
    let server = Server::with_alice().await;
    server.client("other", serde_json::json!({ "post_logout_redirect_uris": ["https://other.example/bye"] })).await;
    let (browser, hint) = signed_in(&server).await;
    let mut broken = hint.clone();
    broken.replace_range(hint.len() - 6..hint.len() - 4, if hint.ends_with("AAAAAA") { "BB" } else { "AA" });
    for (what, parameters) in [
        (
            "an address nobody registered",
            vec![("client_id", "web"), ("post_logout_redirect_uri", "https://evil.example/")],
        ),
        ("another client's address", vec![("client_id", "other"), ("post_logout_redirect_uri", BYE)]),
        ("an address and no app", vec![("post_logout_redirect_uri", BYE)]),
        ("an unknown app", vec![("client_id", "nobody"), ("post_logout_redirect_uri", BYE)]),
        ("two apps", vec![("id_token_hint", &hint), ("client_id", "other")]),
        (
            "another app's hint",
            vec![("id_token_hint", &hint), ("post_logout_redirect_uri", "https://other.example/bye")],
        ),
        ("a broken hint", vec![("id_token_hint", &broken), ("post_logout_redirect_uri", BYE)]),
        ("no token at all", vec![("id_token_hint", "nonsense")]),
        ("twice", vec![("client_id", "web"), ("client_id", "web")]),
    ] {
        let page = browser.page(&address(&parameters)).await;
        assert_eq!((page.status, page.name().as_str()), (400, "error"), "{what}");
        assert!(is_signed_in(&browser).await, "{what}");
    }
}

#[tokio::test]
async fn who_is_signed_out_already_is_told_so() {
    let server = Server::with_alice().await;
    let page = server.browser().page("/oauth2/logout").await;
    assert_eq!((page.status, page.name().as_str()), (200, "signed-out"));
    assert!(page.has("#logged-out"));
}

/// What a request of the conformance suite leads to, for a person who is signed in.
#[derive(Debug, PartialEq)]
enum Leads {
    /// Back to the app, signed out, with that query.
    Back(&'static str),
    /// Signed out, and a page here that says so.
    Done,
    /// A question, and after it the page that says so.
    Question,
    /// A page with an error; nobody is signed out.
    Error,
}

/// Each of the conformance suite's tests of this spec, by its name: a redirect only where hint and address are good, and a
/// page in every other case.
#[tokio::test]
async fn the_conformance_suites_requests_lead_where_it_expects() {
    let server = Server::with_alice().await;
    for (name, parameters, leads) in [
        ("oidcc-rp-initiated-logout", "hint uri state", Leads::Back("state=st%20ate")),
        ("oidcc-rp-initiated-logout-no-state", "hint uri", Leads::Back("")),
        ("oidcc-rp-initiated-logout-no-params", "", Leads::Question),
        ("oidcc-rp-initiated-logout-only-state", "state", Leads::Question),
        ("oidcc-rp-initiated-logout-no-post-logout-redirect-uri", "hint state", Leads::Done),
        ("oidcc-rp-initiated-logout-no-id-token-hint", "uri state", Leads::Error),
        ("oidcc-rp-initiated-logout-bad-id-token-hint", "bad-hint uri state", Leads::Error),
        ("oidcc-rp-initiated-logout-modified-id-token-hint", "modified-hint uri state", Leads::Error),
        ("oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", "hint bad-uri state", Leads::Error),
        ("oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", "hint uri-and-query state", Leads::Error),
    ] {
        let (browser, hint) = signed_in(&server).await;
        let modified = modified(&hint);
        let request: Vec<(&str, &str)> = parameters
            .split_whitespace()
            .map(|parameter| match parameter {
                "hint" => ("id_token_hint", hint.as_str()),
                "bad-hint" => ("id_token_hint", "not a token"),
                "modified-hint" => ("id_token_hint", modified.as_str()),
                "uri" => ("post_logout_redirect_uri", BYE),
                "bad-uri" => ("post_logout_redirect_uri", "http://127.0.0.1:9999/elsewhere"),
                "uri-and-query" => ("post_logout_redirect_uri", "http://127.0.0.1:9999/bye?foo=bar"),
                _ => ("state", "st ate"),
            })
            .collect();
        let response = browser.raw(&address(&request)).await;
        let to = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        match (leads, to) {
            (Leads::Back(query), Some(to)) => {
                let query = query.replace("%20", "+");
                assert_eq!(to, if query.is_empty() { BYE.to_owned() } else { format!("{BYE}?{query}") }, "{name}");
                assert!(!is_signed_in(&browser).await, "{name}");
            }
            (leads, None) => {
                let page = browser.follow(response).await.ok().unwrap();
                match leads {
                    Leads::Done => {
                        assert_eq!((page.status, page.name().as_str()), (200, "signed-out"), "{name}");
                        assert!(!is_signed_in(&browser).await, "{name}");
                    }
                    Leads::Question => {
                        assert_eq!((page.status, page.name().as_str()), (200, "logout"), "{name}");
                        assert!(page.has("#logout-confirm[value=allow]") && page.has("button[value=deny]"), "{name}");
                        let done = browser.submit(&page, &[("decision", "allow")]).await.ok().unwrap();
                        assert_eq!(done.name(), "signed-out", "{name}");
                        assert!(done.has("#logged-out") && !is_signed_in(&browser).await, "{name}");
                    }
                    _ => {
                        assert_eq!((page.status, page.name().as_str()), (400, "error"), "{name}");
                        assert_eq!(page.error(), "invalid_request", "{name}");
                        assert!(is_signed_in(&browser).await, "{name}");
                    }
                }
            }
            (leads, to) => panic!("{name}: {to:?} and not {leads:?}"),
        }
    }
}

/// The token with another person in it, and the old signature.
fn modified(token: &str) -> String {
    let mut parts: Vec<String> = token.split('.').map(ToOwned::to_owned).collect();
    let claims = String::from_utf8(signet::domain::secret::from_base64url(&parts[1]).unwrap()).unwrap();
    parts[1] = signet::domain::secret::base64url(claims.replacen("\"sub\":\"", "\"sub\":\"0", 1).as_bytes());
    parts.join(".")
}

/// §2: `logout_hint` and `ui_locales` may come along.
#[tokio::test]
async fn hints_of_language_and_person_are_taken_and_change_nothing() {
    let server = Server::with_alice().await;
    let (browser, hint) = signed_in(&server).await;
    let request = [
        ("id_token_hint", hint.as_str()),
        ("post_logout_redirect_uri", BYE),
        ("logout_hint", "alice"),
        ("ui_locales", "fr-CA fr"),
        ("state", "x"),
    ];
    let back = browser.open(&address(&request)).await;
    assert_eq!(back.err().expect("back at the app")["state"], "x");
    assert!(!is_signed_in(&browser).await);
}
