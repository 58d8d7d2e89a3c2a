//! A client's own registration (RFC 7592): read, replaced and ended by its token, and by no other.

use reqwest::Method;
use serde_json::{Value, json};
use signet::domain::client_metadata::ADMIN_ONLY_MEMBERS;
use signet::domain::event::RequestOrigin;
use signet::domain::ids::ClientId;
use signet::domain::secret::SecretKind;
use signet::manage::registration::{self, RegistrationError};
use signet::manage::{AuditContext, apis, clients};
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
    clients::update(&server.app.manager(), &AuditContext::command_line(), &id, meta).await.unwrap();
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
    clients::disable(&server.app.manager(), &AuditContext::command_line(), &id).await.unwrap();
    assert_eq!(ask(&server, Method::GET, &path, Some(token), None).await.status(), 401);
}

/// A change that was judged before an administrator took something away, and comes after it, brings nothing back: a slow
/// `sector_identifier_uri` gives it all the time that it wants.
#[tokio::test]
async fn a_late_change_does_not_take_back_what_was_removed() {
    let server = open().await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let api = json!({ "identifier": "https://orders.example", "scopes": ["orders:read"] });
    apis::put(&manager, &by, serde_json::from_value(api).unwrap()).await.unwrap();
    let (_, made) = register(&server, &json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    let (_, token) = managed(&made);
    let id = ClientId::parse(made["client_id"].as_str().unwrap()).unwrap();
    let own = SecretKind::Registration.digest(token);
    let plain = server.app.provider.client(&id).await.unwrap().unwrap().meta.clone();
    let mut given = plain.clone();
    given.api_scopes = serde_json::from_value(json!({ "https://orders.example": ["orders:read"] })).unwrap();
    given.grant_types = serde_json::from_value(json!(["authorization_code", "client_credentials"])).unwrap();
    let give = async || clients::update(&manager, &by, &id, given.clone()).await.unwrap();
    give().await;
    let policy = &server.app.registration;
    let change = async |grants: Value| {
        let body = json!({ "client_id": id, "redirect_uris": ["https://app.example/cb"], "grant_types": grants,
                           "scope": "openid orders:read" });
        let had = server.app.provider.client(&id).await.unwrap().unwrap().meta.clone();
        let body = serde_json::to_vec(&body).unwrap();
        server.app.provider.read_registration(policy, &body, Some(&had)).await.unwrap().meta
    };
    let scopes = change(json!(["authorization_code"])).await;
    let grants = change(json!(["authorization_code", "client_credentials"])).await;
    let replace = |meta| registration::replace(&manager, RequestOrigin::default(), &id, own, meta, policy);
    assert!(replace(grants.clone()).await.unwrap().is_ok(), "what it has it keeps");
    clients::update(&manager, &by, &id, plain.clone()).await.unwrap();
    let late = replace(grants).await.unwrap().unwrap();
    assert_eq!(late.meta.grant_types, plain.grant_types, "it is narrowed by the client as it is now");
    let after = replace(scopes.clone()).await.unwrap().unwrap();
    assert!(after.meta.api_scopes.is_empty() && !after.meta.scope.contains("orders:read"), "{:?}", after.meta);
    let kept = server.app.provider.client(&id).await.unwrap().unwrap();
    assert!(kept.meta.api_scopes.is_empty() && kept.meta.grant_types == plain.grant_types);
    // Nor does a disabled one change or end itself.
    give().await;
    clients::disable(&manager, &by, &id).await.unwrap();
    assert!(matches!(replace(scopes).await.unwrap(), Err(RegistrationError::Token)));
    assert!(!registration::end(&manager, RequestOrigin::default(), &id, own).await.unwrap());
}

/// By pairs: a name of no API that it had, and that an API has defined since, is not that API's scope.
#[tokio::test]
async fn a_name_that_an_api_defines_later_is_not_given_by_a_change() {
    let server = open().await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let (_, made) = register(&server, &json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    let (path, token) = managed(&made);
    let id = ClientId::parse(made["client_id"].as_str().unwrap()).unwrap();
    let mut meta = server.app.provider.client(&id).await.unwrap().unwrap().meta.clone();
    meta.scope = "openid later".split(' ').collect();
    clients::update(&manager, &by, &id, meta).await.unwrap();
    let api = json!({ "identifier": "https://orders.example", "scopes": ["later"] });
    apis::put(&manager, &by, serde_json::from_value(api).unwrap()).await.unwrap();
    let read: Value = ask(&server, Method::GET, &path, Some(token), None).await.json().await.unwrap();
    assert_eq!(ask(&server, Method::PUT, &path, Some(token), Some(&read)).await.status(), 200);
    let kept = server.app.provider.client(&id).await.unwrap().unwrap();
    assert!(kept.meta.api_scopes.is_empty(), "{:?}", kept.meta.api_scopes);
}

/// Every member that is an administrator's survives a change in which the client says nothing of it.
#[tokio::test]
async fn each_administrators_member_survives_a_change() {
    let server = open().await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let api = json!({ "identifier": "https://orders.example", "scopes": ["orders:read"] });
    apis::put(&manager, &by, serde_json::from_value(api).unwrap()).await.unwrap();
    server.client("web", json!({})).await;
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    let bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let values = json!({
        "api_scopes": { "https://orders.example": ["orders:read"] },
        "http_redirect_hosts": ["nas.lan"],
        "introspection_apis": ["https://orders.example"],
        "consent": "trusted",
        "strict_client_authentication": true,
        "allowed_groups": ["staff"],
        "id_token_claims": ["email"],
        "require_pkce": true,
        "token_exchange": [{ "client": "web", "impersonation": false, "delegation": true }],
        "jwt_bearer": [{ "issuer": "https://issuer.example", "jwks_uri": "https://issuer.example/jwks", "subject": "robot" }],
        "access_token_format": "opaque",
        "refresh_token_rotation": "never",
        "refresh_token_grace": 5,
    });
    for name in ADMIN_ONLY_MEMBERS {
        let value = values.get(name).unwrap_or_else(|| panic!("{name} has no value here"));
        let (_, made) = register(&server, &json!({ "redirect_uris": ["https://app.example/cb"] })).await;
        let (path, token) = managed(&made);
        let id = ClientId::parse(made["client_id"].as_str().unwrap()).unwrap();
        let mut meta = json!(server.app.provider.client(&id).await.unwrap().unwrap().meta);
        let mut grants = vec!["authorization_code", "refresh_token"];
        grants.extend(
            [("token_exchange", exchange), ("jwt_bearer", bearer)].iter().filter(|it| it.0 == name).map(|it| it.1),
        );
        meta["grant_types"] = json!(grants);
        meta[name] = value.clone();
        clients::update(&manager, &by, &id, serde_json::from_value(meta).unwrap()).await.unwrap();
        let set = json!(server.app.provider.client(&id).await.unwrap().unwrap().meta)[name].clone();
        assert!(!set.is_null(), "{name}");
        let mut read: Value = ask(&server, Method::GET, &path, Some(token), None).await.json().await.unwrap();
        assert!(read.get(name).is_none(), "{name} is not told");
        read["client_name"] = json!("Changed");
        let answer = ask(&server, Method::PUT, &path, Some(token), Some(&read)).await;
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text().await.unwrap());
        let kept = server.app.provider.client(&id).await.unwrap().unwrap();
        assert_eq!((&json!(kept.meta)[name], kept.meta.client_name.as_str()), (&set, "Changed"), "{name}");
    }
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
