//! RFC 9421 appendix B, and vectors of our own: each was made by another implementation (the Python packages
//! `http-message-signatures` and `cryptography`) and is read, put together and verified here.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use signet_signatures::{Component, ContentDigest, Error, ErrorKind, Policy, Request, Signatures};

use crate::support;

fn all(folder: &str) -> Vec<(PathBuf, Value)> {
    let entries = fs::read_dir(support::vectors().join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), support::json(&path))).collect()
}

fn request(vector: &Value) -> Request<'_> {
    let text = |value: &'_ Value| -> Option<String> { value.as_str().map(str::to_owned) };
    let message = &vector["request"];
    assert!(text(&message["method"]).is_some());
    let mut request = Request::to(message["method"].as_str().unwrap(), message["uri"].as_str().unwrap()).unwrap();
    for field in message["fields"].as_array().unwrap() {
        request = request.with_field(field[0].as_str().unwrap(), field[1].as_str().unwrap().as_bytes()).unwrap();
    }
    for (name, member) in [("Signature-Input", "signature_input"), ("Signature", "signature")] {
        request = request.with_field(name, vector[member].as_str().unwrap().as_bytes()).unwrap();
    }
    request
}

/// Of one folder, all requests.
fn verify(folder: &str) -> usize {
    let mut verified = 0;
    for (path, vector) in all(folder).iter().filter(|(_, vector)| vector.get("request").is_some()) {
        let name = path.display();
        let (signing, verifying) = support::pair(folder, vector["key"].as_str().unwrap());
        assert_eq!(verifying.algorithm().as_str(), vector["algorithm"], "{name}");
        let request = request(vector);
        let signatures = Signatures::of(&request).unwrap().unwrap();
        let signature = signatures.get(vector["label"].as_str().unwrap()).unwrap();
        assert_eq!(signature.input().base(&request).unwrap(), vector["base"].as_str().unwrap(), "{name}");
        let expected = if vector["verifies"] == true { Ok(()) } else { Err(Error::NotVerified) };
        assert_eq!(signature.verify(&request, &verifying), expected, "{name}");
        if let Some(body) = vector["request"]["body"].as_str() {
            ContentDigest::of(&request).unwrap().unwrap().check(body.as_bytes()).unwrap();
        }
        // Where the algorithm leaves no choice, we sign the same.
        let signed = signature.input().sign(signature.label(), &request, &signing).unwrap();
        assert_eq!(signed.signature_input, vector["signature_input"].as_str().unwrap(), "{name}");
        if vector["verifies"] == true && matches!(verifying.algorithm().as_str(), "hmac-sha256" | "ed25519") {
            assert_eq!(signed.signature, vector["signature"].as_str().unwrap(), "{name}");
        }
        verified += 1;
    }
    verified
}

/// B.2.1 to B.2.3, B.2.5, B.2.6, and B.4 with its transformations.
#[test]
fn the_requests_of_appendix_b_verify() {
    assert_eq!(verify("rfc9421"), 11);
}

/// B.2.4 signs a response: its proof is good, and in a request it proves nothing.
#[test]
fn the_response_of_appendix_b_is_no_request() {
    let vector = support::json(&support::vectors().join("rfc9421/b2.4.json"));
    let (_, key) = support::pair("rfc9421", "test-key-ecc-p256");
    let value = vector["signature"].as_str().unwrap().strip_prefix("sig-b24=:").unwrap().trim_end_matches(':');
    let value = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, value).unwrap();
    let base = vector["base"].as_str().unwrap();
    key.verify(base.as_bytes(), &value).unwrap();
    assert_eq!(key.verify(&base.as_bytes()[1..], &value), Err(Error::NotVerified));
    let read = support::read(vector["signature_input"].as_str().unwrap(), vector["signature"].as_str().unwrap());
    assert_eq!(read.unwrap_err(), Error::OfResponses("@status".to_owned()));
    let body = vector["response"]["body"].as_str().unwrap();
    ContentDigest::parse(vector["response"]["fields"][2][1].as_str().unwrap().as_bytes())
        .unwrap()
        .check(body.as_bytes())
        .unwrap();
}

/// B.1.
#[test]
fn every_key_of_appendix_b_signs_for_itself_alone() {
    let names = ["test-key-rsa", "test-key-rsa-pss", "test-key-ecc-p256", "test-key-ed25519", "test-shared-secret"];
    let pairs = names.map(|name| support::pair("rfc9421", name));
    for (at, (signing, _)) in pairs.iter().enumerate() {
        let value = signing.sign(b"base").unwrap();
        for (other, (_, verifying)) in pairs.iter().enumerate() {
            assert_eq!(verifying.verify(b"base", &value).is_ok(), at == other, "{at} {other}");
        }
    }
}

#[test]
fn vectors_of_our_own_verify() {
    assert_eq!(verify("signet"), 9);
}

/// They are what the gate takes, but for the one that covers everything there is.
#[test]
fn vectors_of_our_own_say_and_cover_what_the_policy_asks_for() {
    for (path, vector) in all("signet") {
        let request = request(&vector);
        let signatures = Signatures::of(&request).unwrap().unwrap();
        let checked = Policy::default().check(signatures.only().unwrap().unwrap(), &request, 1_750_000_300);
        assert_eq!(checked.unwrap().keyid(), vector["key"], "{}", path.display());
        let late = Policy::default().check(signatures.only().unwrap().unwrap(), &request, 1_750_000_301);
        assert_eq!(late.unwrap_err(), Error::Stale);
    }
}

/// §4.3: two signatures, the second over the first.
#[test]
fn several_labels_are_told_apart() {
    let one = r#"("@method" "@authority");created=1618884475;keyid="a""#;
    let two = r#"("@method" "signature";key="sig1");created=1618884480;keyid="b";expires=1618884540"#;
    let signatures = support::read(&format!("sig1={one}, proxy_sig={two}"), "proxy_sig=:Ag==:,sig1=:AQ==:");
    let signatures = signatures.unwrap().unwrap();
    let labels: Vec<&str> = signatures.iter().map(signet_signatures::Signature::label).collect();
    assert_eq!(labels, ["sig1", "proxy_sig"]);
    assert_eq!(signatures.get("proxy_sig").unwrap().input().to_string(), two);
    let request = Request::to("GET", "https://a.example/").unwrap().with_field("Signature", b"sig1=:AQ==:").unwrap();
    let base = signatures.get("proxy_sig").unwrap().input().base(&request).unwrap();
    assert!(base.contains("\"signature\";key=\"sig1\": :AQ==:\n"), "{base}");
    let error = signatures.only().unwrap_err();
    assert_eq!((error.kind(), error), (ErrorKind::Malformed, Error::Several));
    assert!(Component::new("@method").is_ok());
}
