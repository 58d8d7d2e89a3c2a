//! The token endpoint and what its tokens are worth (RFC 6749 §3.2, RFC 7009, RFC 7662, OpenID Connect Core §5.3).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};

use signet::domain::ids::ClientId;
use signet::domain::secret::Secret;
use signet::manage::{AuditContext, consents, users};
use signet::server::background::Maintenance;

use crate::support::{CALLBACK, PASSWORD, SECRET, Server, VERIFIER};

/// What a JWT says, its signature not looked at.
pub fn claims(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

async fn userinfo(server: &Server, token: &str) -> (u16, Value) {
    let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url)).bearer_auth(token);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn ask(server: &Server, endpoint: &str, token: &str) -> (u16, String) {
    let request =
        reqwest::Client::new().post(format!("{}/oauth2/{endpoint}", server.url)).basic_auth("web", Some(SECRET));
    let response = request.form(&[("token", token)]).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_code_becomes_tokens_that_say_who_signed_in() {
    let server = Server::with_alice().await;
    let (status, tokens) = server.redeem(&server.code("openid profile email offline_access").await).await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(tokens["token_type"], "Bearer");
    let id = claims(tokens["id_token"].as_str().unwrap());
    assert_eq!(
        (id["iss"].as_str(), id["aud"].as_str(), id["nonce"].as_str()),
        (Some(server.url.as_str()), Some("web"), Some("n-1"))
    );
    assert_eq!(id["amr"], json!(["pwd"]));
    for claim in ["sub", "exp", "iat", "auth_time", "acr", "sid", "at_hash"] {
        assert!(!id[claim].is_null(), "{claim}");
    }
    let (status, person) = userinfo(&server, tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(status, 200);
    assert_eq!(person["sub"], id["sub"]);
    assert_eq!(person["email"], "alice@example.com");
    assert_eq!(person["preferred_username"], "alice");
}

/// Apache's `mod_auth_openidc` and its like pass claims on as headers: text, numbers, and lists of text.
#[tokio::test]
async fn lists_in_tokens_are_of_strings() {
    let server = Server::with_alice().await;
    let (_, tokens) = server.redeem(&server.code("openid profile email offline_access").await).await;
    for token in ["id_token", "access_token"] {
        let claims = claims(tokens[token].as_str().unwrap());
        let mut entries = claims.as_object().unwrap().values().filter_map(Value::as_array).flatten();
        assert!(entries.all(Value::is_string), "{token}: {claims}");
        assert!(claims["ver"].is_string(), "{token}: {claims}");
    }
}

#[tokio::test]
async fn a_code_used_twice_ends_what_was_issued_from_it() {
    let server = Server::with_alice().await;
    let code = server.code("openid offline_access").await;
    let (_, tokens) = server.redeem(&code).await;
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(userinfo(&server, access).await.0, 200);
    let (status, error) = server.redeem(&code).await;
    assert_eq!((status, error["error"].as_str()), (400, Some("invalid_grant")));
    assert_eq!(userinfo(&server, access).await.0, 401);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let (status, error) = server.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    assert_eq!((status, error["error"].as_str()), (400, Some("invalid_grant")));
}

async fn codes(server: &Server) -> i64 {
    let db = server.app.store().read();
    let ask = Statement::from_string(db.get_database_backend(), "SELECT count(*) AS n FROM code");
    db.query_one_raw(ask).await.unwrap().unwrap().try_get("", "n").unwrap()
}

/// The sweep leaves a used code for as long as its refresh tokens are renewed.
#[tokio::test]
async fn a_code_replayed_weeks_later_ends_its_refresh_tokens() {
    let server = Server::with_alice().await;
    let (used, _unused) = (server.code("openid offline_access").await, server.code("openid").await);
    let (_, mut tokens) = server.redeem(&used).await;
    let mut upkeep = Maintenance::default();
    let refresh = async |tokens: &Value| {
        let token = tokens["refresh_token"].as_str().unwrap();
        server.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    };
    for weeks in [0, 3, 3, 3] {
        server.advance(weeks * 7 * 86_400);
        let (status, renewed) = refresh(&tokens).await;
        assert_eq!(status, 200, "{renewed}");
        tokens = renewed;
        upkeep.once(&server.app).await;
    }
    assert_eq!(codes(&server).await, 1, "the unused one is gone");
    let (status, error) = server.redeem(&used).await;
    assert_eq!((status, error["error"].as_str()), (400, Some("invalid_grant")));
    assert_eq!(refresh(&tokens).await.0, 400);
    // Nothing is left that a replay could end.
    server.advance(40 * 86_400);
    upkeep.once(&server.app).await;
    assert_eq!(codes(&server).await, 0);
}

#[tokio::test]
async fn of_fifty_at_once_one_redeems_a_code() {
    let server = Server::with_alice().await;
    let code = server.code("openid").await;
    let all = futures::future::join_all((0..50).map(|_| server.redeem(&code))).await;
    assert_eq!(all.iter().filter(|(status, _)| *status == 200).count(), 1);
    assert!(
        all.iter()
            .filter(|(status, _)| *status != 200)
            .all(|(status, body)| *status == 400 && body["error"] == "invalid_grant")
    );
}

#[tokio::test]
async fn a_code_is_bound_to_client_address_verifier_and_time() {
    let server = Server::with_alice().await;
    server.client("other", json!({})).await;
    let code = server.code("openid").await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(server.token_as("other", &form).await.1["error"], "invalid_grant");
    for (name, value) in [
        ("redirect_uri", "http://127.0.0.1:9999/other"),
        ("redirect_uri", ""),
        ("code_verifier", ""),
        ("code_verifier", "x".repeat(43).as_str()),
    ] {
        let code = server.code("openid").await;
        let form: Vec<(&str, &str)> = form
            .iter()
            .map(|(known, old)| match *known {
                "code" => ("code", code.as_str()),
                known if known == name => (known, value),
                known => (known, *old),
            })
            .collect();
        assert_eq!(server.token(&form).await.1["error"], "invalid_grant", "{name}={value}");
    }
    let code = server.code("openid").await;
    server.advance(61);
    assert_eq!(server.redeem(&code).await.1["error"], "invalid_grant");
}

/// T5: what a code hangs on may end in the minute before it is redeemed.
#[tokio::test]
async fn a_code_is_worth_nothing_once_its_person_session_or_consent_is_gone() {
    let (server, by) = (Server::with_alice().await, AuditContext::command_line());
    let (alice, manager) = (server.person("alice").await.id, server.app.manager());
    let web = ClientId::parse("web").unwrap();
    for what in ["disabled", "signed out", "consent", "password"] {
        let code = server.code("openid").await;
        server.advance(1);
        match what {
            "disabled" => {
                users::disable(&manager, &by, alice).await.unwrap();
                users::enable(&manager, &by, alice).await.unwrap();
            }
            "signed out" => drop(users::end_sessions(&manager, &by, alice, None).await.unwrap()),
            "consent" => consents::revoke(&manager, &by, alice, web.clone()).await.unwrap(),
            _ => drop(users::set_password(&manager, &by, alice, Secret::new(PASSWORD.into()), None).await.unwrap()),
        }
        assert_eq!(server.redeem(&code).await.1["error"], "invalid_grant", "{what}");
    }
}

#[tokio::test]
async fn signing_out_ends_what_was_not_for_offline_use() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    let callback = browser.sign_in(&server.authorize(&[])).await;
    let (_, tokens) = server.redeem(&callback["code"]).await;
    let hint = tokens["id_token"].as_str().unwrap();
    let query = format!(
        "/oauth2/logout?id_token_hint={hint}&post_logout_redirect_uri=http%3A%2F%2F127.0.0.1%3A9999%2Fbye&state=x"
    );
    let back = browser.open(&query).await.err().expect("back at the app");
    assert_eq!(back["state"], "x");
    assert_eq!(userinfo(&server, tokens["access_token"].as_str().unwrap()).await.0, 401);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(server.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await.0, 400);
    assert_eq!(browser.open(&server.authorize(&[("prompt", "none")])).await.err().unwrap()["error"], "login_required");
}

#[tokio::test]
async fn logging_out_without_a_hint_asks_first() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    let page = browser.open("/oauth2/logout").await.ok().unwrap();
    assert!(page.has("button#logout-confirm"));
    let done = browser.submit(&page, &[("decision", "allow")]).await.ok().unwrap();
    assert!(done.has("#logged-out"));
    let bad = browser
        .open("/oauth2/logout?client_id=web&post_logout_redirect_uri=https%3A%2F%2Fevil.example")
        .await
        .ok()
        .unwrap();
    assert_eq!((bad.status, bad.name().as_str()), (200, "signed-out"));
}

