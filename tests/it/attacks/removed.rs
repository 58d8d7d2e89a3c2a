//! T40: what was taken from a client or an API ends where it was granted, at every stage: a sign-in that waits, a code, a
//! device that waits, a refresh token, an access token at UserInfo, introspection, exchange and the gate.

use serde_json::{Value, json};
use signet::domain::client_metadata::ClientMetadata;
use signet::domain::ids::ClientId;
use signet::domain::scope::Scopes;
use signet::manage::{AuditContext, apis, clients};
use signet::store;

use crate::device;
use crate::gate::{ORDERS, put_api, with_gate};
use crate::support::{CALLBACK, Callback, PASSWORD, SECRET, Server};
use crate::token::claims;

const ALL: &str = "openid email offline_access read";
const CLAIMS: &str = r#"{"userinfo": {"nickname": null}, "id_token": {"phone_number": null}}"#;

async fn with_everything() -> Server {
    let server = with_gate(json!({})).await;
    let meta = json!({ "scope": "openid profile email phone offline_access read", "token_exchange": [] });
    server.client("web2", meta).await;
    server
}

/// Changes what `web2` is registered as.
async fn change(server: &Server, edit: impl FnOnce(&mut Value)) {
    change_client(server, "web2", edit).await;
}

pub async fn change_client(server: &Server, id: &str, edit: impl FnOnce(&mut Value)) {
    let id = ClientId::parse(id).unwrap();
    let client = store::clients::by_id(server.app.store().read(), &id).await.unwrap().unwrap();
    let mut meta = serde_json::to_value(&client.meta).unwrap();
    edit(&mut meta);
    let meta: ClientMetadata = serde_json::from_value(meta).unwrap();
    clients::update(&server.app.manager(), &AuditContext::command_line(), &id, meta).await.unwrap();
}

fn asked(server: &Server) -> String {
    server.authorize(&[("client_id", "web2"), ("scope", ALL), ("claims", CLAIMS)])
}

async fn redeem(server: &Server, callback: &Callback) -> (u16, Value) {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", callback.get("code").unwrap_or_else(|| panic!("{callback:?}"))),
        ("redirect_uri", CALLBACK),
        ("code_verifier", crate::support::VERIFIER),
    ];
    server.token_as("web2", &form).await
}

async fn refresh(server: &Server, tokens: &Value) -> (u16, Value) {
    let token = tokens["refresh_token"].as_str().unwrap_or_else(|| panic!("{tokens}"));
    server.token_as("web2", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

async fn introspect(server: &Server, token: &str) -> Value {
    let request = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url));
    let request = request.basic_auth("web2", Some(SECRET)).form(&[("token", token)]);
    request.send().await.unwrap().json().await.unwrap()
}

