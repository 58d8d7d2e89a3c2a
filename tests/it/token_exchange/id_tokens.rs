//! ID tokens as subject tokens (RFC 8693 §2.1).

use serde_json::json;
use signet::domain::ids::ClientId;
use signet::manage::{AuditContext, users};

use super::{GRANT, ID, active, service, text, tokens, trade, with_services};
use crate::support::SECRET;
use crate::token::claims;

/// A client whose ID tokens have a MAC under its own secret could make one about anybody.
#[tokio::test]
async fn an_id_token_that_its_client_could_have_made_is_not_traded() {
    let server = with_services().await;
    let mac = json!({ "id_token_signed_response_alg": "HS256", "scope": "openid read", "consent": "trusted" });
    server.client("mac", mac).await;
    service(&server, "trades", json!({ "token_exchange": [{ "client": "mac", "impersonation": true }] })).await;
    let code = server.browser().sign_in(&server.authorize(&[("client_id", "mac"), ("scope", "openid read")])).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code["code"]),
        ("redirect_uri", crate::support::CALLBACK),
        ("code_verifier", crate::support::VERIFIER),
    ];
    let app = server.token_as("mac", &form).await.1;
    assert_eq!(trade(&server, "trades", text(&app, "access_token"), &[]).await.0, 200, "the pair is allowed");
    let form = [("grant_type", GRANT), ("subject_token", text(&app, "id_token")), ("subject_token_type", ID)];
    assert_eq!(server.token_as("trades", &form).await.1["error"], "invalid_request");
}

/// An ID token is worth what the person has let its client have, within what the service may have.
#[tokio::test]
async fn an_id_token_is_traded_for_what_its_client_may_have() {
    let server = with_services().await;
    let app = tokens(&server, "openid read").await;
    let form = [("grant_type", GRANT), ("subject_token", text(&app, "id_token")), ("subject_token_type", ID)];
    let (status, traded) = server.token_as("both", &form).await;
    assert_eq!(status, 200, "{traded}");
    let after = claims(text(&traded, "access_token"));
    let id = claims(text(&app, "id_token"));
    assert_eq!((&after["sub"], &after["sid"], &after["acr"]), (&id["sub"], &id["sid"], &id["acr"]));
    assert_eq!(after["scope"], "openid read", "and not what was never allowed");
    let (_, refused) = server.token_as("both", &[&form[..], &[("scope", "email")]].concat()).await;
    assert_eq!(refused["error"], "invalid_scope");
    server.advance(1);
    let alice = server.person("alice").await.id;
    users::end_sessions(&server.app.manager(), &AuditContext::command_line(), alice, None).await.unwrap();
    assert_eq!(server.token_as("both", &form).await.1["error"], "invalid_request");
    let app = tokens(&server, "openid").await;
    server.advance(3600);
    let form = [("grant_type", GRANT), ("subject_token", text(&app, "id_token")), ("subject_token_type", ID)];
    assert_eq!(server.token_as("both", &form).await.1["error"], "invalid_request", "expired");
}

/// What an ID token is traded for ends with its grant, and a grant that has ended has no ID token to trade.
#[tokio::test]
async fn an_id_token_is_not_exchanged_after_its_grant() {
    let server = with_services().await;
    for what in ["revoked", "reused"] {
        let app = tokens(&server, "openid offline_access read").await;
        let form = [("grant_type", GRANT), ("subject_token", text(&app, "id_token")), ("subject_token_type", ID)];
        let (status, traded) = server.token_as("both", &form).await;
        assert_eq!(status, 200, "{traded}");
        let refresh = text(&app, "refresh_token");
        if what == "revoked" {
            let request = reqwest::Client::new().post(format!("{}/oauth2/revoke", server.url));
            request.basic_auth("web", Some(SECRET)).form(&[("token", refresh)]).send().await.unwrap();
        } else {
            let refreshing = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
            assert_eq!(server.token(&refreshing).await.0, 200);
            server.advance(61);
            assert_eq!(server.token(&refreshing).await.0, 400);
        }
        assert!(!active(&server, "both", text(&traded, "access_token")).await, "{what}");
        let (_, refused) = server.token_as("both", &form).await;
        assert_eq!(refused["error"], "invalid_request", "{what}");
    }
}

/// What a user allowed the app on a device is not traded for a sign-in by redirect.
#[tokio::test]
async fn an_id_token_is_not_traded_for_what_a_device_may() {
    use signet::domain::permissions::Permissions;
    use signet::domain::scope::Scopes;
    use signet::domain::version::Versions;
    use signet::store::consents as stored;
    let server = with_services().await;
    let app = tokens(&server, "openid read").await;
    let (alice, web) = (server.person("alice").await.id, ClientId::parse("web").unwrap());
    let on_device = Permissions::general(Scopes::parse("email").unwrap());
    let give = server.app.store().write(move |tx| {
        Box::pin(async move { stored::give(tx, alice, &web, (&on_device, &Versions::default()), &[]).await })
    });
    give.await.unwrap();
    let form = [("grant_type", GRANT), ("subject_token", text(&app, "id_token")), ("subject_token_type", ID)];
    let (status, traded) = server.token_as("both", &form).await;
    assert_eq!((status, &traded["scope"]), (200, &json!("openid read")), "{traded}");
    let (_, refused) = server.token_as("both", &[&form[..], &[("scope", "email")]].concat()).await;
    assert_eq!(refused["error"], "invalid_scope");
}
