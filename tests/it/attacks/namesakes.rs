//! Identifiers are not inherited: a client or an API that is made anew under an old identifier gets nothing that was asked
//! for, allowed or issued before.

use serde_json::{Value, json};

use signet::domain::client_metadata::ClientMetadata;
use signet::domain::delivery::DeliveryOutcome;
use signet::domain::ids::{ApiId, ClientId, DeliveryId, SessionId};
use signet::domain::participant::Participant;
use signet::domain::secret::Secret;
use signet::manage::clients::NewClient;
use signet::manage::{AuditContext, apis, clients};

use super::http;
use crate::gate::{ORDERS, put_api};
use crate::logout::sign_out;
use crate::support::receiver::{Answer, Receiver, reachable};
use crate::support::{CALLBACK, PASSWORD, SECRET, Server};

/// Deletes `web` and makes another one.
async fn make_anew(server: &Server) {
    make_anew_with(server, json!({})).await;
}

async fn make_anew_with(server: &Server, changes: Value) {
    let (manager, by, web) = (server.app.manager(), AuditContext::command_line(), ClientId::parse("web").unwrap());
    clients::delete(&manager, &by, &web).await.unwrap();
    let mut meta = json!({ "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"],
                           "scope": "openid profile email offline_access" });
    meta.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let meta: ClientMetadata = serde_json::from_value(meta).unwrap();
    let new = NewClient { id: Some("web".into()), meta, secret: Some(Secret::new(SECRET.into())) };
    clients::create(&manager, &by, new).await.unwrap();
}

#[tokio::test]
async fn an_open_interaction_is_not_the_namesakes() {
    let server = Server::with_alice().await;
    let other = server.node().await;
    let browser = server.browser();
    let login = browser.page(&server.authorize(&[])).await;
    let consenting = server.browser();
    let page = consenting.page(&server.authorize(&[])).await;
    let credentials = [("username", "alice"), ("password", PASSWORD)];
    let consent = consenting.submit(&page, &credentials).await.ok().unwrap();
    assert_eq!(consent.name(), "consent");
    make_anew(&server).await;
    let after = browser.submit(&login, &credentials).await.expect("a page, and no code");
    assert_eq!(after.error(), "invalid_request", "{}", after.html);
    let after = consenting.submit(&consent, &[("decision", "allow")]).await.expect("a page, and no code");
    assert_eq!(after.error(), "invalid_request");
    // A new request is asked about anew, on a node that has not heard of it too.
    let asked = other.browser();
    let page = asked.page(&other.authorize(&[])).await;
    let page = asked.submit(&page, &credentials).await.ok().unwrap();
    assert_eq!(page.name(), "consent", "what the old client was allowed is not inherited");
    let answer = asked.submit(&page, &[("decision", "allow")]).await.err().unwrap();
    assert_eq!(other.redeem(&answer["code"]).await.0, 200);
}

#[tokio::test]
async fn a_pushed_request_is_not_the_namesakes() {
    let server = Server::with_alice().await;
    let query = server.authorize(&[]).split_once('?').unwrap().1.to_owned();
    let form: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let push = http().post(format!("{}/oauth2/par", server.url)).basic_auth("web", Some(SECRET)).form(&form);
    let pushed: Value = push.send().await.unwrap().json().await.unwrap();
    make_anew(&server).await;
    let uri = pushed["request_uri"].as_str().unwrap();
    let path = url::form_urlencoded::Serializer::new("/oauth2/authorize?".to_owned())
        .extend_pairs([("client_id", "web"), ("request_uri", uri)])
        .finish();
    assert_eq!(server.browser().page(&path).await.error(), "invalid_request_uri");
}

