//! `client_secret_jwt` and `private_key_jwt` (RFC 7523 §2.2 and §3, OpenID Connect Core §9).

use futures::future::join_all;
use serde_json::{Value, json};
use signet::domain::secret::{Digest, SecretKind};

use crate::support::receiver::{self, Answer, Receiver};
use crate::support::signer::{self, ClientKey};
use crate::support::{SECRET, Server};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

async fn send(server: &Server, assertion: &str, more: &[(&str, &str)]) -> (u16, Value) {
    let mut form =
        vec![("grant_type", "client_credentials"), ("client_assertion_type", TYPE), ("client_assertion", assertion)];
    for (name, value) in more {
        form.retain(|(known, _)| known != name);
        form.push((name, value));
    }
    let response =
        reqwest::Client::new().post(format!("{}/oauth2/token", server.url)).form(&form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn claims(server: &Server, client: &str, jti: &str, changes: &Value) -> Value {
    let now = server.app.env().now().seconds();
    let mut claims = json!({ "iss": client, "sub": client, "aud": format!("{}/oauth2/token", server.url),
        "exp": now + 60, "iat": now, "jti": jti });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    claims
}

async fn with_keys(key: &ClientKey) -> Server {
    let server = Server::with_alice().await;
    server.client("keys", json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks() })).await;
    server.client("mac", json!({ "token_endpoint_auth_method": "client_secret_jwt" })).await;
    server
}

#[tokio::test]
async fn both_methods_prove_the_client_with_each_algorithm_and_audience() {
    let server = with_keys(&ClientKey::new("k1", "ES256")).await;
    for (at, alg) in ["RS256", "PS256", "ES256", "EdDSA"].into_iter().enumerate() {
        let (key, client) = (ClientKey::new("k", alg), format!("by-{alg}"));
        let meta = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks(),
            "token_endpoint_auth_signing_alg": alg });
        server.client(&client, meta).await;
        let assertion = key.sign(&claims(&server, &client, &format!("a{at}"), &json!({})));
        assert_eq!(send(&server, &assertion, &[]).await.0, 200, "{alg}");
        assert_eq!(send(&server, &assertion, &[]).await.0, 401, "{alg} again");
    }
    for (at, aud) in
        [json!(server.url), json!(format!("{}/oauth2/token", server.url)), json!([server.url, "https://other.example"])]
            .into_iter()
            .enumerate()
    {
        let assertion = signer::mac(SECRET, &claims(&server, "mac", &format!("b{at}"), &json!({ "aud": aud })));
        assert_eq!(send(&server, &assertion, &[("client_id", "mac")]).await.0, 200, "{aud}");
    }
}

/// RFC 7523 §3, RFC 7521 §4.2: one answer to everything that is wrong with an assertion.
#[tokio::test]
async fn what_proves_nothing_is_one_answer() {
    let key = ClientKey::new("k1", "ES256");
    let server = with_keys(&key).await;
    let now = server.app.env().now().seconds();
    let stranger = ClientKey::new("k1", "ES256");
    let by_key = |changes: Value| key.sign(&claims(&server, "keys", "j", &changes));
    let good = claims(&server, "keys", "j", &json!({}));
    let for_mac = claims(&server, "mac", "j", &json!({}));
    let public = key.public_jwk().to_string();
    let of_nobody = key.sign(&claims(&server, "nobody", "j0", &json!({})));
    let unknown = send(&server, &of_nobody, &[]).await.1["error_description"].clone();
    assert!(unknown.as_str().unwrap().starts_with("Client authentication failed. "), "{unknown}");
    let long = signer::unsigned(&json!({ "alg": "ES256" }), &json!("x".repeat(40_000)));
    for (what, assertion) in [
        ("alg none", signer::unsigned(&json!({ "alg": "none" }), &good)),
        ("a MAC under the public key", signer::mac(&public, &good)),
        ("a MAC of a client with keys", signer::mac(SECRET, &good)),
        ("a key of a client with a MAC", key.sign(&for_mac)),
        ("a MAC under another secret", signer::mac(&"x".repeat(40), &for_mac)),
        ("another's key", stranger.sign(&good)),
        ("a foreign kid", key.sign_with(&json!({ "kid": "other" }), &good)),
        ("its own key in the header", stranger.sign_with(&json!({ "jwk": stranger.public_jwk() }), &good)),
        ("crit", key.sign_with(&json!({ "crit": ["x"], "x": 1 }), &good)),
        ("another issuer", by_key(json!({ "iss": "web" }))),
        ("another subject", by_key(json!({ "sub": "mac" }))),
        ("no audience", by_key(json!({ "aud": null }))),
        ("another audience", by_key(json!({ "aud": "https://other.example" }))),
        ("the audience with a slash", by_key(json!({ "aud": format!("{}/", server.url) }))),
        ("no end", by_key(json!({ "exp": null }))),
        ("expired", by_key(json!({ "exp": now - 11 }))),
        ("good for years", by_key(json!({ "exp": now + 86_401 }))),
        ("exp is text", by_key(json!({ "exp": "1" }))),
        ("not yet", by_key(json!({ "nbf": now + 11 }))),
        ("from the future", by_key(json!({ "iat": now + 11 }))),
        ("no jti", by_key(json!({ "jti": null }))),
        ("a number as jti", by_key(json!({ "jti": 1 }))),
        ("a long jti", by_key(json!({ "jti": "x".repeat(257) }))),
        ("no JWT", "nonsense".to_owned()),
        ("long", long),
        ("unknown client", key.sign(&claims(&server, "nobody", "j", &json!({})))),
    ] {
        let (status, answer) = send(&server, &assertion, &[]).await;
        assert_eq!((status, answer["error"].as_str()), (401, Some("invalid_client")), "{what}");
        assert_eq!(answer["error_description"], unknown, "{what}");
    }
    for (more, status, error) in [
        (("client_assertion_type", "other"), 401, "invalid_client"),
        (("client_secret", SECRET), 400, "invalid_request"),
        (("client_id", "mac"), 401, "invalid_client"),
    ] {
        let (got, answer) = send(&server, &by_key(json!({})), &[more]).await;
        assert_eq!((got, answer["error"].as_str()), (status, Some(error)), "{more:?}");
    }
    // Ten seconds of a clock that is wrong are forgiven.
    for (jti, changes) in [("s1", json!({ "exp": now - 9 })), ("s2", json!({ "iat": now + 9, "nbf": now + 9 }))] {
        let assertion = key.sign(&claims(&server, "keys", jti, &changes));
        assert_eq!(send(&server, &assertion, &[]).await.0, 200, "{changes}");
    }
}

