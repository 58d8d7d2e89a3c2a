//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): who is signed out without a question, and where they go.

use crate::support::{Browser, Server};

const BYE: &str = "http://127.0.0.1:9999/bye";

fn address(parameters: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("/oauth2/logout?{query}")
}

async fn signed_in(server: &Server) -> (Browser, String) {
    let browser = server.browser();
    let callback = browser.sign_in(&server.authorize(&[])).await;
    let (_, tokens) = server.redeem(&callback["code"]).await;
    (browser, tokens["id_token"].as_str().unwrap().to_owned())
}

async fn is_signed_in(browser: &Browser) -> bool {
    browser.raw("/account").await.status() == 200
}

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
    server.client("other", serde_json::json!({ "post_logout_redirect_uris": [] })).await;
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
