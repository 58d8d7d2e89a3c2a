//! Message signatures at the gate (RFC 9421): every algorithm, what has to be said and covered, each nonce once on any node.
//! The package `signatures` has the RFC's own vectors. Next door: [`super::signature_keys`], whose keys they are.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use signet::manage::apply::{self, ApplyOptions};
use signet::manage::document::{Document, DocumentFormat};
use signet::manage::{AuditContext, ManageError};
use signet_signatures::{Component, ContentDigest, DigestAlgorithm, Input, Parameters, Policy, Request, SigningKey};

use super::{Answer, nginx, put_api, with_gate};
use crate::budgets::Statements;
use crate::support::{SECRET, Server};

pub const ALGORITHMS: [&str; 4] = ["hmac-sha256", "ed25519", "ecdsa-p256-sha256", "rsa-pss-sha512"];

/// A key of `tests/vectors`, private half and all.
pub fn jwk(alg: &str) -> Map<String, Value> {
    let path = format!("{}/tests/vectors/signet/keys/{alg}.json", env!("CARGO_MANIFEST_DIR"));
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    file["jwk"].as_object().unwrap().clone()
}

/// As a client's `signature_keys` have it.
pub fn registered(alg: &str, keyid: &str) -> Value {
    let mut jwk = jwk(alg);
    if alg == "hmac-sha256" {
        let secret = signet::domain::secret::from_base64url(jwk["k"].as_str().unwrap()).unwrap();
        let secret = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, secret);
        return json!({ "keyid": keyid, "alg": alg, "secret": secret });
    }
    for private in ["d", "p", "q", "dp", "dq", "qi"] {
        jwk.remove(private);
    }
    json!({ "keyid": keyid, "alg": alg, "jwk": jwk })
}

pub async fn apply_clients(server: &Server, rows: Value) -> Result<Vec<String>, ManageError> {
    let document = Document::parse(&json!({ "clients": rows }).to_string(), DocumentFormat::Json).unwrap();
    let plan =
        apply::apply(&server.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default()).await?;
    Ok(plan.changes.iter().map(|change| format!("{change:?}")).collect())
}

#[expect(clippy::needless_pass_by_value, reason = "reads as the document does")]
pub fn row(id: &str, keys: Value) -> Value {
    json!({ "client_id": id, "client_secret": SECRET, "redirect_uris": ["https://app.example/cb"],
            "scope": "openid read write", "signature_keys": keys })
}

/// The client `web` signs by a key of each algorithm, named after it.
pub async fn with_keys(changes: Value) -> Server {
    let server = with_gate(json!({ "accepts": ["message_signature"] })).await;
    put_api(&server, {
        let mut all = json!({ "accepts": ["message_signature"] });
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        all
    })
    .await;
    let keys: Vec<Value> = ALGORITHMS.iter().map(|alg| registered(alg, alg)).collect();
    apply_clients(&server, json!([row("web", json!(keys))])).await.unwrap();
    server
}

/// A request that is to be signed, changed by a test.
#[derive(Clone)]
pub struct Signed {
    pub origin: &'static str,
    pub method: &'static str,
    pub target: &'static str,
    pub body: Option<&'static [u8]>,
    pub alg: &'static str,
    pub keyid: String,
    pub said: Parameters,
    pub covered: Option<Vec<&'static str>>,
}

impl Signed {
    pub fn new(server: &Server, alg: &'static str) -> Self {
        let said = Parameters {
            created: Some(server.app.env().now().seconds()),
            nonce: Some(server.app.env().uuid().simple().to_string()),
            ..Parameters::default()
        };
        let origin = "https://orders.example.com";
        Self {
            origin,
            method: "GET",
            target: "/orders/1?a=b",
            body: None,
            alg,
            keyid: alg.to_owned(),
            said,
            covered: None,
        }
    }

    pub fn headers(&self) -> BTreeMap<&'static str, String> {
        let mut headers = BTreeMap::new();
        if let Some(body) = self.body {
            headers.insert("content-digest", ContentDigest::made(DigestAlgorithm::Sha256, body).to_string());
        }
        let key = SigningKey::from_jwk(&jwk(self.alg)).unwrap();
        let uri = format!("{}{}", self.origin, self.target);
        let signed = {
            let request = Request::to(self.method, &uri).unwrap();
            let fields = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
            let request = request.with_fields(fields).unwrap();
            let covered = self.covered.clone().unwrap_or_else(|| Policy::components(&request));
            let covered = covered.into_iter().filter(|name| *name != "content-digest" || request.has(name));
            let covered = covered.map(|name| Component::new(name).unwrap()).collect();
            let keyid = Some(self.keyid.clone()).filter(|keyid| !keyid.is_empty());
            let said = Parameters { keyid, ..self.said.clone() };
            Input::new(covered, said).unwrap().sign("sig1", &request, &key).unwrap()
        };
        headers.insert("signature-input", signed.signature_input);
        headers.insert("signature", signed.signature);
        headers
    }

    pub async fn send(&self, server: &Server) -> Answer {
        send(server, self.method, self.target, &self.headers()).await
    }
}