/// A client made anew under an old identifier is told of no sign-out of users who never used it: not of one that waits to
/// be told again, not of one that a node is about to tell, and not of a session in which the old one took part.
#[tokio::test]
async fn a_pending_sign_out_is_not_the_namesakes() {
    let receiver = Receiver::start().await;
    receiver.answer("/old", Answer::status(503));
    receiver.answer("/new", Answer::status(204));
    let server = Server::start_with(reachable).await;
    server.user("alice").await;
    server.client("web", json!({ "backchannel_logout_uri": receiver.at("/old"), "consent": "trusted" })).await;
    let other = server.node().await;
    let (store, web) = (server.app.store(), ClientId::parse("web").unwrap());
    let client = store.authority().client(store, &web).await.unwrap().unwrap();
    let (waiting, open) = (server.browser(), server.browser());
    for browser in [&waiting, &open] {
        browser.sign_in(&server.authorize(&[])).await;
    }
    sign_out(&waiting).await;
    server.deliver().await;
    assert_eq!(receiver.requests("/old").len(), 1, "it waits to be told again");
    make_anew_with(&server, json!({ "backchannel_logout_uri": receiver.at("/new"), "consent": "trusted" })).await;
    sign_out(&open).await;
    let (user, session) = (server.person("alice").await.id, SessionId(server.app.env().uuid()));
    let claimed = Participant { client: web.clone(), incarnation: client.incarnation, user, session };
    for node in [&server, &other] {
        let id = DeliveryId(server.app.env().uuid());
        assert_eq!(node.app.provider.send_logout_token(id, &claimed).await.unwrap(), DeliveryOutcome::Done);
        server.advance(3600);
        node.deliver().await;
    }
    assert_eq!((receiver.requests("/old").len(), receiver.requests("/new").len()), (1, 0));
    // What the new one takes part in, it is told of.
    open.sign_in(&server.authorize(&[])).await;
    sign_out(&open).await;
    other.deliver().await;
    assert_eq!((receiver.requests("/old").len(), receiver.requests("/new").len()), (1, 1));
}

/// Each use of a deleted client's or API's identifier leaves the counter behind that its successor starts above.
#[tokio::test]
async fn a_namesake_starts_above_the_version_of_the_old_one() {
    let server = Server::with_alice().await;
    let (store, web) = (server.app.store(), ClientId::parse("web").unwrap());
    let mut before = store.authority().client(store, &web).await.unwrap().unwrap().version;
    for _ in 0..3 {
        make_anew(&server).await;
        let now = store.authority().client(store, &web).await.unwrap().unwrap().version;
        assert!(now > before, "{now} after {before}");
        before = now;
    }
}

