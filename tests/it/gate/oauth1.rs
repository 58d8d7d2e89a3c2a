//! OAuth 1.0 at the gate (RFC 5849), signed here by hand as an old caller does: off unless the API accepts it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use josekit::jws;
use serde_json::{Value, json};
use sha2::Sha256;

use super::signatures::{jwk, registered, with_keys};
use super::{Answer, nginx, put_api};
use crate::support::Server;

#[derive(Clone)]
pub struct Call {
    pub origin: &'static str,
    pub key: &'static str,
    pub method: &'static str,
    pub timestamp: i64,
    pub nonce: String,
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20").replace('*', "%2A")
}

impl Call {
    pub fn new(server: &Server, key: &'static str, method: &'static str) -> Self {
        let nonce = server.app.env().uuid().simple().to_string();
        Self { origin: "https://orders.example.com", key, method, timestamp: server.app.env().now().seconds(), nonce }
    }

    /// The value of `Authorization` for a GET of `/orders/1?b=2&a=x%20y`.
    pub fn header(&self) -> String {
        let Self { origin, key, method, timestamp, nonce } = self;
        let parameters = format!(
            "a=x%20y&b=2&oauth_consumer_key={key}&oauth_nonce={nonce}&oauth_signature_method={method}\
             &oauth_timestamp={timestamp}&oauth_version=1.0"
        );
        let base = format!("GET&{}&{}", encoded(&format!("{origin}/orders/1")), encoded(&parameters));
        let signature = if *method == "RSA-SHA256" {
            let key = josekit::jwk::Jwk::from_map(jwk("rsa-pss-sha512")).unwrap();
            let signer = jws::RS256.signer_from_jwk(&key).unwrap();
            josekit::jws::JwsSigner::sign(&signer, base.as_bytes()).unwrap()
        } else {
            let secret = signet::domain::secret::from_base64url(jwk("hmac-sha256")["k"].as_str().unwrap()).unwrap();
            let secret: String = secret.iter().map(|byte| encoded(&char::from(*byte).to_string())).collect();
            Hmac::<Sha256>::new_from_slice(format!("{secret}&").as_bytes())
                .unwrap()
                .chain_update(base)
                .finalize()
                .into_bytes()
                .to_vec()
        };
        let signature = encoded(&STANDARD.encode(signature));
        format!(
            "OAuth realm=\"orders\", oauth_consumer_key=\"{key}\", oauth_signature_method=\"{method}\", \
             oauth_timestamp=\"{timestamp}\", oauth_nonce=\"{nonce}\", oauth_version=\"1.0\", \
             oauth_signature=\"{signature}\""
        )
    }
}

pub const TARGET: &str = "/orders/1?b=2&a=x%20y";

async fn send(server: &Server, target: &str, header: &str) -> Answer {
    nginx(server, "GET", target, &[("authorization", header)]).await
}

/// The names `mac` and `rsa`, as a client's `signature_keys` have them.
pub fn keys() -> Vec<Value> {
    let mut rsa = registered("rsa-pss-sha512", "rsa");
    rsa["alg"] = json!("rsa-v1_5-sha256");
    rsa["jwk"].as_object_mut().unwrap().remove("alg");
    vec![registered("hmac-sha256", "mac"), rsa]
}

async fn with_oauth() -> Server {
    let server = with_keys(json!({ "accepts": ["oauth1"] })).await;
    super::signatures::apply_clients(&server, json!([super::signatures::row("web", json!(keys()))])).await.unwrap();
    server
}

#[tokio::test]
async fn both_methods_say_whose_key_it_was_once() {
    let nodes = with_oauth().await.nodes().await;
    for (key, method) in [("mac", "HMAC-SHA256"), ("rsa", "RSA-SHA256")] {
        let header = Call::new(&nodes[0], key, method).header();
        let answer = send(&nodes[0], TARGET, &header).await;
        let told = ["x-gate-subject", "x-gate-scope", "x-gate-way"].map(|name| answer.header(name));
        assert_eq!((answer.status, told), (200, ["web", "read write", "oauth1"]), "{method}: {}", answer.body);
        // The order of the query is not signed (§3.4.1.3.2); it is used up all the same.
        for (node, target) in nodes.iter().zip([TARGET, "/orders/1?a=x+y&b=2"]) {
            let answer = send(node, target, &header).await;
            assert_eq!((answer.status, answer.reason()), (401, "invalid_credential"), "{method}");
            assert!(answer.body["detail"].as_str().unwrap().contains("nonce"));
        }
    }
}

/// The base string does not say where a parameter stood: those of OAuth 1.0 stand in the header, all others in the query.
#[tokio::test]
async fn parameters_cannot_move_between_header_and_query() {
    let server = with_oauth().await;
    let header = Call::new(&server, "mac", "HMAC-SHA256").header();
    for (target, moved) in [
        ("/orders/1?b=2", format!("{header}, a=\"x%20y\"")),
        ("/orders/1", format!("{header}, a=\"x%20y\", b=\"2\"")),
        ("/orders/1?b=2&a=x%20y&oauth_version=1.0", header.replace("oauth_version=\"1.0\", ", "")),
    ] {
        let answer = send(&server, target, &moved).await;
        assert_eq!((answer.meant(), answer.reason()), (400, "malformed_credential"), "{target} {moved}");
    }
    assert_eq!(send(&server, TARGET, &header).await.status, 200, "and where they belong they are good");
}

#[tokio::test]
async fn what_is_not_good() {
    let server = with_oauth().await;
    let call = || Call::new(&server, "mac", "HMAC-SHA256");
    let fresh = || call().header();
    assert_eq!(
        send(&server, "/orders/1?a=x+y&b=2", &fresh()).await.status,
        200,
        "the order of the query is not signed"
    );
    for target in ["/orders/2?b=2&a=x%20y", "/orders/1?b=2&a=x", "/orders/1", "/orders/1?b=2&a=x%20y&c="] {
        assert_eq!(send(&server, target, &fresh()).await.status, 401, "{target}");
    }
    for (what, call) in [
        ("another key", Call { key: "rsa", ..call() }),
        ("nobody's", Call { key: "nobody", ..call() }),
        ("a key of another kind", Call { key: "mac", method: "RSA-SHA256", ..call() }),
        ("another method", Call { method: "HMAC-SHA1", ..call() }),
        ("no method", Call { method: "PLAINTEXT", ..call() }),
        ("old", Call { timestamp: call().timestamp - 301, ..call() }),
        ("of the future", Call { timestamp: call().timestamp + 301, ..call() }),
    ] {
        let answer = send(&server, TARGET, &call.header()).await;
        assert_eq!((answer.status, answer.reason()), (401, "invalid_credential"), "{what}");
        assert!(answer.header("www-authenticate").contains("OAuth realm="));
    }
    for bad in [fresh().replace("oauth_nonce", "oauth_nonse"), fresh().replace("1.0", "2.0"), "OAuth".to_owned()] {
        let answer = send(&server, TARGET, &bad).await;
        assert_eq!((answer.meant(), answer.reason()), (400, "malformed_credential"), "{bad}");
    }
    let header = fresh();
    let form =
        [("authorization", header.as_str()), ("content-type", "Application/x-www-form-urlencoded; charset=utf-8")];
    assert_eq!(nginx(&server, "GET", TARGET, &form).await.status, 401, "a form's parameters are not seen");
    // A key for OAuth 1.0 signs no messages, and where the API does not accept it nothing is tried.
    put_api(&server, json!({ "accepts": ["message_signature", "bearer"] })).await;
    assert_eq!(send(&server, TARGET, &fresh()).await.status, 401);
}
