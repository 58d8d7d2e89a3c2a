//! What ends with something else: a refresh token that lost offline access with its session, and what a client got under
//! a key that it has no more.

use serde_json::{Value, json};
use signet::domain::ids::ClientId;
use signet::manage::{AuditContext, clients};

use crate::support::signer::ClientKey;
use crate::support::{CALLBACK, SECRET, Server, VERIFIER};

async fn is_active(server: &Server, token: &str) -> bool {
    let request = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url));
    let request = request.basic_auth("web", Some(SECRET)).form(&[("token", token)]);
    request.send().await.unwrap().json::<Value>().await.unwrap()["active"] == true
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("{name} in {answer}"))
}

/// RFC 7662 §2.2: active is what refreshing would accept.
#[tokio::test]
async fn a_refresh_token_without_offline_access_is_inactive_after_its_session() {
    let server = Server::with_alice().await;
    let (_, tokens) = server.redeem(&server.code("openid offline_access").await).await;
    let refresh = text(&tokens, "refresh_token");
    let (manager, by, web) = (server.app.manager(), AuditContext::command_line(), ClientId::parse("web").unwrap());
    let grants = ["authorization_code", "refresh_token"];
    let meta = json!({ "redirect_uris": [CALLBACK], "scope": "openid", "grant_types": grants });
    clients::update(&manager, &by, &web, serde_json::from_value(meta).unwrap()).await.unwrap();
    assert!(is_active(&server, refresh).await, "until the session ends");
    let alice = server.person("alice").await.id;
    signet::manage::users::end_sessions(&manager, &by, alice, None).await.unwrap();
    let refreshed = server.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    assert_eq!(refreshed.1["error"], "invalid_grant");
    assert!(!is_active(&server, refresh).await);
}

/// The metadata of a client that signs its assertions with `keys`.
fn signs(keys: &Value) -> Value {
    json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt", "scope": "openid",
            "grant_types": ["authorization_code", "refresh_token"], "consent": "trusted", "jwks": keys })
}

async fn refresh_token(server: &Server, key: &ClientKey, jti: &str) -> String {
    let path = server.authorize(&[("client_id", "keys"), ("scope", "openid")]);
    let code = server.browser().sign_in(&path).await["code"].clone();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let (status, answer) = ask(server, key, jti, &form).await;
    assert_eq!(status, 200, "{answer}");
    text(&answer, "refresh_token").to_owned()
}

async fn refresh(server: &Server, key: &ClientKey, jti: &str, token: &str) -> (u16, Value) {
    ask(server, key, jti, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

async fn ask(server: &Server, key: &ClientKey, jti: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let now = server.app.env().now().seconds();
    let assertion = key.sign(&json!({ "iss": "keys", "sub": "keys", "aud": format!("{}/oauth2/token", server.url),
        "exp": now + 60, "iat": now, "jti": jti }));
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let proof = [("client_assertion_type", kind), ("client_assertion", assertion.as_str())];
    let request = reqwest::Client::new().post(format!("{}/oauth2/token", server.url));
    let response = request.form(&[form, &proof].concat()).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_key_that_leaves_a_client_ends_its_access() {
    let server = Server::start().await;
    server.user("alice").await;
    let (old, new) = (ClientKey::new("1", "ES256"), ClientKey::new("2", "ES256"));
    let key = |of: &ClientKey| of.jwks()["keys"][0].clone();
    server.client("keys", signs(&old.jwks())).await;
    let (manager, by, id) = (server.app.manager(), AuditContext::command_line(), ClientId::parse("keys").unwrap());
    let set = async |keys: Value| {
        let meta = serde_json::from_value(signs(&json!({ "keys": keys }))).unwrap();
        clients::update(&manager, &by, &id, meta).await.unwrap();
    };
    let token = refresh_token(&server, &old, "a").await;
    set(json!([key(&old), key(&new)])).await;
    let (status, answer) = refresh(&server, &new, "b", &token).await;
    assert_eq!(status, 200, "a key more ends nothing: {answer}");
    let access = text(&answer, "access_token");
    set(json!([key(&new)])).await;
    let (_, refused) = refresh(&server, &new, "c", text(&answer, "refresh_token")).await;
    assert_eq!(refused["error"], "invalid_grant");
    let userinfo = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url)).bearer_auth(access);
    assert_eq!(userinfo.send().await.unwrap().status(), 401);
    refresh_token(&server, &new, "d").await;
}
