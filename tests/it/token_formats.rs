//! How tokens are signed and encrypted for each client (OpenID Connect Core §10), UserInfo and introspection as JWTs
//! (§5.3.2, RFC 9701), and whom they name (§8).

use serde_json::{Value, json};

use crate::support::signer::{self, ClientKey};
use crate::support::{CALLBACK, SECRET, Server, VERIFIER};
use crate::token::claims;

async fn tokens(server: &Server, client: &str) -> Value {
    let answer = server.browser().sign_in(&server.authorize(&[("client_id", client)])).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", answer["code"].as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let (status, tokens) = server.token_as(client, &form).await;
    assert_eq!(status, 200, "{client}: {tokens}");
    tokens
}

async fn userinfo(server: &Server, token: &str) -> (String, String) {
    let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url)).bearer_auth(token);
    let response = request.send().await.unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    (kind, response.text().await.unwrap())
}

async fn introspect(server: &Server, client: &str, token: &str, accept: &str) -> (String, String) {
    let request = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url));
    let request = request.basic_auth(client, Some(SECRET)).header("accept", accept).form(&[("token", token)]);
    let response = request.send().await.unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    (kind, response.text().await.unwrap())
}

#[tokio::test]
async fn an_id_token_is_signed_as_its_client_asks() {
    let server = Server::with_alice().await;
    let jwks: Value =
        reqwest::get(format!("{}/.well-known/jwks.json", server.url)).await.unwrap().json().await.unwrap();
    for alg in ["RS256", "PS256", "ES256", "EdDSA"] {
        server.client(alg, json!({ "id_token_signed_response_alg": alg, "consent": "trusted" })).await;
        let tokens = tokens(&server, alg).await;
        let header = signer::header(tokens["id_token"].as_str().unwrap());
        assert_eq!(header["alg"], alg);
        let published = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
        assert_eq!(published["alg"], alg);
    }
    server.client("mac", json!({ "id_token_signed_response_alg": "HS256", "consent": "trusted" })).await;
    let tokens = tokens(&server, "mac").await;
    let id_token = tokens["id_token"].as_str().unwrap();
    assert!(signer::has_mac(SECRET, id_token));
    // And it is a hint like any other; under another secret it is none.
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[("client_id", "mac")])).await;
    let hinted = |hint: &str| server.authorize(&[("client_id", "mac"), ("prompt", "none"), ("id_token_hint", hint)]);
    assert!(browser.open(&hinted(id_token)).await.err().unwrap().contains_key("code"));
    let forged = signer::mac(&"x".repeat(40), &claims(id_token));
    assert_eq!(browser.open(&hinted(&forged)).await.err().unwrap()["error"], "invalid_request");
}

#[tokio::test]
async fn id_tokens_userinfo_and_introspection_are_encrypted_to_their_client_alone() {
    let server = Server::with_alice().await;
    for (alg, enc) in [
        ("RSA-OAEP-256", Some("A256GCM")),
        ("ECDH-ES", Some("A128CBC-HS256")),
        ("ECDH-ES+A256KW", Some("A256GCM")),
        ("RSA-OAEP-256", None),
    ] {
        let key = ClientKey::for_encryption("e1", if alg.starts_with("RSA") { "RSA-OAEP-256" } else { "ECDH-ES" });
        let client = format!("sealed-{}-{}", alg.replace('+', "."), enc.unwrap_or("default"));
        let mut meta = json!({ "jwks": key.jwks(), "consent": "trusted", "userinfo_signed_response_alg": "ES256",
            "introspection_signed_response_alg": "PS256" });
        for what in ["id_token", "userinfo", "introspection"] {
            meta[format!("{what}_encrypted_response_alg")] = json!(alg);
            if let Some(enc) = enc {
                meta[format!("{what}_encrypted_response_enc")] = json!(enc);
            }
        }
        server.client(&client, meta).await;
        let tokens = tokens(&server, &client).await;
        let sealed = tokens["id_token"].as_str().unwrap();
        let header = signer::header(sealed);
        assert_eq!((&header["alg"], &header["enc"]), (&json!(alg), &json!(enc.unwrap_or("A128CBC-HS256"))));
        assert_eq!((&header["cty"], &header["kid"]), (&json!("JWT"), &json!("e1")));
        let inner = key.decrypt(sealed);
        assert_eq!(signer::header(&inner)["alg"], "RS256");
        assert_eq!(claims(&inner)["aud"], client);
        let access = tokens["access_token"].as_str().unwrap();
        let (kind, body) = userinfo(&server, access).await;
        assert_eq!(kind, "application/jwt");
        let about = claims(&key.decrypt(&body));
        assert_eq!(
            (&about["iss"], &about["aud"], &about["email"]),
            (&json!(server.url), &json!(client), &json!("alice@example.com"))
        );
        assert_eq!(about["sub"], claims(&inner)["sub"]);
        let wanted = "application/token-introspection+jwt";
        let (kind, body) = introspect(&server, &client, access, wanted).await;
        assert_eq!(kind, wanted);
        let inner = key.decrypt(&body);
        let header = signer::header(&inner);
        assert_eq!((&header["typ"], &header["alg"]), (&json!("token-introspection+jwt"), &json!("PS256")));
        let answer = claims(&inner);
        assert_eq!((&answer["iss"], &answer["aud"]), (&json!(server.url), &json!(client)));
        assert_eq!(answer["token_introspection"]["active"], true);
        assert!(answer.get("sub").is_none() && answer.get("exp").is_none(), "RFC 9701 section 5");
    }
}

