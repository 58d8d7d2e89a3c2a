//! Tests with round trips, the cookbook's example, every rejection, and arbitrary input.

use josekit::jwk::KeyPair as _;
use josekit::jwk::alg::ec::EcKeyPair;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::secret::base64url;
use crate::domain::signing_key::{KeyAlg, KeyState, StoredKey};
use crate::env::Timestamp;
use crate::keys::test_keys::{fresh, key, master, published, ring};
use crate::keys::{client_jws, key_pair, seal};

const SIGNED: &str = "eyJhbGciOiJFUzI1NiJ9.e30.AAAA";

fn ours() -> Vec<StoredKey> {
    vec![key(KeyAlg::RsaOaep256), key(KeyAlg::EcdhEs), key(KeyAlg::ES256)]
}

/// Returns the parts of a token encrypted to this server.
fn parts(alg: KeyManagementAlg, enc: ContentEncryption) -> [String; 5] {
    let token = encrypt_to_client(SIGNED, &published(&ours()), alg, enc).unwrap();
    token.split('.').map(ToOwned::to_owned).collect::<Vec<_>>().try_into().unwrap()
}

fn with_header(parts: &[String; 5], change: impl Fn(&mut Value)) -> String {
    let mut header: Value = serde_json::from_slice(&from_base64url(&parts[0]).unwrap()).unwrap();
    change(&mut header);
    [&base64url(header.to_string().as_bytes()), &parts[1], &parts[2], &parts[3], &parts[4]]
        .map(String::as_str)
        .join(".")
}

#[test]
fn encryption_round_trips_for_every_algorithm() {
    let ring = ring(ours());
    for alg in KeyManagementAlg::ALL {
        for enc in ContentEncryption::ALL {
            let token = encrypt_to_client(SIGNED, &published(&ours()), *alg, *enc).unwrap();
            assert!(is_encrypted(&token) && !is_encrypted(SIGNED));
            let header = client_jws::peek_header(&token).unwrap();
            let to = ours().into_iter().find(|key| key.alg.key_management_algs().contains(alg)).unwrap();
            assert_eq!(
                (&header["alg"], &header["enc"], &header["cty"], &header["kid"]),
                (&json!(alg), &json!(enc), &json!("JWT"), &json!(to.kid))
            );
            assert_eq!(decrypt(&ring, &token).as_deref(), Some(SIGNED.as_bytes()), "{alg} {enc}");
            let another = encrypt_to_client(SIGNED, &published(&ours()), *alg, *enc).unwrap();
            assert_ne!(token, another);
            assert_eq!(decrypt(&super::super::test_keys::ring(vec![key(KeyAlg::ES256)]), &token), None);
        }
    }
}

/// RFC 7520 §5.5.
#[test]
fn rfc7520_example_decrypts() {
    let jwk = br#"{"kty":"EC","kid":"meriadoc.brandybuck@buckland.example","use":"enc","crv":"P-256","x":"Ze2loSV3wrroKUN_4zhwGhCqo3Xhu1td4QjeQ5wIVR0","y":"HlLtdXARY_f55A3fnzQbPcm6hgr34Mp8p-nuzQCE0Zw","d":"r_kHyZ-a06rmxM3yESK84r1otSg-aQcVStkRhA-iCM8"}"#;
    let pair = EcKeyPair::from_jwk(&Jwk::from_bytes(jwk).unwrap()).unwrap();
    let key = StoredKey {
        kid: "meriadoc.brandybuck@buckland.example".to_owned(),
        alg: KeyAlg::EcdhEs,
        state: KeyState::Active,
        public_jwk: pair.to_jwk_public_key().to_string(),
        sealed: seal::seal(&master(), key_pair::USAGE, &pair.to_der_private_key()).unwrap(),
        created_at: Timestamp(0),
        activated_at: None,
        retired_at: None,
    };
    let token = "eyJhbGciOiJFQ0RILUVTIiwia2lkIjoibWVyaWFkb2MuYnJhbmR5YnVja0BidWNrbGFuZC5leGFtcGxlIiwiZXBrIjp7Imt0eSI6IkVDIiwiY3J2IjoiUC0yNTYiLCJ4IjoibVBVS1RfYkFXR0hJaGcwVHBqanFWc1AxclhXUXVfdndWT0hIdE5rZFlvQSIsInkiOiI4QlFBc0ltR2VBUzQ2ZnlXdzVNaFlmR1RUMElqQnBGdzJTUzM0RHY0SXJzIn0sImVuYyI6IkExMjhDQkMtSFMyNTYifQ..yc9N8v5sYyv3iGQT926IUg.BoDlwPnTypYq-ivjmQvAYJLb5Q6l-F3LIgQomlz87yW4OPKbWE1zSTEFjDfhU9IPIOSA9Bml4m7iDFwA-1ZXvHteLDtw4R1XRGMEsDIqAYtskTTmzmzNa-_q4F_evAPUmwlO-ZG45Mnq4uhM1fm_D9rBtWolqZSF3xGNNkpOMQKF1Cl8i8wjzRli7-IXgyirlKQsbhhqRzkv8IcY6aHl24j03C-AR2le1r7URUhArM79BY8soZU0lzwI-sD5PZ3l4NDCCei9XkoIAfsXJWmySPoeRb2Ni5UZL4mYpvKDiwmyzGd65KqVw7MsFfI_K767G9C9Azp73gKZD0DyUn1mn0WW5LmyX_yJ-3AROq8p1WZBfG-ZyJ6195_JGG2m9Csg.WCCkNa-x4BeB9hIDIfFuhg";
    let text = String::from_utf8(decrypt(&ring(vec![key]), token).unwrap()).unwrap();
    assert!(text.starts_with("You can trust us") && text.ends_with("your friends, Frodo."), "{text}");
}

