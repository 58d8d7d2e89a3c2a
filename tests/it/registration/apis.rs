//! Which APIs a client may ask for that registered itself, and what becomes of it when that changes.

use serde_json::{Value, json};
use signet::config::RegistrationMode;
use signet::domain::api::Api;
use signet::domain::ids::{ApiId, ClientId};
use signet::manage::apply::{ApplyOptions, apply};
use signet::manage::document::{Document, DocumentFormat};
use signet::manage::{AuditContext, apis, clients};
use signet::store;

use super::{apply_client, open, register};
use crate::support::receiver::{Answer, Receiver, reachable};
use crate::support::{CALLBACK, Server, VERIFIER};
use crate::token::claims;

const NOTES: &str = "https://notes.example.com";

async fn put(server: &Server, api: Value) {
    let api: Api = serde_json::from_value(api).unwrap();
    apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
}

/// Where a self-registered client and one of a document may get a token for the API, by the error otherwise.
async fn reach(server: &Server, clients: &[String], scope: &str) -> Vec<String> {
    let mut all = Vec::new();
    for id in clients {
        let asked = [("client_id", id.as_str()), ("scope", scope), ("resource", NOTES)];
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        all.push(match browser.open(&server.authorize(&asked)).await {
            Ok(page) if page.name() == "consent" => {
                let callback = browser.submit(&page, &[("decision", "allow")]).await.err().unwrap();
                let form = [
                    ("grant_type", "authorization_code"),
                    ("client_id", id.as_str()),
                    ("code", &callback["code"]),
                    ("redirect_uri", CALLBACK),
                    ("code_verifier", VERIFIER),
                ];
                let request = reqwest::Client::new().post(format!("{}/oauth2/token", server.url)).form(&form);
                let tokens: Value = request.send().await.unwrap().json().await.unwrap();
                claims(tokens["access_token"].as_str().unwrap())["aud"].as_str().unwrap().to_owned()
            }
            Ok(page) => page.error(),
            Err(callback) => callback["error"].clone(),
        });
    }
    all
}

#[tokio::test]
async fn apis_take_self_registered_clients_exactly_when_they_say_so() {
    let server = Server::start_with(|config| {
        config.registration = RegistrationMode::Open;
        // Of an API's scopes the policy decides nothing.
        config.registration_policy.scope = "openid note".to_owned();
        reachable(config);
    })
    .await;
    server.user("alice").await;
    let there = Receiver::start().await;
    let id = there.at("/client.json");
    let document = json!({ "client_id": id, "redirect_uris": [CALLBACK], "client_name": "Robot" });
    there.answer("/client.json", Answer::json(&document));
    put(&server, json!({ "identifier": NOTES, "scopes": ["note", "edit"] })).await;
    let body =
        json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "scope": "openid note edit" });
    let (_, made) = register(&server, &body).await;
    assert_eq!(made["scope"], "openid", "the scope of an API that does not take it is not registered");
    let both = [made["client_id"].as_str().unwrap().to_owned(), id];
    let set = async |scopes: Value, takes: bool| {
        put(&server, json!({ "identifier": NOTES, "scopes": scopes, "self_registered_clients": takes })).await;
    };
    for (scopes, takes, scope, error) in [
        (json!(["note", "edit"]), false, "openid note", "invalid_scope"),
        (json!(["note", "edit"]), true, "openid note", ""),
        (json!(["note", "edit"]), true, "edit", ""),
        (json!(["note", "edit"]), true, "", ""),
        (json!(["note", "edit"]), false, "edit", "invalid_scope"),
        (json!([]), false, "openid", "invalid_target"),
        (json!([]), true, "openid", ""),
        (json!([]), true, "", ""),
    ] {
        set(scopes.clone(), takes).await;
        let expected = if error.is_empty() { NOTES } else { error };
        // A document that nobody has used yet gets no redirect: the error is shown.
        assert_eq!(reach(&server, &both, scope).await, [expected, expected], "{scopes} {takes} {scope:?}");
    }
    set(json!(["note", "edit"]), true).await;
    let (_, made) = register(&server, &body).await;
    assert_eq!(made["scope"], "openid note edit");
    let only = json!({ "redirect_uris": [CALLBACK], "scope": "edit" });
    assert_eq!(register(&server, &only).await.1["scope"], "edit");
    // It may ask for what the API has, whatever it said.
    let all = register(&server, &json!({ "redirect_uris": [CALLBACK] })).await.1;
    assert_eq!(all["scope"], "openid note edit");
}

