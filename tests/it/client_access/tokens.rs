//! The same answer at every way to a token (T34): a user in none of a client's groups gets nothing, and who leaves them gets
//! nothing more.

use serde_json::{Value, json};
use signet::domain::api::Api;
use signet::manage::{AuditContext, apis};

use super::{code, delete_group, open_to, put_into, refusals, signed_in, tokens, with_staff};
use crate::device;
use crate::support::{SECRET, Server};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const ORDERS: &str = "https://orders.example.com";

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("{name} in {answer}"))
}

async fn introspects_active(server: &Server, token: &str) -> bool {
    let request = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url));
    let request = request.basic_auth("web", Some(SECRET)).form(&[("token", token)]);
    request.send().await.unwrap().json::<Value>().await.unwrap()["active"] == true
}

async fn userinfo(server: &Server, token: &str) -> u16 {
    let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
    request.bearer_auth(token).send().await.unwrap().status().as_u16()
}

/// Changes by which alice may not use `web` any more.
async fn shut_out(server: &Server, how: &str) {
    match how {
        "she leaves the group" => put_into(server, "alice", &[]).await,
        "the group is deleted" => delete_group(server, "staff").await,
        "the client is for another group" => open_to(server, "web", json!(["ops"])).await,
        _ => open_to(server, "web", json!(["a group that is made with it"])).await,
    }
}

const WAYS: [&str; 4] =
    ["she leaves the group", "the group is deleted", "the client is for another group", "it is for a new group"];

/// OpenID Connect Core §3.1.2.6: a silent request is answered with an error, and the user of no group gets no code.
#[tokio::test]
async fn silent_request_of_a_user_outside_is_denied() {
    let server = with_staff().await;
    let silent = server.authorize(&[("prompt", "none")]);
    let denied = signed_in(&server, "bob").await.open(&silent).await.err().unwrap();
    assert_eq!((denied["error"].as_str(), denied["state"].as_str()), ("access_denied", "s t&a=te"), "{denied:?}");
    let found = refusals(&server, "bob").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].client.as_ref().unwrap().as_str(), "web");
    assert!(!found[0].origin.request_id.is_empty() && found[0].detail.contains("silent"), "{found:?}");
    let alice = signed_in(&server, "alice").await;
    let allowed = alice.open(&silent).await.err().unwrap();
    assert!(allowed.contains_key("code"), "{allowed:?}");
    for how in WAYS {
        let server = with_staff().await;
        let alice = signed_in(&server, "alice").await;
        shut_out(&server, how).await;
        let denied = alice.open(&server.authorize(&[("prompt", "none")])).await.err().unwrap();
        assert_eq!(denied["error"], "access_denied", "{how}");
    }
}

#[tokio::test]
async fn code_of_a_user_who_left_the_group_is_refused() {
    for how in WAYS {
        let server = with_staff().await;
        let code = code(&server).await;
        shut_out(&server, how).await;
        let (status, refused) = server.redeem(&code).await;
        assert_eq!((status, text(&refused, "error")), (400, "invalid_grant"), "{how}: {refused}");
        assert!(refusals(&server, "alice").await[0].detail.contains("code"), "{how}");
    }
}

/// T5: what was issued before ends as well, and a refresh token is not used up by the refusal.
#[tokio::test]
async fn refresh_of_a_user_who_left_the_group_is_refused() {
    for how in WAYS {
        let server = with_staff().await;
        let tokens = tokens(&server).await;
        let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        assert!(introspects_active(&server, access).await && introspects_active(&server, refresh).await);
        shut_out(&server, how).await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        let (status, refused) = server.token(&form).await;
        assert_eq!((status, text(&refused, "error")), (400, "invalid_grant"), "{how}: {refused}");
        assert!(!introspects_active(&server, access).await && !introspects_active(&server, refresh).await, "{how}");
        assert_eq!(userinfo(&server, access).await, 401, "{how}");
        put_into(&server, "alice", &["staff"]).await;
        open_to(&server, "web", json!(["staff"])).await;
        let (status, again) = server.token(&form).await;
        assert_eq!(status, 200, "{how}: {again}");
    }
}

/// RFC 8628 §3.3, §3.5.
#[tokio::test]
async fn device_is_not_connected_to_a_user_outside() {
    let server = with_staff().await;
    device::tv(&server, "tv", json!({ "allowed_groups": ["staff"] })).await;
    let asked = device::ask(&server, "openid").await;
    let bob = signed_in(&server, "bob").await;
    let page = device::question(&bob, &asked).await;
    assert_eq!((page.status, page.error().as_str()), (403, "access_denied"), "{}", page.html);
    assert!(page.has("a#switch-account[href^='/login?next=']"), "{}", page.html);
    // The form of the question itself, from before bob left the group.
    put_into(&server, "bob", &["staff"]).await;
    let page = device::question(&bob, &asked).await;
    assert!(page.has("#device-code"), "{}", page.html);
    put_into(&server, "bob", &[]).await;
    let late = bob.submit(&page, &[("decision", "allow")]).await.ok().unwrap();
    assert_eq!((late.status, late.error().as_str()), (403, "access_denied"));
    assert!(refusals(&server, "bob").await[0].detail.contains("device"));
    assert_eq!(device::refused(&server, &asked).await, "authorization_pending", "somebody else may connect it");
    device::decide(&server, &asked, "allow").await;
    put_into(&server, "alice", &[]).await;
    assert_eq!(device::refused(&server, &asked).await, "access_denied");
    put_into(&server, "alice", &["staff"]).await;
    assert_eq!(device::poll(&server, &asked).await.0, 200);
}

