//! Signed requests (RFC 9421): with keys that the API knows, once, and nothing of them changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use signet_guard::{BoxFuture, Caller, Guard, MemoryNonces, Nonces, NoncesUnavailable, SettingError};
use signet_signatures::{Component, ContentDigest, DigestAlgorithm, Input, Parameters, Policy, SigningKey};

use crate::support::{self, Clock, Issuer, Key, NOW, api, get_with, guard, send};

const ADDRESS: &str = "https://api.example.com";
const SECRET: &[u8] = b"a secret of both that has 32 bytes or more";

fn keys(keyid: &str) -> Option<Caller> {
    let key = SigningKey::from_secret(SECRET).unwrap().verifying_key().unwrap();
    match keyid {
        "k1" => Some(Caller::new(key, "printer").with_scopes(["read"])),
        "k2" => Some(Caller::new(key, "robot").with_scopes(["read", "write"]).with_groups(["staff"])),
        _ => None,
    }
}

async fn start(clock: &Clock) -> (Arc<Issuer>, Guard) {
    let issuer = Issuer::start(&[]).await;
    let guard = guard(&issuer, clock).with_signatures(ADDRESS, keys, MemoryNonces::new(1000)).unwrap();
    (issuer, guard)
}

struct Call<'a> {
    method: &'a str,
    path: &'a str,
    body: &'a str,
    said: Parameters,
    secret: &'a [u8],
    covered: Option<&'a [&'a str]>,
}

fn said(nonce: &str) -> Parameters {
    let text = |text: &str| Some(text.to_owned());
    Parameters { created: Some(NOW), nonce: text(nonce), keyid: text("k1"), ..Parameters::default() }
}

fn call<'a>(method: &'a str, path: &'a str, nonce: &str) -> Call<'a> {
    Call { method, path, body: "", said: said(nonce), secret: SECRET, covered: None }
}

impl Call<'_> {
    fn sign(self) -> Request<Body> {
        let uri = format!("{ADDRESS}{}", self.path);
        let digest = ContentDigest::made(DigestAlgorithm::Sha256, self.body.as_bytes()).to_string();
        let has_body = matches!(self.method, "POST" | "PUT" | "PATCH");
        let request = signet_signatures::Request::to(self.method, &uri).unwrap();
        let request = if has_body { request.with_field("Content-Digest", digest.as_bytes()).unwrap() } else { request };
        let covered = self.covered.map_or_else(|| Policy::components(&request), <[&str]>::to_vec);
        let covered = covered.into_iter().map(|name| Component::new(name).unwrap()).collect();
        let input = Input::new(covered, self.said).unwrap();
        let signed = input.sign("sig1", &request, &SigningKey::from_secret(self.secret).unwrap()).unwrap();
        let mut request = Request::builder().method(self.method).uri(self.path);
        if has_body {
            request = request.header("Content-Digest", digest);
        }
        request
            .header("Signature-Input", signed.signature_input)
            .header("Signature", signed.signature)
            .body(Body::from(self.body.to_owned()))
            .unwrap()
    }
}

