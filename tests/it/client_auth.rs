//! Client authentication at the token endpoint (RFC 6749 §2.3 and §5.2, OpenID Connect Core §9): each client by the method
//! it registered and no other, one answer whatever is wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Response;
use serde_json::{Value, json};
use signet::domain::secret::Secret;
use signet::keys::MasterKey;
use signet::manage::By;
use signet::manage::apply::{Options, apply};
use signet::manage::document::{Document, Format};
use signet::manage::export::export;

use crate::support::{CALLBACK, SECRET, Server, VERIFIER};

struct Request<'a> {
    authorization: Option<String>,
    form: Vec<(&'a str, &'a str)>,
}

fn basic(client: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{client}:{secret}")))
}

async fn send(server: &Server, request: Request<'_>) -> Response {
    let mut form = request.form;
    form.push(("grant_type", "client_credentials"));
    let mut http = reqwest::Client::new().post(format!("{}/oauth2/token", server.url));
    if let Some(header) = request.authorization {
        http = http.header("authorization", header);
    }
    http.form(&form).send().await.unwrap()
}

#[tokio::test]
async fn each_client_is_held_to_its_method() {
    let server = Server::with_alice().await;
    server.client("post", json!({ "token_endpoint_auth_method": "client_secret_post" })).await;
    let post = |client| vec![("client_id", client), ("client_secret", SECRET)];
    for (what, authorization, form, status, error) in [
        ("basic by basic", Some(basic("web", SECRET)), vec![], 200, None),
        ("basic, client_id beside it", Some(basic("web", SECRET)), vec![("client_id", "web")], 200, None),
        ("post by post", None, post("post"), 200, None),
        ("basic by post", None, post("web"), 401, Some("invalid_client")),
        ("post by basic", Some(basic("post", SECRET)), vec![], 401, Some("invalid_client")),
        ("no secret", None, vec![("client_id", "web")], 401, Some("invalid_client")),
        ("nothing at all", None, vec![], 401, Some("invalid_client")),
        ("wrong secret", Some(basic("web", &"x".repeat(32))), vec![], 401, Some("invalid_client")),
        ("unknown client", Some(basic("nobody", SECRET)), vec![], 401, Some("invalid_client")),
        ("two ways", Some(basic("web", SECRET)), post("web"), 400, Some("invalid_request")),
        ("two names", Some(basic("web", SECRET)), vec![("client_id", "post")], 400, Some("invalid_request")),
        ("another scheme", Some("Bearer abc".into()), vec![], 401, Some("invalid_client")),
        ("no base64", Some("Basic ***".into()), vec![], 401, Some("invalid_client")),
        ("no colon", Some(format!("Basic {}", STANDARD.encode("web"))), vec![], 401, Some("invalid_client")),
        ("no UTF-8", Some(format!("Basic {}", STANDARD.encode([0xff, b':']))), vec![], 401, Some("invalid_client")),
    ] {
        let used_header = authorization.is_some();
        let response = send(&server, Request { authorization, form }).await;
        assert_eq!(response.status(), status, "{what}");
        assert_eq!(response.headers()["cache-control"], "no-store", "{what}");
        let challenged =
            response.headers().get("www-authenticate").is_some_and(|it| it.to_str().unwrap().starts_with("Basic"));
        assert_eq!(challenged, status == 401 && used_header, "{what}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"].as_str(), error, "{what}");
    }
}

/// T22: an unknown client and a wrong secret are one answer, to the letter.
#[tokio::test]
async fn nobody_learns_which_clients_there_are() {
    let server = Server::with_alice().await;
    let mut answers = Vec::new();
    for client in ["web", "nobody"] {
        let response = send(&server, Request { authorization: Some(basic(client, "wrong")), form: vec![] }).await;
        answers.push((response.status(), response.text().await.unwrap()));
    }
    assert_eq!(answers[0], answers[1]);
}

