//! Basic credentials of clients (RFC 7617), form-encoded and raw, with colons wherever they may be.

use serde_json::json;
use signet::manage::AuditContext;
use signet::manage::apply::{ApplyOptions, apply};
use signet::manage::document::{Document, DocumentFormat};

use super::{answer, basic};
use crate::support::{CALLBACK, SECRET, Server, VERIFIER};

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A client that gets tokens for itself, with that secret.
async fn machine(server: &Server, client: &str, secret: &str) {
    let document = json!({ "clients": [{
        "client_id": client, "client_secret": secret, "grant_types": ["client_credentials"],
    }] });
    let document = Document::parse(&document.to_string(), DocumentFormat::Json).unwrap();
    apply(&server.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default()).await.unwrap();
}

/// RFC 6749 §2.3.1 form-encodes both halves; `curl -u` and others send them as they are.
#[tokio::test]
async fn basic_credentials_are_read_encoded_and_raw() {
    let server = Server::start().await;
    let plus = "a+b%20c/d=e&f~kY3v9QpT7mXw2LzR8sBn4HcD6";
    for (client, secret) in [
        ("https://app.example/id", SECRET.to_owned()),
        ("urn:app:one", SECRET.to_owned()),
        ("plain", plus.to_owned()),
        ("https://plus.example", plus.to_owned()),
        ("colon", format!("a:b:{SECRET}")),
        ("colon-at-the-end", format!("{SECRET}:")),
        ("colons-at-the-ends", format!("::{SECRET}::")),
        ("https://id.example:8443/app~1", SECRET.to_owned()),
    ] {
        machine(&server, client, &secret).await;
        for (id, sent, status) in [
            (encode(client), encode(&secret), 200),
            (client.to_owned(), secret.clone(), 200),
            (encode(client), format!("{}x", encode(&secret)), 401),
            (client.to_owned(), format!("{secret}x"), 401),
            (client.to_owned(), secret.get(1..).unwrap().to_owned(), 401),
            (client.to_owned(), secret.trim_end_matches(':').to_owned(), if secret.ends_with(':') { 401 } else { 200 }),
            (client.to_owned(), String::new(), 401),
        ] {
            let (got, _, description) = answer(&server, Some(basic(&id, &sent)), vec![]).await;
            assert_eq!(got, status, "{id}:{sent}: {description}");
            let beside = answer(&server, Some(basic(&id, &sent)), vec![("client_id", client)]).await;
            assert_eq!(beside.0, status, "{id}:{sent} beside client_id");
        }
    }
}

/// Where both halves have a colon, the raw header is ambiguous: the encoded one alone is read, and no part of a secret is
/// taken for the whole.
#[tokio::test]
async fn basic_colons_in_both_halves_are_read_encoded_alone() {
    let server = Server::start().await;
    for (client, secret) in [
        ("https://app.example/id", format!("{SECRET}:")),
        ("urn:app:one", format!("a:{SECRET}:b")),
        ("a:b", format!(":{SECRET}")),
    ] {
        machine(&server, client, &secret).await;
        for (id, sent, status) in [
            (encode(client), encode(&secret), 200),
            (encode(client), secret.clone(), 200),
            (client.to_owned(), secret.clone(), 401),
        ] {
            let (got, _, description) = answer(&server, Some(basic(&id, &sent)), vec![]).await;
            assert_eq!(got, status, "{id}:{sent}: {description}");
        }
    }
}

/// Libraries that know no public clients send the header with an empty secret.
#[tokio::test]
async fn basic_with_an_empty_secret_is_client_id_alone() {
    let server = Server::with_alice().await;
    for public in ["app", "https://app.example:8443"] {
        server.client(public, json!({ "token_endpoint_auth_method": "none" })).await;
        let (status, error, _) = answer(&server, Some(basic(public, "")), vec![]).await;
        assert_eq!((status, error.as_str()), (400, "unauthorized_client"), "{public}: it is authenticated");
        let browser = server.browser();
        let code = browser.sign_in(&server.authorize(&[("client_id", public)])).await["code"].clone();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let http = reqwest::Client::new().post(format!("{}/oauth2/token", server.url));
        let answer = http.header("authorization", basic(public, "")).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{public}");
    }
    // It is no way around a secret.
    for confidential in ["web", "unknown"] {
        let (status, error, _) = answer(&server, Some(basic(confidential, "")), vec![]).await;
        assert_eq!((status, error.as_str()), (401, "invalid_client"), "{confidential}");
    }
}
