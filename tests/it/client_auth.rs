//! Client authentication at the token endpoint (RFC 6749 §2.3 and §5.2, OpenID Connect Core §9): which methods a client may
//! use, one answer whatever is wrong. [`basic`]: how Basic credentials are read. [`public`]: clients without a secret.

mod basic;
mod public;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Response;
use serde_json::{Value, json};
use signet::domain::secret::Secret;
use signet::keys::MasterKey;
use signet::manage::AuditContext;
use signet::manage::apply::{ApplyOptions, apply};
use signet::manage::document::{Document, DocumentFormat};
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

/// Sends the request; status, `error` and `error_description`.
async fn answer(server: &Server, authorization: Option<String>, form: Vec<(&str, &str)>) -> (u16, String, String) {
    let response = send(server, Request { authorization, form }).await;
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (status, text("error"), text("error_description"))
}

#[tokio::test]
async fn a_strict_client_is_held_to_its_method() {
    let server = Server::start().await;
    let strict = |method: &str| json!({ "token_endpoint_auth_method": method, "strict_client_authentication": true });
    server.client("web", strict("client_secret_basic")).await;
    server.client("post", strict("client_secret_post")).await;
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
        ("no client_id", Some(format!("Basic {}", STANDARD.encode("a b:c"))), vec![], 401, Some("invalid_client")),
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

/// Libraries send the secret where they are configured to, whatever the client registered.
#[tokio::test]
async fn basic_and_post_stand_for_each_other() {
    let server = Server::start().await;
    for method in ["client_secret_basic", "client_secret_post"] {
        server.client(method, json!({ "token_endpoint_auth_method": method })).await;
        let post = |secret| vec![("client_id", method), ("client_secret", secret)];
        let wrong = SECRET.replace('k', "K");
        for (authorization, form, status) in [
            (Some(basic(method, SECRET)), vec![], 200),
            (None, post(SECRET), 200),
            (Some(basic(method, &wrong)), vec![], 401),
            (None, post(wrong.as_str()), 401),
            (Some(basic(method, "")), vec![], 401),
            (None, vec![("client_id", method), ("client_secret", "")], 401),
        ] {
            assert_eq!(answer(&server, authorization, form.clone()).await.0, status, "{method}: {form:?}");
        }
    }
}

/// The kinds of clients that have no secret to authenticate by, some of them with a secret for MACs.
async fn clients_without_secrets_to_send(server: &Server) -> [&'static str; 4] {
    server.client("public", json!({ "token_endpoint_auth_method": "none" })).await;
    let key =
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] });
    let by_key = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": key, "id_token_signed_response_alg": "HS256" });
    server.client("by-key", by_key).await;
    let by_certificate = json!({
        "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_san_dns": "app.example",
        "id_token_signed_response_alg": "HS256",
    });
    server.client("by-certificate", by_certificate).await;
    server.client("by-mac", json!({ "token_endpoint_auth_method": "client_secret_jwt" })).await;
    ["public", "by-key", "by-certificate", "by-mac"]
}

#[tokio::test]
async fn a_secret_is_no_proof_where_another_method_is_registered() {
    let server = Server::start().await;
    for client in clients_without_secrets_to_send(&server).await {
        for (authorization, form) in [
            (Some(basic(client, SECRET)), vec![]),
            (Some(basic(client, "")), vec![]),
            (None, vec![("client_id", client), ("client_secret", SECRET)]),
        ] {
            if client == "public" && authorization.as_ref() == Some(&basic(client, "")) {
                continue; // client_id alone
            }
            let (status, error, description) = answer(&server, authorization, form).await;
            assert_eq!((status, error.as_str()), (401, "invalid_client"), "{client}: {description}");
        }
    }
}

/// T22: every client that is not authenticated gets the answer of an unknown one, to the letter.
#[tokio::test]
async fn nobody_learns_which_clients_there_are() {
    let server = Server::with_alice().await;
    server.client("strict", json!({ "strict_client_authentication": true })).await;
    let mut clients = vec!["nobody", "https://nobody.example", "web", "strict"];
    clients.extend(clients_without_secrets_to_send(&server).await);
    let off = signet::domain::ids::ClientId::parse("off").unwrap();
    server.client("off", json!({})).await;
    signet::manage::clients::disable(&server.app.manager(), &AuditContext::command_line(), &off).await.unwrap();
    for client in &clients {
        let wrong = [
            answer(&server, Some(basic(client, "wrong")), vec![]).await,
            answer(&server, None, vec![("client_id", client), ("client_secret", "wrong")]).await,
            answer(&server, Some(basic("off", SECRET)), vec![]).await,
        ];
        let (status, error, description) = &wrong[0];
        assert_eq!((*status, error.as_str()), (401, "invalid_client"), "{client}");
        for method in ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"] {
            assert!(description.contains(method), "{client}: {description}");
        }
        assert!(wrong.iter().all(|answer| *answer == wrong[0]), "{client}: {wrong:?}");
        assert_eq!(wrong[0], answer(&server, Some(basic("nobody", "wrong")), vec![]).await, "{client}");
        // A public client is authenticated by its name, and meets the next error.
        if *client != "public" {
            assert_eq!(answer(&server, None, vec![("client_id", client)]).await, wrong[0], "{client}");
        }
    }
}

