//! T38: an API is a security boundary. Two APIs both define `read`; whatever gives access to one gives none to the other.

use serde_json::{Value, json};
use signet::domain::api::Api;
use signet::domain::ids::ApiId;
use signet::domain::scope::Scopes;
use signet::manage::{AuditContext, apis};

use crate::device;
use crate::gate::{ORDERS, nginx, put_api, with_gate};
use crate::support::{SECRET, Server};
use crate::token::claims;

const STOCK: &str = "https://stock.example.com";

/// The APIs [`ORDERS`] and [`STOCK`], each behind its gate and both with the scope `read`, and clients that ask users.
async fn with_two_apis() -> Server {
    let server = with_gate(json!({})).await;
    let stock: Api = serde_json::from_value(json!({
        "identifier": STOCK, "name": "Stock", "scopes": ["read", "count"], "gate": "stock", "accepts": ["bearer", "basic"],
        "rules": [{ "methods": ["GET"], "path": "/orders/**", "scopes": ["read"] }], "upstream_token": true,
    }))
    .unwrap();
    apis::put(&server.app.manager(), &AuditContext::command_line(), stock).await.unwrap();
    let both = json!({ ORDERS: ["read"], STOCK: ["read"] });
    server.client("both", json!({ "scope": "openid email offline_access", "api_scopes": both })).await;
    let asks = json!({ "scope": "openid email offline_access count", "api_scopes": both });
    server.client("asks", asks).await;
    server
}

async fn as_client(server: &Server, client: &str, more: &[(&str, &str)]) -> (u16, Value) {
    server.token_as(client, &[&[("grant_type", "client_credentials")][..], more].concat()).await
}

fn access(tokens: &Value) -> Value {
    claims(tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}")))
}

/// The codes of an authorization request by `client`, with each page answered as alice.
async fn tokens(server: &Server, client: &str, changes: &[(&str, &str)]) -> Value {
    let asked = server.authorize(&[&[("client_id", client)][..], changes].concat());
    let callback = server.browser().sign_in(&asked).await;
    let code = callback.get("code").unwrap_or_else(|| panic!("{callback:?}")).clone();
    redeem(server, client, &code, &[]).await.1
}

async fn redeem(server: &Server, client: &str, code: &str, more: &[(&str, &str)]) -> (u16, Value) {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", crate::support::CALLBACK),
        ("code_verifier", crate::support::VERIFIER),
    ];
    server.token_as(client, &[&form[..], more].concat()).await
}

async fn through(server: &Server, gate: &str, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    let url = format!("https://{gate}.example.com/orders/1");
    let headers = [("x-original-method", "GET"), ("x-original-url", url.as_str()), ("authorization", &bearer)];
    crate::gate::ask(server, gate, &headers).await.status
}

#[tokio::test]
async fn client_needs_resource_for_a_scope_of_two_apis() {
    let server = with_two_apis().await;
    for (client, form) in [("both", vec![]), ("both", vec![("scope", "read")]), ("asks", vec![("scope", "count read")])]
    {
        let (status, refused) = as_client(&server, client, &form).await;
        assert_eq!((status, &refused["error"]), (400, &json!("invalid_target")), "{form:?}: {refused}");
        assert!(refused["error_description"].as_str().unwrap().contains("resource"), "{refused}");
    }
    for (own, other, gate, not) in [(ORDERS, STOCK, "orders", "stock"), (STOCK, ORDERS, "stock", "orders")] {
        let (_, tokens) = as_client(&server, "both", &[("scope", "read"), ("resource", own)]).await;
        assert_eq!((&access(&tokens)["aud"], &access(&tokens)["scope"]), (&json!(own), &json!("read")), "not {other}");
        let token = tokens["access_token"].as_str().unwrap();
        assert_eq!((through(&server, gate, token).await, through(&server, not, token).await), (200, 401));
    }
    // Several were named, and the scope means the same at each of them.
    let (_, tokens) = as_client(&server, "both", &[("resource", ORDERS), ("resource", STOCK)]).await;
    assert_eq!(access(&tokens)["aud"], json!([ORDERS, STOCK]));
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!((through(&server, "orders", token).await, through(&server, "stock", token).await), (200, 200));
}