/// However many at once, and still after a while.
#[tokio::test]
async fn an_assertion_is_good_once() {
    let key = ClientKey::new("k1", "ES256");
    let server = with_keys(&key).await;
    let assertion = key.sign(&claims(&server, "keys", "once", &json!({})));
    let sent = join_all((0..16).map(|_| send(&server, &assertion, &[]))).await;
    assert_eq!(sent.iter().filter(|(status, _)| *status == 200).count(), 1);
    server.advance(65);
    assert_eq!(send(&server, &assertion, &[]).await.0, 401);
    // Another client may have the same name for another assertion.
    let other = signer::mac(SECRET, &claims(&server, "mac", "once", &json!({})));
    assert_eq!(send(&server, &other, &[]).await.0, 200);
}

/// Claims that wait together share a statement: each is judged by itself, over this node and another one.
#[tokio::test]
async fn of_many_claims_at_once_each_is_good_once() {
    let server = Server::with_alice().await;
    let (here, until) = (server.app.store().clone(), server.app.env().now().plus_seconds(60));
    let other = server.node().await;
    let there = other.app.store().clone();
    let digests: Vec<Digest> = (0..40).map(|number| SecretKind::Session.digest(&format!("once {number}"))).collect();
    let tries = (0..400).map(|number| {
        let (store, digest) = (if number % 3 == 0 { &there } else { &here }, digests[number * 7 % 40]);
        async move { (digest, store.use_once(digest, until).await.unwrap()) }
    });
    let answers = join_all(tries).await;
    for digest in &digests {
        assert_eq!(answers.iter().filter(|(of, first)| of.0 == digest.0 && *first).count(), 1);
    }
    assert!(!here.use_once(digests[0], until).await.unwrap());
}

/// Keys at a `jwks_uri` are fetched again for a kid that is not known, and not more often than once a minute.
#[tokio::test]
async fn a_rotated_key_is_found_and_a_made_up_one_costs_little() {
    let there = Receiver::start().await;
    let (old, new) = (ClientKey::new("old", "ES256"), ClientKey::new("new", "ES256"));
    there.answer("/jwks", Answer::json(&old.jwks()).header("cache-control", "max-age=3600"));
    let server = Server::start_with(receiver::reachable).await;
    let meta = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": there.at("/jwks") });
    server.client("keys", meta).await;
    let sign = |key: &ClientKey, jti: &str| key.sign(&claims(&server, "keys", jti, &json!({})));
    assert_eq!(send(&server, &sign(&old, "1"), &[]).await.0, 200);
    let made_up = ClientKey::new("made up", "ES256");
    there.answer("/jwks", Answer::json(&json!({ "keys": [old.public_jwk(), new.public_jwk()] })));
    assert_eq!(send(&server, &sign(&new, "2"), &[]).await.0, 200, "a new key is looked for at once");
    for jti in ["3", "4", "5"] {
        assert_eq!(send(&server, &sign(&made_up, jti), &[]).await.0, 401);
    }
    assert_eq!(there.requests("/jwks").len(), 2, "and not again within a minute");
    server.advance(61);
    assert_eq!(send(&server, &sign(&made_up, "6"), &[]).await.0, 401);
    assert_eq!(send(&server, &sign(&old, "7"), &[]).await.0, 200);
    assert_eq!(there.requests("/jwks").len(), 3);
}
