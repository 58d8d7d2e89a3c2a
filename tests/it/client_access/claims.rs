//! `id_token_claims`: claims where consumers read them, such as Kubernetes and Argo CD the groups.

use serde_json::{Value, json};
use signet::manage::{AuditContext, users};

use crate::support::{Server, VERIFIER};
use crate::token::claims;

/// One with alice in two groups, and a client that gets `configured` in its ID tokens.
async fn with_claims(configured: Value) -> Server {
    let server = Server::start().await;
    let alice = server.user("alice").await;
    let names = ["dev", "staff"].map(ToOwned::to_owned);
    users::set_groups(&server.app.manager(), &AuditContext::command_line(), alice, names.to_vec()).await.unwrap();
    let meta = json!({ "scope": "openid profile email groups offline_access", "id_token_claims": configured });
    server.client("web", meta).await;
    server
}

async fn id_token(server: &Server, scope: &str) -> (Value, Value) {
    let callback = server.browser().sign_in(&server.authorize(&[("scope", scope)])).await;
    let (status, tokens) = server.redeem(&callback["code"]).await;
    assert_eq!(status, 200, "{tokens} {VERIFIER}");
    (claims(tokens["id_token"].as_str().unwrap()), tokens)
}

#[tokio::test]
async fn configured_claims_stand_in_the_id_token() {
    let server = with_claims(json!(["groups", "email", "email_verified", "preferred_username"])).await;
    let (told, tokens) = id_token(&server, "openid profile email groups offline_access").await;
    assert_eq!((&told["groups"], &told["email"]), (&json!(["dev", "staff"]), &json!("alice@example.com")));
    assert_eq!((&told["email_verified"], &told["preferred_username"]), (&json!(true), &json!("alice")));
    assert!(told["name"].is_null(), "not configured: {told}");
    // A refresh tells what is so then.
    let alice = server.person("alice").await.id;
    users::set_groups(&server.app.manager(), &AuditContext::command_line(), alice, vec!["ops".to_owned()])
        .await
        .unwrap();
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let (_, renewed) = server.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    assert_eq!(claims(renewed["id_token"].as_str().unwrap())["groups"], json!(["ops"]));
}

/// No more than the scopes allow that were granted, whatever the settings say.
#[tokio::test]
async fn configured_claims_need_their_granted_scope() {
    let server = with_claims(json!(["groups", "email", "name"])).await;
    for (scope, present) in [
        ("openid", vec![]),
        ("openid email", vec!["email"]),
        ("openid groups", vec!["groups"]),
        ("openid profile", vec!["name"]),
    ] {
        let (told, _) = id_token(&server, scope).await;
        let found: Vec<&str> = ["email", "groups", "name"].into_iter().filter(|name| !told[name].is_null()).collect();
        assert_eq!(found, present, "{scope}: {told}");
    }
}

/// OpenID Connect Core §5.4: without the setting, the claims of scopes are UserInfo's.
#[tokio::test]
async fn unconfigured_claims_stay_out_of_the_id_token() {
    let server = with_claims(json!([])).await;
    let (told, _) = id_token(&server, "openid profile email groups").await;
    for name in ["groups", "email", "name"] {
        assert!(told[name].is_null(), "{name}: {told}");
    }
}

/// OpenID Connect Core §3.3.3.6: of two ID tokens, the one that passes through the browser has no claims about the user.
#[tokio::test]
async fn hybrid_id_token_has_no_configured_claims() {
    let server = Server::start().await;
    server.user("alice").await;
    let meta = json!({ "grant_types": ["authorization_code", "implicit"], "id_token_claims": ["email"],
        "response_types": ["code id_token", "id_token token"], "scope": "openid email" });
    server.client("web", meta).await;
    let browser = server.browser();
    let changes = |response_type| [("response_type", response_type), ("scope", "openid email")];
    let hybrid = browser.sign_in(&server.authorize(&changes("code id_token"))).await;
    assert!(claims(&hybrid["id_token"])["email"].is_null());
    let (_, tokens) = server.redeem(&hybrid["code"]).await;
    assert_eq!(claims(tokens["id_token"].as_str().unwrap())["email"], "alice@example.com");
    let implicit = browser.sign_in(&server.authorize(&changes("id_token token"))).await;
    assert_eq!(claims(&implicit["id_token"])["email"], "alice@example.com", "there is no other one");
}
