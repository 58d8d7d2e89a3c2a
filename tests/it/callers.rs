//! The examples of callers in Python and JavaScript, each way once: through the real nginx and the gate, and those that sign
//! also at an API that verifies by itself (`support::signed_api`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use josekit::jwk::{Jwk, alg::ed::EdKeyPair};
use serde_json::{Value, json};
use signet::domain::secret::from_base64url;

use crate::api_keys::{alice, make, new_key, web};
use crate::gate::certificate::with_certificates;
use crate::gate::nginx::address;
use crate::gate::{ORDERS, signatures, with_gate};
use crate::support::authority::{Authority, Callers};
use crate::support::languages::Language;
use crate::support::proxies::{Kind, Site, Tls};
use crate::support::proxy::Proxy;
use crate::support::signed_api::{SignedApi, jwk};
use crate::support::wire::Api;
use crate::support::{SECRET, Server};

/// The documented configuration, for a host that needs no name server.
struct Gated {
    server: Server,
    nginx: Proxy,
    api: Api,
}

impl Gated {
    async fn start(changes: Value) -> Self {
        let (server, api) = (with_gate(changes).await, Api::start().await);
        let site = Site { host: "127.0.0.1", ..Site::new(address(&server.url), api.address) };
        let nginx = Kind::Nginx.start(&site).await;
        Self { server, nginx, api }
    }

    fn url(&self) -> String {
        format!("http://{}", self.nginx.address)
    }
}