/// RFC 6749 §2.3.1: both halves are form-encoded before they are put together.
#[tokio::test]
async fn basic_credentials_are_form_encoded() {
    let server = Server::with_alice().await;
    server.client("https://app.example/id", json!({})).await;
    let encoded: String = url::form_urlencoded::byte_serialize(b"https://app.example/id").collect();
    assert_eq!(
        send(&server, Request { authorization: Some(basic(&encoded, SECRET)), form: vec![] }).await.status(),
        200
    );
}

#[tokio::test]
async fn a_public_client_uses_pkce_and_gets_nothing_for_itself() {
    let server = Server::with_alice().await;
    server.client("app", json!({ "token_endpoint_auth_method": "none" })).await;
    let browser = server.browser();
    let without = [("client_id", "app"), ("code_challenge", ""), ("code_challenge_method", "")];
    assert_eq!(browser.open(&server.authorize(&without)).await.err().unwrap()["error"], "invalid_request");
    let code = browser.sign_in(&server.authorize(&[("client_id", "app")])).await["code"].clone();
    let http = || reqwest::Client::new().post(format!("{}/oauth2/token", server.url));
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "app"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let tokens: Value = http().form(&form).send().await.unwrap().json().await.unwrap();
    assert!(tokens["access_token"].is_string() && tokens["id_token"].is_string(), "{tokens}");
    let itself = [("grant_type", "client_credentials"), ("client_id", "app")];
    let refused: Value = http().form(&itself).send().await.unwrap().json().await.unwrap();
    assert_eq!(refused["error"], "unauthorized_client");
}

#[tokio::test]
async fn a_client_turned_off_is_nobody() {
    let server = Server::with_alice().await;
    let code = server.code("openid").await;
    let id = signet::domain::ids::ClientId::parse("web").unwrap();
    signet::manage::clients::disable(&server.app.manager(), &signet::manage::By::command_line(), &id).await.unwrap();
    assert_eq!(server.redeem(&code).await.1["error"], "invalid_client");
    let page = server.browser().page(&server.authorize(&[])).await;
    assert_eq!((page.status, page.error().as_str()), (400, "invalid_client"));
}

/// A document may bring a client's secret sealed, as `export` prints it; what another master key sealed is refused.
#[tokio::test]
async fn a_sealed_secret_is_as_good_as_a_hashed_one_where_its_master_key_is() {
    let server = Server::start().await;
    let bring = |kept: String| {
        let client =
            json!({ "client_id": "machine", "grant_types": ["client_credentials"], "client_secret_hash": kept });
        let document = Document::parse(&json!({ "clients": [client] }).to_string(), Format::Json).unwrap();
        let manager = server.app.manager();
        async move {
            apply(&manager, &By::command_line(), document, Options::default()).await.map(|plan| plan.changes.len())
        }
    };
    let sealed = |master: &MasterKey| master.seal_client_secret(&Secret::new(SECRET.to_owned())).unwrap().0;
    let ours = sealed(&server.app.provider.master);
    assert_eq!(bring(ours.clone()).await.unwrap(), 1);
    assert_eq!(
        send(&server, Request { authorization: Some(basic("machine", SECRET)), form: vec![] }).await.status(),
        200
    );
    let wrong = Request { authorization: Some(basic("machine", &"x".repeat(32))), form: vec![] };
    assert_eq!(send(&server, wrong).await.status(), 401);
    let printed = export(&server.app.manager()).await.unwrap();
    assert_eq!(printed.clients[0].client_secret_hash.as_ref().unwrap().0, ours);
    assert_eq!(bring(ours.clone()).await.unwrap(), 0, "it speaks of the same secret");
    let other = MasterKey::parse(&STANDARD.encode([7; 32])).unwrap();
    for (bad, says) in [
        (sealed(&other), "another master key"),
        ("sealed$a.b".to_owned(), "export prints"),
        (ours.replace('.', "$"), "export prints"),
    ] {
        let error = bring(bad).await.unwrap_err();
        assert!(
            format!("{error:?}").contains("clients[0].client_secret_hash") && format!("{error:?}").contains(says),
            "{error:?}"
        );
    }
}
