//! Error pages: each says in its title what happened, and has a button that leads somewhere.

use reqwest::Method;
use serde_json::json;
use signet::domain::ids::ClientId;
use signet::manage::{AuditContext, clients};

use super::server;
use crate::support::database::Aside;
use crate::support::receiver::{Answer, Receiver, reachable};
use crate::support::{CALLBACK, PASSWORD, Page, Server};

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
    let server = server().await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    for (id, back) in
        [("home", Some("https://app.example/start")), ("site", Some("https://site.example/")), ("bare", None)]
    {
        let meta = match id {
            "home" => json!({ "client_uri": "https://app.example/start" }),
            "site" => json!({ "redirect_uris": [CALLBACK, "https://site.example/cb"] }),
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

/// Anybody could put a link of their own on a page of this server otherwise.
#[tokio::test]
async fn error_pages_lead_back_to_verified_apps_alone() {
    let server = Server::start_with(|config| {
        config.registration = signet::config::RegistrationMode::Open;
        reachable(config);
    })
    .await;
    server.user("alice").await;
    let there = Receiver::start().await;
    let document = there.at("/client.json");
    let meta = json!({
        "client_name": "Robot", "redirect_uris": [CALLBACK, "https://site.example/cb"], "client_uri": "https://app.example/",
        "initiate_login_uri": "https://app.example/start", "token_endpoint_auth_method": "none",
    });
    server.client("home", meta.clone()).await;
    let request = reqwest::Client::new().post(format!("{}/oauth2/register", server.url)).json(&meta);
    let registered: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    let mut published = meta;
    published["client_id"] = json!(document);
    there.answer("/client.json", Answer::json(&published));
    for (id, is_verified) in
        [("home", true), (registered["client_id"].as_str().unwrap(), false), (document.as_str(), false)]
    {
        let id = ClientId::parse(id).unwrap();
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        let consent = browser.page(&server.authorize(&[("client_id", id.as_str()), ("scope", "openid")])).await;
        assert_eq!(consent.name(), "consent", "{id}");
        let bad = [("client_id", id.as_str()), ("redirect_uri", "https://evil.example/cb")];
        let mut pages = vec![browser.page(&server.authorize(&bad)).await];
        // Of a document nothing is stored here that could be changed.
        if id.as_str() != document {
            let (manager, by) = (server.app.manager(), AuditContext::command_line());
            clients::disable(&manager, &by, &id).await.unwrap();
            let disabled = browser.page(&consent.path).await;
            assert!(!disabled.html.contains("app.example"), "{id}: nothing is there while it is disabled");
            clients::enable(&manager, &by, &id).await.unwrap();
            pages.push(browser.submit(&consent, &[("decision", "allow")]).await.expect("a page"));
        }
        for page in pages {
            check(&page, id.as_str());
            assert_eq!(page.has("a#back-to-app"), is_verified, "{id}: {}", page.html);
            let has_link = page.html.contains("app.example") || page.html.contains("site.example");
            assert_eq!(has_link, is_verified, "{id}: {}", page.html);
        }
    }
}

/// A fault of the server is no change of the app, and what no error code of OAuth stands for has a title of its own.
#[tokio::test]
async fn titles_say_what_happened_and_not_that_the_app_changed() {
    let server = server().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let consent = browser.page(&server.authorize(&[])).await;
    let login = server.browser();
    let open = login.page(&server.authorize(&[])).await;
    let resume = consent.path.replace("/consent/", "/oauth2/authorize/");
    let aside = Aside::rename(&server, "client").await;
    server.app.store().authority().invalidate_client_and_apis(&ClientId::parse("web").unwrap());
    for (who, path) in [(&browser, &consent.path), (&browser, &resume), (&login, &open.path)] {
        let page = who.page(path).await;
        assert_eq!((page.status, page.text("h1").as_str()), (503, "Not available right now"), "{path}: {}", page.html);
    }
    let sent = browser.submit(&consent, &[("decision", "allow")]).await.expect("a page");
    assert_eq!((sent.status, sent.text("h1").as_str()), (503, "Not available right now"));
    aside.back().await;
    let large = "a".repeat(50 * 1024);
    for (method, cookie, status, title) in [
        (Method::DELETE, "", 405, "This page can’t be opened like that"),
        (Method::GET, large.as_str(), 431, "Your browser sent too much at once"),
    ] {
        for path in ["/login", "/account", "/oauth2/authorize", &consent.path] {
            let request = browser.request(method.clone(), path).header("x-filler", cookie);
            let page = browser.follow(request.send().await.unwrap()).await.expect("a page");
            check(&page, path);
            assert_eq!((page.status, page.text("h1").as_str()), (status, title), "{method} {path}");
        }
    }
    assert!(browser.submit(&consent, &[("decision", "allow")]).await.is_err(), "it went on");
}

/// The default issuer is localhost: a form that was opened at 127.0.0.1 lacks its cookies, and the page says where to go.
#[tokio::test]
async fn a_form_at_another_address_leads_to_the_issuer() {
    let server = server().await;
    let browser = server.browser();
    let page = browser.page("/login").await;
    let (action, form) = page.form(&[("username", "alice"), ("password", PASSWORD)]);
    let request = browser.request(Method::POST, &action).form(&form);
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