#[test]
fn every_client_curve_can_be_encrypted_to() {
    use josekit::jwk::alg::{ec::EcCurve, ecx::EcxCurve};
    let mut keys = Vec::new();
    for curve in [EcCurve::P256, EcCurve::P384, EcCurve::P521] {
        keys.push(jwe::ECDH_ES.generate_ec_key_pair(curve).unwrap().to_jwk_key_pair());
    }
    keys.push(jwe::ECDH_ES.generate_ecx_key_pair(EcxCurve::X25519).unwrap().to_jwk_key_pair());
    for mut private in keys {
        private.set_parameter("alg", None).unwrap();
        let mut public = private.as_ref().clone();
        public.remove("d");
        let set = JwkSet::parse(json!({ "keys": [public] }).to_string().as_bytes()).unwrap();
        let enc = ContentEncryption::A256Gcm;
        let token = encrypt_to_client(SIGNED, &set, KeyManagementAlg::EcdhEs, enc).unwrap();
        let reader = jwe::ECDH_ES.decrypter_from_jwk(&private).unwrap();
        assert_eq!(jwe::deserialize_compact(&token, &reader).unwrap().0, SIGNED.as_bytes());
        assert!(!client_jws::peek_header(&token).unwrap().contains_key("kid"), "the key has none");
    }
}

#[test]
fn key_with_use_enc_is_preferred() {
    let encrypt = |keys: &Value| {
        let set = JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
        let token = encrypt_to_client(SIGNED, &set, KeyManagementAlg::EcdhEs, ContentEncryption::A256Gcm)?;
        Ok(client_jws::peek_header(&token).unwrap()["kid"].as_str().unwrap().to_owned())
    };
    let mut any: Value = serde_json::from_str(&key(KeyAlg::EcdhEs).public_jwk).unwrap();
    any.as_object_mut().unwrap().remove("use");
    let named = |kid: &str, key_use: Option<&str>| {
        let mut key = any.clone();
        key["kid"] = json!(kid);
        if let Some(key_use) = key_use {
            key["use"] = json!(key_use);
        }
        key
    };
    let (plain, signs, reads) = (named("plain", None), named("signs", Some("sig")), named("reads", Some("enc")));
    assert_eq!(encrypt(&json!([signs, plain, reads])), Ok("reads".to_owned()));
    assert_eq!(encrypt(&json!([signs, plain])), Ok("plain".to_owned()));
    assert_eq!(encrypt(&json!([signs])), Err(EncryptionError::NoKey));
    assert_eq!(encrypt(&json!([])), Err(EncryptionError::NoKey));
    // The coordinates have the right length but are not a point on the curve.
    let mut off = reads;
    off["x"] = json!(base64url(&[7; 32]));
    assert!(matches!(encrypt(&json!([off])), Err(EncryptionError::Failed(_))));
}

#[test]
fn retired_keys_decrypt_and_kid_selects() {
    let (old, new) = (key(KeyAlg::EcdhEs), fresh(KeyAlg::EcdhEs, KeyState::Active));
    let retired = StoredKey { state: KeyState::Retired, ..old.clone() };
    let both = ring(vec![retired, new.clone()]);
    let listed = std::str::from_utf8(&both.jwks).unwrap();
    assert!(listed.contains(&new.kid) && !listed.contains(&old.kid), "only the active one is published");
    let token = encrypt_to_client(
        SIGNED,
        &published(std::slice::from_ref(&old)),
        KeyManagementAlg::EcdhEs,
        ContentEncryption::A256Gcm,
    )
    .unwrap();
    assert!(decrypt(&both, &token).is_some());
    assert!(decrypt(&ring(vec![new.clone()]), &token).is_none());
    let mut nameless: Value = serde_json::from_str(&old.public_jwk).unwrap();
    nameless.as_object_mut().unwrap().remove("kid");
    let set = JwkSet::parse(json!({ "keys": [nameless] }).to_string().as_bytes()).unwrap();
    let enc = ContentEncryption::A128CbcHs256;
    let token = encrypt_to_client(SIGNED, &set, KeyManagementAlg::EcdhEsA256Kw, enc).unwrap();
    assert!(decrypt(&both, &token).is_some(), "without a name each is tried");
    let mut many = vec![old];
    many.extend((0..MAX_KEYS).map(|_| fresh(KeyAlg::EcdhEs, KeyState::Retired)));
    assert!(decrypt(&ring(many), &token).is_none(), "but not any number of them");
}

