//! Decides what a client's public key may be used for (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
//!
//! A key is accepted only if all of its members are consistent with the use. Only its public key parameters are passed
//! on; other members of the JWK (`x5c`, `x5u`) are ignored. `domain::jwks` defines the format of the set.

use josekit::jwk::Jwk;
use serde_json::{Map, Value};

use crate::domain::algorithms::{KeyManagementAlg, SigningAlg};
use crate::domain::secret::from_base64url;

type JwkMembers = Map<String, Value>;

/// The length of the modulus in bits. A shorter one is weak (RFC 7518 §3.3), a longer one makes verification expensive.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// Returns the key if it verifies signatures with `alg`.
pub(super) fn verifying(key: &JwkMembers, alg: SigningAlg) -> Option<Jwk> {
    if !is_absent_or_one_of(key, "use", &["sig"])
        || !is_absent_or_one_of(key, "alg", &[alg.as_str()])
        || !allows_operation(key, &["verify"])
    {
        return None;
    }
    match alg {
        SigningAlg::RS256 | SigningAlg::PS256 => rsa(key),
        SigningAlg::ES256 => on_curve(key, "EC", &[("P-256", 32)]),
        SigningAlg::EdDSA => on_curve(key, "OKP", &[("Ed25519", 32)]),
        SigningAlg::HS256 => None,
    }
}

/// Returns the key if `alg` can encrypt to it.
pub(super) fn encrypting(key: &JwkMembers, alg: KeyManagementAlg) -> Option<Jwk> {
    if !is_absent_or_one_of(key, "use", &["enc"]) || !is_absent_or_one_of(key, "alg", &[alg.as_str()]) {
        return None;
    }
    match alg {
        KeyManagementAlg::RsaOaep256 => allows_operation(key, &["wrapKey", "encrypt"]).then(|| rsa(key))?,
        KeyManagementAlg::EcdhEs | KeyManagementAlg::EcdhEsA256Kw => {
            // The public key of a key agreement has no operation of its own; Web Cryptography exports an empty list.
            if !allows_operation(key, &["deriveKey", "deriveBits"])
                && key.get("key_ops") != Some(&Value::Array(Vec::new()))
            {
                return None;
            }
            on_curve(key, "EC", &[("P-256", 32), ("P-384", 48), ("P-521", 66)])
                .or_else(|| on_curve(key, "OKP", &[("X25519", 32)]))
        }
    }
}

/// Returns whether a member is absent or one of `values`.
fn is_absent_or_one_of(key: &JwkMembers, name: &str, values: &[&str]) -> bool {
    key.get(name).is_none_or(|said| said.as_str().is_some_and(|said| values.contains(&said)))
}

fn allows_operation(key: &JwkMembers, operations: &[&str]) -> bool {
    key.get("key_ops").is_none_or(|said| {
        let mut said = said.as_array().into_iter().flatten().filter_map(Value::as_str);
        said.any(|operation| operations.contains(&operation))
    })
}

fn rsa(key: &JwkMembers) -> Option<Jwk> {
    if key.get("kty")?.as_str()? != "RSA" {
        return None;
    }
    let number = |name| {
        let bytes = from_base64url(key.get(name)?.as_str()?)?;
        let bits = bytes.len() * 8 - usize::try_from(bytes.first()?.leading_zeros()).ok()?;
        Some((bits, bytes.last().is_some_and(|last| last % 2 == 1)))
    };
    let (modulus, exponent) = (number("n")?, number("e")?);
    // An exponent must be odd and not 1. No key in use has an exponent of more than 33 bits, and each bit costs a
    // squaring.
    let sound = RSA_BITS.contains(&modulus.0) && modulus.1 && (2..=33).contains(&exponent.0) && exponent.1;
    if sound { only(key, &["kty", "n", "e"]) } else { None }
}

fn on_curve(key: &JwkMembers, kty: &str, curves: &[(&str, usize)]) -> Option<Jwk> {
    let crv = key.get("crv")?.as_str()?;
    let (_, length) = curves.iter().find(|(name, _)| *name == crv)?;
    let members: &[&str] = if kty == "EC" { &["x", "y"] } else { &["x"] };
    let whole = |name: &&str| {
        key.get(*name).and_then(Value::as_str).and_then(from_base64url).is_some_and(|bytes| bytes.len() == *length)
    };
    if key.get("kty")?.as_str()? != kty || !members.iter().all(whole) {
        return None;
    }
    only(key, &[&["kty", "crv"], members].concat())
}