/// OpenID Connect Core §5.3.2, RFC 9701 §4: JSON unless something else was registered or is asked for.
#[tokio::test]
async fn answers_are_json_unless_a_jwt_was_asked_for() {
    let server = Server::with_alice().await;
    server.client("signed", json!({ "userinfo_signed_response_alg": "RS256", "consent": "trusted" })).await;
    let (plain, signed) = (tokens(&server, "web").await, tokens(&server, "signed").await);
    assert_eq!(userinfo(&server, plain["access_token"].as_str().unwrap()).await.0, "application/json");
    let (kind, jwt) = userinfo(&server, signed["access_token"].as_str().unwrap()).await;
    assert_eq!((kind.as_str(), claims(&jwt)["aud"].as_str()), ("application/jwt", Some("signed")));
    // UserInfo is no ID token: not even as a hint.
    let hinted = server.authorize(&[("client_id", "signed"), ("id_token_hint", &jwt)]);
    assert_eq!(server.browser().open(&hinted).await.err().unwrap()["error"], "invalid_request");
    let access = plain["access_token"].as_str().unwrap();
    for (accept, kind) in [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/token-introspection+jwt", "application/token-introspection+jwt"),
        ("application/json;q=0.1, Application/Token-Introspection+JWT", "application/token-introspection+jwt"),
    ] {
        assert_eq!(introspect(&server, "web", access, accept).await.0, kind, "{accept}");
    }
    let (_, inactive) = introspect(&server, "signed", access, "application/token-introspection+jwt").await;
    assert_eq!(claims(&inactive)["token_introspection"], json!({ "active": false }));
}

/// OpenID Connect Core §8.1: the same person is another one in each sector, and the same one in each app of a sector.
#[tokio::test]
async fn pairwise_subjects_differ_by_sector_and_stay() {
    let server = Server::with_alice().await;
    let pairwise = json!({ "subject_type": "pairwise", "consent": "trusted" });
    let elsewhere = json!({ "subject_type": "pairwise", "consent": "trusted",
        "sector_identifier_uri": "https://sector.example/uris.json" });
    server.client("one", pairwise.clone()).await;
    server.client("two", pairwise).await;
    server.client("three", elsewhere).await;
    let mut subs = Vec::new();
    for client in ["web", "one", "two", "three"] {
        let tokens = tokens(&server, client).await;
        let id = claims(tokens["id_token"].as_str().unwrap());
        let access = tokens["access_token"].as_str().unwrap();
        let about: Value = serde_json::from_str(&userinfo(&server, access).await.1).unwrap();
        let known: Value = serde_json::from_str(&introspect(&server, client, access, "*/*").await.1).unwrap();
        assert_eq!((&id["sub"], &id["sub"]), (&about["sub"], &known["sub"]), "{client}");
        assert_eq!(claims(access)["sub"], id["sub"], "{client}");
        subs.push(id["sub"].as_str().unwrap().to_owned());
        // A refreshed token and a hint know the same person.
        let form = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
        let (_, renewed) = server.token_as(client, &form).await;
        assert_eq!(claims(renewed["id_token"].as_str().unwrap())["sub"], id["sub"], "{client}");
        let browser = server.browser();
        browser.sign_in(&server.authorize(&[("client_id", client)])).await;
        let hint = tokens["id_token"].as_str().unwrap();
        let silent = server.authorize(&[("client_id", client), ("prompt", "none"), ("id_token_hint", hint)]);
        assert!(browser.open(&silent).await.err().unwrap().contains_key("code"), "{client}");
    }
    let alice = server.person("alice").await.id.to_string();
    assert_eq!(subs[0], alice);
    assert_eq!(subs[1], subs[2]);
    assert!(subs[1] != alice && subs[1] != subs[3] && subs[3] != alice);
    assert!(subs.iter().all(|sub| sub.len() <= 255 && sub.is_ascii()));
}
