//! What settings and administrators leave to clients with metadata documents.

use serde_json::json;
use signet::domain::ids::ClientId;
use signet::manage::apply::{ApplyOptions, apply};
use signet::manage::document::{Document, DocumentFormat};
use signet::manage::{AuditContext, clients};
use signet::store::consents;

use super::Place;
use crate::support::CALLBACK;
use crate::support::receiver::Answer;

/// What the settings leave to strangers holds for documents too, whatever they say of themselves.
#[tokio::test]
async fn scopes_are_those_of_the_policy_and_of_apis() {
    let place = Place::with(|config| config.registration_policy.scope = "openid email".to_owned()).await;
    let mut document = place.document("/client.json");
    document["scope"] = json!("openid email groups profile");
    document["consent"] = json!("trusted");
    place.receiver.answer("/client.json", Answer::json(&document));
    let id = place.receiver.at("/client.json");
    let browser = place.server.browser();
    browser.sign_in_as("alice").await;
    let asked = |scope: &str| place.server.authorize(&[("client_id", id.as_str()), ("scope", scope)]);
    for beyond in ["groups", "profile", "offline_access"] {
        assert_eq!(browser.page(&asked(beyond)).await.error(), "invalid_scope", "{beyond}");
        let consent = browser.page(&asked(&format!("openid email {beyond}"))).await;
        assert!(consent.name() == "consent" && !consent.has(&format!("[data-scope={beyond}]")), "{beyond}");
    }
    let consent = browser.page(&asked("openid email")).await;
    assert!(consent.name() == "consent" && consent.has("[data-scope=email]"), "asked, whatever it says");
}

/// As at registration: what the client can do without is passed over.
#[tokio::test]
async fn a_document_is_narrowed_to_what_is_offered() {
    let place = Place::new().await;
    let mut document = place.document("/client.json");
    document["userinfo_signed_response_alg"] = json!("HS256");
    place.receiver.answer("/client.json", Answer::json(&document));
    let id = place.receiver.at("/client.json");
    let browser = place.server.browser();
    browser.sign_in_as("alice").await;
    let asked = [("client_id", id.as_str()), ("scope", "openid")];
    assert_eq!(browser.page(&place.server.authorize(&asked)).await.name(), "consent");
}

/// An administrator keeps one out by an app of its id that is turned off.
#[tokio::test]
async fn an_administrator_keeps_one_out() {
    let place = Place::new().await;
    let id = place.publish("/client.json");
    let (_, tokens) = place.redeem(&id, &place.code(&id, &[]).await).await;
    assert_eq!(place.userinfo(&tokens).await, 200);
    place.server.client(&id, json!({})).await;
    let client = ClientId::parse(&id).unwrap();
    clients::disable(&place.server.app.manager(), &AuditContext::command_line(), &client).await.unwrap();
    assert!(!place.known(&id).await);
    assert_eq!(place.refresh(&id, &tokens).await.0, 401);
    assert_eq!(place.userinfo(&tokens).await, 401);
}

/// One that is registered under the document's address is another client from the beginning, disabled or not.
#[tokio::test]
async fn a_client_registered_under_its_address_inherits_nothing() {
    for disabled in [false, true] {
        let place = Place::new().await;
        let id = place.publish("/client.json");
        let (_, tokens) = place.redeem(&id, &place.code(&id, &[]).await).await;
        assert_eq!(place.userinfo(&tokens).await, 200);
        let row = json!({ "client_id": id, "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
                          "scope": "openid profile email", "disabled": disabled });
        let document = Document::parse(&json!({ "clients": [row] }).to_string(), DocumentFormat::Json).unwrap();
        apply(&place.server.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default())
            .await
            .unwrap();
        assert_eq!(place.userinfo(&tokens).await, 401);
        let alice = place.server.person("alice").await.id;
        let client = ClientId::parse(&id).unwrap();
        let given = consents::find(place.server.app.store().read(), alice, &client).await.unwrap();
        assert!(given.is_none(), "{given:?}");
    }
}