fn only(key: &JwkMembers, names: &[&str]) -> Option<Jwk> {
    let members: JwkMembers =
        names.iter().filter_map(|name| Some(((*name).to_owned(), key.get(*name)?.clone()))).collect();
    Jwk::from_map(members).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::base64url;
    use serde_json::json;

    fn with(base: &Value, changes: &[(&str, Value)]) -> JwkMembers {
        let mut key = base.as_object().unwrap().clone();
        for (name, value) in changes {
            key.insert((*name).to_owned(), value.clone());
        }
        key
    }

    fn number(bits: usize, last: u8) -> String {
        let mut bytes = vec![0xa5; bits.div_ceil(8)];
        bytes[0] = if bits.is_multiple_of(8) { 0x80 } else { 1 << (bits % 8 - 1) };
        *bytes.last_mut().unwrap() = last;
        base64url(&bytes)
    }

    #[test]
    fn rsa_keys_have_a_sound_length() {
        let key =
            |bits, e: &[u8]| with(&json!({ "kty": "RSA", "n": number(bits, 0xff) }), &[("e", json!(base64url(e)))]);
        for bits in [2048, 3072, 4096] {
            assert!(verifying(&key(bits, &[1, 0, 1]), SigningAlg::PS256).is_some(), "{bits}");
            assert!(encrypting(&key(bits, &[1, 0, 1]), KeyManagementAlg::RsaOaep256).is_some(), "{bits}");
        }
        for bits in [512, 1024, 2040, 2047, 4097, 8192] {
            assert!(verifying(&key(bits, &[1, 0, 1]), SigningAlg::RS256).is_none(), "{bits}");
            assert!(encrypting(&key(bits, &[1, 0, 1]), KeyManagementAlg::RsaOaep256).is_none(), "{bits}");
        }
        for e in [&[][..], &[0], &[1], &[2], &[4], &[1, 0], &[1; 6]] {
            assert!(verifying(&key(2048, e), SigningAlg::RS256).is_none(), "{e:?}");
        }
        let even = with(&json!({ "kty": "RSA", "e": "AQAB" }), &[("n", json!(number(2048, 2)))]);
        assert!(verifying(&even, SigningAlg::RS256).is_none());
    }

    #[test]
    fn key_members_must_fit_the_algorithm() {
        let ec = json!({ "kty": "EC", "crv": "P-256", "x": base64url(&[1; 32]), "y": base64url(&[2; 32]) });
        let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(&[1; 32]) });
        assert!(verifying(&with(&ec, &[]), SigningAlg::ES256).is_some());
        assert!(verifying(&with(&ed, &[]), SigningAlg::EdDSA).is_some());
        let whole =
            [("use", json!("sig")), ("alg", json!("ES256")), ("key_ops", json!(["verify"])), ("x5c", json!([7]))];
        assert!(verifying(&with(&ec, &whole), SigningAlg::ES256).is_some());
        for (name, value) in [
            ("use", json!("enc")),
            ("use", json!(1)),
            ("alg", json!("ES384")),
            ("alg", json!(null)),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!([])),
            ("key_ops", json!("verify")),
            ("kty", json!("RSA")),
            ("kty", json!("OKP")),
            ("crv", json!("P-384")),
            ("crv", json!("secp256k1")),
            ("x", json!(base64url(&[1; 31]))),
            ("x", json!(base64url(&[1; 33]))),
            ("y", json!("!")),
            ("y", json!(null)),
        ] {
            assert!(verifying(&with(&ec, &[(name, value.clone())]), SigningAlg::ES256).is_none(), "{name} {value}");
        }
        for alg in [SigningAlg::RS256, SigningAlg::PS256, SigningAlg::EdDSA, SigningAlg::HS256] {
            assert!(verifying(&with(&ec, &[]), alg).is_none(), "{alg}");
        }
        for crv in ["Ed448", "X25519", "P-256"] {
            assert!(verifying(&with(&ed, &[("crv", json!(crv))]), SigningAlg::EdDSA).is_none(), "{crv}");
        }
        let bytes = json!({ "kty": "oct", "k": base64url(&[1; 32]) });
        assert!(SigningAlg::ALL.iter().all(|alg| verifying(&with(&bytes, &[]), *alg).is_none()));
    }

    #[test]
    fn encryption_key_must_fit_the_algorithm() {
        let ecdh = [KeyManagementAlg::EcdhEs, KeyManagementAlg::EcdhEsA256Kw];
        for (kty, crv, length) in [("EC", "P-256", 32), ("EC", "P-384", 48), ("EC", "P-521", 66), ("OKP", "X25519", 32)]
        {
            let key =
                json!({ "kty": kty, "crv": crv, "x": base64url(&vec![1; length]), "y": base64url(&vec![1; length]) });
            for alg in ecdh {
                assert!(encrypting(&with(&key, &[]), alg).is_some(), "{crv}");
                for ops in [json!([]), json!(["deriveKey"]), json!(["deriveBits"])] {
                    assert!(encrypting(&with(&key, &[("use", json!("enc")), ("key_ops", ops)]), alg).is_some());
                }
                for (name, value) in [
                    ("use", json!("sig")),
                    ("alg", json!("RSA-OAEP-256")),
                    ("key_ops", json!(["verify"])),
                    ("crv", json!("Ed25519")),
                    ("crv", json!("secp256k1")),
                    ("x", json!(base64url(&[1; 31]))),
                ] {
                    assert!(encrypting(&with(&key, &[(name, value.clone())]), alg).is_none(), "{crv} {name} {value}");
                }
            }
            assert!(encrypting(&with(&key, &[]), KeyManagementAlg::RsaOaep256).is_none());
        }
        let other = json!({ "kty": "EC", "crv": "P-256", "x": base64url(&[1; 32]), "y": base64url(&[1; 32]), "alg": "ECDH-ES" });
        assert!(encrypting(&with(&other, &[]), KeyManagementAlg::EcdhEsA256Kw).is_none());
    }
}
