//! Addresses that browsers and password managers look for at every site: `change-password` and `passkey-endpoints` (W3C),
//! `favicon.ico`, `security.txt` (RFC 9116).

use serde_json::{Value, json};
use signet::config::{Config, Issuer, SecurityTxt};

use crate::support::Server;

#[tokio::test]
async fn change_password_leads_to_the_page_for_it() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    let response = browser.raw("/.well-known/change-password").await;
    let to = response.headers()["location"].to_str().unwrap();
    assert_eq!((response.status().as_u16(), to), (303, "/account/password"));
    browser.sign_in_as("alice").await;
    let page = browser.page("/.well-known/change-password").await;
    assert_eq!((page.status, page.path.as_str()), (200, "/account/password"));
    // §3 of the draft: software asks for this one to learn whether unknown addresses get a status of their own.
    let unknown = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200";
    assert_eq!(browser.raw(unknown).await.status(), 404);
}

#[tokio::test]
async fn passkey_endpoints_name_the_page_for_passkeys() {
    let server = Server::with_alice().await;
    let response = server.browser().raw("/.well-known/passkey-endpoints").await;
    assert_eq!(response.headers()["content-type"], "application/json");
    let document: Value = response.json().await.unwrap();
    let page = format!("{}/account/passkeys", server.url);
    assert_eq!(document, json!({ "enroll": page, "manage": page }));
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    assert!(browser.page(&page).await.has("#add-passkey"));
}

#[tokio::test]
async fn passkey_endpoints_are_missing_without_passkeys() {
    let at_an_address = |config: &mut Config| config.issuer = Issuer::parse("http://127.0.0.1:8080").unwrap();
    let server = Server::start_with(at_an_address).await;
    assert!(!server.app.passkeys.available());
    assert_eq!(server.browser().raw("/.well-known/passkey-endpoints").await.status(), 404);
}

#[tokio::test]
async fn favicon_ico_is_an_icon() {
    let server = Server::start().await;
    let response = server.browser().raw("/favicon.ico").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "image/x-icon");
    assert_eq!(response.headers()["cache-control"], "public, max-age=86400");
    assert!(response.headers().get("set-cookie").is_none());
    let bytes = response.bytes().await.unwrap();
    // An icon file of at least one picture (reserved 0, type 1).
    assert!(bytes.starts_with(&[0, 0, 1, 0]) && bytes[4] > 0 && bytes.len() > 500, "{} bytes", bytes.len());
}

#[tokio::test]
async fn security_txt_is_what_the_settings_say() {
    let server = Server::start().await;
    assert_eq!(server.browser().raw("/.well-known/security.txt").await.status(), 404, "without a contact");
    let settings = json!({
        "contact": ["mailto:security@example.com", "https://example.com/report"],
        "expires": "2031-06-30T12:00:00Z",
        "encryption": "https://example.com/key.asc",
        "policy": "https://example.com/policy",
        "acknowledgments": "https://example.com/thanks",
        "preferred_languages": "en, pt-BR",
    });
    let server = Server::start_with(|config| config.security_txt = serde_json::from_value(settings).unwrap()).await;
    let response = server.browser().raw("/.well-known/security.txt").await;
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    let expected = format!(
        "Contact: mailto:security@example.com\nContact: https://example.com/report\nExpires: 2031-06-30T12:00:00Z\n\
         Canonical: {}/.well-known/security.txt\nEncryption: https://example.com/key.asc\n\
         Acknowledgments: https://example.com/thanks\nPolicy: https://example.com/policy\nPreferred-Languages: en, pt-BR\n",
        server.url
    );
    assert_eq!(response.text().await.unwrap(), expected);
}

/// RFC 9116 §2.5.5: the file has one `Expires`, less than a year away.
#[tokio::test]
async fn security_txt_without_expires_is_good_for_180_days() {
    let contact = json!({ "contact": "mailto:security@example.com" });
    let server = Server::start_with(|config| config.security_txt = serde_json::from_value(contact).unwrap()).await;
    let expires = async || {
        let text = server.browser().raw("/.well-known/security.txt").await.text().await.unwrap();
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("Expires: ")).collect();
        let format = time::format_description::well_known::Rfc3339;
        assert_eq!(lines.len(), 1, "{text}");
        time::OffsetDateTime::parse(lines[0], &format).unwrap().unix_timestamp()
    };
    let (now, first) = (server.app.env().now().seconds(), expires().await);
    assert!((179 * 86_400..=180 * 86_400).contains(&(first - now)), "{}", first - now);
    server.advance(86_400);
    assert_eq!(expires().await - first, 86_400);
}

#[test]
fn security_txt_settings_are_checked() {
    for bad in [
        json!({ "contact": "security@example.com" }),
        json!({ "contact": "http://example.com/report" }),
        json!({ "contact": ["mailto:a@example.com\nPolicy: https://evil.example"] }),
        json!({ "contact": "mailto:a@example.com", "expires": "2031-06-30" }),
        json!({ "policy": "ftp policy" }),
        json!({ "preferred_languages": "english language" }),
        json!({ "contacts": "mailto:a@example.com" }),
    ] {
        assert!(serde_json::from_value::<SecurityTxt>(bad.clone()).is_err(), "{bad}");
    }
}
