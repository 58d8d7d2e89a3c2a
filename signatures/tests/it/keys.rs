//! Which keys are taken, and that none of them shows itself.

use serde_json::{Map, Value, json};
use signet_signatures::{Algorithm, Error, KeyError, Request, Signatures, SigningKey, VerifyingKey};

use crate::support::{self, SECRET, each_pair, input, jwk, pair, public, said};

fn with(mut jwk: Map<String, Value>, name: &str, value: Value) -> Map<String, Value> {
    jwk.insert(name.to_owned(), value);
    jwk
}

fn refused(jwk: &Map<String, Value>) -> KeyError {
    VerifyingKey::from_jwk(jwk).expect_err("no key")
}

#[test]
fn a_secret_has_32_bytes() {
    assert_eq!(VerifyingKey::from_secret(&[7; 31]).unwrap_err(), KeyError::ShortSecret);
    assert_eq!(SigningKey::from_secret(&[7; 31]).unwrap_err(), KeyError::ShortSecret);
    assert_eq!(VerifyingKey::from_secret(&[7; 32]).unwrap().algorithm(), Algorithm::HmacSha256);
}

#[test]
fn a_key_to_verify_with_is_public() {
    for (name, member) in [("ed25519", "d"), ("ecdsa-p256-sha256", "d"), ("rsa-pss-sha512", "d"), ("hmac-sha256", "k")]
    {
        assert_eq!(refused(&jwk("signet", name)), KeyError::Private(member), "{name}");
    }
    for member in ["p", "q", "dp", "dq", "qi", "oth", "k"] {
        let key = with(public(jwk("signet", "rsa-pss-sha512")), member, json!("AA"));
        assert_eq!(refused(&key), KeyError::Private(member));
    }
    for name in ["ed25519", "ecdsa-p256-sha256", "rsa-pss-sha512"] {
        assert_eq!(SigningKey::from_jwk(&public(jwk("signet", name))).unwrap_err(), KeyError::Public("d"));
    }
}

#[test]
fn a_key_is_of_a_known_kind_and_for_signatures() {
    let ed25519 = || public(jwk("signet", "ed25519"));
    for (name, value) in [
        ("kty", json!("EC")),
        ("kty", json!("oct")),
        ("kty", json!(7)),
        ("crv", json!("Ed448")),
        ("crv", json!("X25519")),
    ] {
        assert_eq!(refused(&with(ed25519(), name, value)), KeyError::Kind);
    }
    assert_eq!(refused(&with(public(jwk("signet", "ecdsa-p256-sha256")), "crv", json!("P-384"))), KeyError::Kind);
    assert_eq!(refused(&Map::new()), KeyError::Kind);
    for (name, value) in [
        ("use", json!("enc")),
        ("use", json!(1)),
        ("alg", json!("ES256")),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!("verify")),
    ] {
        assert!(matches!(refused(&with(ed25519(), name, value)), KeyError::Purpose(_)), "{name}");
    }
    for (name, value) in
        [("use", json!("sig")), ("alg", json!("EdDSA")), ("alg", json!("Ed25519")), ("key_ops", json!(["verify"]))]
    {
        assert!(VerifyingKey::from_jwk(&with(ed25519(), name, value)).is_ok(), "{name}");
    }
    for alg in ["RS256", "PS256", "RSA-OAEP-256"] {
        let key = with(public(jwk("signet", "rsa-pss-sha512")), "alg", json!(alg));
        assert_eq!(refused(&key), KeyError::Purpose("alg"), "{alg}");
    }
}

#[test]
fn a_key_is_whole() {
    for (name, member) in
        [("ed25519", "x"), ("ecdsa-p256-sha256", "x"), ("ecdsa-p256-sha256", "y"), ("rsa-pss-sha512", "e")]
    {
        for value in [Value::Null, json!(""), json!("A"), json!("AAAA"), json!("=="), json!("\u{e4}"), json!(7)] {
            let key = with(public(jwk("signet", name)), member, value);
            assert_eq!(refused(&key), KeyError::Member(member), "{name}");
        }
    }
    // No point of the curve.
    let off = with(public(jwk("signet", "ecdsa-p256-sha256")), "y", json!("A".repeat(43)));
    assert_eq!(refused(&off), KeyError::Inconsistent);
    // A private key with the public half of another.
    for name in ["ed25519", "ecdsa-p256-sha256"] {
        let other = if name == "ed25519" { "test-key-ed25519" } else { "test-key-ecc-p256" };
        let mut mixed = jwk("signet", name);
        for member in ["x", "y"] {
            if let Some(value) = jwk("rfc9421", other).get(member) {
                mixed.insert(member.to_owned(), value.clone());
            }
        }
        assert_eq!(SigningKey::from_jwk(&mixed).unwrap_err(), KeyError::Inconsistent, "{name}");
    }
}

