//! What a client says of itself when it registers (RFC 7591 §2, OpenID Connect Registration §2): told back, refused by
//! its member, vouched for by others; and that such a client works.

use serde_json::{Value, json};
use signet::config::{RegistrationMode, SoftwareIssuer};
use signet::domain::event::EventKind;
use signet::store::events;

use super::{open, register};
use crate::support::receiver::{self, Answer, Receiver};
use crate::support::signer::ClientKey;
use crate::support::{CALLBACK, Server};

#[tokio::test]
async fn everything_is_told_back_with_its_defaults() {
    let server = open().await;
    let body = json!({ "redirect_uris": ["https://app.example/cb"], "client_name": "An app", "client_name#fr": "Une app",
        "something_new": { "a": 1 }, "logo_uri": null });
    let (status, mut answer) = register(&server, &body).await;
    assert_eq!(status, 201, "{answer}");
    for secret in ["client_id", "client_secret", "registration_access_token", "registration_client_uri"] {
        assert!(answer[secret].is_string(), "{secret}");
        answer[secret] = json!("…");
    }
    answer["client_id_issued_at"] = json!("…");
    let told: std::collections::BTreeMap<String, Value> = serde_json::from_value(answer).unwrap();
    insta::assert_json_snapshot!("registration", told);
}

#[tokio::test]
async fn a_registered_client_signs_people_in() {
    let server = open().await;
    let key = ClientKey::new("k1", "RS256");
    for body in [
        json!({ "redirect_uris": [CALLBACK] }),
        json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post",
            "grant_types": ["authorization_code", "refresh_token"] }),
        json!({ "redirect_uris": [CALLBACK], "id_token_signed_response_alg": "HS256" }),
        json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none" }),
        json!({ "redirect_uris": [CALLBACK], "subject_type": "pairwise", "userinfo_signed_response_alg": "RS256" }),
        json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks() }),
    ] {
        let (status, client) = register(&server, &body).await;
        assert_eq!(status, 201, "{client}");
        let id = client["client_id"].as_str().unwrap();
        assert_eq!(
            client.get("client_secret").is_some(),
            !body.to_string().contains("none") && !body.to_string().contains("private")
        );
        let consent = server.browser().page(&server.authorize(&[("client_id", id)])).await;
        assert_eq!(consent.name(), "login");
        let answer = server.browser().sign_in(&server.authorize(&[("client_id", id)])).await;
        let now = server.app.env().now().seconds();
        let assertion = key.sign(&json!({ "iss": id, "sub": id, "aud": server.url, "exp": now + 60, "jti": "1" }));
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", answer["code"].as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", crate::support::VERIFIER),
        ];
        let secret = client["client_secret"].as_str().unwrap_or_default();
        let mut request = reqwest::Client::new().post(format!("{}/oauth2/token", server.url));
        match client["token_endpoint_auth_method"].as_str().unwrap() {
            "client_secret_basic" => request = request.basic_auth(id, Some(secret)),
            "client_secret_post" => form.extend([("client_id", id), ("client_secret", secret)]),
            "none" => form.push(("client_id", id)),
            _ => form.extend([
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion.as_str()),
            ]),
        }
        let response = request.form(&form).send().await.unwrap();
        assert_eq!(response.status(), 200, "{body}: {}", response.text().await.unwrap());
    }
}

