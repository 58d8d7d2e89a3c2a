//! An issuer that makes keys and tokens, and an API that asks for them.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use signet_guard::{CredentialKind, Guard, Identity, group, scope};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tower::ServiceExt;

pub const API: &str = "https://api.example.com";
pub const NOW: i64 = 1_750_000_000;

/// Seconds since 1970, in the test's hand.
pub type Clock = Arc<AtomicI64>;

enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256,
    Ps256,
}

static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

pub struct Key {
    pub kid: String,
    pair: Pair,
}

impl Key {
    pub fn new(kid: &str, alg: &str) -> Arc<Self> {
        let pair = match alg {
            "ES256" => Pair::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            "EdDSA" => Pair::EdDsa(Ed25519KeyPair::generate().unwrap()),
            "RS256" => Pair::Rs256,
            "PS256" => Pair::Ps256,
            other => panic!("{other}"),
        };
        Arc::new(Self { kid: kid.to_owned(), pair })
    }

    pub fn alg(&self) -> &'static str {
        match self.pair {
            Pair::Es256(_) => "ES256",
            Pair::EdDsa(_) => "EdDSA",
            Pair::Rs256 => "RS256",
            Pair::Ps256 => "PS256",
        }
    }

    pub fn jwk(&self) -> Value {
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Es256(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": encoded(&point[1..33]), "y": encoded(&point[33..]) })
            }
            Pair::EdDsa(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key().as_ref()) }),
            Pair::Rs256 | Pair::Ps256 => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(RSA.public_key());
                json!({ "kty": "RSA", "n": encoded(&public.n), "e": encoded(&public.e) })
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.alg());
        jwk["use"] = json!("sig");
        jwk
    }

    pub fn sign(&self, message: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |padding| {
            let mut value = vec![0; RSA.public_modulus_len()];
            RSA.sign(padding, &random, message.as_bytes(), &mut value).unwrap();
            value
        };
        match &self.pair {
            Pair::Es256(pair) => pair.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Pair::Rs256 => rsa(&RSA_PKCS1_SHA256),
            Pair::Ps256 => rsa(&RSA_PSS_SHA256),
        }
    }

    /// With the header of an access token.
    pub fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({ "typ": "at+jwt", "alg": self.alg(), "kid": self.kid }), claims)
    }

    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.sign(&message)))
    }
}

pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// The issuer: what it publishes, whether it answers, and how often it was asked for its keys.
pub struct Issuer {
    pub address: String,
    pub keys: Mutex<Vec<Value>>,
    pub metadata: Mutex<Value>,
    pub away: Mutex<bool>,
    /// It takes a connection and never answers.
    pub hangs: Mutex<bool>,
    pub asked: AtomicUsize,
    pub metadata_asked: AtomicUsize,
    pub was_asked: Notify,
}

impl Issuer {
    pub async fn start(keys: &[&Arc<Key>]) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let metadata = json!({ "issuer": address, "jwks_uri": format!("{address}/keys") });
        let issuer = Arc::new(Self {
            address,
            keys: Mutex::new(keys.iter().map(|key| key.jwk()).collect()),
            metadata: Mutex::new(metadata),
            away: Mutex::new(false),
            hangs: Mutex::new(false),
            asked: AtomicUsize::new(0),
            metadata_asked: AtomicUsize::new(0),
            was_asked: Notify::new(),
        });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(metadata_of))
            .route("/keys", get(keys_of))
            .with_state(Arc::clone(&issuer));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        issuer
    }

    pub fn publish(&self, keys: &[&Arc<Key>]) {
        *self.keys.lock().unwrap() = keys.iter().map(|key| key.jwk()).collect();
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Claims of a token that is good.
    pub fn claims(&self) -> Value {
        json!({
            "iss": self.address, "aud": API, "sub": "alice", "client_id": "web", "scope": "read", "jti": "1",
            "iat": NOW, "exp": NOW + 600,
        })
    }

    pub fn claims_with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims();
        claims[name] = value;
        claims
    }
}

async fn metadata_of(State(issuer): State<Arc<Issuer>>) -> impl IntoResponse {
    issuer.metadata_asked.fetch_add(1, Ordering::SeqCst);
    if *issuer.hangs.lock().unwrap() {
        issuer.was_asked.notify_one();
        std::future::pending::<()>().await;
    }
    if *issuer.away.lock().unwrap() {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    Json(issuer.metadata.lock().unwrap().clone()).into_response()
}

async fn keys_of(State(issuer): State<Arc<Issuer>>) -> impl IntoResponse {
    issuer.asked.fetch_add(1, Ordering::SeqCst);
    let keys = issuer.keys.lock().unwrap().clone();
    issuer.was_asked.notify_one();
    Json(json!({ "keys": keys }))
}

pub fn clock() -> Clock {
    Arc::new(AtomicI64::new(NOW))
}

pub fn guard(issuer: &Issuer, clock: &Clock) -> Guard {
    let clock = Arc::clone(clock);
    Guard::new(&issuer.address, API).with_clock(move || clock.load(Ordering::SeqCst))
}

/// The API: each route by what it asks for, and one that says what came.
pub fn api(guard: &Guard) -> Router {
    let with = |requirement| guard.clone().require(requirement);
    let inside = Router::new().route("/deep", get(who)).layer(with(group("staff")));
    Router::new()
        .route("/me", get(who).layer(guard.clone()))
        .route("/read", get(who).layer(with(scope("read"))))
        .route("/write", get(who).layer(with(scope("write"))))
        .route("/both", get(who).layer(with(scope("read")).require(scope("write")).require(group("staff"))))
        .route("/either", get(who).layer(with(scope("write").or(group("staff")))))
        .route("/echo", post(echo).put(echo).get(who).delete(echo).layer(guard.clone()))
        .nest("/nested", inside.layer(with(scope("read"))))
        .route("/open", get(|| async { "open" }))
}

async fn who(Extension(who): Extension<Identity>) -> Json<Value> {
    let way = if who.credential_kind() == CredentialKind::Token { "token" } else { "signature" };
    Json(json!({
        "way": way, "subject": who.subject(), "client": who.client(), "scopes": who.scopes(), "groups": who.groups(),
        "jti": who.claims().get("jti"),
    }))
}

async fn echo(Extension(who): Extension<Identity>, body: String) -> String {
    format!("{}: {body}", who.subject())
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

pub async fn send(api: &Router, request: Request<Body>) -> Answer {
    let (parts, body) = api.clone().oneshot(request).await.unwrap().into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body: String::from_utf8(body.into()).unwrap() }
}

pub fn get_with(path: &str, token: &str) -> Request<Body> {
    Request::get(path).header("Authorization", format!("Bearer {token}")).body(Body::empty()).unwrap()
}

pub async fn status(api: &Router, path: &str, token: &str) -> u16 {
    send(api, get_with(path, token)).await.status
}