#[tokio::test]
async fn scope_of_one_api_does_not_open_another() {
    let server = with_two_apis().await;
    server.client("orders", json!({ "scope": "openid", "api_scopes": { ORDERS: ["read"] } })).await;
    // Without a resource the name means the one that the client may have.
    let (_, plain) = as_client(&server, "orders", &[("scope", "read")]).await;
    assert_eq!(access(&plain)["aud"], ORDERS);
    let (_, refused) = as_client(&server, "orders", &[("scope", "read"), ("resource", STOCK)]).await;
    assert_eq!(refused["error"], "invalid_scope");
    for (scope, resource) in [("read", STOCK), ("", STOCK)] {
        let asked = server.authorize(&[("client_id", "orders"), ("scope", scope), ("resource", resource)]);
        let callback = server.browser().sign_in(&asked).await;
        assert_eq!(callback["error"], "invalid_scope", "{scope:?}");
    }
    // Basic at the gate has the pairs of the client too.
    for (gate, status) in [("orders", 200), ("stock", 403)] {
        let basic = reqwest::Client::new().get(&server.url).basic_auth("orders", Some(SECRET)).build().unwrap();
        let basic = basic.headers()["authorization"].to_str().unwrap().to_owned();
        let url = format!("https://{gate}.example.com/orders/1");
        let headers = [("x-original-method", "GET"), ("x-original-url", url.as_str()), ("authorization", &basic)];
        assert_eq!(crate::gate::ask(&server, gate, &headers).await.status, status, "{gate}");
    }
}

#[tokio::test]
async fn consent_to_an_api_does_not_cover_the_same_scope_elsewhere() {
    let server = with_two_apis().await;
    let browser = server.browser();
    let asked = |resource| server.authorize(&[("client_id", "asks"), ("scope", "openid read"), ("resource", resource)]);
    browser.sign_in(&asked(ORDERS)).await;
    assert!(browser.open(&asked(ORDERS)).await.err().unwrap().contains_key("code"), "allowed before");
    let consent = browser.page(&asked(STOCK)).await;
    assert_eq!(consent.name(), "consent");
    assert!(
        consent.has("[data-scope=read]") && consent.html.contains("In Stock") && !consent.html.contains("In Orders")
    );
    let silent =
        server.authorize(&[("client_id", "asks"), ("scope", "openid read"), ("resource", STOCK), ("prompt", "none")]);
    assert_eq!(browser.open(&silent).await.err().unwrap()["error"], "consent_required");
    let apps = browser.page("/account/apps").await;
    assert!(apps.html.contains("read in Orders") && !apps.html.contains("read in Stock"), "{}", apps.html);
    // No resource: nobody can tell which one is meant.
    let refused =
        browser.open(&server.authorize(&[("client_id", "asks"), ("scope", "openid read")])).await.err().unwrap();
    assert_eq!(refused["error"], "invalid_target");
    assert!(refused["error_description"].contains("resource"), "{refused:?}");
}

/// RFC 8707 §2.2: one token for each of the APIs that were granted.
#[tokio::test]
async fn refresh_gets_a_token_for_each_granted_api() {
    let server = with_two_apis().await;
    let named = format!(
        "{}&resource={STOCK}",
        server.authorize(&[("client_id", "asks"), ("scope", "openid offline_access read"), ("resource", ORDERS)])
    );
    let callback = server.browser().sign_in(&named).await;
    let (_, mut tokens) = redeem(&server, "asks", &callback["code"], &[("resource", ORDERS)]).await;
    for resource in [ORDERS, STOCK, ORDERS] {
        assert_eq!((&tokens["error"], access(&tokens)["scope"].as_str()), (&Value::Null, Some("read")));
        let refresh = tokens["refresh_token"].as_str().unwrap().to_owned();
        let form = [("grant_type", "refresh_token"), ("refresh_token", &refresh), ("resource", resource)];
        tokens = server.token_as("asks", &form).await.1;
        assert_eq!(access(&tokens)["aud"], json!(resource));
    }
}

/// RFC 9068 §3: `read` was granted at one of them only, and the other would read it in `scope`.
#[tokio::test]
async fn one_token_never_says_more_to_an_api_than_was_granted() {
    let server = with_two_apis().await;
    server.client("mixed", json!({ "scope": "openid", "api_scopes": { ORDERS: ["read"], STOCK: ["count"] } })).await;
    let named = [("scope", "read count"), ("resource", ORDERS), ("resource", STOCK)];
    let (_, refused) = as_client(&server, "mixed", &named).await;
    assert_eq!(refused["error"], "invalid_target", "{refused}");
    let asked = server.authorize(&[("client_id", "mixed"), ("scope", "read count"), ("resource", ORDERS)]);
    let callback = server.browser().sign_in(&format!("{asked}&resource={STOCK}")).await;
    let (_, refused) = redeem(&server, "mixed", &callback["code"], &[]).await;
    assert_eq!(refused["error"], "invalid_target", "{refused}");
    let callback = server.browser().sign_in(&format!("{asked}&resource={STOCK}")).await;
    let (_, one) = redeem(&server, "mixed", &callback["code"], &[("resource", STOCK)]).await;
    assert_eq!((&access(&one)["aud"], &access(&one)["scope"]), (&json!(STOCK), &json!("count")));
}