/// T40: what was issued ends where the API takes such clients no more, on every node.
#[tokio::test]
async fn api_that_takes_no_self_registered_clients_any_more() {
    let server = open().await;
    let set = async |takes: bool| {
        put(&server, json!({ "identifier": NOTES, "scopes": ["note"], "self_registered_clients": takes })).await;
    };
    set(true).await;
    let body = json!({ "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"] });
    let (_, made) = register(&server, &body).await;
    let (id, secret) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
    let post = async |path: &str, form: &[(&str, &str)]| -> (u16, Value) {
        let request =
            reqwest::Client::new().post(format!("{}{path}", server.url)).basic_auth(id, Some(secret)).form(form);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    };
    let redeem = async |code: &str| {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        post("/oauth2/token", &form).await
    };
    let asked = server.authorize(&[("client_id", id), ("scope", "note"), ("resource", NOTES)]);
    let browser = server.browser();
    let code = browser.sign_in(&asked).await["code"].clone();
    let (_, tokens) = redeem(&code).await;
    let late = browser.sign_in(&asked).await["code"].clone();
    let waiting = server.browser();
    let login = waiting.page(&asked).await;
    let other = server.node().await;
    assert!(browser.at(&other).sign_in(&asked).await.contains_key("code"), "it has the API in memory");
    set(false).await;
    let elsewhere = browser.at(&other).open(&asked).await.err().unwrap();
    assert_eq!(elsewhere["error"], "invalid_scope", "what the other node has in memory decides nothing");
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(post("/oauth2/introspect", &[("token", token)]).await.1, json!({ "active": false }));
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    assert_eq!(post("/oauth2/token", &refresh).await.1["error"], "invalid_grant");
    assert_eq!(redeem(&late).await.1["error"], "invalid_grant");
    let after = waiting.submit(&login, &[("username", "alice"), ("password", crate::support::PASSWORD)]).await;
    assert_eq!(after.err().unwrap()["error"], "invalid_scope");
    // What an administrator gives one client it has, whatever the API says of all of them.
    let id = ClientId::parse(id).unwrap();
    let mut meta = store::clients::by_id(server.app.store().read(), &id).await.unwrap().unwrap().meta;
    meta.api_scopes.add(&ApiId::parse(NOTES).unwrap(), &["note"].into_iter().collect());
    clients::update(&server.app.manager(), &AuditContext::command_line(), &id, meta).await.unwrap();
    assert!(browser.sign_in(&asked).await.contains_key("code"));
}

/// A document makes no more of a client than it was: on another server it is still one that registered itself.
#[tokio::test]
async fn an_exported_client_stays_self_registered() {
    use signet::manage::export::export;
    use signet::store::clients as stored;
    let (first, second) = (open().await, Server::start().await);
    let (status, answer) = register(&first, &json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    assert_eq!(status, 201, "{answer}");
    let id = ClientId::parse(answer["client_id"].as_str().unwrap()).unwrap();
    let mut exported = serde_json::to_value(export(&first.app.manager()).await.unwrap()).unwrap();
    assert_eq!(exported["clients"][0]["self_registered"], json!(true));
    for (server, exported) in [
        (&first, exported.clone()),
        (&second, {
            // Secrets belong to the first one's master key.
            exported["clients"][0].as_object_mut().unwrap().remove("client_secret_hash");
            exported
        }),
    ] {
        let document = Document::parse(&exported.to_string(), DocumentFormat::Json).unwrap();
        apply(&server.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default()).await.unwrap();
        let client = stored::by_id(server.app.store().read(), &id).await.unwrap().unwrap();
        assert!(!client.is_verified(), "as before");
    }
    // A client that an administrator made stays that, whatever a row says.
    second.client("web", json!({})).await;
    apply_client(&second, json!({ "client_id": "web", "redirect_uris": [CALLBACK], "self_registered": true }))
        .await
        .unwrap();
    let web = stored::by_id(second.app.store().read(), &ClientId::parse("web").unwrap()).await.unwrap().unwrap();
    assert!(web.is_verified());
}