/// RFC 7591 §3.2.2, OpenID Connect Registration §3.3: one row an error, by the name of the member.
#[tokio::test]
async fn what_is_wrong_is_said_by_its_member() {
    let server = open().await;
    let uris = json!(["https://app.example/cb"]);
    for (changes, error, says) in [
        (json!({ "redirect_uris": ["https://app.example/cb#f"] }), "invalid_redirect_uri", "fragment"),
        (json!({ "redirect_uris": ["http://app.example/cb"] }), "invalid_redirect_uri", "https"),
        (json!({ "redirect_uris": ["javascript:alert(1)"] }), "invalid_redirect_uri", "redirect_uris"),
        (json!({ "redirect_uris": "https://app.example/cb" }), "invalid_redirect_uri", "array"),
        (json!({ "redirect_uris": [1] }), "invalid_redirect_uri", "text"),
        (json!({ "redirect_uris": [] }), "invalid_redirect_uri", "redirect_uris"),
        (json!({ "redirect_uris": null }), "invalid_redirect_uri", "redirect_uris"),
        (
            json!({ "redirect_uris": ["com.example.app:/cb"], "application_type": "web" }),
            "invalid_redirect_uri",
            "native",
        ),
        (
            json!({ "redirect_uris": ["http://localhost/cb"], "response_types": ["id_token"] }),
            "invalid_redirect_uri",
            "implicit",
        ),
        (
            json!({ "id_token_encrypted_response_alg": "RSA1_5" }),
            "invalid_client_metadata",
            "id_token_encrypted_response_alg",
        ),
        (
            json!({ "token_endpoint_auth_method": "private_key_jwt" }),
            "invalid_client_metadata",
            "token_endpoint_auth_method",
        ),
        (json!({ "response_types": ["token"] }), "invalid_client_metadata", "response_types"),
        (json!({ "response_types": "code" }), "invalid_client_metadata", "response_types"),
        (json!({ "grant_types": ["password"] }), "invalid_client_metadata", "grant_types"),
        (json!({ "grant_types": ["client_credentials"] }), "invalid_client_metadata", "grant_types"),
        (
            json!({ "grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"] }),
            "invalid_client_metadata",
            "grant_types",
        ),
        (json!({ "jwks": { "keys": [{ "kty": "oct", "k": "AAAA" }] } }), "invalid_client_metadata", "jwks"),
        (json!({ "jwks": [] }), "invalid_client_metadata", "jwks"),
        (json!({ "jwks_uri": "file:///etc/passwd" }), "invalid_client_metadata", "jwks_uri"),
        (json!({ "jwks_uri": "https://169.254.169.254/jwks" }), "invalid_client_metadata", "jwks_uri"),
        (json!({ "require_auth_time": "yes" }), "invalid_client_metadata", "require_auth_time"),
        (json!({ "client_name": "x".repeat(101) }), "invalid_client_metadata", "client_name"),
        (json!({ "software_statement": "e30.e30.e30" }), "unapproved_software_statement", "statement"),
        (json!({ "software_statement": 1 }), "invalid_software_statement", "statement"),
    ] {
        let mut body = json!({ "redirect_uris": uris });
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let (status, answer) = register(&server, &body).await;
        assert_eq!((status, answer["error"].as_str()), (400, Some(error)), "{changes}: {answer}");
        assert!(answer["error_description"].as_str().unwrap().contains(says), "{changes}: {answer}");
    }
}

/// Whatever the body is, it is let go of.
#[tokio::test]
async fn a_body_that_is_no_registration_is_refused() {
    let server = open().await;
    let http = reqwest::Client::new();
    let deep = format!("{{\"jwks\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    for (kind, body, status) in [
        ("application/json", String::new(), 400),
        ("application/json", "[]".to_owned(), 400),
        ("application/json", "{".to_owned(), 400),
        ("application/json", deep, 400),
        ("application/json", format!("{{\"client_name\": \"{}\"}}", "x".repeat(100_000)), 400),
        (
            "application/json",
            r#"{"redirect_uris":["https://a.example/"],"redirect_uris":["https://b.example/"]}"#.to_owned(),
            400,
        ),
        ("text/plain", "{}".to_owned(), 400),
        ("application/x-www-form-urlencoded", "redirect_uris=x".to_owned(), 400),
    ] {
        let request = http.post(format!("{}/oauth2/register", server.url)).header("content-type", kind);
        let response = request.body(body.clone()).send().await.unwrap();
        assert_eq!(response.status(), status, "{kind} {body:.40}");
        let answer: Value = response.json().await.unwrap();
        assert!(answer["error"].is_string());
    }
}