#[tokio::test]
async fn device_exchange_and_opaque_tokens_keep_to_one_api() {
    let server = with_two_apis().await;
    device::tv(&server, "tv", json!({ "scope": "openid", "api_scopes": { ORDERS: ["read"], STOCK: ["read"] } })).await;
    let ask = async |more: &[(&str, &str)]| {
        device::post(&server, "device_authorization", &[&[("client_id", "tv"), ("scope", "read")][..], more].concat())
            .await
    };
    let (status, refused) = ask(&[]).await;
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_target")));
    let (_, device) = ask(&[("resource", STOCK)]).await;
    device::decide(&server, &device, "allow").await;
    let (_, tokens) = device::poll(&server, &device).await;
    assert_eq!((&access(&tokens)["aud"], &access(&tokens)["scope"]), (&json!(STOCK), &json!("read")));
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!((through(&server, "orders", token).await, through(&server, "stock", token).await), (401, 200));

    // A client that may read orders gets nothing for a token that reads stock.
    let policy = json!([{ "client": "tv", "impersonation": true }]);
    let service = json!({
        "scope": "openid", "api_scopes": { ORDERS: ["read"] }, "token_exchange": policy,
        "grant_types": ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"], "redirect_uris": [],
    });
    server.client("service", service).await;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    let (_, refused) = server.token_as("service", &form).await;
    assert_eq!(refused["error"], "invalid_scope", "{refused}");

    // Opaque tokens carry pairs as well.
    put_api(&server, json!({ "access_token_format": "opaque" })).await;
    let (_, opaque) = as_client(&server, "both", &[("resource", ORDERS)]).await;
    let token = opaque["access_token"].as_str().unwrap();
    assert!(!token.contains('.'), "{token}");
    assert_eq!((through(&server, "orders", token).await, through(&server, "stock", token).await), (200, 401));
}

/// What the API behind the gate is told is about that API.
#[tokio::test]
async fn upstream_token_has_the_scopes_of_its_api_only() {
    let server = with_two_apis().await;
    server.client("mixed", json!({ "scope": "openid", "api_scopes": { ORDERS: ["write"], STOCK: ["read"] } })).await;
    let (_, tokens) = as_client(&server, "mixed", &[("resource", STOCK)]).await;
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let headers = [
        ("x-original-method", "GET"),
        ("x-original-url", "https://stock.example.com/orders/1"),
        ("authorization", bearer.as_str()),
    ];
    let answer = crate::gate::ask(&server, "stock", &headers).await;
    assert_eq!((answer.status, answer.header("x-gate-scope")), (200, "read"));
    assert_eq!(claims(answer.header("x-gate-token"))["scope"], "read");
}

/// A name that moves takes nobody along: not the client, nor what it was granted.
#[tokio::test]
async fn permissions_do_not_follow_a_scope_to_another_api() {
    let server = with_two_apis().await;
    let counts = tokens(&server, "asks", &[("scope", "openid offline_access count")]).await;
    let token = counts["access_token"].as_str().unwrap().to_owned();
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let change = |id: &'static str, scopes: &'static str| {
        let (manager, by) = (manager.clone(), by.clone());
        async move {
            let id = ApiId::parse(id).unwrap();
            let edit = move |api: &mut Api| api.scopes = Scopes::parse(scopes).unwrap();
            apis::update(&manager, &by, &id, edit).await.unwrap();
        }
    };
    change(STOCK, "read").await;
    change(ORDERS, "read write count").await;
    let (_, refused) = as_client(&server, "asks", &[("scope", "count"), ("resource", ORDERS)]).await;
    assert_eq!(refused["error"], "invalid_scope", "{refused}");
    assert_eq!((through(&server, "orders", &token).await, through(&server, "stock", &token).await), (401, 401));
    let form = [("grant_type", "refresh_token"), ("refresh_token", counts["refresh_token"].as_str().unwrap())];
    let (_, left) = server.token_as("asks", &form).await;
    assert_eq!((&access(&left)["aud"], &left["scope"]), (&json!(server.url), &json!("openid offline_access")));
    // The same name again at the first one: the client has to be given it anew.
    change(ORDERS, "read write").await;
    change(STOCK, "read count").await;
    let (_, refused) = as_client(&server, "asks", &[("scope", "count")]).await;
    assert_eq!(refused["error"], "invalid_scope", "{refused}");
    assert_eq!(nginx(&server, "GET", "/me", &[("authorization", &format!("Bearer {token}"))]).await.status, 401);
}
