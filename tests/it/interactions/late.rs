//! Pages that are opened or sent too late: the request has expired, was answered, or somebody has signed in in another tab.

use serde_json::json;

use super::{ALICE, server};
use crate::support::{CALLBACK, Server};

async fn expire(server: &Server) {
    server.advance(server.app.config.lifetimes.interaction + 1);
}

/// Whoever comes too late is signed in, and led back to an address that the app has registered and to no other.
#[tokio::test]
async fn an_expired_request_signs_in_and_leads_back() {
    let server = server().await;
    let login_uri = "https://app.example/login?tenant=1";
    for (id, meta, back) in [
        ("home", json!({ "client_uri": "https://app.example/" }), Some("https://app.example/".to_owned())),
        (
            "begins",
            json!({ "client_uri": "https://app.example/", "initiate_login_uri": login_uri }),
            Some(format!("{login_uri}&iss={}", server.url.replace(':', "%3A").replace('/', "%2F"))),
        ),
        (
            "site",
            json!({ "redirect_uris": [CALLBACK, "https://site.example:8443/cb?x=1"] }),
            Some("https://site.example:8443/".to_owned()),
        ),
        ("bare", json!({}), None),
    ] {
        server.client(id, meta).await;
        let browser = server.browser();
        let login = browser.page(&server.authorize(&[("client_id", id)])).await;
        expire(&server).await;
        let again = browser.page(&login.path).await;
        assert_eq!((again.status, again.name().as_str()), (200, "login"), "{id}");
        assert!(again.has("#client-name") && !again.has("button[value=deny]"), "{id}: it waits no more");
        let wrong =
            browser.submit(&login, &[("username", "alice"), ("password", "wrong wrong")]).await.expect("a page");
        assert_eq!(wrong.name(), "login", "{id}");
        let done = browser.submit(&login, &ALICE).await.expect("a page, no code");
        assert_eq!((done.status, done.name().as_str()), (200, "signed-in"), "{id}");
        assert_eq!(done.attribute("a#back-to-app", "href"), back, "{id}");
        assert!(!done.html.contains(CALLBACK), "{id}");
        assert_eq!(browser.page("/account").await.status, 200, "{id}");
        for page in ["/login/", "/consent/", "/select-account/", "/oauth2/authorize/"] {
            let page = browser.page(&login.path.replace("/login/", page)).await;
            assert_eq!(page.name(), "signed-in", "{id}");
        }
    }
}

/// Long after the request, when nothing is known of it any more, the form still knows its app, in its own browser alone.
#[tokio::test]
async fn a_form_knows_its_app_when_the_request_is_forgotten() {
    let server = server().await;
    server.client("home", json!({ "client_uri": "https://app.example/" })).await;
    let browser = server.browser();
    let login = browser.page(&server.authorize(&[("client_id", "home")])).await;
    server.advance(server.app.config.lifetimes.interaction + 3600);
    while signet::store::sweep::once(server.app.store(), 90 * 86_400).await.unwrap() > 0 {}
    let lost = browser.page(&login.path).await;
    assert_eq!((lost.status, lost.name().as_str()), (200, "login"), "for the user's own account");
    assert!(!lost.has("#client-name"));
    let done = browser.submit(&login, &ALICE).await.expect("a page, no code");
    assert_eq!(done.name(), "signed-in");
    assert_eq!(done.attribute("a#back-to-app", "href").as_deref(), Some("https://app.example/"));
    let (action, form) = login.form(&ALICE);
    let thief = server.browser();
    let theirs = thief.page("/login").await.attribute("input[name=csrf]", "value").unwrap();
    for change in ["another browser", "another app"] {
        let (browser, mut form) = (if change == "another app" { &browser } else { &thief }, form.clone());
        for (name, value) in &mut form {
            match name.as_str() {
                "csrf" if change == "another browser" => theirs.clone_into(value),
                "app" if change == "another app" => *value = value.replacen("aG9tZQ", "d2Vi", 1),
                _ => {}
            }
        }
        let answer = browser.raw_post(&action, &form).await;
        assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()), (303, "/"), "{change}");
    }
}

