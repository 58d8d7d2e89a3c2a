//! Requests and keys of the tests.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use signet_signatures::{Component, Input, Parameters, Request, Signatures, SigningKey, VerifyingKey};

pub const NOW: i64 = 1_750_000_000;

pub const SECRET: &[u8] = b"a secret of both that has 32 bytes or more";

pub fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

pub fn json(path: &Path) -> Value {
    let read = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&read).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A private key of the vectors.
pub fn jwk(folder: &str, name: &str) -> Map<String, Value> {
    let key = json(&vectors().join(folder).join("keys").join(format!("{name}.json")));
    key["jwk"].as_object().expect("a key").clone()
}

pub fn public(mut jwk: Map<String, Value>) -> Map<String, Value> {
    for member in ["d", "p", "q", "dp", "dq", "qi"] {
        jwk.remove(member);
    }
    jwk
}

pub fn pair(folder: &str, name: &str) -> (SigningKey, VerifyingKey) {
    let jwk = jwk(folder, name);
    let signing = SigningKey::from_jwk(&jwk).expect("a private key");
    let verifying = match jwk["kty"].as_str() {
        Some("oct") => signing.verifying_key(),
        _ => VerifyingKey::from_jwk(&public(jwk)),
    };
    (signing, verifying.expect("a public key"))
}

/// One key of each algorithm.
pub fn each_pair() -> Vec<(SigningKey, VerifyingKey)> {
    ["hmac-sha256", "ed25519", "ecdsa-p256-sha256", "rsa-pss-sha512"].map(|name| pair("signet", name)).into()
}

pub fn components(texts: &[&str]) -> Vec<Component> {
    let read = |text: &&str| if text.starts_with('"') { Component::parse(text) } else { Component::new(text) };
    texts.iter().map(read).collect::<Result<_, _>>().expect("components")
}

/// What the policy asks for.
pub fn said() -> Parameters {
    Parameters {
        created: Some(NOW),
        nonce: Some("n1".to_owned()),
        keyid: Some("k1".to_owned()),
        ..Parameters::default()
    }
}

pub fn input(covered: &[&str], said: Parameters) -> Input {
    Input::new(components(covered), said).expect("an input")
}

/// The signatures of a request that has these values in the two fields.
pub fn read(signature_input: &str, signature: &str) -> signet_signatures::Result<Option<Signatures>> {
    let request = Request::to("GET", "https://api.example/")?;
    let request = request.with_field("signature-input", signature_input.as_bytes())?;
    Signatures::of(&request.with_field("signature", signature.as_bytes())?)
}

/// One that says so and is signed by nobody.
pub fn unsigned(text: &str) -> Signatures {
    read(&format!("s={text}"), "s=:AA==:").expect("a signature").expect("is there")
}
