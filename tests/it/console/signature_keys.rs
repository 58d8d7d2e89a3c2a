//! The keys by which an app signs its requests: added, shown once where they are secret, removed.

use serde_json::{Value, json};
use signet_signatures::{Component, Input, Parameters, Policy, Request, SigningKey};

use crate::console::make_admin;
use crate::gate::signatures::{jwk, registered};
use crate::gate::{nginx, with_gate};
use crate::support::{Browser, Server};

const HERE: &str = "/admin/clients/web/signature-keys";
const FORM: &str = "#new-key";

async fn with_console() -> (Server, Browser) {
    let server = with_gate(json!({ "accepts": ["message_signature"] })).await;
    make_admin(&server, "alice").await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    (server, browser)
}

/// Whether a request signed so is let in.
async fn is_good(server: &Server, keyid: &str, key: &SigningKey) -> bool {
    let request = Request::to("GET", "https://orders.example.com/orders/1").unwrap();
    let covered = Policy::components(&request).into_iter().map(|name| Component::new(name).unwrap()).collect();
    let said = Parameters {
        created: Some(server.app.env().now().seconds()),
        nonce: Some(server.app.env().uuid().simple().to_string()),
        keyid: Some(keyid.to_owned()),
        ..Parameters::default()
    };
    let signed = Input::new(covered, said).unwrap().sign("sig", &request, key).unwrap();
    let headers = [("signature-input", signed.signature_input.as_str()), ("signature", signed.signature.as_str())];
    nginx(server, "GET", "/orders/1", &headers).await.status == 200
}

fn public(alg: &str) -> String {
    registered(alg, "any")["jwk"].to_string()
}

#[tokio::test]
async fn a_public_key_is_pasted_and_a_secret_is_made_and_shown_once() {
    let (server, browser) = with_console().await;
    let page = browser.page("/admin/clients/web").await;
    assert!(page.has(&format!("a[href='{HERE}']")));
    let form = browser.page(HERE).await;
    assert!(form.html.contains("No key yet"));
    let key = SigningKey::from_jwk(&jwk("ed25519")).unwrap();
    assert!(!is_good(&server, "laptop", &key).await);
    let typed = [("keyid", " laptop "), ("alg", "ed25519"), ("jwk", &public("ed25519"))];
    let page = browser.fill(&form, FORM, &typed).await;
    assert_eq!((page.status, page.path.as_str()), (200, HERE));
    assert!(page.html.contains("The key is added") && page.count(".notice .copy") == 0);
    assert!(is_good(&server, "laptop", &key).await);

    let page = browser.fill(&page, FORM, &[("keyid", "shared"), ("alg", "hmac-sha256")]).await;
    let secret = page.text(".notice .copy code");
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &secret).unwrap();
    assert_eq!(bytes.len(), 32);
    let shared = SigningKey::from_secret(&bytes).unwrap();
    assert!(is_good(&server, "shared", &shared).await);
    assert!(!browser.page(HERE).await.html.contains(&secret), "shown once");
    assert!(browser.page("/admin/events").await.html.contains("signature_keys"));

    let action = format!("{HERE}/remove");
    let form = browser.page(HERE).await;
    let mut sent = form.form(&[]).1;
    sent.retain(|(name, _)| name == "csrf");
    sent.push(("keyid".to_owned(), "laptop".to_owned()));
    for words in ["laptop is removed", "There is no such key any more"] {
        let page = browser.follow(browser.raw_post(&action, &sent).await).await.ok().unwrap();
        assert!(page.html.contains(words), "{}", page.html);
    }
    assert!(!is_good(&server, "laptop", &key).await);
    assert!(is_good(&server, "shared", &shared).await);
}

#[tokio::test]
async fn what_is_no_key_is_said_beside_its_field() {
    let (server, browser) = with_console().await;
    server.client("other", json!({})).await;
    let form = browser.page("/admin/clients/other/signature-keys").await;
    browser.fill(&form, FORM, &[("keyid", "taken"), ("alg", "ed25519"), ("jwk", &public("ed25519"))]).await;
    let form = browser.page(HERE).await;
    let private = Value::Object(jwk("ed25519")).to_string();
    for (typed, field) in [
        ([("keyid", "a b"), ("alg", "ed25519"), ("jwk", "{}")], "keyid"),
        ([("keyid", "k"), ("alg", "none"), ("jwk", "{}")], "alg"),
        ([("keyid", "k"), ("alg", "ed25519"), ("jwk", "")], "jwk"),
        ([("keyid", "k"), ("alg", "ed25519"), ("jwk", "[]")], "jwk"),
        ([("keyid", "k"), ("alg", "ed25519"), ("jwk", private.as_str())], "jwk"),
        ([("keyid", "k"), ("alg", "rsa-pss-sha512"), ("jwk", &public("ed25519"))], "jwk"),
        ([("keyid", "k"), ("alg", "hmac-sha256"), ("jwk", "{}")], "jwk"),
        ([("keyid", "taken"), ("alg", "ed25519"), ("jwk", &public("ed25519"))], "keyid"),
    ] {
        let page = browser.fill(&form, FORM, &typed).await;
        assert!(matches!(page.status, 409 | 422), "{typed:?}: {}", page.status);
        assert!(page.has(&format!("#{field}-error")), "{typed:?}: {}", page.text("main"));
        assert!(!page.html.contains("\"d\":\"") || field != "alg", "nothing is shown that was not typed there");
    }
    assert!(browser.page(HERE).await.html.contains("No key yet"));
}