/// Every page of a request that nobody knows any more leads on: to the sign-in page, or for a signed-in user to the page that
/// says so. What a page was sent for is not done.
#[tokio::test]
async fn pages_of_a_forgotten_request_lead_on() {
    let server = server().await;
    server.client("home", json!({ "client_uri": "https://app.example/" })).await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let consent = browser.page(&server.authorize(&[("client_id", "home")])).await;
    assert_eq!(consent.name(), "consent");
    let choice = browser.page(&server.authorize(&[("client_id", "home"), ("prompt", "select_account")])).await;
    assert_eq!(choice.name(), "select-account");
    server.advance(server.app.config.lifetimes.interaction + 3600);
    while signet::store::sweep::once(server.app.store(), 90 * 86_400).await.unwrap() > 0 {}
    browser.sign_in_as("alice").await;
    let stranger = server.browser();
    stranger.page("/login").await;
    for page in ["/login/", "/signup/", "/consent/", "/select-account/", "/not-allowed/", "/oauth2/authorize/"] {
        if page == "/signup/" {
            continue; // There is no such page here.
        }
        let path = consent.path.replace("/consent/", page);
        let known = browser.page(&path).await;
        assert_eq!((known.status, known.name().as_str()), (200, "signed-in"), "{page}");
        let unknown = stranger.page(&path).await;
        assert_eq!((unknown.status, unknown.name().as_str()), (200, "login"), "{page}");
    }
    for (page, fields) in [(&consent, [("decision", "allow")]), (&choice, [("account", "new")])] {
        let done = browser.submit(page, &fields).await.expect("a page, no code");
        assert_eq!(done.name(), "signed-in");
        assert_eq!(done.attribute("a#back-to-app", "href").as_deref(), Some("https://app.example/"));
    }
}

/// A client that is gone or made anew is not led back to; a disabled one neither.
#[tokio::test]
async fn nobody_is_led_back_to_a_client_that_is_gone() {
    let server = server().await;
    server.client("home", json!({ "client_uri": "https://app.example/" })).await;
    let browser = server.browser();
    let login = browser.page(&server.authorize(&[("client_id", "home")])).await;
    expire(&server).await;
    let (manager, by) = (server.app.manager(), signet::manage::AuditContext::command_line());
    let id = signet::domain::ids::ClientId::parse("home").unwrap();
    signet::manage::clients::delete(&manager, &by, &id).await.unwrap();
    server.client("home", json!({ "client_uri": "https://evil.example/" })).await;
    let done = browser.submit(&login, &ALICE).await.expect("a page, no code");
    assert_eq!((done.name().as_str(), done.attribute("a#back-to-app", "href")), ("signed-in", None));
    assert!(!done.html.contains("evil.example"));
}

/// Two tabs wait for a sign-in. After it in one of them, the other one goes on, whether it is loaded again or sent.
#[tokio::test]
async fn a_sign_in_in_another_tab_is_enough() {
    let server = server().await;
    for client in ["web", "first"] {
        for way in ["loaded again", "sent", "sign-up page"] {
            let browser = server.browser();
            let first = browser.page(&server.authorize(&[("client_id", client)])).await;
            let second = browser.page(&server.authorize(&[("client_id", client), ("state", "second")])).await;
            // Another answer than the one that a trusted client gets at once.
            browser.sign_in_as("alice").await;
            let went_on = match way {
                "loaded again" => browser.open(&first.path).await,
                "sent" => browser.submit(&first, &ALICE).await,
                _ => browser.open(&first.path.replace("/login/", "/oauth2/authorize/")).await,
            };
            match went_on {
                Ok(page) => assert_eq!((client, page.name().as_str()), ("web", "consent"), "{way}"),
                Err(answer) => assert_eq!((client, answer.contains_key("code")), ("first", true), "{way}"),
            }
            let second = browser.submit(&second, &ALICE).await;
            assert_eq!(second.is_err(), client == "first", "{way}: the other tab too");
        }
    }
}

/// OpenID Connect Core §3.1.2.1: a request that wants a sign-in of its own is not satisfied by one in another tab.
#[tokio::test]
async fn prompt_login_still_asks_after_a_sign_in_elsewhere() {
    let server = server().await;
    let browser = server.browser();
    let login = browser.page(&server.authorize(&[("client_id", "first"), ("prompt", "login")])).await;
    browser.sign_in_as("alice").await;
    assert_eq!(browser.page(&login.path).await.name(), "login");
    assert!(browser.submit(&login, &ALICE).await.is_err_and(|answer| answer.contains_key("code")));
    // And a silent request is answered, never shown, whatever has ended.
    let page = browser.page("/oauth2/logout").await;
    browser.submit(&page, &[("decision", "allow")]).await.expect("signed out");
    let silent = server.authorize(&[("client_id", "first"), ("prompt", "none")]);
    assert_eq!(browser.open(&silent).await.err().unwrap()["error"], "login_required");
}
