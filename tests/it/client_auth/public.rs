//! Public clients, which have no secret, and what they learn if they send one.

use serde_json::{Value, json};

use super::{answer, basic};
use crate::support::{CALLBACK, SECRET, Server, VERIFIER};

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

/// A secret that a public client sends all the same is named as the fault, and hides no other one.
#[tokio::test]
async fn a_public_client_with_a_secret_learns_its_method() {
    let server = Server::with_alice().await;
    server.client("app", json!({ "token_endpoint_auth_method": "none" })).await;
    let code = server.browser().sign_in(&server.authorize(&[("client_id", "app")])).await["code"].clone();
    let form = |more: &[(&'static str, &'static str)]| {
        let mut form = vec![
            ("grant_type".to_owned(), "authorization_code".to_owned()),
            ("client_id".to_owned(), "app".to_owned()),
            ("code".to_owned(), code.clone()),
            ("redirect_uri".to_owned(), CALLBACK.to_owned()),
            ("code_verifier".to_owned(), VERIFIER.to_owned()),
        ];
        form.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        form
    };
    let http = async |form: Vec<(String, String)>| {
        let sent =
            reqwest::Client::new().post(format!("{}/oauth2/token", server.url)).form(&form).send().await.unwrap();
        let status = sent.status().as_u16();
        (status, sent.json::<Value>().await.unwrap())
    };
    let (status, refused) = http(form(&[("client_secret", SECRET)])).await;
    assert_eq!((status, &refused["error"]), (401, &json!("invalid_client")));
    assert!(refused["error_description"].as_str().unwrap().contains("none, which is client_id alone"), "{refused}");
    assert_eq!(http(form(&[])).await.0, 200, "the code was not used up");
    let (status, refused) = http(form(&[("client_secret", SECRET)])).await;
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_grant")), "{refused}");
}