/// OpenID Connect Registration §5: the file is really fetched, and lists every address to the letter.
#[tokio::test]
async fn a_sector_is_believed_when_its_file_lists_every_address() {
    let there = Receiver::start().await;
    let server = open().await;
    let uris = json!(["https://a.example/cb", "https://b.example/cb"]);
    there.answer("/good", Answer::json(&json!(["https://b.example/cb", "https://a.example/cb", "https://c.example/"])));
    there.answer("/short", Answer::json(&json!(["https://a.example/cb"])));
    there.answer("/near", Answer::json(&json!(["https://a.example/cb/", "https://b.example/cb"])));
    there.answer("/object", Answer::json(&json!({ "redirect_uris": uris })));
    there.answer("/moved", Answer::status(302).header("location", there.at("/good")));
    there.answer("/huge", Answer::endless());
    for (path, status) in [
        ("/good", 201),
        ("/short", 400),
        ("/near", 400),
        ("/object", 400),
        ("/moved", 400),
        ("/huge", 400),
        ("/gone", 400),
    ] {
        let body =
            json!({ "redirect_uris": uris, "subject_type": "pairwise", "sector_identifier_uri": there.at(path) });
        let (got, answer) = register(&server, &body).await;
        assert_eq!(got, status, "{path}: {answer}");
        if status == 400 {
            assert_eq!(answer["error"], "invalid_client_metadata");
            assert!(answer["error_description"].as_str().unwrap().starts_with("sector_identifier_uri"), "{answer}");
        }
    }
    let body = json!({ "redirect_uris": uris, "subject_type": "pairwise" });
    assert_eq!(register(&server, &body).await.1["error"], "invalid_client_metadata", "several hosts need the file");
}

/// One that trusts software statements of `https://requires_adoption.example`.
async fn trusting_keys_at(jwks_uri: String) -> Server {
    Server::start_with(|config| {
        config.registration = RegistrationMode::Open;
        receiver::reachable(config);
        let issuer = "https://vouches.example".to_owned();
        config.registration_policy.software_issuers = vec![SoftwareIssuer { issuer, jwks_uri }];
    })
    .await
}

/// Once, although they are no client's.
#[tokio::test]
async fn expired_keys_of_a_statement_issuer_are_recorded() {
    let (there, key) = (Receiver::start().await, ClientKey::new("v1", "ES256"));
    there.answer("/jwks", Answer::json(&key.jwks()));
    let server = trusting_keys_at(there.at("/jwks")).await;
    let statement = key.sign(&json!({ "iss": "https://vouches.example", "software_id": "s-1" }));
    let body = json!({ "redirect_uris": ["https://app.example/cb"], "software_statement": statement });
    assert_eq!(register(&server, &body).await.0, 201);
    there.answer("/jwks", Answer::status(503));
    server.advance(86_400);
    for _ in 0..2 {
        assert_eq!(register(&server, &body).await.0, 503);
    }
    let filter = events::EventFilter { kinds: vec![EventKind::ClientKeysExpired], most: 9, ..Default::default() };
    let recorded = events::list(server.app.store().read(), &filter).await.unwrap();
    assert_eq!(recorded.len(), 1);
    assert!(recorded[0].client.is_none() && recorded[0].detail.contains(&there.at("/jwks")), "{}", recorded[0].detail);
}

/// RFC 7591 §2.3 and §3.2.2.
#[tokio::test]
async fn a_software_statement_is_believed_of_a_trusted_issuer() {
    let there = Receiver::start().await;
    let (key, stranger) = (ClientKey::new("v1", "ES256"), ClientKey::new("v1", "ES256"));
    there.answer("/jwks", Answer::json(&key.jwks()));
    let server = trusting_keys_at(there.at("/jwks")).await;
    let claims = |issuer: &str| json!({ "iss": issuer, "software_id": "s-1", "client_name": "Vouched for" });
    let now = server.app.env().now().seconds();
    let mut old = claims("https://vouches.example");
    old["exp"] = json!(now - 1);
    let mut early = claims("https://vouches.example");
    early["nbf"] = json!(now + 60);
    let mut timeless = claims("https://vouches.example");
    timeless["exp"] = json!("soon");
    for (statement, status, error) in [
        (key.sign(&claims("https://vouches.example")), 201, None),
        (key.sign(&claims("https://other.example")), 400, Some("unapproved_software_statement")),
        (stranger.sign(&claims("https://vouches.example")), 400, Some("invalid_software_statement")),
        (key.sign(&old), 400, Some("invalid_software_statement")),
        (key.sign(&early), 400, Some("invalid_software_statement")),
        (key.sign(&timeless), 400, Some("invalid_software_statement")),
    ] {
        let body = json!({ "redirect_uris": ["https://app.example/cb"], "client_name": "Says itself", "software_statement": statement });
        let (got, answer) = register(&server, &body).await;
        assert_eq!((got, answer["error"].as_str()), (status, error), "{answer}");
        if status == 201 {
            assert_eq!((&answer["client_name"], &answer["software_id"]), (&json!("Vouched for"), &json!("s-1")));
            assert_eq!(answer["software_statement"], body["software_statement"], "unchanged (RFC 7591 section 3.2.1)");
        }
    }
}
