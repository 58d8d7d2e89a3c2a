//! One key pair: created, stored as sealed PKCS#8, named by its RFC 7638 thumbprint, and loaded as a signer, verifier
//! or decrypter.

use josekit::jwe::{self, JweDecrypter};
use josekit::jwk::alg::ec::EcCurve;
use josekit::jwk::alg::ed::EdCurve;
use josekit::jwk::{Jwk, KeyPair};
use josekit::jws::{self, JwsSigner, JwsVerifier};
use sha2::{Digest as _, Sha256};

use super::master::MasterKey;
use super::{KeyError, seal};
use crate::domain::algorithms::{KeyManagementAlg, SigningAlg};
use crate::domain::secret::base64url;
use crate::domain::signing_key::{KeyAlg, KeyState, StoredKey};
use crate::env::Timestamp;

pub(super) const USAGE: &str = "signing-key";

/// Generates a key pair. This is slow for RSA and must not run on a thread that serves requests.
pub(super) fn generate(
    master: &MasterKey,
    alg: KeyAlg,
    state: KeyState,
    now: Timestamp,
) -> Result<StoredKey, KeyError> {
    let (pair, mut public, kid) = loop {
        let pair = random(alg)?;
        let public = pair.to_jwk_public_key();
        let kid = thumbprint(&public)?;
        // A `kid` that starts with `-` could be mistaken for an option on a command line.
        if !kid.starts_with('-') {
            break (pair, public, kid);
        }
    };
    public.set_key_id(&kid);
    public.set_key_use(if alg.signing_alg().is_some() { "sig" } else { "enc" });
    // A key for two algorithms has no `alg` (RFC 7517 §4.4).
    let only = if alg == KeyAlg::EcdhEs { None } else { Some(alg.as_str().into()) };
    public.set_parameter("alg", only)?;
    Ok(StoredKey {
        kid,
        alg,
        state,
        public_jwk: public.to_string(),
        sealed: seal::seal(master, USAGE, &pair.to_der_private_key())?,
        created_at: now,
        activated_at: (state == KeyState::Active).then_some(now),
        retired_at: None,
    })
}

fn random(alg: KeyAlg) -> Result<Box<dyn KeyPair>, KeyError> {
    Ok(match alg {
        KeyAlg::RS256 => Box::new(jws::RS256.generate_key_pair(2048)?),
        KeyAlg::PS256 => Box::new(jws::PS256.generate_key_pair(2048)?),
        KeyAlg::ES256 => Box::new(jws::ES256.generate_key_pair()?),
        KeyAlg::EdDSA => Box::new(jws::EdDSA.generate_key_pair(EdCurve::Ed25519)?),
        KeyAlg::RsaOaep256 => Box::new(jwe::RSA_OAEP_256.generate_key_pair(2048)?),
        KeyAlg::EcdhEs => Box::new(jwe::ECDH_ES.generate_ec_key_pair(EcCurve::P256)?),
    })
}

/// Returns the signer of a key that signs with `alg`.
pub(super) fn signer(master: &MasterKey, key: &StoredKey, alg: SigningAlg) -> Result<Box<dyn JwsSigner>, KeyError> {
    macro_rules! of {
        ($alg:expr) => {{
            let mut signer = $alg.signer_from_der(&*private(master, key)?)?;
            signer.set_key_id(&key.kid);
            Box::new(signer)
        }};
    }
    Ok(match alg {
        SigningAlg::RS256 => of!(jws::RS256),
        SigningAlg::PS256 => of!(jws::PS256),
        SigningAlg::ES256 => of!(jws::ES256),
        SigningAlg::EdDSA => of!(jws::EdDSA),
        SigningAlg::HS256 => return Err(KeyError::Crypto("a MAC has no key pair".into())),
    })
}

/// Returns the verifier of signatures with `alg` by a public key of this server or a client.
pub(super) fn verifier(jwk: &Jwk, alg: SigningAlg) -> Result<Box<dyn JwsVerifier>, KeyError> {
    Ok(match alg {
        SigningAlg::RS256 => Box::new(jws::RS256.verifier_from_jwk(jwk)?),
        SigningAlg::PS256 => Box::new(jws::PS256.verifier_from_jwk(jwk)?),
        SigningAlg::ES256 => Box::new(jws::ES256.verifier_from_jwk(jwk)?),
        SigningAlg::EdDSA => Box::new(jws::EdDSA.verifier_from_jwk(jwk)?),
        SigningAlg::HS256 => return Err(KeyError::Crypto("a MAC has no public key".into())),
    })
}

/// Returns the decrypter of content keys that were encrypted to `key` with `alg`.
pub(super) fn decrypter(
    master: &MasterKey,
    key: &StoredKey,
    alg: KeyManagementAlg,
) -> Result<Box<dyn JweDecrypter>, KeyError> {
    let der = private(master, key)?;
    Ok(match alg {
        KeyManagementAlg::RsaOaep256 => Box::new(jwe::RSA_OAEP_256.decrypter_from_der(&*der)?),
        KeyManagementAlg::EcdhEs => Box::new(jwe::ECDH_ES.decrypter_from_der(&*der)?),
        KeyManagementAlg::EcdhEsA256Kw => Box::new(jwe::ECDH_ES_A256KW.decrypter_from_der(&*der)?),
    })
}

fn private(master: &MasterKey, key: &StoredKey) -> Result<zeroize::Zeroizing<Vec<u8>>, KeyError> {
    seal::open(master, USAGE, &key.sealed).map(zeroize::Zeroizing::new)
}

/// Returns the RFC 7638 §3 thumbprint: SHA-256 over the required members in the order of their names.
fn thumbprint(jwk: &Jwk) -> Result<String, KeyError> {
    let names: &[&str] = match jwk.key_type() {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        _ => &["crv", "kty", "x"],
    };
    let members: Option<Vec<String>> =
        names.iter().map(|name| Some(format!("\"{name}\":{}", jwk.parameter(name)?))).collect();
    let members = members.ok_or_else(|| KeyError::Crypto("a public key lacks a member".into()))?;
    Ok(base64url(&Sha256::digest(format!("{{{}}}", members.join(",")))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7638 §3.1.
    #[test]
    fn kid_is_the_rfc7638_thumbprint() {
        let jwk = Jwk::from_bytes(
            br#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#,
        )
        .unwrap();
        assert_eq!(thumbprint(&jwk).unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn kid_never_starts_with_a_hyphen() {
        let master = crate::keys::test_keys::master();
        // One random `kid` in 64 starts with `-`.
        for _ in 0..600 {
            let key = generate(&master, KeyAlg::EdDSA, KeyState::Next, Timestamp(0)).unwrap();
            assert!(!key.kid.starts_with('-'));
        }
    }
}