#[tokio::test]
async fn introspection_and_revocation() {
    let server = Server::with_alice().await;
    server.client("other", json!({})).await;
    let (_, tokens) = server.redeem(&server.code("openid offline_access").await).await;
    let access = tokens["access_token"].as_str().unwrap();
    let answer: Value = serde_json::from_str(&ask(&server, "introspect", access).await.1).unwrap();
    assert_eq!((answer["active"].as_bool(), answer["client_id"].as_str()), (Some(true), Some("web")));
    let other =
        reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url)).basic_auth("other", Some(SECRET));
    let other: Value = other.form(&[("token", access)]).send().await.unwrap().json().await.unwrap();
    assert_eq!(other, json!({"active": false}));
    assert_eq!(ask(&server, "revoke", access).await.0, 200);
    assert_eq!(ask(&server, "introspect", access).await.1, r#"{"active":false}"#);
    assert_eq!(userinfo(&server, access).await.0, 401);
    assert_eq!(ask(&server, "revoke", tokens["refresh_token"].as_str().unwrap()).await.0, 200);
    assert_eq!(ask(&server, "revoke", "no such token").await.0, 200);
}

#[tokio::test]
async fn client_credentials_and_the_errors_of_section_5_2() {
    let server = Server::with_alice().await;
    let (status, tokens) = server.token(&[("grant_type", "client_credentials")]).await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(claims(tokens["access_token"].as_str().unwrap())["sub"], "web");
    for (form, status, code) in [
        (vec![], 400, "invalid_request"),
        (vec![("grant_type", "password")], 400, "unsupported_grant_type"),
        (vec![("grant_type", "authorization_code")], 400, "invalid_request"),
        (vec![("grant_type", "authorization_code"), ("code", "sgc_x")], 400, "invalid_grant"),
        (vec![("grant_type", "refresh_token"), ("refresh_token", "sgr_x")], 400, "invalid_grant"),
        (vec![("grant_type", "client_credentials"), ("scope", "openid")], 400, "invalid_scope"),
        (vec![("grant_type", "client_credentials"), ("grant_type", "client_credentials")], 400, "invalid_request"),
    ] {
        let (was, error) = server.token(&form).await;
        assert_eq!((was, error["error"].as_str()), (status, Some(code)), "{form:?}");
    }
    let wrong = format!("Basic {}", STANDARD.encode("web:wrong"));
    let request = reqwest::Client::new().post(format!("{}/oauth2/token", server.url)).header("authorization", wrong);
    let response = request.form(&[("grant_type", "client_credentials")]).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    assert_eq!(response.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn no_credential_of_one_kind_is_taken_for_another() {
    let server = Server::with_alice().await;
    let (_, tokens) = server.redeem(&server.code("openid offline_access").await).await;
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    for token in [text("id_token"), text("refresh_token"), server.code("openid").await, SECRET.to_owned()] {
        assert_eq!(userinfo(&server, &token).await.0, 401);
    }
    for token in [text("id_token"), text("access_token"), text("refresh_token")] {
        assert_eq!(server.redeem(&token).await.1["error"], "invalid_grant");
    }
    for token in [text("id_token"), text("access_token"), server.code("openid").await] {
        let (_, error) = server.token(&[("grant_type", "refresh_token"), ("refresh_token", &token)]).await;
        assert_eq!(error["error"], "invalid_grant");
    }
}