async fn userinfo(server: &Server, token: &str) -> (u16, Value) {
    let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
    let response = request.bearer_auth(token).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

async fn at_the_gate(server: &Server, token: &str) -> u16 {
    crate::gate::nginx(server, "GET", "/orders/1", &[("authorization", &format!("Bearer {token}"))]).await.status
}

/// What is taken away, and the `scope` and audience that are left of everything.
const REMOVALS: [(&str, &str, bool); 5] = [
    ("the scope email", "openid offline_access read", true),
    ("the API's scope", "openid email offline_access", false),
    ("the client's pair", "openid email offline_access", false),
    ("the API", "openid email offline_access", false),
    ("offline access", "openid email read", true),
];

async fn remove(server: &Server, what: &str) {
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let orders = signet::domain::ids::ApiId::parse(ORDERS).unwrap();
    match what {
        "the scope email" => change(server, |meta| meta["scope"] = json!("openid profile phone offline_access")).await,
        "the API's scope" => put_api(server, json!({ "scopes": ["write"], "rules": [] })).await,
        "the client's pair" => change(server, |meta| meta["api_scopes"] = json!({})).await,
        "the API" => apis::delete(&manager, &by, orders).await.unwrap(),
        "offline access" => change(server, |meta| meta["scope"] = json!("openid profile email phone")).await,
        other => panic!("{other}"),
    }
}

fn left(tokens: &Value, scope: &str, api: bool, what: &str) {
    assert_eq!(tokens["scope"], scope, "{what}: {tokens}");
    let audience = claims(tokens["access_token"].as_str().unwrap())["aud"].to_string();
    assert_eq!(audience.contains(ORDERS), api, "{what}: {audience}");
}

#[tokio::test]
async fn removed_permissions_are_not_issued_to_a_waiting_sign_in() {
    for (what, scope, api) in REMOVALS {
        let server = with_everything().await;
        let browser = server.browser();
        let login = browser.page(&asked(&server)).await;
        let consent = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.expect("consent");
        assert!(consent.has("[data-scope=email]") && consent.has("[data-scope=read]"));
        remove(&server, what).await;
        let consent = browser.page(&consent.path).await;
        assert_eq!((consent.has("[data-scope=read]"), consent.name().as_str()), (api, "consent"), "{what}");
        let callback = browser.submit(&consent, &[("decision", "allow")]).await.err().expect("the app");
        left(&redeem(&server, &callback).await.1, scope, api, what);
    }
}

#[tokio::test]
async fn removed_permissions_are_not_issued_for_a_code_or_a_refresh() {
    for (what, scope, api) in REMOVALS.into_iter().filter(|(what, ..)| *what != "the API") {
        let server = with_everything().await;
        let callback = server.browser().sign_in(&asked(&server)).await;
        let before = server.browser().sign_in(&asked(&server)).await;
        let (_, before) = redeem(&server, &before).await;
        left(&before, ALL, true, "before");
        remove(&server, what).await;
        left(&redeem(&server, &callback).await.1, scope, api, what);
        left(&refresh(&server, &before).await.1, scope, api, what);
    }
}

#[tokio::test]
async fn removed_permissions_end_in_access_tokens() {
    for (what, scope, api) in REMOVALS.into_iter().filter(|(what, ..)| *what != "the API") {
        let server = with_everything().await;
        let callback = server.browser().sign_in(&asked(&server)).await;
        let (_, tokens) = redeem(&server, &callback).await;
        let token = tokens["access_token"].as_str().unwrap();
        assert_eq!(at_the_gate(&server, token).await, 200);
        remove(&server, what).await;
        let answer = introspect(&server, token).await;
        assert_eq!((&answer["active"], &answer["scope"]), (&json!(true), &json!(scope)), "{what}");
        assert_eq!(answer["aud"].to_string().contains(ORDERS), api, "{what}");
        let (status, about) = userinfo(&server, token).await;
        assert_eq!((status, about.get("email").is_some()), (200, scope.contains("email")), "{what}: {about}");
        assert_eq!(at_the_gate(&server, token).await == 200, api, "{what}");
        let refresh = introspect(&server, tokens["refresh_token"].as_str().unwrap()).await;
        assert_eq!(refresh["scope"], scope, "{what}");
    }
}

/// T52: a grant for an API ends with it, so that nothing of it is left for a namesake. A code is redeemed without it.
#[tokio::test]
async fn deleting_an_api_ends_what_was_granted_for_it() {
    let server = with_everything().await;
    let code = server.browser().sign_in(&asked(&server)).await;
    let before = server.browser().sign_in(&asked(&server)).await;
    let (_, tokens) = redeem(&server, &before).await;
    remove(&server, "the API").await;
    assert_eq!(redeem(&server, &code).await.1["error"], "invalid_grant");
    assert_eq!(refresh(&server, &tokens).await.1["error"], "invalid_grant");
    assert_eq!(introspect(&server, tokens["refresh_token"].as_str().unwrap()).await["active"], false);
}

#[tokio::test]
async fn removed_claims_are_told_nowhere() {
    let server = with_everything().await;
    let waiting = server.browser();
    let login = waiting.page(&asked(&server)).await;
    let code = server.browser().sign_in(&asked(&server)).await;
    let callback = server.browser().sign_in(&asked(&server)).await;
    let (_, tokens) = redeem(&server, &callback).await;
    change(&server, |meta| meta["scope"] = json!("openid email offline_access")).await;
    let token = tokens["access_token"].as_str().unwrap();
    assert!(userinfo(&server, token).await.1.get("nickname").is_none());
    let shown = waiting.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await;
    let resumed = match shown {
        Ok(consent) => waiting.submit(&consent, &[("decision", "allow")]).await.err().expect("the app"),
        Err(callback) => callback,
    };
    for tokens in [redeem(&server, &resumed).await.1, redeem(&server, &code).await.1, refresh(&server, &tokens).await.1]
    {
        let access = claims(tokens["access_token"].as_str().unwrap());
        assert_eq!(access.get("userinfo_claims"), None, "{access}");
        assert_eq!(claims(tokens["id_token"].as_str().unwrap()).get("phone_number"), None);
    }
}

#[tokio::test]
async fn removed_redirect_uri_gets_no_answer_and_redeems_no_code() {
    let server = with_everything().await;
    let browser = server.browser();
    let login = browser.page(&asked(&server)).await;
    let consent = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.expect("consent");
    let code = server.browser().sign_in(&asked(&server)).await;
    change(&server, |meta| meta["redirect_uris"] = json!(["https://app.example.com/cb"])).await;
    for decision in ["allow", "deny"] {
        let page = browser.submit(&consent, &[("decision", decision)]).await.expect("a page, no redirect");
        assert_eq!((page.status, page.error().as_str()), (400, "invalid_request"), "{decision}");
    }
    assert_eq!(redeem(&server, &code).await.1["error"], "invalid_grant");
}

/// A node that has not heard of the change decides by the database all the same: for a new request, and for one that waits.
#[tokio::test]
async fn removed_redirect_uri_gets_no_code_from_a_node_that_is_behind() {
    let server = with_everything().await;
    let other = server.node().await;
    let behind = server.browser().at(&other);
    behind.sign_in(&other.authorize(&[("client_id", "web2"), ("scope", ALL)])).await;
    let waiting = server.browser().at(&other);
    let login = waiting.page(&other.authorize(&[("client_id", "web2"), ("scope", "openid")])).await;
    change(&server, |meta| meta["redirect_uris"] = json!(["https://app.example.com/cb"])).await;
    let page = behind.open(&other.authorize(&[("client_id", "web2"), ("scope", "openid")])).await.expect("no redirect");
    assert_eq!((page.status, page.error().as_str()), (400, "invalid_request"));
    let page = waiting.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.expect("no redirect");
    assert_eq!((page.status, page.error().as_str()), (400, "invalid_request"));
}

#[tokio::test]
async fn grant_without_anything_left_is_refused() {
    let server = with_everything().await;
    let alone = server.authorize(&[("client_id", "web2"), ("scope", "read offline_access")]);
    let (code, again) = (server.browser().sign_in(&alone).await, server.browser().sign_in(&alone).await);
    let (_, tokens) = redeem(&server, &again).await;
    let token = tokens["access_token"].as_str().unwrap();
    remove(&server, "the API").await;
    assert_eq!(introspect(&server, token).await["active"], false);
    assert_eq!(redeem(&server, &code).await.1["error"], "invalid_grant");
    assert_eq!(refresh(&server, &tokens).await.1["error"], "invalid_grant");
    let browser = server.browser();
    let login = browser.page(&server.authorize(&[("client_id", "web2"), ("scope", "openid")])).await;
    change(&server, |meta| meta["scope"] = json!("email")).await;
    let refused =
        browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.err().expect("the app");
    assert_eq!(refused["error"], "invalid_scope");
}

/// Ends alice's sessions.
async fn end_sessions(server: &Server) {
    let user = server.person("alice").await.id;
    let sessions = store::sessions::of_user(server.app.store().read(), user, server.app.env().now()).await.unwrap();
    for session in sessions {
        let id = session.id;
        let ended = server.app.store().write(move |tx| Box::pin(async move { store::session_end::one(tx, id).await }));
        ended.await.unwrap();
    }
}

/// A node that starts more than a day after the session's end does not remember it.
#[tokio::test]
async fn access_token_without_offline_access_left_ends_with_the_session() {
    let server = with_everything().await;
    let callback = server.browser().sign_in(&asked(&server)).await;
    let (_, tokens) = redeem(&server, &callback).await;
    end_sessions(&server).await;
    server.advance(25 * 3_600);
    let (_, tokens) = refresh(&server, &tokens).await;
    let (other, token) = (server.node().await, tokens["access_token"].as_str().unwrap());
    assert_eq!(userinfo(&other, token).await.0, 200, "offline access goes on");
    remove(&server, "offline access").await;
    for node in [&server, &other] {
        node.app.store().authority().catch_up(node.app.store()).await.unwrap();
        assert_eq!(userinfo(node, token).await.0, 401);
        assert_eq!(introspect(node, token).await["active"], false);
    }
}

#[tokio::test]
async fn code_without_offline_access_left_ends_with_the_session() {
    let server = with_everything().await;
    let codes = [server.browser().sign_in(&asked(&server)).await, server.browser().sign_in(&asked(&server)).await];
    end_sessions(&server).await;
    assert_eq!(redeem(&server, &codes[0]).await.0, 200, "offline access goes on");
    remove(&server, "offline access").await;
    assert_eq!(redeem(&server, &codes[1]).await.1["error"], "invalid_grant");
}

/// Offline access that was taken away ends with the session, as if it had never been there.
#[tokio::test]
async fn refresh_without_offline_access_left_ends_with_the_session() {
    let server = with_everything().await;
    let browser = server.browser();
    let callback = browser.sign_in(&asked(&server)).await;
    let (_, tokens) = redeem(&server, &callback).await;
    let (_, tokens) = refresh(&server, &tokens).await;
    end_sessions(&server).await;
    let (status, tokens) = refresh(&server, &tokens).await;
    assert_eq!(status, 200, "offline access goes on: {tokens}");
    remove(&server, "offline access").await;
    assert_eq!(refresh(&server, &tokens).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn device_gets_no_scope_lost_after_approval() {
    let server = with_everything().await;
    device::tv(&server, "tv", json!({ "scope": "openid email read" })).await;
    let answer = device::ask(&server, "openid email read").await;
    device::decide(&server, &answer, "allow").await;
    let (by, manager) = (AuditContext::command_line(), server.app.manager());
    let tv = ClientId::parse("tv").unwrap();
    let client = store::clients::by_id(server.app.store().read(), &tv).await.unwrap().unwrap();
    let mut meta = client.meta.clone();
    meta.scope = Scopes::parse("openid").unwrap();
    clients::update(&manager, &by, &tv, meta).await.unwrap();
    let (_, tokens) = device::poll(&server, &answer).await;
    assert_eq!(tokens["scope"], "openid read", "{tokens}");
    // A question that waits shows what is left.
    let answer = device::ask(&server, "openid read").await;
    put_api(&server, json!({ "scopes": ["write"], "rules": [] })).await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let question = device::question(&browser, &answer).await;
    assert!(question.has("[data-scope=openid]") && !question.has("[data-scope=read]"), "{}", question.html);
}

/// A token that came of another one loses what either client loses.
#[tokio::test]
async fn exchanged_token_loses_what_its_first_client_loses() {
    let server = with_everything().await;
    let service = json!({
        "scope": "openid email read", "redirect_uris": [],
        "grant_types": ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"],
        "token_exchange": [{ "client": "web2", "impersonation": true }],
    });
    server.client("service", service).await;
    let callback = server.browser().sign_in(&asked(&server)).await;
    let (_, tokens) = redeem(&server, &callback).await;
    let trade = async |token: &str| {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ];
        server.token_as("service", &form).await.1
    };
    let token = tokens["access_token"].as_str().unwrap();
    let traded = trade(token).await;
    let of_service = traded["access_token"].as_str().unwrap_or_else(|| panic!("{traded}"));
    assert_eq!(at_the_gate(&server, of_service).await, 200);
    remove(&server, "the client's pair").await;
    assert_ne!(at_the_gate(&server, of_service).await, 200);
    assert_eq!(trade(token).await["scope"], "openid email");
}
