//! An API that takes signed requests alone (RFC 9421): it verifies with `signet-signatures`, which is tested against the
//! RFC's vectors, holds the body against `Content-Digest`, and takes a nonce once. The clock is the machine's, as that of
//! those who call it is.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::json;
use signet::env::Env;
use signet_signatures::{ContentDigest, Policy, Request, Signatures, SigningKey, VerifyingKey};

/// By keyid.
type Keys = HashMap<String, VerifyingKey>;

pub struct SignedApi {
    /// Without a slash at its end.
    pub url: String,
    told: Arc<Told>,
}

struct Told {
    keys: Keys,
    nonces: Mutex<HashSet<(String, String)>>,
    let_in: Mutex<Vec<Seen>>,
}

/// A request that was let in.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub keyid: String,
    /// Algorithm of the key that verified it.
    pub algorithm: String,
    /// As they stand in `Signature-Input`.
    pub covered: Vec<String>,
    pub created: i64,
    pub expires: Option<i64>,
    pub nonce: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// A private JWK of the vectors: `ed25519` and so on.
pub fn jwk(algorithm: &str) -> serde_json::Map<String, serde_json::Value> {
    let path = format!("{}/tests/vectors/signet/keys/{algorithm}.json", env!("CARGO_MANIFEST_DIR"));
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    file["jwk"].as_object().unwrap().clone()
}

pub const ALGORITHMS: [&str; 4] = ["hmac-sha256", "ed25519", "ecdsa-p256-sha256", "rsa-pss-sha512"];

impl SignedApi {
    /// It knows each key of the vectors by the name of its algorithm.
    pub async fn start() -> Self {
        let key = |name: &str| SigningKey::from_jwk(&jwk(name)).unwrap().verifying_key().unwrap();
        let keys = ALGORITHMS.map(|name| (name.to_owned(), key(name))).into();
        let told = Arc::new(Told { keys, nonces: Mutex::default(), let_in: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(told.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, told }
    }

    pub fn at(&self, target: &str) -> String {
        format!("{}{target}", self.url)
    }

    /// Those that were let in since this was asked last.
    pub fn let_in(&self) -> Vec<Seen> {
        std::mem::take(&mut self.told.let_in.lock().unwrap())
    }
}

async fn answer(State(told): State<Arc<Told>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    match seen(&told, &method, &uri, headers, &body) {
        Ok(seen) => {
            let known = json!({ "keyid": seen.keyid, "method": seen.method, "length": seen.body.len() });
            told.let_in.lock().unwrap().push(seen);
            Json(known).into_response()
        }
        Err(why) => (
            StatusCode::UNAUTHORIZED,
            [("www-authenticate", "Signature"), ("x-gate-reason", why.as_str())],
            why.clone(),
        )
            .into_response(),
    }
}

fn seen(told: &Told, method: &Method, uri: &Uri, headers: HeaderMap, body: &[u8]) -> Result<Seen, String> {
    let said = |error: signet_signatures::Error| error.to_string();
    let host = headers.get("host").and_then(|host| host.to_str().ok()).ok_or("no Host")?;
    let target = format!("http://{host}{uri}");
    let fields = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let request = Request::to(method.as_str(), &target).and_then(|it| it.with_fields(fields)).map_err(said)?;
    let signatures = Signatures::of(&request).map_err(said)?.ok_or("not signed")?;
    let signature = signatures.only().map_err(said)?.ok_or("not signed")?;
    let checked = Policy::default().check(signature, &request, Env::system().now().seconds()).map_err(said)?;
    let key = told.keys.get(checked.keyid()).ok_or("unknown key")?;
    checked.verify(&request, key).map_err(said)?;
    if !told.nonces.lock().unwrap().insert((checked.keyid().to_owned(), checked.nonce().to_owned())) {
        return Err("nonce was used".to_owned());
    }
    let digest = ContentDigest::of(&request).map_err(said)?;
    if digest.is_none() && !body.is_empty() {
        return Err("a body without digest".to_owned());
    }
    digest.map_or(Ok(()), |digest| digest.check(body)).map_err(said)?;
    let parameters = signature.input().parameters();
    Ok(Seen {
        method: method.to_string(),
        target: uri.to_string(),
        keyid: checked.keyid().to_owned(),
        algorithm: key.algorithm().to_string(),
        covered: signature.input().components().iter().map(ToString::to_string).collect(),
        created: parameters.created.unwrap(),
        expires: parameters.expires,
        nonce: checked.nonce().to_owned(),
        body: body.to_vec(),
        headers,
    })
}
