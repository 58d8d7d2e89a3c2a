//! Which tokens are taken: RFC 9068 §4, and the attacks of RFC 8725 §2.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use signet_guard::{Algorithm, SettingError};

use crate::support::{self, API, Issuer, Key, NOW, api, get_with, guard, send, status, unsigned};

#[tokio::test]
async fn each_algorithm_is_taken_and_the_identity_is_told() {
    let keys = ["ES256", "RS256", "PS256", "EdDSA"].map(|alg| Key::new(alg, alg));
    let issuer = Issuer::start(&keys.iter().collect::<Vec<_>>()).await;
    let clock = support::clock();
    let api = api(&guard(&issuer, &clock));
    let mut claims = issuer.claims_with("scope", json!("read write"));
    claims["groups"] = json!(["staff", "ops"]);
    for key in &keys {
        let answer = send(&api, get_with("/me", &key.token(&claims))).await;
        let expected = json!({
            "way": "token", "subject": "alice", "client": "web", "scopes": ["read", "write"], "groups": ["staff", "ops"],
            "jti": "1",
        });
        assert_eq!((answer.status, answer.json()), (200, expected), "{}", key.alg());
    }
    assert_eq!(issuer.asked(), 1);
    assert_eq!(
        send(&api, axum::http::Request::get("/open").body(axum::body::Body::empty()).unwrap()).await.status,
        200
    );
}

#[tokio::test]
async fn claims_are_of_this_issuer_for_this_api_and_now() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let clock = support::clock();
    let api = api(&guard(&issuer, &clock));
    for (name, value, expected) in [
        ("iss", json!("https://id.example.com"), 401),
        ("iss", json!(format!("{}/", issuer.address)), 401),
        ("iss", Value::Null, 401),
        ("aud", json!("https://other.example.com"), 401),
        ("aud", json!(format!("{API}/")), 401),
        ("aud", json!([]), 401),
        ("aud", json!(["https://other.example.com"]), 401),
        ("aud", json!({ "x": API }), 401),
        ("aud", json!(["https://other.example.com", API]), 200),
        ("exp", json!(NOW - 10), 401),
        ("exp", json!(NOW - 9), 200),
        ("exp", json!("9999999999"), 401),
        ("exp", Value::Null, 401),
        ("exp", json!(1_750_000_000.5), 200),
        ("iat", json!(NOW + 11), 401),
        ("iat", json!(NOW + 10), 200),
        ("iat", json!("now"), 401),
        ("nbf", json!(NOW + 11), 401),
        ("nbf", json!(NOW + 10), 200),
        ("nbf", json!([]), 401),
        ("sub", json!(7), 401),
        ("sub", Value::Null, 401),
        // Bound to a certificate that nobody shows here (RFC 8705 section 3).
        ("cnf", json!({ "x5t#S256": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU" }), 401),
    ] {
        let token = key.token(&issuer.claims_with(name, value.clone()));
        assert_eq!(status(&api, "/me", &token).await, expected, "{name}: {value}");
    }
    for name in ["iss", "aud", "exp", "sub"] {
        let mut claims = issuer.claims();
        claims.as_object_mut().unwrap().remove(name);
        assert_eq!(status(&api, "/me", &key.token(&claims)).await, 401, "{name}");
    }
    // Good until it has run out, and no longer.
    let token = key.token(&issuer.claims());
    for (later, expected) in [(609, 200), (610, 401)] {
        clock.store(NOW + later, Ordering::SeqCst);
        assert_eq!(status(&api, "/me", &token).await, expected, "{later}");
    }
}

#[tokio::test]
async fn an_id_token_or_another_jwt_is_no_access_token() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let api = api(&guard(&issuer, &support::clock()));
    let with_typ = |typ: Value| key.token_with(&json!({ "typ": typ, "alg": "ES256", "kid": "k" }), &issuer.claims());
    for (typ, expected) in [
        (json!("at+jwt"), 200),
        (json!("AT+JWT"), 200),
        (json!("application/at+jwt"), 200),
        (json!("JWT"), 401),
        (json!("logout+jwt"), 401),
        (json!(""), 401),
        (Value::Null, 401),
    ] {
        assert_eq!(status(&api, "/me", &with_typ(typ.clone())).await, expected, "{typ}");
    }
    for header in [
        json!({ "alg": "ES256", "kid": "k" }),
        json!({ "typ": "at+jwt", "alg": "ES256" }),
        json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k", "crit": ["exp"] }),
        json!({ "typ": "at+jwt", "kid": "k" }),
    ] {
        assert_eq!(status(&api, "/me", &key.token_with(&header, &issuer.claims())).await, 401, "{header}");
    }
}

/// RFC 8725 §2.1, §3.1: `none`, a MAC under the public key, and a key used with an algorithm that it is not for.
#[tokio::test]
async fn the_algorithm_is_never_the_callers_choice() {
    let (rsa, ec, ed) = (Key::new("rsa", "RS256"), Key::new("ec", "ES256"), Key::new("ed", "EdDSA"));
    let issuer = Issuer::start(&[&rsa, &ec, &ed]).await;
    let api = api(&guard(&issuer, &support::clock()));
    for alg in ["none", "None", "NONE", ""] {
        for kid in ["rsa", "ec"] {
            let message = unsigned(&json!({ "typ": "at+jwt", "alg": alg, "kid": kid }), &issuer.claims());
            assert_eq!(status(&api, "/me", &format!("{message}.")).await, 401, "{alg}");
            assert_eq!(status(&api, "/me", &message).await, 401, "{alg}");
        }
    }
    for alg in ["HS256", "HS384", "HS512"] {
        for (kid, jwk) in [("rsa", rsa.jwk()), ("ec", ec.jwk())] {
            let message = unsigned(&json!({ "typ": "at+jwt", "alg": alg, "kid": kid }), &issuer.claims());
            for secret in [jwk.to_string(), jwk["n"].as_str().or(jwk["x"].as_str()).unwrap().to_owned()] {
                let mac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
                let mac = URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&mac, message.as_bytes()));
                assert_eq!(status(&api, "/me", &format!("{message}.{mac}")).await, 401, "{alg} {kid}");
            }
        }
    }
    // The key that is named `rsa` is published for RS256: a signature by PS256 with it is another algorithm.
    let pss = Key::new("rsa", "PS256");
    assert_eq!(status(&api, "/me", &pss.token(&issuer.claims())).await, 401);
    for (key, other) in [(&rsa, "ec"), (&ec, "ed"), (&ed, "rsa")] {
        let header = json!({ "typ": "at+jwt", "alg": key.alg(), "kid": other });
        assert_eq!(status(&api, "/me", &key.token_with(&header, &issuer.claims())).await, 401, "{other}");
    }
    // A key inside the token is nobody's.
    let stranger = Key::new("rsa", "ES256");
    let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "stranger", "jwk": stranger.jwk() });
    assert_eq!(status(&api, "/me", &stranger.token_with(&header, &issuer.claims())).await, 401);
}

