//! Apps that connect themselves: what the page says of the settings, and its initial access tokens (RFC 7591 §3).

use serde_json::json;
use signet::config::RegistrationMode;

use super::make_admin;
use crate::support::{Browser, Page, Server};

const PAGE: &str = "/admin/registration";

async fn with_admin(registration: RegistrationMode) -> (Server, Browser) {
    let server = Server::start_with(|config| config.registration = registration).await;
    server.user("alice").await;
    make_admin(&server, "alice").await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    (server, browser)
}

async fn make(admin: &Browser, fields: &[(&str, &str)]) -> Page {
    let page = admin.page(PAGE).await;
    admin.fill(&page, "#new-token", fields).await
}

async fn register(server: &Server, token: &str) -> u16 {
    let request = reqwest::Client::new().post(format!("{}/oauth2/register", server.url)).bearer_auth(token);
    let body = json!({ "redirect_uris": ["https://app.example/cb"] });
    request.json(&body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_token_is_made_shown_once_used_and_revoked() {
    let (server, admin) = with_admin(RegistrationMode::Token).await;
    assert!(admin.page("/admin/clients").await.has(&format!("a[href='{PAGE}']")));
    assert!(admin.page(PAGE).await.html.contains(&format!("{}/oauth2/register", server.url)));
    let page = make(&admin, &[("uses", "1")]).await;
    let token = page.text(".notice .copy code");
    assert!(token.starts_with("sgn_") && page.text("tbody").contains('1'));
    assert!(!admin.page(PAGE).await.html.contains(&token), "shown once");
    assert_eq!((register(&server, &token).await, register(&server, &token).await), (201, 401));
    server.advance(1);
    let page = make(&admin, &[]).await;
    let many = page.text(".notice .copy code");
    assert!(page.text("tbody").contains("Any number"));
    assert_eq!((register(&server, &many).await, register(&server, &many).await), (201, 201));
    let action = page.attribute("tbody tr:nth-child(1) form", "action").unwrap();
    assert!(admin.press(PAGE, &action).await.html.contains("revoked"));
    assert_eq!(register(&server, &many).await, 401);
    let record = admin.page("/admin/events").await.html;
    assert!(!record.contains(&token) && !record.contains(&many));
}

#[tokio::test]
async fn what_is_no_token_is_refused_at_its_field() {
    let (_server, admin) = with_admin(RegistrationMode::Token).await;
    for (field, typed) in [
        ("uses", "0"),
        ("uses", "-1"),
        ("uses", "many"),
        ("uses", "99999999999"),
        ("expires_in", "0"),
        ("expires_in", "x"),
    ] {
        let refused = make(&admin, &[(field, typed)]).await;
        assert_eq!(refused.status, 422, "{field} {typed}");
        assert!(refused.has(&format!("#{field}-error")) && !refused.has("tbody"), "{field} {typed}");
        if field == "uses" {
            assert_eq!(refused.value("#uses"), typed);
        }
    }
}

#[tokio::test]
async fn the_page_says_who_may_register() {
    for (registration, said) in [
        (RegistrationMode::Off, "Nobody"),
        (RegistrationMode::Token, "Who has a token"),
        (RegistrationMode::Open, "Anybody"),
    ] {
        let (_server, admin) = with_admin(registration).await;
        assert_eq!(admin.page(PAGE).await.text("aside .badge"), said);
    }
}

#[tokio::test]
async fn a_token_that_has_run_out_says_so() {
    let (server, admin) = with_admin(RegistrationMode::Token).await;
    make(&admin, &[("expires_in", "86400")]).await;
    assert!(!admin.page(PAGE).await.html.contains("Expired"));
    server.advance(86_400);
    // The session of a day ago is over.
    let admin = server.browser();
    admin.sign_in_as("alice").await;
    assert!(admin.page(PAGE).await.html.contains("Expired"));
}