/// RFC 8693 §2.2.2: for the user of the subject token and the client that asks.
#[tokio::test]
async fn exchange_for_a_user_outside_is_refused() {
    let server = with_staff().await;
    let api: Api = serde_json::from_value(json!({ "identifier": ORDERS, "scopes": ["read"] })).unwrap();
    apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
    server.client("open", json!({ "scope": "openid read", "consent": "trusted" })).await;
    for (id, format) in [("batch", "jwt"), ("sealed", "opaque")] {
        let policy = json!([{ "client": "open", "impersonation": true }]);
        let meta = json!({ "redirect_uris": [], "grant_types": ["client_credentials", EXCHANGE], "scope": "openid read",
            "token_exchange": policy, "allowed_groups": ["staff"], "access_token_format": format });
        server.client(id, meta).await;
    }
    let asked = server.authorize(&[("client_id", "open"), ("scope", "openid read"), ("resource", ORDERS)]);
    let callback = server.browser().sign_in(&asked).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", callback["code"].as_str()),
        ("redirect_uri", crate::support::CALLBACK),
        ("code_verifier", crate::support::VERIFIER),
    ];
    let (_, tokens) = server.token_as("open", &form).await;
    let trade =
        [("grant_type", EXCHANGE), ("subject_token", text(&tokens, "access_token")), ("subject_token_type", ACCESS)];
    for client in ["batch", "sealed"] {
        let (status, traded) = server.token_as(client, &trade).await;
        assert_eq!(status, 200, "{client}: {traded}");
        let token = text(&traded, "access_token").to_owned();
        put_into(&server, "alice", &[]).await;
        let (status, refused) = server.token_as(client, &trade).await;
        assert_eq!((status, text(&refused, "error")), (400, "invalid_request"), "{client}: {refused}");
        assert!(refusals(&server, "alice").await[0].detail.contains("exchange"));
        assert_eq!(userinfo(&server, &token).await, 401, "{client}: what was traded before ends");
        assert_eq!(userinfo(&server, text(&tokens, "access_token")).await, 200, "the open client's token does not");
        put_into(&server, "alice", &["staff"]).await;
    }
    // What came of a client's token ends with the user's access to that client, too.
    let (_, traded) = server.token_as("batch", &trade).await;
    open_to(&server, "open", json!(["ops"])).await;
    assert_eq!(userinfo(&server, text(&traded, "access_token")).await, 401);
}

/// Tokens from the authorization endpoint, and a client without `allowed_groups`, which is open to everybody.
#[tokio::test]
async fn tokens_from_the_authorization_endpoint_need_the_group() {
    let server = with_staff().await;
    let implicit = json!({ "grant_types": ["authorization_code", "implicit"], "consent": "trusted",
        "redirect_uris": ["https://app.example/cb"], "post_logout_redirect_uris": [], "scope": "openid",
        "response_types": ["code", "id_token", "id_token token", "code id_token"] });
    for (id, groups) in [("closed", json!(["staff"])), ("open", json!([]))] {
        let mut meta = implicit.clone();
        meta["allowed_groups"] = groups;
        server.client(id, meta).await;
    }
    let bob = signed_in(&server, "bob").await;
    for response_type in ["id_token", "id_token token", "code id_token"] {
        for (client, error) in [("closed", Some("access_denied")), ("open", None)] {
            let changes = [
                ("client_id", client),
                ("redirect_uri", "https://app.example/cb"),
                ("response_type", response_type),
                ("prompt", "none"),
                ("scope", "openid"),
            ];
            let answer = bob.open(&server.authorize(&changes)).await.err().unwrap();
            assert_eq!(answer.get("error").map(String::as_str), error, "{client} {response_type}: {answer:?}");
        }
    }
}

/// A client for itself has no user who could be in a group.
#[tokio::test]
async fn client_for_itself_needs_no_group() {
    let server = with_staff().await;
    let (status, tokens) = server.token(&[("grant_type", "client_credentials")]).await;
    assert_eq!(status, 200, "{tokens}");
}

/// The gate judges a token by the groups of now, also one that it has seen before.
#[tokio::test]
async fn gate_refuses_a_token_of_a_user_who_left_the_group() {
    let server =
        Server::start_with(|config| config.trusted_proxies = serde_json::from_value(json!("127.0.0.1")).unwrap()).await;
    server.user("alice").await;
    put_into(&server, "alice", &["staff"]).await;
    let api = json!({ "identifier": ORDERS, "scopes": ["read"], "gate": "orders", "accepts": ["bearer"],
        "rules": [{ "methods": ["GET"], "path": "/**", "scopes": ["read"] }] });
    apis::put(&server.app.manager(), &AuditContext::command_line(), serde_json::from_value(api).unwrap())
        .await
        .unwrap();
    let meta = json!({ "scope": "openid read", "consent": "trusted", "allowed_groups": ["staff"] });
    server.client("web", meta).await;
    let asked = server.authorize(&[("scope", "openid read"), ("resource", ORDERS)]);
    let callback = server.browser().sign_in(&asked).await;
    let (_, tokens) = server.redeem(&callback["code"]).await;
    let enter = async || {
        let request = reqwest::Client::new().get(format!("{}/gate/verify/orders", server.url));
        let request = request.header("x-original-method", "GET").header("x-original-url", format!("{ORDERS}/a"));
        request.bearer_auth(text(&tokens, "access_token")).send().await.unwrap().status().as_u16()
    };
    assert_eq!((enter().await, enter().await), (200, 200));
    put_into(&server, "alice", &[]).await;
    assert_eq!(enter().await, 401);
    put_into(&server, "alice", &["staff"]).await;
    assert_eq!(enter().await, 200);
}
