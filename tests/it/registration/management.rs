//! A client's own registration (RFC 7592): read, replaced and ended by its token, and by no other.

use reqwest::Method;
use serde_json::{Value, json};
use signet::domain::ids::ClientId;
use signet::manage::{By, clients};
use signet::store;

use super::{ask, managed, open, register};

/// RFC 7592 §2: read, replaced and ended by the token of the registration and by no other.
#[tokio::test]
async fn a_client_manages_its_own_registration() {
    let server = open().await;
    let body = json!({ "redirect_uris": ["https://app.example/cb"], "client_name": "Before", "tos_uri": "https://app.example/tos" });
    let (_, made) = register(&server, &body).await;
    let (_, other) = register(&server, &body).await;
    let ((path, token), (_, other_token)) = (managed(&made), managed(&other));
    for wrong in [None, Some("nonsense"), Some(other_token)] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let response = ask(&server, method.clone(), &path, wrong, Some(&made)).await;
            assert_eq!(response.status(), 401, "{method} {wrong:?}");
            assert!(response.headers().contains_key("www-authenticate"));
        }
    }
    assert_eq!(ask(&server, Method::GET, "/nobody", Some(token), None).await.status(), 401);
    let read: Value = ask(&server, Method::GET, &path, Some(token), None).await.json().await.unwrap();
    assert_eq!(read, made, "told again as it was");
    let mut update = json!({ "client_id": made["client_id"], "client_secret": made["client_secret"],
        "redirect_uris": ["https://app.example/new"], "client_name": "After" });
    let replaced: Value = ask(&server, Method::PUT, &path, Some(token), Some(&update)).await.json().await.unwrap();
    assert_eq!(
        (&replaced["client_name"], &replaced["redirect_uris"][0]),
        (&json!("After"), &json!("https://app.example/new"))
    );
    assert!(replaced.get("tos_uri").is_none(), "what is not said again is gone (RFC 7592 section 2.2)");
    assert_eq!(replaced["client_secret"], made["client_secret"]);
    for (member, value) in
        [("client_id", json!("other")), ("client_secret", json!("x".repeat(40))), ("client_id", Value::Null)]
    {
        let kept = std::mem::replace(&mut update[member], value);
        assert_eq!(ask(&server, Method::PUT, &path, Some(token), Some(&update)).await.status(), 400, "{member}");
        update[member] = kept;
    }
    assert_eq!(ask(&server, Method::DELETE, &path, Some(token), None).await.status(), 204);
    assert_eq!(ask(&server, Method::GET, &path, Some(token), None).await.status(), 401);
    let page = server.browser().page(&server.authorize(&[("client_id", made["client_id"].as_str().unwrap())])).await;
    assert_eq!(page.error(), "invalid_client");
    // An administrator's client is nobody's registration.
    server.client("web", json!({})).await;
    assert_eq!(ask(&server, Method::GET, "/web", Some(token), None).await.status(), 401);
}

/// What an administrator gave it is not the client's to give, nor to lose by reading and writing back.
#[tokio::test]
async fn what_an_administrator_gave_stays() {
    let server = open().await;
    let (_, made) = register(&server, &json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    let (path, token) = managed(&made);
    let id = ClientId::parse(made["client_id"].as_str().unwrap()).unwrap();
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    let mut meta = json!(server.app.provider.client(&id).await.unwrap().unwrap().meta);
    meta["scope"] = json!("openid orders:read");
    meta["grant_types"] = json!(["authorization_code", exchange]);
    meta["token_exchange"] = json!([{ "client": "web", "delegation": true }]);
    meta["require_pkce"] = json!(true);
    let meta = serde_json::from_value(meta).unwrap();
    clients::update(&server.app.manager(), &By::command_line(), &id, meta).await.unwrap();
    let put = async |body: &Value| -> Value {
        let response = ask(&server, Method::PUT, &path, Some(token), Some(body)).await;
        assert_eq!(response.status(), 200, "{body}");
        response.json().await.unwrap()
    };
    let mut read: Value = ask(&server, Method::GET, &path, Some(token), None).await.json().await.unwrap();
    assert!(read.get("token_exchange").is_none());
    read["scope"] = json!("openid orders:read orders:write");
    assert_eq!(put(&read).await["scope"], "openid orders:read", "and gets no more");
    let kept = || async { server.app.provider.client(&id).await.unwrap().unwrap() };
    assert!(kept().await.meta.token_exchange.len() == 1 && kept().await.meta.require_pkce);
    read["grant_types"] = json!(["authorization_code"]);
    put(&read).await;
    assert!(kept().await.meta.token_exchange.is_empty(), "what it gives up is gone");
    clients::disable(&server.app.manager(), &By::command_line(), &id).await.unwrap();
    assert_eq!(ask(&server, Method::GET, &path, Some(token), None).await.status(), 401);
}

/// Whoever ends it first: what comes later finds nothing, and brings nothing back.
#[tokio::test]
async fn a_registration_ends_once() {
    let server = open().await;
    let body = json!({ "redirect_uris": ["https://app.example/cb"] });
    for _ in 0..5 {
        let (_, made) = register(&server, &body).await;
        let (path, token) = managed(&made);
        let (first, put, second) = tokio::join!(
            ask(&server, Method::DELETE, &path, Some(token), None),
            ask(&server, Method::PUT, &path, Some(token), Some(&made)),
            ask(&server, Method::DELETE, &path, Some(token), None),
        );
        let mut ended = [first.status().as_u16(), second.status().as_u16()];
        ended.sort_unstable();
        assert_eq!(ended, [204, 401]);
        assert!([200, 401].contains(&put.status().as_u16()), "{}", put.status());
    }
    assert_eq!(store::clients::count(server.app.store().read()).await.unwrap(), 0);
}

#[tokio::test]
async fn an_authorization_header_that_stands_twice_is_refused() {
    let server = open().await;
    let (_, made) = register(&server, &json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    let (path, token) = managed(&made);
    let request = reqwest::Client::new().get(format!("{}/oauth2/register{path}", server.url)).bearer_auth(token);
    assert_eq!(request.header("authorization", "Bearer x").send().await.unwrap().status(), 400);
}