/// What the API was told of the way, by an example that ended well.
fn way((succeeded, said): (bool, String)) -> String {
    assert!(succeeded, "{said}");
    let told: Value = serde_json::from_str(said.strip_prefix("200 ").expect("200")).unwrap();
    let fields = told["headers"].as_array().unwrap();
    let way = fields.iter().find(|field| field[0] == "x-gate-way").unwrap_or_else(|| panic!("{said}"));
    way[1].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_of_ones_own_opens_the_gate() {
    let gated = Gated::start(json!({})).await;
    for language in Language::ALL {
        let mut settings = vec![
            ("ISSUER", gated.server.url.clone()),
            ("API", gated.url()),
            ("RESOURCE", ORDERS.to_owned()),
            ("CLIENT_ID", "web".to_owned()),
            ("CLIENT_SECRET", SECRET.to_owned()),
        ];
        assert_eq!(way(run(language, "bearer", &settings).await), "bearer");
        settings[4].1 = "wrong".to_owned();
        let (succeeded, said) = run(language, "bearer", &settings).await;
        assert!(!succeeded && said.contains("401"), "{said}");
    }
}

#[tokio::test]
async fn an_api_key_and_basic_open_the_gate() {
    let gated = Gated::start(json!({ "accepts": ["api_key", "basic"] })).await;
    let key = async |owner| make(&gated.server, new_key(owner, "orders")).await.unwrap().0.expose().to_owned();
    let (hers, its) = (key(alice(&gated.server).await).await, key(web()).await);
    for language in Language::ALL {
        for key in [&hers, &its] {
            let settings = [("API", gated.url()), ("API_KEY", key.clone())];
            assert_eq!(way(run(language, "api_key", &settings).await), "api_key");
        }
        for (user, password) in [("web", SECRET), ("alice", &hers), ("", &its)] {
            let settings = [("API", gated.url()), ("API_USER", user.to_owned()), ("API_PASSWORD", password.to_owned())];
            assert_eq!(way(run(language, "basic", &settings).await), "basic");
        }
        let (succeeded, said) = run(language, "api_key", &[("API", gated.url()), ("API_KEY", "sgk_".into())]).await;
        assert!(!succeeded && said.starts_with("401 "), "{said}");
        let wrong = [("API", gated.url()), ("API_USER", "web".into()), ("API_PASSWORD", "wrong".into())];
        let (succeeded, said) = run(language, "basic", &wrong).await;
        assert!(!succeeded && said.starts_with("401 "), "{said}");
    }
}

#[tokio::test]
async fn signed_requests_are_verified_with_their_bodies() {
    let api = SignedApi::start().await;
    let (_folder, keys) = signing_keys();
    for language in Language::ALL {
        for (name, algorithm, key) in &keys {
            let (algorithm, settings) =
                (*algorithm, |keyid: &str| [("API", api.url.clone()), ("KEY_ID", keyid.to_owned()), key.clone()]);
            let mut nonces = Vec::new();
            for _ in 0..2 {
                let (succeeded, said) = run(language, name, &settings(algorithm)).await;
                assert!(succeeded, "{language:?} {name}: {said}");
                let seen = api.let_in();
                let told: Vec<_> = seen.iter().map(|one| (one.method.as_str(), one.target.as_str())).collect();
                assert_eq!(told, [("GET", "/orders/1?a=b%20c"), ("POST", "/orders"), ("POST", "/orders/1/cancel")]);
                assert_eq!(serde_json::from_slice::<Value>(&seen[1].body).unwrap(), json!({ "item": 7 }));
                assert!(seen[0].body.is_empty() && seen[2].body.is_empty());
                for one in &seen {
                    assert_eq!((one.keyid.as_str(), one.algorithm.as_str()), (algorithm, algorithm));
                    let digest = one.covered.contains(&"\"content-digest\"".to_owned());
                    assert_eq!(digest, one.method == "POST", "{:?}", one.covered);
                    nonces.push(one.nonce.clone());
                }
            }
            nonces.sort();
            nonces.dedup();
            assert_eq!(nonces.len(), 6, "each is new");
            let (succeeded, said) = run(language, name, &settings("rsa-pss-sha512")).await;
            assert!(!succeeded && said.contains("401 "), "with a key that is another's: {said}");
            assert_eq!(api.let_in().len(), 0);
        }
    }
}

#[tokio::test]
async fn signed_requests_open_the_gate() {
    let gated = Gated::start(json!({ "accepts": ["message_signature"], "rules": [
        { "methods": ["GET"], "path": "/orders/**", "scopes": ["read"] },
        { "methods": ["POST"], "path": "/orders/**", "scopes": ["write"] },
    ] }))
    .await;
    let keys = ["hmac-sha256", "ed25519"].map(|alg| signatures::registered(alg, alg));
    signatures::apply_clients(&gated.server, json!([signatures::row("web", json!(keys))])).await.unwrap();
    let (_folder, keys) = signing_keys();
    for language in Language::ALL {
        for (name, algorithm, key) in &keys {
            let settings = |keyid: &str| [("API", gated.url()), ("KEY_ID", keyid.to_owned()), key.clone()];
            let before = gated.api.asked();
            let (succeeded, said) = run(language, name, &settings(algorithm)).await;
            assert!(succeeded, "{language:?} {name}: {said}\n{}", gated.nginx.log());
            assert_eq!(gated.api.asked(), before + 3, "{said}");
            let (succeeded, said) = run(language, name, &settings("nobody")).await;
            assert!(!succeeded && said.contains("401 "), "{said}");
            assert_eq!(gated.api.asked(), before + 3);
        }
    }
}

#[tokio::test]
async fn oauth_1_opens_the_gate() {
    let gated = Gated::start(json!({ "accepts": ["oauth1"] })).await;
    let key = signatures::registered("hmac-sha256", "mac");
    let secret = key["secret"].as_str().unwrap().to_owned();
    signatures::apply_clients(&gated.server, json!([signatures::row("web", json!([key]))])).await.unwrap();
    for language in Language::ALL {
        let settings = |keyid: &str| [("API", gated.url()), ("KEY_ID", keyid.to_owned()), ("SECRET", secret.clone())];
        assert_eq!(way(run(language, "oauth1", &settings("mac")).await), "oauth1");
        let (succeeded, said) = run(language, "oauth1", &settings("nobody")).await;
        assert!(!succeeded && said.starts_with("401 "), "{said}");
    }
}

#[tokio::test]
async fn a_certificate_opens_the_gate() {
    let server = with_certificates(json!(["mtls"])).await;
    let (api, shown, callers) = (Api::start().await, Authority::new(), Callers::new("Callers"));
    let reports = json!({ "client_id": "reports", "token_endpoint_auth_method": "tls_client_auth", "scope": "read",
                          "tls_client_auth_subject_dn": "CN=reports,O=Example", "grant_types": ["client_credentials"] });
    signatures::apply_clients(&server, json!([reports])).await.unwrap();
    let tls = Some(Tls { own: &shown, callers: &callers.root() });
    let site = Site { host: "127.0.0.1", tls, ..Site::new(address(&server.url), api.address) };
    let nginx = Kind::Nginx.start(&site).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let settings = |name: &str| {
        let certificate = callers.sign(name, vec![]);
        [
            ("API", format!("https://{}", nginx.address)),
            ("CERT_FILE", file(&format!("{name}.pem"), &certificate.cert)),
            ("KEY_FILE", file(&format!("{name}.key"), &certificate.key)),
            ("CA_FILE", file("ca.pem", &shown.root)),
        ]
    };
    for language in Language::ALL {
        assert_eq!(way(run(language, "mtls", &settings("reports")).await), "mtls");
        let (succeeded, said) = run(language, "mtls", &settings("nobody")).await;
        assert!(!succeeded && said.starts_with("401 "), "{said}");
    }
}

/// An example that signs, its algorithm, and the setting that says what with.
type Signing = (&'static str, &'static str, (&'static str, String));

/// All of them, and where the files of keys are.
fn signing_keys() -> (tempfile::TempDir, [Signing; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("key.pem");
    let pair = EdKeyPair::from_jwk(&Jwk::from_map(jwk("ed25519")).unwrap()).unwrap();
    std::fs::write(&pem, pair.to_pem_private_key()).unwrap();
    let secret = STANDARD.encode(from_base64url(jwk("hmac-sha256")["k"].as_str().unwrap()).unwrap());
    let keys = [
        ("signature_hmac", "hmac-sha256", ("SECRET", secret)),
        ("signature_ed25519", "ed25519", ("KEY_FILE", pem.to_str().unwrap().to_owned())),
    ];
    (folder, keys)
}

async fn run(language: Language, name: &str, settings: &[(&str, String)]) -> (bool, String) {
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    language.run("callers", name, &settings).await
}