#[test]
fn tampered_tokens_are_not_decrypted() {
    let ring = ring(ours());
    for alg in KeyManagementAlg::ALL {
        for enc in ContentEncryption::ALL {
            let parts = parts(*alg, *enc);
            assert!(decrypt(&ring, &parts.join(".")).is_some());
            // Each part is altered, truncated and removed in turn; josekit would panic on some of these.
            for at in 0..5 {
                let bytes = from_base64url(&parts[at]).unwrap();
                for length in 0..bytes.len().min(48) {
                    let mut bad = parts.clone();
                    bad[at] = base64url(&bytes[..length]);
                    assert!(decrypt(&ring, &bad.join(".")).is_none(), "{alg} {enc} {at} {length}");
                }
                for flipped in 0..bytes.len().min(48) {
                    let (mut bad, mut bytes) = (parts.clone(), bytes.clone());
                    bytes[flipped] ^= 4;
                    bad[at] = base64url(&bytes);
                    assert!(decrypt(&ring, &bad.join(".")).is_none(), "{alg} {enc} {at} {flipped}");
                }
                let mut longer = parts.clone();
                longer[at].push_str("AAAA");
                assert!(decrypt(&ring, &longer.join(".")).is_none(), "{alg} {enc} {at}");
            }
            for (name, value) in [
                ("zip", json!("DEF")),
                ("crit", json!(["exp"])),
                ("crit", json!(null)),
                ("alg", json!("dir")),
                ("alg", json!("RSA1_5")),
                ("alg", json!("RSA-OAEP")),
                ("alg", json!("PBES2-HS256+A128KW")),
                ("alg", json!("A256GCMKW")),
                ("alg", json!("none")),
                ("alg", json!(null)),
                ("enc", json!("A128GCM")),
                ("enc", json!("A256CBC-HS512")),
                ("enc", json!(7)),
                ("kid", json!("unknown")),
                ("kid", json!(key(KeyAlg::ES256).kid)),
                ("kid", json!(1)),
                ("epk", json!({})),
                ("epk", json!("x")),
                ("apu", json!("!")),
            ] {
                let token = with_header(&parts, |header| header[name] = value.clone());
                assert!(decrypt(&ring, &token).is_none(), "{alg} {enc} {name} {value}");
            }
        }
    }
    for bad in ["", "....", ".....", SIGNED, "e30....", &"a".repeat(MAX_BYTES + 1)] {
        assert!(decrypt(&ring, bad).is_none(), "{bad}");
    }
}

/// The sender's point must be on the curve; otherwise each response would leak information about the private key.
#[test]
fn off_curve_point_is_rejected() {
    let parts = parts(KeyManagementAlg::EcdhEsA256Kw, ContentEncryption::A256Gcm);
    for (crv, x, y) in [("P-256", [7; 32], [9; 32]), ("P-256", [0; 32], [0; 32]), ("X25519", [0; 32], [0; 32])] {
        let epk = json!({ "kty": "EC", "crv": crv, "x": base64url(&x), "y": base64url(&y) });
        let token = with_header(&parts, |header| header["epk"] = epk.clone());
        assert!(decrypt(&ring(ours()), &token).is_none(), "{epk}");
    }
}

proptest! {
    #[test]
    fn arbitrary_input_is_not_decrypted(
        any in any::<String>(), bytes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 4),
        alg in prop::sample::select(KeyManagementAlg::ALL), enc in prop::sample::select(ContentEncryption::ALL),
    ) {
        let ring = ring(vec![key(KeyAlg::EcdhEs), key(KeyAlg::RsaOaep256)]);
        let rest = bytes.iter().map(|part| base64url(part)).collect::<Vec<_>>().join(".");
        let epk = client_jws::peek_header(&parts(KeyManagementAlg::EcdhEs, enc).join(".")).unwrap()["epk"].clone();
        let header = base64url(json!({ "alg": alg, "enc": enc, "epk": epk }).to_string().as_bytes());
        for token in [any, format!("e30.{rest}"), format!("{header}.{rest}")] {
            prop_assert!(decrypt(&ring, &token).is_none());
            is_encrypted(&token);
        }
    }
}