/// A client that has proved who it is learns which methods it may use.
#[tokio::test]
async fn the_right_secret_in_the_wrong_place_names_the_methods() {
    let server = Server::start().await;
    let strict = |method: &str| json!({ "token_endpoint_auth_method": method, "strict_client_authentication": true });
    server.client("web", strict("client_secret_basic")).await;
    server.client("post", strict("client_secret_post")).await;
    clients_without_secrets_to_send(&server).await;
    for (client, authorization, method) in [
        ("web", None, "client_secret_basic"),
        ("post", Some(basic("post", SECRET)), "client_secret_post"),
        ("by-mac", Some(basic("by-mac", SECRET)), "client_secret_jwt"),
        ("by-key", Some(basic("by-key", SECRET)), "private_key_jwt"),
    ] {
        let form =
            if authorization.is_none() { vec![("client_id", client), ("client_secret", SECRET)] } else { vec![] };
        let (status, error, description) = answer(&server, authorization, form).await;
        assert_eq!((status, error.as_str()), (401, "invalid_client"));
        assert_eq!(description, format!("This client may use {method} and no other method of authentication."));
    }
}

/// `golang.org/x/oauth2` tries Basic, then post, and shows the last error alone: a spent code must not be told as a wrong
/// method. T27: nothing is used up by such a request.
#[tokio::test]
async fn a_wrong_method_hides_no_other_error() {
    let server = Server::with_alice().await;
    server.client("strict", json!({ "strict_client_authentication": true })).await;
    let post = async |client: &str, form: &[(&str, &str)]| {
        let form = [&[("client_id", client), ("client_secret", SECRET)][..], form].concat();
        let sent =
            reqwest::Client::new().post(format!("{}/oauth2/token", server.url)).form(&form).send().await.unwrap();
        let status = sent.status().as_u16();
        let body: Value = sent.json().await.unwrap();
        (status, body["error"].as_str().unwrap_or_default().to_owned(), body["error_description"].clone())
    };
    for client in ["web", "strict"] {
        let callback = server.browser().sign_in(&server.authorize(&[("client_id", client)])).await;
        let code = callback["code"].as_str();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        if client == "strict" {
            let (status, error, _) = post(client, &form).await;
            assert_eq!((status, error.as_str()), (401, "invalid_client"), "an unused code");
        }
        let (status, tokens) = server.token_as(client, &form).await;
        assert_eq!(status, 200, "{client}: {tokens}");
        let refresh = tokens["refresh_token"].as_str().unwrap_or_default().to_owned();
        if client == "strict" {
            let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
            assert_eq!(post(client, &form).await.1, "invalid_client", "a refresh token that is good");
        }
        let (status, error, description) = post(client, &form).await;
        assert_eq!((status, error.as_str()), (400, "invalid_grant"), "{client}: {description}");
        let names = description.as_str().unwrap().contains("client_secret_basic");
        assert_eq!(names, client == "strict", "{description}");
        for (form, error) in [
            (vec![("grant_type", "authorization_code"), ("code", "sgc_unknown")], "invalid_grant"),
            (vec![("grant_type", "authorization_code")], "invalid_request"),
            (vec![("grant_type", "refresh_token"), ("refresh_token", "sgr_unknown")], "invalid_grant"),
            (vec![("grant_type", "password")], "unsupported_grant_type"),
            (
                vec![("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", "x")],
                "unauthorized_client",
            ),
        ] {
            assert_eq!(post(client, &form).await.1, error, "{client}: {form:?}");
        }
    }
    let other = server.code("openid").await;
    let form = [("grant_type", "authorization_code"), ("code", other.as_str()), ("redirect_uri", CALLBACK)];
    assert_eq!(post("strict", &form).await.1, "invalid_grant", "another client's code");
    assert_eq!(server.redeem(&other).await.0, 200, "was not used up by it");
}

#[tokio::test]
async fn a_client_turned_off_is_nobody() {
    let server = Server::with_alice().await;
    let code = server.code("openid").await;
    let id = signet::domain::ids::ClientId::parse("web").unwrap();
    signet::manage::clients::disable(&server.app.manager(), &signet::manage::AuditContext::command_line(), &id)
        .await
        .unwrap();
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
        let document = Document::parse(&json!({ "clients": [client] }).to_string(), DocumentFormat::Json).unwrap();
        let manager = server.app.manager();
        async move {
            apply(&manager, &AuditContext::command_line(), document, ApplyOptions::default())
                .await
                .map(|plan| plan.changes.len())
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