#[tokio::test]
async fn what_is_changed_or_no_token_is_one_answer() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let api = api(&guard(&issuer, &support::clock()));
    let token = key.token(&issuer.claims());
    let message = token.rsplit_once('.').unwrap().0;
    let other = URL_SAFE_NO_PAD.encode(issuer.claims_with("sub", json!("admin")).to_string());
    let parts: Vec<&str> = token.split('.').collect();
    let long = key.token(&issuer.claims_with("x", json!("x".repeat(16 * 1024))));
    let mut texts = Vec::new();
    for wrong in [
        "x",
        "..",
        "sgt_opaque",
        message,
        &format!("{token}."),
        &format!("{token}A"),
        &format!("{}.{other}.{}", parts[0], parts[2]),
        &format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
        &key.token(&issuer.claims_with("exp", json!(0))),
        &long,
    ] {
        let answer = send(&api, get_with("/me", wrong)).await;
        assert_eq!(answer.status, 401, "{wrong}");
        assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""));
        texts.push((answer.header("www-authenticate").to_owned(), answer.body));
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(status(&api, "/me", &token).await, 200);
}

#[tokio::test]
async fn fewer_algorithms_may_be_taken_and_no_others() {
    let (ec, ed) = (Key::new("ec", "ES256"), Key::new("ed", "EdDSA"));
    let issuer = Issuer::start(&[&ec, &ed]).await;
    let guard = guard(&issuer, &support::clock());
    assert_eq!(guard.clone().with_algorithms(&[Algorithm::HS256]).unwrap_err(), SettingError::Algorithm);
    let api = api(&guard.with_algorithms(&[Algorithm::EdDSA]).unwrap());
    assert_eq!(status(&api, "/me", &ed.token(&issuer.claims())).await, 200);
    assert_eq!(status(&api, "/me", &ec.token(&issuer.claims())).await, 401);
}