/// Another client that might trade the tokens of a deleted one may not trade those of its namesake.
#[tokio::test]
async fn a_policy_for_tokens_is_not_for_the_namesakes() {
    let server = Server::with_alice().await;
    let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    let policy = json!([{ "client": "web", "impersonation": true }, { "client": "other", "impersonation": true }]);
    let service = json!({ "redirect_uris": [], "grant_types": ["client_credentials", grant], "token_exchange": policy,
                          "scope": "openid email" });
    server.client("service", service).await;
    let trade = async || {
        let tokens = super::tokens(&server, "openid email").await;
        let form = [
            ("grant_type", grant),
            ("subject_token", tokens["access_token"].as_str().unwrap()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ];
        server.token_as("service", &form).await.0
    };
    assert_eq!(trade().await, 200);
    make_anew(&server).await;
    assert_eq!(trade().await, 400);
    let left = server.app.provider.client(&ClientId::parse("service").unwrap()).await.unwrap().unwrap();
    let left: Vec<&str> = left.meta.token_exchange.iter().map(|policy| policy.client.as_str()).collect();
    assert_eq!(left, ["other"], "and others stay");
}

/// Asks as `web`, which may have the scope of the API.
async fn introspect(server: &Server, token: &Value) -> Value {
    let request = http().post(format!("{}/oauth2/introspect", server.url)).basic_auth("web", Some(SECRET));
    request.form(&[("token", token.as_str().unwrap())]).send().await.unwrap().json().await.unwrap()
}

/// A server with an API, and a trusted client that may ask for its scope `read`.
async fn with_api() -> (Server, ApiId) {
    let server = Server::start().await;
    server.user("alice").await;
    put_api(&server, json!({})).await;
    let scopes =
        json!({ "consent": "trusted", "scope": "openid offline_access", "api_scopes": { (ORDERS): ["read"] } });
    server.client("web", scopes).await;
    (server, ApiId::parse(ORDERS).unwrap())
}

/// With its API, everything that is for it ends: the token, the code and the family, also where `openid` would be left.
#[tokio::test]
async fn what_is_for_a_deleted_api_ends_with_it() {
    let (server, api) = with_api().await;
    let asked = server.authorize(&[("scope", "openid offline_access read"), ("resource", ORDERS)]);
    let browser = server.browser();
    let code = browser.sign_in(&asked).await["code"].clone();
    let waiting = browser.open(&asked).await.err().unwrap()["code"].clone();
    let (_, tokens) = server.redeem(&code).await;
    assert_eq!(introspect(&server, &tokens["access_token"]).await["active"], true);
    apis::delete(&server.app.manager(), &AuditContext::command_line(), api.clone()).await.unwrap();
    let other = server.node().await;
    for node in [&server, &other] {
        assert_eq!(introspect(node, &tokens["access_token"]).await, json!({ "active": false }));
        let userinfo = http().get(format!("{}/oauth2/userinfo", node.url));
        let userinfo = userinfo.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(userinfo.status(), 401);
    }
    assert_eq!(server.redeem(&waiting).await.1["error"], "invalid_grant");
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    assert_eq!(server.token(&refresh).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn a_pushed_request_is_not_for_the_namesake_of_an_api() {
    let (server, api) = with_api().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let query = server.authorize(&[("scope", "openid read"), ("resource", ORDERS)]);
    let query = query.split_once('?').unwrap().1;
    let form: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let push = http().post(format!("{}/oauth2/par", server.url)).basic_auth("web", Some(SECRET)).form(&form);
    let pushed: Value = push.send().await.unwrap().json().await.unwrap();
    apis::delete(&server.app.manager(), &AuditContext::command_line(), api.clone()).await.unwrap();
    put_api(&server, json!({})).await;
    let meta = json!({ "redirect_uris": [CALLBACK], "consent": "trusted", "scope": "openid",
                       "api_scopes": { (ORDERS): ["read"] } });
    let meta: ClientMetadata = serde_json::from_value(meta).unwrap();
    let web = ClientId::parse("web").unwrap();
    clients::update(&server.app.manager(), &AuditContext::command_line(), &web, meta).await.unwrap();
    let path = url::form_urlencoded::Serializer::new("/oauth2/authorize?".to_owned())
        .extend_pairs([("client_id", "web"), ("request_uri", pushed["request_uri"].as_str().unwrap())])
        .finish();
    let answer = browser.open(&path).await.err().unwrap();
    assert_eq!(answer["error"], "invalid_request_uri", "{answer:?}");
}

/// A database that was restored to a state before a user was created has never heard of the user's tokens.
#[tokio::test]
async fn tokens_of_a_user_who_is_not_there_are_inactive() {
    let server = Server::with_alice().await;
    let (_, tokens) = server.redeem(&server.code("openid").await).await;
    let db = sea_orm::Database::connect(server.app.config.database().as_str()).await.unwrap();
    for statement in ["DELETE FROM membership", "DELETE FROM person"] {
        sea_orm::ConnectionTrait::execute_unprepared(&db, statement).await.unwrap();
    }
    let other = server.node().await;
    assert_eq!(introspect(&other, &tokens["access_token"]).await, json!({ "active": false }));
}

/// A refresh token is active only while its client may refresh.
#[tokio::test]
async fn a_refresh_token_of_a_client_that_may_not_refresh_is_inactive() {
    let server = Server::with_alice().await;
    let (_, tokens) = server.redeem(&server.code("openid offline_access").await).await;
    assert_eq!(introspect(&server, &tokens["refresh_token"]).await["active"], true);
    let meta = json!({ "redirect_uris": [CALLBACK], "scope": "openid" });
    let meta: ClientMetadata = serde_json::from_value(meta).unwrap();
    let web = ClientId::parse("web").unwrap();
    clients::update(&server.app.manager(), &AuditContext::command_line(), &web, meta).await.unwrap();
    assert_eq!(introspect(&server, &tokens["refresh_token"]).await, json!({ "active": false }));
}

/// What a user allowed at an API is recorded with the version that the page was about, however late.
#[tokio::test]
async fn a_late_consent_is_not_for_the_namesake_of_an_api() {
    use signet::domain::permissions::{ApiScopes, Permissions};
    use signet::domain::scope::Scopes;
    use signet::domain::version::{VersionedEntity, Versions};
    use signet::store::{consents, versions};
    let (server, api) = with_api().await;
    let (store, alice, web) = (server.app.store(), server.person("alice").await.id, ClientId::parse("web").unwrap());
    let of_api = VersionedEntity::Api(api.clone());
    let asked: Versions = [(of_api.clone(), versions::one(store.read(), &of_api).await.unwrap())].into_iter().collect();
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let before = apis::one(&manager, &api).await.unwrap();
    let scope = before.scopes.iter().next().unwrap().to_owned();
    let mut scopes = ApiScopes::default();
    scopes.add(&api, &Scopes::parse(&scope).unwrap());
    let permissions = Permissions { apis: scopes, ..Permissions::default() };
    for (made_anew, allowed) in [(false, true), (true, false)] {
        if made_anew {
            apis::delete(&manager, &by, api.clone()).await.unwrap();
            apis::create(&manager, &by, before.clone()).await.unwrap();
        }
        let (client, permissions, asked) = (web.clone(), permissions.clone(), asked.clone());
        let give = store.write(move |tx| {
            Box::pin(async move { consents::give(tx, alice, &client, (&permissions, &asked), &[]).await })
        });
        give.await.unwrap();
        let given = consents::find(store.read(), alice, &web).await.unwrap().unwrap();
        assert_eq!(given.allowed.apis.has_api(&api), allowed, "made anew: {made_anew}");
    }
}
