//! What ends a token ends what came of it by exchange: revocations, the end of a session, an actor's end, a lost scope.

use serde_json::json;
use signet::domain::api::Api;
use signet::domain::ids::{ClientId, GrantId};
use signet::manage::{AuditContext, apis, clients, consents, users};
use signet::store::revoked_tokens;

use super::{ACCESS, GRANT, ORDERS, active, service, text, tokens, trade, with_services};
use crate::support::{SECRET, Server};
use crate::token::claims;

/// T34 and T5, CVE-2026-43983: whatever ends the app's access ends what services got by it, and is refused from then on.
#[tokio::test]
async fn a_revocation_reaches_what_came_by_exchange() {
    for opaque in [false, true] {
        let (server, by) = (with_services().await, AuditContext::command_line());
        if opaque {
            let api = json!({ "identifier": ORDERS, "scopes": ["read", "write"], "access_token_format": "opaque" });
            apis::put(&server.app.manager(), &by, serde_json::from_value::<Api>(api).unwrap()).await.unwrap();
        }
        let (alice, manager) = (server.person("alice").await.id, server.app.manager());
        let (web, acts) = (ClientId::parse("web").unwrap(), ClientId::parse("acts").unwrap());
        for what in ["refresh token", "consent", "signed out", "person", "app", "service"] {
            let app = tokens(&server, "openid read").await;
            let (_, first) = trade(&server, "acts", text(&app, "access_token"), &[]).await;
            let (_, second) = trade(&server, "both", text(&first, "access_token"), &[]).await;
            let token = text(&second, "access_token");
            assert_eq!(token.starts_with("sga_"), opaque);
            assert!(active(&server, "both", token).await, "{what}");
            server.advance(1);
            match what {
                "refresh token" => {
                    let request = reqwest::Client::new().post(format!("{}/oauth2/revoke", server.url));
                    let form = [("token", text(&app, "refresh_token"))];
                    request.basic_auth("web", Some(SECRET)).form(&form).send().await.unwrap();
                }
                "consent" => consents::revoke(&manager, &by, alice, web.clone()).await.unwrap(),
                "signed out" => drop(users::end_sessions(&manager, &by, alice, None).await.unwrap()),
                "person" => {
                    users::disable(&manager, &by, alice).await.unwrap();
                    users::enable(&manager, &by, alice).await.unwrap();
                }
                "app" => {
                    clients::disable(&manager, &by, &web).await.unwrap();
                    clients::enable(&manager, &by, &web).await.unwrap();
                }
                _ => {
                    clients::disable(&manager, &by, &acts).await.unwrap();
                    clients::enable(&manager, &by, &acts).await.unwrap();
                }
            }
            assert!(!active(&server, "both", token).await, "{what}, opaque: {opaque}");
            let (_, refused) = trade(&server, "both", text(&first, "access_token"), &[]).await;
            assert_eq!(refused["error"], "invalid_request", "{what}");
            server.advance(1);
        }
    }
}

/// One in which `both` acts for alice by a token of bob's, and that token.
async fn with_bob() -> (Server, String) {
    let server = with_services().await;
    server.user("bob").await;
    let policy = json!([{ "client": "web", "delegation": true }]);
    let signs_in = json!({
        "redirect_uris": [crate::support::CALLBACK],
        "grant_types": ["authorization_code", GRANT],
        "token_exchange": policy,
        "consent": "trusted",
    });
    service(&server, "helpdesk", signs_in).await;
    let browser = server.browser();
    browser.sign_in_as("bob").await;
    let code = browser.open(&server.authorize(&[("client_id", "helpdesk"), ("scope", "openid")])).await;
    let code = code.err().expect("a callback")["code"].clone();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", crate::support::CALLBACK),
        ("code_verifier", crate::support::VERIFIER),
    ];
    let (status, bobs) = server.token_as("helpdesk", &form).await;
    assert_eq!(status, 200, "{bobs}");
    (server, text(&bobs, "access_token").to_owned())
}