async fn send(server: &Server, method: &str, target: &str, headers: &BTreeMap<&'static str, String>) -> Answer {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    nginx(server, method, target, &headers).await
}

#[tokio::test]
async fn every_algorithm_says_whose_key_it_was() {
    let server =
        with_keys(json!({ "rules": [{ "methods": ["GET", "POST"], "path": "/orders/**", "scopes": ["read"] }] })).await;
    for alg in ALGORITHMS {
        let answer = Signed::new(&server, alg).send(&server).await;
        assert_eq!((answer.status, answer.reason()), (200, ""), "{alg}: {}", answer.body);
        let told = ["x-gate-subject", "x-gate-client", "x-gate-scope", "x-gate-way"].map(|name| answer.header(name));
        assert_eq!(told, ["web", "web", "read write", "message_signature"]);
        let post = Signed { method: "POST", body: Some(b"{}"), ..Signed::new(&server, alg) };
        assert_eq!(post.send(&server).await.status, 200, "{alg}");
    }
}

#[tokio::test]
async fn a_nonce_is_good_once_on_any_node_and_only_after_the_proof() {
    let nodes = with_keys(json!({})).await.nodes().await;
    let server = &nodes[0];
    let request = Signed::new(server, "ed25519");
    // Somebody who cannot sign uses up nothing.
    let forged = Signed { alg: "ecdsa-p256-sha256", ..request.clone() };
    assert_eq!(forged.send(server).await.status, 401);
    let headers = request.headers();
    assert_eq!(send(server, "GET", request.target, &headers).await.status, 200);
    for node in &nodes {
        let answer = send(node, "GET", request.target, &headers).await;
        assert_eq!((answer.status, answer.reason()), (401, "invalid_credential"));
        assert!(answer.body["detail"].as_str().unwrap().contains("nonce"), "{}", answer.body);
    }
    // The same nonce with another key, or another nonce, is another request.
    let other = Signed { alg: "hmac-sha256", keyid: "hmac-sha256".into(), ..request.clone() };
    assert_eq!(other.send(server).await.status, 200);
    // To the last second of the window, in which it is swept no sooner.
    server.advance(299);
    signet::server::background::Maintenance::default().once(&server.app).await;
    assert!(send(server, "GET", request.target, &headers).await.body["detail"].as_str().unwrap().contains("nonce"));
    server.advance(2);
    assert!(!send(server, "GET", request.target, &headers).await.body["detail"].as_str().unwrap().contains("nonce"));
}

#[tokio::test]
async fn of_twenty_at_once_one_is_let_in() {
    let nodes = with_keys(json!({})).await.nodes().await;
    let request = Signed::new(&nodes[0], "hmac-sha256");
    let headers = request.headers();
    let all = (0..20).map(|at| send(&nodes[at % nodes.len()], "GET", request.target, &headers));
    let answers = futures::future::join_all(all).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 401)));
}

