//! Public clients, which have no secret, and what they learn if they send one.

use serde_json::{Value, json};

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
