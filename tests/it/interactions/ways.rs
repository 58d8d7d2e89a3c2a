//! Error pages: each says in its title what happened, and has a button that leads somewhere.

use serde_json::json;

use super::server;
use crate::support::{PASSWORD, Page};

fn check(page: &Page, case: &str) {
    assert_eq!(page.name(), "error", "{case}");
    for hook in ["#error-code", "#error-description", "#request-id", "main a.btn[href]"] {
        assert!(page.has(hook), "{case}: {hook} in {}", page.html);
    }
    let title = page.text("h1");
    assert!(!title.is_empty() && !title.contains("go on"), "{case}: {title}");
}

#[tokio::test]
async fn every_error_page_has_a_title_and_a_button() {
    let server = server().await;
    server.client("home", json!({ "client_uri": "https://app.example/" })).await;
    let (stranger, alice) = (server.browser(), server.browser());
    alice.sign_in_as("alice").await;
    let of = |changes: &[(&str, &str)]| server.authorize(changes);
    let paths = [
        of(&[("redirect_uri", "https://evil.example/cb")]),
        of(&[("client_id", "nobody")]),
        of(&[("client_id", "home"), ("redirect_uri", "https://evil.example/cb")]),
        of(&[("client_id", "")]),
        "/login/nonsense".to_owned(),
        "/consent/nonsense".to_owned(),
        "/device/nonsense".to_owned(),
        "/setup?token=nonsense".to_owned(),
        "/signup".to_owned(),
        "/gate/sign-in/nowhere".to_owned(),
        "/nowhere".to_owned(),
        "/logout?post_logout_redirect_uri=x".to_owned(),
        format!("/login?next={}", "%ff"),
    ];
    for path in paths {
        for (who, browser) in [("a stranger", &stranger), ("alice", &alice)] {
            let page = browser.page(&path).await;
            check(&page, &format!("{path} for {who}"));
            let button = page.attribute("main a.btn", "href").unwrap();
            if path.contains("client_id=home") {
                assert_eq!(button, "https://app.example/", "the way back to the app");
            } else {
                assert!(button.starts_with('/'), "{path}: {button}");
                let led = browser.page(&button).await;
                assert_eq!(led.status, 200, "{path} leads {who} to {button}");
            }
            assert!(!page.html.contains("evil.example"), "{path}");
        }
    }
}

/// An app that was changed or disabled while its user signed in: the page says so and leads back to the app.
#[tokio::test]
async fn a_request_of_a_changed_app_says_what_happened() {
    use signet::domain::ids::ClientId;
    use signet::manage::{By, clients};
    let server = server().await;
    let (manager, by) = (server.app.manager(), By::command_line());
    for (id, back) in
        [("home", Some("https://app.example/start")), ("site", Some("https://site.example/")), ("bare", None)]
    {
        let meta = match id {
            "home" => json!({ "client_uri": "https://app.example/start" }),
            "site" => json!({ "redirect_uris": [crate::support::CALLBACK, "https://site.example/cb"] }),
            _ => json!({}),
        };
        server.client(id, meta).await;
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        let consent = browser.page(&server.authorize(&[("client_id", id)])).await;
        let id = ClientId::parse(id).unwrap();
        clients::disable(&manager, &by, &id).await.unwrap();
        clients::enable(&manager, &by, &id).await.unwrap();
        let page = browser.submit(&consent, &[("decision", "allow")]).await.expect("a page");
        check(&page, id.as_str());
        assert_eq!(page.text("h1"), "The app was changed meanwhile", "{id}");
        assert_eq!(page.attribute("a#back-to-app", "href").as_deref(), back, "{id}");
    }
}

/// The default issuer is localhost: a form that was opened at 127.0.0.1 lacks its cookies, and the page says where to go.
#[tokio::test]
async fn a_form_at_another_address_leads_to_the_issuer() {
    let server = server().await;
    let browser = server.browser();
    let page = browser.page("/login").await;
    let (action, form) = page.form(&[("username", "alice"), ("password", PASSWORD)]);
    let request = browser.request(reqwest::Method::POST, &action).form(&form);
    let elsewhere = request.header("sec-fetch-site", "same-origin").header("origin", "http://192.168.1.5:8080");
    let refused = browser.follow(elsewhere.send().await.unwrap()).await.ok().unwrap();
    check(&refused, "another address");
    assert!(refused.error_text().contains(&server.url), "{}", refused.html);
    assert_eq!(refused.attribute("main a.btn", "href"), Some(format!("{}/login", server.url)));
}

/// Whoever is signed in as the wrong user is offered another account, and comes back to the page.
#[tokio::test]
async fn the_wrong_account_can_be_switched() {
    let server = server().await;
    server.user("root").await;
    crate::console::make_admin(&server, "root").await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let refused = browser.page("/admin/clients").await;
    check(&refused, "the console");
    assert_eq!(refused.status, 403);
    let login = browser.page(&refused.attribute("main a.btn", "href").unwrap()).await;
    assert_eq!((login.name().as_str(), login.attribute("#username", "value").as_deref()), ("login", Some("")));
    let page = browser.submit(&login, &[("username", "root"), ("password", PASSWORD)]).await.expect("a page");
    assert_eq!((page.status, page.path.as_str()), (200, "/admin/clients"));
}