#[tokio::test]
async fn what_is_not_said_or_covered_is_asked_for() {
    let server = with_keys(json!({})).await;
    let good = Signed::new(&server, "ed25519");
    let now = good.said.created.unwrap();
    let said = |change: &dyn Fn(&mut Parameters)| {
        let mut request = Signed::new(&server, "ed25519");
        change(&mut request.said);
        request
    };
    let covering = |names: &[&'static str]| Signed { covered: Some(names.to_vec()), ..Signed::new(&server, "ed25519") };
    let post = Signed { method: "POST", ..Signed::new(&server, "ed25519") };
    let digest = Signed { body: Some(b"x"), covered: Some(vec!["@method", "@target-uri"]), ..good.clone() };
    for (what, request, status, word) in [
        ("no created", said(&|it| it.created = None), 401, "created"),
        ("no nonce", said(&|it| it.nonce = None), 401, "nonce"),
        ("an empty nonce", said(&|it| it.nonce = Some(String::new())), 401, "nonce"),
        ("no keyid", Signed { keyid: String::new(), ..good.clone() }, 401, "keyid"),
        ("too old", said(&|it| it.created = Some(now - 301)), 401, "created"),
        ("of the future", said(&|it| it.created = Some(now + 301)), 401, "created"),
        ("expired", said(&|it| it.expires = Some(now - 1)), 401, "expire"),
        ("expires before it is made", said(&|it| it.expires = Some(now - 400)), 401, "expires"),
        ("no method", covering(&["@target-uri"]), 401, "@method"),
        ("no target", covering(&["@method", "@path"]), 401, "@target-uri"),
        ("no digest of no body", post, 401, "content-digest"),
        ("a digest that is not covered", digest, 401, "content-digest"),
    ] {
        let answer = request.send(&server).await;
        assert_eq!(answer.meant(), status, "{what}: {}", answer.body);
        assert!(answer.body["detail"].as_str().unwrap().contains(word), "{what}: {}", answer.body);
        assert!(answer.header("www-authenticate").contains("Signature realm="), "{what}");
    }
    for (created, expires) in [(now - 299, None), (now + 299, None), (now, Some(now + 1)), (now - 10, Some(now))] {
        let request = said(&|it| (it.created, it.expires) = (Some(created), expires));
        assert_eq!(request.send(&server).await.status, 200, "{created} {expires:?}");
    }
}

/// Another method, host, path, query, digest, key or algorithm than was signed; and what cannot be read.
#[tokio::test]
async fn a_changed_request_is_refused() {
    let server = with_keys(json!({})).await;
    let fresh = || Signed::new(&server, "hmac-sha256");
    for (method, target) in [
        ("HEAD", "/orders/1?a=b"),
        ("GET", "/orders/2?a=b"),
        ("GET", "/orders/1?a=c"),
        ("GET", "/orders/1"),
        ("GET", "/orders/1?a=%62"),
        ("GET", "/orders/%31?a=b"),
    ] {
        let answer = send(&server, method, target, &fresh().headers()).await;
        assert_eq!((answer.status, answer.reason()), (401, "invalid_credential"), "{method} {target}");
    }
    let unknown = Signed { keyid: "nobody".into(), ..fresh() }.send(&server).await;
    let wrong = Signed { keyid: "ed25519".into(), ..fresh() }.send(&server).await;
    assert_eq!(
        (unknown.status, &unknown.body["detail"]),
        (401, &wrong.body["detail"]),
        "nothing tells which key there is"
    );
    let nope = |keyid: &str| {
        let mut headers = Signed { keyid: keyid.into(), ..fresh() }.headers();
        headers.insert("signature-input", headers["signature-input"].replacen("(\"", "(\"x-nope\" \"", 1));
        headers
    };
    let unknown = send(&server, "GET", "/orders/1?a=b", &nope("nobody")).await;
    let known = send(&server, "GET", "/orders/1?a=b", &nope("hmac-sha256")).await;
    assert!(known.body["detail"].as_str().unwrap().contains("x-nope"), "{known:?}");
    assert_eq!((unknown.status, &unknown.body["detail"]), (known.status, &known.body["detail"]));
    let headers = |name: &'static str, value: &str| {
        let mut headers = fresh().headers();
        headers.insert(name, value.to_owned());
        headers
    };
    let own = fresh().headers();
    for (what, headers) in [
        ("input", headers("signature-input", "sig1")),
        ("input twice", headers("signature-input", &format!("{0}, {0}", own["signature-input"]))),
        ("created twice", headers("signature-input", &format!("{};created=1", own["signature-input"]))),
        ("signature", headers("signature", "sig1=abc")),
        ("another label", headers("signature", "sig2=:YQ==:")),
        ("digest", headers("content-digest", "sha-256=abc")),
        ("an unknown digest", headers("content-digest", "md5=:YQ==:")),
        ("two digests", headers("content-digest", "sha-256=:YQ==:, sha-256=:YQ==:")),
        ("long", headers("signature-input", &"a".repeat(17_000))),
    ] {
        let answer = send(&server, "GET", "/orders/1?a=b", &headers).await;
        assert_eq!((answer.meant(), answer.reason()), (400, "malformed_credential"), "{what}: {}", answer.body);
    }
}

#[tokio::test]
async fn one_insert_and_nothing_else() {
    let server = with_keys(json!({})).await;
    let (statements, _guard) = Statements::record();
    for alg in ALGORITHMS {
        Signed::new(&server, alg).send(&server).await;
        statements.take();
        assert_eq!(Signed::new(&server, alg).send(&server).await.status, 200);
        let (reads, writes) = statements.take();
        assert_eq!((reads.len(), writes.len()), (0, 1), "{alg}: {reads:?} {writes:?}");
        assert!(writes[0].contains("used_once"));
    }
}