async fn refused(api: &Router, request: Request<Body>) -> (u16, String) {
    let answer = send(api, request).await;
    (answer.status, answer.json()["error_description"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_signed_request_is_its_keys_owner() {
    let (_, guard) = start(&support::clock()).await;
    let api = api(&guard);
    let answer = send(&api, call("GET", "/me?x=1", "a").sign()).await;
    let expected = json!({
        "way": "signature", "subject": "printer", "client": "printer", "scopes": ["read"], "groups": [], "jti": null,
    });
    assert_eq!((answer.status, answer.json()), (200, expected));
    let other = Parameters { keyid: Some("k2".into()), ..said("b") };
    assert_eq!(send(&api, Call { said: other, ..call("GET", "/both", "") }.sign()).await.status, 200);
    assert_eq!(send(&api, call("GET", "/write", "c").sign()).await.status, 403);
    let body = r#"{"item": 7}"#;
    let answer = send(&api, Call { body, ..call("POST", "/echo", "d") }.sign()).await;
    assert_eq!((answer.status, answer.body), (200, format!("printer: {body}")));
}

/// axum takes the beginning of the path off; two guards see the request, and its nonce is taken once.
#[tokio::test]
async fn in_a_nested_router_the_path_is_the_one_that_was_sent() {
    let (_, guard) = start(&support::clock()).await;
    let api = api(&guard);
    let other = |nonce| Parameters { keyid: Some("k2".into()), ..said(nonce) };
    assert_eq!(send(&api, Call { said: other("a"), ..call("GET", "/nested/deep", "") }.sign()).await.status, 200);
    let mut request = Call { said: other("b"), ..call("GET", "/deep", "") }.sign();
    *request.uri_mut() = "/nested/deep".parse().unwrap();
    assert_eq!(send(&api, request).await.status, 401);
}

#[tokio::test]
async fn what_was_changed_is_refused() {
    let (_, guard) = start(&support::clock()).await;
    let api = api(&guard);
    let not_verified = (401, "the signature does not verify.".to_owned());
    let mut request = call("GET", "/me", "a").sign();
    *request.uri_mut() = "/me?admin=1".parse().unwrap();
    assert_eq!(refused(&api, request).await, not_verified);
    let mut request = call("GET", "/echo", "b").sign();
    *request.method_mut() = "DELETE".parse().unwrap();
    assert_eq!(refused(&api, request).await, not_verified);
    let other = b"a secret of nobody that has 32 bytes or more";
    assert_eq!(refused(&api, Call { secret: other, ..call("GET", "/me", "c") }.sign()).await, not_verified);
    let unknown = Parameters { keyid: Some("nobody".into()), ..said("d") };
    assert_eq!(refused(&api, Call { said: unknown, ..call("GET", "/me", "") }.sign()).await, not_verified);
    let mut request = Call { body: "7", ..call("POST", "/echo", "e") }.sign();
    *request.body_mut() = Body::from("8");
    let mismatch = "the body is not the one that Content-Digest was made of.";
    assert_eq!(refused(&api, request).await, (400, mismatch.to_owned()));
    let mut request = Call { body: "7", ..call("POST", "/echo", "f") }.sign();
    let other = ContentDigest::made(DigestAlgorithm::Sha256, b"8").to_string();
    request.headers_mut().insert("Content-Digest", other.parse().unwrap());
    *request.body_mut() = Body::from("8");
    assert_eq!(refused(&api, request).await, not_verified);
}

/// A method whose requests seldom have a body: one that somebody put in is not what was signed.
#[tokio::test]
async fn a_body_that_nobody_signed_is_refused() {
    let (_, guard) = start(&support::clock()).await;
    let api = api(&guard);
    assert_eq!(send(&api, call("DELETE", "/echo", "a").sign()).await.status, 200);
    let mut request = call("DELETE", "/echo", "b").sign();
    *request.body_mut() = Body::from(r#"{"all":true}"#);
    let (status, told) = refused(&api, request).await;
    assert!(status == 401 && told.contains("content-digest"), "{status} {told}");
}

/// Whoever asks with made-up keys learns nothing about those that there are.
#[tokio::test]
async fn a_key_that_is_not_known_is_refused_as_one_that_is() {
    let (_, guard) = start(&support::clock()).await;
    let api = api(&guard);
    let mut told = Vec::new();
    for (keyid, alg) in [("k1", None), ("nobody", None), ("k1", Some("ed25519")), ("nobody", Some("ed25519"))] {
        for covered in ["\"@method\" \"@target-uri\"", "\"@method\" \"@target-uri\" \"x-nope\""] {
            let alg = alg.map(|alg| format!(";alg=\"{alg}\"")).unwrap_or_default();
            let input = format!("sig1=({covered});created={NOW};nonce=\"a\";keyid=\"{keyid}\"{alg}");
            let request = Request::get("/me").header("Signature-Input", input).header("Signature", "sig1=:AA==:");
            told.push((covered, refused(&api, request.body(Body::empty()).unwrap()).await));
        }
    }
    for (covered, answer) in &told {
        let first = &told.iter().find(|(of, _)| of == covered).unwrap().1;
        assert_eq!(answer, first, "{covered}");
    }
}

#[tokio::test]
async fn a_request_is_taken_once_within_its_window() {
    let clock = support::clock();
    let (_, guard) = start(&clock).await;
    let api = api(&guard);
    let again = |nonce: &str| call("GET", "/me", nonce).sign();
    assert_eq!(send(&api, again("a")).await.status, 200);
    assert_eq!(refused(&api, again("a")).await, (401, "The nonce was used before.".to_owned()));
    // Another owner's nonce is another.
    let other = Parameters { keyid: Some("k2".into()), ..said("a") };
    assert_eq!(send(&api, Call { said: other, ..call("GET", "/me", "") }.sign()).await.status, 200);
    for (later, expected) in [(300, 200), (301, 401), (-300, 200), (-301, 401)] {
        clock.store(NOW + later, Ordering::SeqCst);
        assert_eq!(send(&api, again(&format!("n{later}"))).await.status, expected, "{later}");
    }
    clock.store(NOW + 300, Ordering::SeqCst);
    assert_eq!(refused(&api, again("a")).await.0, 401);
    // A signature that does not verify takes no nonce.
    clock.store(NOW, Ordering::SeqCst);
    let wrong = Call { secret: b"a secret of nobody that has 32 bytes or more", ..call("GET", "/me", "z") };
    assert_eq!(send(&api, wrong.sign()).await.status, 401);
    assert_eq!(send(&api, again("z")).await.status, 200);
}

#[tokio::test]
async fn of_many_at_once_one_is_taken() {
    let (_, guard) = start(&support::clock()).await;
    let api = api(&guard);
    let all: Vec<_> = (0..20)
        .map(|_| {
            let api = api.clone();
            tokio::spawn(async move { send(&api, call("GET", "/me", "same").sign()).await.status })
        })
        .collect();
    let mut taken = 0;
    for one in all {
        taken += usize::from(one.await.unwrap() == 200);
    }
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn what_has_to_be_said_and_covered_is_told() {
    let (_, guard) = start(&support::clock()).await;
    let api = api(&guard);
    let less: &[&str] = &["@method"];
    let answer = send(&api, Call { covered: Some(less), ..call("GET", "/me", "a") }.sign()).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("accept-signature"), r#"sig1=("@method" "@target-uri");created;nonce;keyid"#);
    assert!(answer.header("www-authenticate").starts_with("Bearer realm="));
    assert_eq!(answer.json()["error"], "invalid_signature");
    let answer = send(&api, Request::post("/echo").body(Body::empty()).unwrap()).await;
    let expected = r#"sig1=("@method" "@target-uri" "content-digest");created;nonce;keyid"#;
    assert_eq!((answer.status, answer.header("accept-signature")), (401, expected));
    for without in [
        Parameters { created: None, ..said("a") },
        Parameters { nonce: None, ..said("a") },
        Parameters { keyid: None, ..said("a") },
        Parameters { expires: Some(NOW - 1), ..said("a") },
        Parameters { alg: Some("hmac-sha256".into()), nonce: Some(String::new()), ..said("a") },
    ] {
        assert_eq!(send(&api, Call { said: without, ..call("GET", "/me", "") }.sign()).await.status, 401);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_400() {
    let (issuer, guard) = start(&support::clock()).await;
    let api = api(&guard);
    let with = |input: &str, value: &str| {
        let request = Request::get("/me").header("Signature-Input", input).header("Signature", value);
        request.body(Body::empty()).unwrap()
    };
    for (input, value) in [
        ("s", "s=:AA==:"),
        ("s=(", "s=:AA==:"),
        ("s=();created=1;created=2", "s=:AA==:"),
        (r#"s=("a" "a")"#, "s=:AA==:"),
        ("s=(), s=()", "s=:AA==:"),
        ("s=()", "t=:AA==:"),
        ("s=(), t=()", "s=:AA==:, t=:AA==:"),
        (r#"s=("@status")"#, "s=:AA==:"),
    ] {
        let answer = send(&api, with(input, value)).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_request")), "{input}");
    }
    // Two credentials; and no other guard minds signatures that it was not told of.
    let key = Key::new("k", "ES256");
    issuer.publish(&[&key]);
    let mut both = call("GET", "/me", "a").sign();
    let token = get_with("/me", &key.token(&issuer.claims()));
    both.headers_mut().insert("Authorization", token.headers()["Authorization"].clone());
    assert_eq!(send(&api, both).await.status, 400);
    assert_eq!(send(&api, token).await.status, 200);
    let tokens_only = crate::support::api(&support::guard(&issuer, &support::clock()));
    assert_eq!(send(&tokens_only, call("GET", "/me", "a").sign()).await.status, 401);
}

/// A store of the API's own that cannot be reached.
struct Gone(AtomicUsize);

impl Nonces for Gone {
    fn take<'a>(&'a self, _: &'a str, _: &'a str, _: i64, _: i64) -> BoxFuture<'a, Result<bool, NoncesUnavailable>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Err(NoncesUnavailable) })
    }
}

#[tokio::test]
async fn where_nonces_cannot_be_kept_nobody_is_let_in() {
    let clock = support::clock();
    let issuer = Issuer::start(&[]).await;
    let with = |guard: Guard, nonces| guard.with_signatures(ADDRESS, keys, nonces);
    let gone = api(&with(guard(&issuer, &clock), Gone(AtomicUsize::new(0))).unwrap());
    let answer = send(&gone, call("GET", "/me", "a").sign()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "5"));
    let full = api(&guard(&issuer, &clock).with_signatures(ADDRESS, keys, MemoryNonces::new(1)).unwrap());
    assert_eq!(send(&full, call("GET", "/me", "a").sign()).await.status, 200);
    assert_eq!(send(&full, call("GET", "/me", "b").sign()).await.status, 503);
}

#[tokio::test]
async fn a_window_may_be_narrower_and_an_address_has_to_be_one() {
    let clock = support::clock();
    let (issuer, narrow) = start(&clock).await;
    let api = api(&narrow.with_window(30));
    clock.store(NOW + 31, Ordering::SeqCst);
    assert_eq!(send(&api, call("GET", "/me", "a").sign()).await.status, 401);
    clock.store(NOW + 30, Ordering::SeqCst);
    assert_eq!(send(&api, call("GET", "/me", "b").sign()).await.status, 200);
    for wrong in ["", "api.example.com", "https://", "https://a b", "https://a/b", "https://u@a"] {
        let with = guard(&issuer, &clock).with_signatures(wrong, keys, MemoryNonces::new(1));
        assert_eq!(with.unwrap_err(), SettingError::Address, "{wrong}");
    }
    assert!(guard(&issuer, &clock).with_signatures("https://api.example.com/", keys, MemoryNonces::new(1)).is_ok());
}