#[test]
fn an_rsa_key_has_2048_to_8192_bits_and_an_odd_exponent() {
    let rsa = |n: Vec<u8>| {
        let n = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, n);
        VerifyingKey::from_jwk(&with(public(jwk("signet", "rsa-pss-sha512")), "n", json!(n)))
    };
    let number = |bytes: usize, first: u8| [vec![first], vec![0xff; bytes - 1]].concat();
    for (n, good) in [
        (number(128, 0xff), false),
        (number(256, 0x7f), false),
        (number(256, 0x80), true),
        (number(1024, 0xff), true),
        (number(1025, 0x01), false),
        ([vec![0; 100], number(200, 0xff)].concat(), false),
        (vec![0; 300], false),
    ] {
        let length = n.len();
        assert_eq!(rsa(n).map_err(|error| assert_eq!(error, KeyError::RsaSize)).is_ok(), good, "{length}");
    }
    for exponent in ["AQ", "Ag", "AQAA", "AQAAAAAB"] {
        let key = with(public(jwk("signet", "rsa-pss-sha512")), "e", json!(exponent));
        assert_eq!(refused(&key), KeyError::Member("e"), "{exponent}");
    }
}

/// RFC 9421 §3.2 step 6: an `alg` that says otherwise is refused, and a key never verifies for another algorithm.
#[test]
fn the_algorithm_is_the_keys() {
    for (at, (signing, verifying)) in each_pair().iter().enumerate() {
        for algorithm in Algorithm::ALL.map(Algorithm::as_str).into_iter().chain(["", "none", "rsa-v1_5-sha256"]) {
            let said = signet_signatures::Parameters { alg: Some(algorithm.to_owned()), ..said() };
            let request = Request::to("GET", "https://api.example/").unwrap();
            let input = input(&["@method"], said);
            let signed = input.sign("s", &request, signing);
            if algorithm != signing.algorithm().as_str() {
                assert_eq!(signed.unwrap_err(), Error::Algorithm);
                let signatures = support::unsigned(&input.to_string());
                assert_eq!(signatures.get("s").unwrap().verify(&request, verifying), Err(Error::Algorithm));
                continue;
            }
            let signed = signed.unwrap();
            let signatures = support::read(&signed.signature_input, &signed.signature).unwrap().unwrap();
            for (other, (_, key)) in each_pair().iter().enumerate() {
                assert_eq!(signatures.only().unwrap().unwrap().verify(&request, key).is_ok(), at == other);
            }
        }
    }
}

/// A public key is no secret to make MACs with: the old confusion of the two.
#[test]
fn a_public_key_is_no_shared_secret() {
    let jwk = public(jwk("signet", "rsa-pss-sha512"));
    let mac = SigningKey::from_secret(serde_json::to_string(&jwk).unwrap().as_bytes()).unwrap();
    let value = mac.sign(b"base").unwrap();
    assert_eq!(VerifyingKey::from_jwk(&jwk).unwrap().verify(b"base", &value), Err(Error::NotVerified));
}

/// RFC 9421 §3.3.1: a salt of another length, and §3.3.4: DER, are other algorithms. Both values are by the private keys
/// of our vectors over the text `base`.
#[test]
fn other_forms_of_a_good_signature_do_not_verify() {
    let others = support::json(&support::vectors().join("signet/other-forms/values.json"));
    for (name, values) in others.as_object().unwrap() {
        let (_, key) = pair("signet", name);
        for (form, value) in values.as_object().unwrap() {
            let value =
                base64::Engine::decode(&base64::engine::general_purpose::STANDARD, value.as_str().unwrap()).unwrap();
            let expected = if form == "right" { Ok(()) } else { Err(Error::NotVerified) };
            assert_eq!(key.verify(b"base", &value), expected, "{name} {form}");
        }
    }
    assert_eq!(others.as_object().unwrap().len(), 4);
}

#[test]
fn no_key_shows_itself() {
    let secret = format!("{:?}", VerifyingKey::from_secret(SECRET).unwrap());
    assert_eq!(secret, "VerifyingKey(hmac-sha256)");
    for (signing, verifying) in each_pair() {
        let algorithm = signing.algorithm();
        assert_eq!(format!("{signing:?}"), format!("SigningKey({algorithm})"));
        assert_eq!(format!("{verifying:?}"), format!("VerifyingKey({algorithm})"));
    }
}

/// The same words whatever is wrong with a signature.
#[test]
fn a_refusal_does_not_tell_what_was_nearly_right() {
    let request = Request::to("GET", "https://api.example/").unwrap();
    let input = input(&["@method"], said());
    let key = SigningKey::from_secret(SECRET).unwrap();
    let signed = input.sign("s", &request, &key).unwrap();
    let wrong = |value: &str| {
        let request = request.clone().with_field("Signature-Input", signed.signature_input.as_bytes()).unwrap();
        let request = request.with_field("Signature", value.as_bytes()).unwrap();
        let signatures = Signatures::of(&request).unwrap().unwrap();
        signatures.only().unwrap().unwrap().verify(&request, &key.verifying_key().unwrap())
    };
    assert_eq!(wrong(&signed.signature), Ok(()));
    let first: String = signed.signature.chars().take(4).collect();
    let other = if first == "s=:A" { "s=:B" } else { "s=:A" };
    for value in ["s=::", "s=:AA==:", &signed.signature.replacen(&first, other, 1)] {
        assert_eq!(wrong(value), Err(Error::NotVerified), "{value}");
    }
}