/// RFC 8693 §4.1: a delegation is bob's acting for alice, so it ends with either.
#[tokio::test]
async fn a_delegation_ends_with_the_user_who_acts() {
    for deed in ["disabled", "deleted"] {
        let (server, bobs) = with_bob().await;
        let app = tokens(&server, "openid read").await;
        let acting = [("actor_token", bobs.as_str()), ("actor_token_type", ACCESS)];
        let (status, traded) = trade(&server, "helpdesk", text(&app, "access_token"), &acting).await;
        assert_eq!(status, 200, "{traded}");
        let token = text(&traded, "access_token");
        let bob = server.person("bob").await.id;
        assert_eq!(claims(token)["act"]["sub"], bob.to_string());
        assert!(active(&server, "helpdesk", token).await);
        let (manager, by) = (server.app.manager(), AuditContext::command_line());
        match deed {
            "disabled" => drop(users::disable(&manager, &by, bob).await.unwrap()),
            _ => users::delete(&manager, &by, bob).await.unwrap(),
        }
        assert!(!active(&server, "helpdesk", token).await, "{deed}");
        assert_eq!(trade(&server, "helpdesk", text(&app, "access_token"), &acting).await.0, 400, "{deed}");
        assert!(active(&server, "web", text(&app, "access_token")).await);
    }
}

/// By the database: a node that has not heard of the revocation yet issues nothing by it.
#[tokio::test]
async fn a_revoked_actor_token_acts_for_nobody() {
    let (server, bobs) = with_bob().await;
    let app = tokens(&server, "openid read").await;
    let jti: uuid::Uuid = claims(&bobs)["jti"].as_str().unwrap().parse().unwrap();
    // The row alone, as another node has written it before this one reads the change feed.
    let write = server.app.store().write(move |tx| Box::pin(revoked_tokens::insert_grant(tx, GrantId(jti))));
    write.await.unwrap();
    let acting = [("actor_token", bobs.as_str()), ("actor_token_type", ACCESS)];
    let (_, refused) = trade(&server, "helpdesk", text(&app, "access_token"), &acting).await;
    assert_eq!(refused["error"], "invalid_request");
}

/// A grant that goes on without the session stays what it is; what is traded for its tokens hangs on the session.
#[tokio::test]
async fn a_traded_token_never_outlives_the_session() {
    let server = with_services().await;
    let app = tokens(&server, "openid offline_access read").await;
    let (_, before) = trade(&server, "both", text(&app, "access_token"), &[]).await;
    server.advance(1);
    let alice = server.person("alice").await.id;
    users::end_sessions(&server.app.manager(), &AuditContext::command_line(), alice, None).await.unwrap();
    assert!(active(&server, "web", text(&app, "access_token")).await);
    assert!(!active(&server, "both", text(&before, "access_token")).await);
    assert_eq!(trade(&server, "both", text(&app, "access_token"), &[]).await.1["error"], "invalid_request");
}

/// A scope that the app has just lost on another node is not traded on this one, which has not heard of it.
#[tokio::test]
async fn a_lost_scope_is_not_traded_by_a_node_that_lags() {
    use signet::domain::client_metadata::ClientMetadata;
    use signet::store::clients as stored;
    let server = with_services().await;
    let app = tokens(&server, "openid read").await;
    let token = text(&app, "access_token").to_owned();
    assert_eq!(trade(&server, "both", &token, &[("scope", "read")]).await.0, 200, "and the client is in memory");
    let id = ClientId::parse("web").unwrap();
    let less = json!({ "redirect_uris": [crate::support::CALLBACK], "scope": "openid email" });
    let less: ClientMetadata = serde_json::from_value(less).unwrap();
    // As another node writes it, whose entry in the change feed has not been read here.
    let write = server.app.store().write(move |tx| {
        Box::pin(async move {
            let web = stored::lock_for_update(tx, &id).await?.expect("a client");
            stored::update(tx, &signet::domain::client::Client { meta: less, ..web }).await
        })
    });
    write.await.unwrap();
    let (status, refused) = trade(&server, "both", &token, &[("scope", "read")]).await;
    assert_eq!(status, 400, "{refused}");
}
