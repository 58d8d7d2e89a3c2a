//! Bodies with a `Content-Digest`, signed or not (RFC 9530).

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use signet_signatures::{ContentDigest, DigestAlgorithm};

use crate::support::{self, Answer, Issuer, Key, api, guard, send};

const BODY: &str = r#"{"item": 7}"#;

fn digest(body: &str) -> String {
    ContentDigest::made(DigestAlgorithm::Sha256, body.as_bytes()).to_string()
}

async fn post(api: &Router, token: &str, digest: Option<&str>, body: impl Into<Body>) -> Answer {
    let request = Request::post("/echo").header("Authorization", format!("Bearer {token}"));
    let request = digest.into_iter().fold(request, |request, digest| request.header("Content-Digest", digest));
    send(api, request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_body_is_the_one_that_its_digest_was_made_of() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let api = api(&guard(&issuer, &support::clock()));
    let token = key.token(&issuer.claims());
    let good = digest(BODY);
    let answer = post(&api, &token, Some(&good), BODY).await;
    assert_eq!((answer.status, answer.body), (200, format!("alice: {BODY}")));
    assert_eq!(post(&api, &token, None, BODY).await.status, 200);
    for (value, body) in [
        (good.as_str(), r#"{"item": 8}"#),
        (&good, ""),
        (&digest("other"), BODY),
        (&format!("{good}, sha-512={}", "x"), BODY),
        (&format!("{good}, {good}"), BODY),
        ("md5=:AAAA:", BODY),
        ("sha-256", BODY),
        ("(", BODY),
    ] {
        let answer = post(&api, &token, Some(value), body).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_request")), "{value}");
        assert!(answer.json()["error_description"].as_str().unwrap().contains("Content-Digest"), "{value}");
    }
}

#[tokio::test]
async fn a_body_with_a_digest_is_read_to_a_bound() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let api = api(&guard(&issuer, &support::clock()).with_body_limit(1000));
    let token = key.token(&issuer.claims());
    let (fits, long) = ("x".repeat(1000), "x".repeat(1001));
    assert_eq!(post(&api, &token, Some(&digest(&fits)), fits).await.status, 200);
    let answer = post(&api, &token, Some(&digest(&long)), long.clone()).await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (413, Some("content_too_large")));
    // It is not ours to read what has no digest.
    assert_eq!(post(&api, &token, None, long).await.status, 200);
}

/// A body that fails when it is read.
struct Unread;

impl http_body::Body for Unread {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        std::task::Poll::Ready(Some(Err(std::io::Error::other("it was read"))))
    }
}

#[tokio::test]
async fn nothing_is_read_of_somebody_who_is_not_let_in() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let api = api(&guard(&issuer, &support::clock()));
    let good = digest(BODY);
    assert_eq!(post(&api, "x", Some(&good), Body::new(Unread)).await.status, 401);
    let answer = post(&api, &key.token(&issuer.claims()), Some(&good), Body::new(Unread)).await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_request")));
}
