//! Tests with the examples of the specifications, every rejection, and arbitrary input.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::secret::base64url;
use crate::domain::signing_key::{KeyAlg, KeyState, StoredKey};
use crate::keys::test_keys::{fresh, key, master, published};

const ALL: &[SigningAlg] = SigningAlg::ALL;
const SECRET: &str = "a secret of more than thirty-two octets: é";

/// Returns a token with any header, signed by that key.
fn signed(by: &StoredKey, header: &Value) -> String {
    let input = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(br#"{"iss":"web"}"#));
    let signer = key_pair::signer(&master(), by, by.alg.signing_alg().unwrap()).unwrap();
    let signature = signer.sign(input.as_bytes()).unwrap();
    format!("{input}.{}", base64url(&signature))
}

fn macced(under: &[u8], header: &Value) -> String {
    let input = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(br#"{"iss":"web"}"#));
    let mac = Hmac::<Sha256>::new_from_slice(under).unwrap().chain_update(&input).finalize().into_bytes();
    format!("{input}.{}", base64url(&mac))
}

fn set(keys: &Value) -> JwkSet {
    JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn refused(result: &Result<VerifiedJws, JwsError>) -> bool {
    matches!(result, Err(JwsError::Invalid(_)))
}

/// RFC 7515 A.2 and A.3, RFC 8037 A.4.
#[test]
fn specification_examples_verify() {
    let rsa = json!([{ "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" }]);
    let ec = json!([{ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }]);
    let ed = json!([{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }]);
    let joe = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    for (alg, keys, token) in [
            (SigningAlg::RS256, rsa, format!("eyJhbGciOiJSUzI1NiJ9.{joe}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw")),
            (SigningAlg::ES256, ec, format!("eyJhbGciOiJFUzI1NiJ9.{joe}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")),
            (SigningAlg::EdDSA, ed, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg".to_owned()),
        ] {
            let verified = verify(&token, &[alg], &set(&keys)).unwrap();
            assert_eq!(verified.header, VerifiedHeader { alg, kid: None, typ: None, cty: None });
            // Changes one bit of the signed content, or one of the signature.
            let wrong = token.replacen("eyJpc3", "eyJpc2", 1).replacen("RXhh", "RXhi", 1);
            assert!(refused(&verify(&wrong, &[alg], &set(&keys))), "{alg}");
            let (input, signature) = token.rsplit_once('.').unwrap();
            let mut signature = from_base64url(signature).unwrap();
            signature[7] ^= 1;
            assert!(refused(&verify(&format!("{input}.{}", base64url(&signature)), &[alg], &set(&keys))), "{alg}");
        }
}

#[test]
fn every_algorithm_verifies_by_its_own_key_only() {
    let keys: Vec<_> = SigningAlg::ASYMMETRIC.iter().map(|alg| key(KeyAlg::parse(alg.as_str()).unwrap())).collect();
    let all = published(&keys);
    for by in &keys {
        let alg = by.alg.signing_alg().unwrap();
        let header = json!({ "alg": alg, "kid": by.kid, "typ": "oauth-authz-req+jwt", "cty": "x" });
        let verified = verify(&signed(by, &header), ALL, &all).unwrap();
        let text = |text: &str| Some(text.to_owned());
        let read = VerifiedHeader { alg, kid: text(&by.kid), typ: text("oauth-authz-req+jwt"), cty: text("x") };
        assert_eq!((verified.header, verified.payload), (read, br#"{"iss":"web"}"#.to_vec()));
        assert!(
            verify(&signed(by, &json!({ "alg": alg })), ALL, &all).is_ok(),
            "without kid each fitting key is tried"
        );
        let others: Vec<_> = SigningAlg::ASYMMETRIC.into_iter().filter(|other| *other != alg).collect();
        assert!(refused(&verify(&signed(by, &header), &others, &all)), "{alg} is not allowed");
        // The public key without its `alg`: RS256 and PS256 use the same kind of key, but the signatures differ.
        for other in others {
            let mut claimed = header.clone();
            claimed["alg"] = json!(other);
            assert!(verify(&signed(by, &claimed), ALL, &all).is_err(), "{alg} called {other}");
        }
    }
}

#[test]
fn unknown_key_is_distinct_from_a_bad_signature() {
    let (mine, other) = (key(KeyAlg::ES256), fresh(KeyAlg::ES256, KeyState::Active));
    let token = signed(&mine, &json!({ "alg": "ES256", "kid": mine.kid }));
    let unknown = Err(JwsError::UnknownKey);
    assert_eq!(verify(&token, ALL, &published(std::slice::from_ref(&other))), unknown);
    assert_eq!(verify(&token, ALL, &published(&[])), unknown);
    // The `kid` matches, but the key is not suitable.
    for (name, value) in [("use", "enc"), ("alg", "ES384"), ("crv", "P-384"), ("kty", "RSA"), ("kid", "x")] {
        let mut jwk: Value = serde_json::from_str(&mine.public_jwk).unwrap();
        jwk[name] = json!(value);
        assert_eq!(verify(&token, ALL, &set(&json!([jwk]))), unknown, "{name}");
    }
    // The `kid` is that of a key that did not sign the token.
    let token = signed(&mine, &json!({ "alg": "ES256", "kid": other.kid }));
    assert!(refused(&verify(&token, ALL, &published(&[mine.clone(), other.clone()]))));
    let token = signed(&mine, &json!({ "alg": "ES256" }));
    assert!(refused(&verify(&token, ALL, &published(&[other]))));
    // Of many keys without a `kid`, only the first ones are tried.
    let many: Vec<_> = (0..MAX_KEYS).map(|_| fresh(KeyAlg::ES256, KeyState::Active)).chain([mine]).collect();
    assert!(refused(&verify(&token, ALL, &published(&many))));
    assert!(verify(&token, ALL, &published(&many[1..])).is_ok());
}

#[test]
fn header_cannot_choose_key_or_algorithm() {
    let mine = key(KeyAlg::ES256);
    let attacker = fresh(KeyAlg::ES256, KeyState::Active);
    let theirs: Value = serde_json::from_str(&attacker.public_jwk).unwrap();
    let keys = published(&[mine.clone(), key(KeyAlg::RS256)]);
    // A key in the header is ignored, so the attacker's token does not verify.
    for more in [
        json!({ "jwk": theirs }),
        json!({ "jku": "https://attacker.example/jwks.json" }),
        json!({ "x5u": "https://attacker.example/cert.pem" }),
        json!({ "x5c": ["MIIB"] }),
    ] {
        let mut header = json!({ "alg": "ES256" });
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert!(refused(&verify(&signed(&attacker, &header), ALL, &keys)), "{more}");
        assert!(verify(&signed(&mine, &header), ALL, &keys).is_ok(), "{more}");
    }
    for header in [
        json!({ "alg": "ES256", "crit": ["exp"] }),
        json!({ "alg": "ES256", "crit": [] }),
        json!({ "alg": "ES256", "crit": null }),
        json!({ "alg": "none" }),
        json!({ "alg": "NONE" }),
        json!({ "alg": "" }),
        json!({ "alg": null }),
        json!({ "alg": ["ES256"] }),
        json!({ "alg": "ES384" }),
        json!({}),
        json!({ "alg": "ES256", "kid": 1 }),
        json!({ "alg": "ES256", "typ": {} }),
    ] {
        assert!(refused(&verify(&signed(&mine, &header), ALL, &keys)), "{header}");
    }
    let unsigned = format!("{}.{}.", base64url(br#"{"alg":"none"}"#), base64url(b"{}"));
    assert!(refused(&verify(&unsigned, ALL, &keys)));
    // The public key used as a MAC secret.
    for public in [mine.public_jwk.as_bytes(), key(KeyAlg::RS256).public_jwk.as_bytes()] {
        let forged = macced(public, &json!({ "alg": "HS256", "kid": mine.kid }));
        assert!(refused(&verify(&forged, ALL, &keys)));
    }
    let twice = r#"{"alg":"none","alg":"ES256"}"#;
    let token = signed(&mine, &json!({ "alg": "ES256" }));
    let (_, rest) = token.split_once('.').unwrap();
    assert!(refused(&verify(&format!("{}.{rest}", base64url(twice.as_bytes())), ALL, &keys)));
}

#[test]
fn compact_form_is_strict_and_bounded() {
    let mine = key(KeyAlg::ES256);
    let keys = published(std::slice::from_ref(&mine));
    let token = signed(&mine, &json!({ "alg": "ES256" }));
    let (input, _) = token.rsplit_once('.').unwrap();
    let long = format!("{}.{token}", "a".repeat(1024 * 1024));
    for bad in [
        "",
        ".",
        "..",
        "...",
        input,
        &format!("{input}."),
        &format!("{token}."),
        &format!("{token}="),
        &format!(" {token}"),
        &format!("{token}\n"),
        &long,
        &"a".repeat(MAX_BYTES + 1),
        &"é".repeat(50),
        // The signature with r and s of zero, which passes if their range is not checked.
        &format!("{input}.{}", base64url(&[0; 64])),
        &format!("{input}.{}", base64url(&[0xff; 64])),
    ] {
        assert!(refused(&verify(bad, ALL, &keys)), "{bad}");
    }
    let wide = format!("{}.{}.AAAA", base64url(br#"{"alg":"ES256"}"#), "A".repeat(MAX_BYTES));
    assert_eq!(verify(&wide, ALL, &keys), Err(JwsError::Invalid("not three parts, or too long")));
}

#[test]
fn mac_uses_the_octets_of_the_secret() {
    // Created by another program.
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJ3ZWIifQ.872XahNU9fjN9NNo_QgguisDjIttg7m8VhFMs8c03aQ";
    let secret = Secret::new(SECRET.to_owned());
    assert_eq!(verify_mac(token, &secret).unwrap().payload, br#"{"iss":"web"}"#);
    assert!(refused(&verify_mac(token, &Secret::new(format!("{SECRET} ")))));
    assert!(refused(&verify_mac(&token.replace("872X", "872Y"), &secret)));
    assert!(refused(&verify_mac(token.trim_end_matches("3aQ"), &secret)), "a shortened MAC");
    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "HS384" }),
        json!({ "alg": "ES256" }),
        json!({ "alg": "HS256", "crit": ["b64"] }),
    ] {
        assert!(refused(&verify_mac(&macced(SECRET.as_bytes(), &header), &secret)), "{header}");
    }
    let short = "only thirty-one octets are here";
    assert!(
        short.len() == 31
            && refused(&verify_mac(
                &macced(short.as_bytes(), &json!({ "alg": "HS256" })),
                &Secret::new(short.to_owned())
            ))
    );
}

#[test]
fn peeking_reads_and_verifies_nothing() {
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJ3ZWIifQ.AAAA";
    assert_eq!(peek_header(token).unwrap()["alg"], "HS256");
    assert_eq!(peek_claims(token).unwrap()["iss"], "web");
    let encrypted = "eyJhbGciOiJIUzI1NiJ9....";
    assert!(peek_header(encrypted).is_some() && peek_claims(encrypted).is_none());
    for bad in ["", "a.b.c", "e30.e30", "e30.W10.", "e30.e30.e30.e30", &format!("e30.{}.e30", "A".repeat(MAX_BYTES))] {
        assert!(peek_claims(bad).is_none(), "{bad}");
    }
    let deep = base64url(format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000)).as_bytes());
    assert!(peek_claims(&format!("e30.{deep}.")).is_none() && peek_header(&format!("{deep}..")).is_none());
}

proptest! {
    #[test]
    fn arbitrary_input_is_rejected(
        any in any::<String>(), parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6),
        alg in prop::sample::select(ALL), set in any::<String>(),
    ) {
        let keys = published(&[key(KeyAlg::ES256), key(KeyAlg::EdDSA), key(KeyAlg::RS256), key(KeyAlg::PS256)]);
        let encoded: Vec<String> = parts.iter().map(|part| base64url(part)).collect();
        let headed = format!("{}.{}", base64url(json!({ "alg": alg }).to_string().as_bytes()), encoded.join("."));
        let secret = Secret::new(SECRET.to_owned());
        for token in [any, encoded.join("."), headed] {
            prop_assert!(verify(&token, ALL, &keys).is_err());
            prop_assert!(verify_mac(&token, &secret).is_err());
            peek_header(&token);
            peek_claims(&token);
        }
        JwkSet::parse(set.as_bytes()).ok();
    }

    /// Keys of any shape are handled without a panic.
    #[test]
    fn arbitrary_keys_never_panic(
        kty in prop::sample::select(vec!["RSA", "EC", "OKP", "oct", ""]), crv in prop::sample::select(vec!["P-256", "P-521", "Ed25519", "X25519", ""]),
        x in prop::collection::vec(any::<u8>(), 0..70), y in prop::collection::vec(any::<u8>(), 0..70), n in prop::collection::vec(any::<u8>(), 250..260),
    ) {
        let keys = set(&json!([{ "kty": kty, "crv": crv, "x": base64url(&x), "y": base64url(&y), "n": base64url(&n), "e": base64url(&y) },
            { "kty": "RSA", "n": base64url(&n), "e": "AQAB" }, { "kty": "EC", "crv": "P-256", "x": base64url(&n[..32]), "y": base64url(&n[32..64]) }]));
        for alg in ALL {
            let token = format!("{}.e30.{}", base64url(json!({ "alg": alg }).to_string().as_bytes()), base64url(&n[..64]));
            prop_assert!(verify(&token, ALL, &keys).is_err());
        }
    }
}
