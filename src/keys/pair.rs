//! One key pair: made, kept as sealed PKCS#8, named by its RFC 7638 thumbprint, and read back as signer and verifier.

use josekit::jwk::{Jwk, KeyPair};
use josekit::jws::{self, JwsSigner, JwsVerifier};
use sha2::{Digest as _, Sha256};

use super::master::MasterKey;
use super::{KeyError, seal};
use crate::domain::algorithms::SigningAlg;
use crate::domain::secret::base64url;
use crate::domain::signing_key::{KeyState, StoredKey};
use crate::env::Timestamp;

const USAGE: &str = "signing-key";

/// Makes a key pair. Slow for RSA: not on a thread that serves requests.
pub(super) fn generate(
    master: &MasterKey,
    alg: SigningAlg,
    state: KeyState,
    now: Timestamp,
) -> Result<StoredKey, KeyError> {
    let pair: Box<dyn KeyPair> = match alg {
        SigningAlg::RS256 => Box::new(jws::RS256.generate_key_pair(2048)?),
        SigningAlg::ES256 => Box::new(jws::ES256.generate_key_pair()?),
        SigningAlg::PS256 => Box::new(jws::PS256.generate_key_pair(2048)?),
        SigningAlg::EdDSA => Box::new(jws::EdDSA.generate_key_pair(josekit::jwk::alg::ed::EdCurve::Ed25519)?),
        SigningAlg::HS256 => return Err(no_pair()),
    };
    let mut public = pair.to_jwk_public_key();
    let kid = thumbprint(&public)?;
    public.set_key_id(&kid);
    public.set_key_use("sig");
    public.set_algorithm(alg.as_str());
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

pub(super) fn signer(master: &MasterKey, key: &StoredKey) -> Result<Box<dyn JwsSigner>, KeyError> {
    let der = zeroize::Zeroizing::new(seal::open(master, USAGE, &key.sealed)?);
    Ok(match key.alg {
        SigningAlg::RS256 => {
            let mut signer = jws::RS256.signer_from_der(&*der)?;
            signer.set_key_id(&key.kid);
            Box::new(signer)
        }
        SigningAlg::PS256 => {
            let mut signer = jws::PS256.signer_from_der(&*der)?;
            signer.set_key_id(&key.kid);
            Box::new(signer)
        }
        SigningAlg::ES256 => {
            let mut signer = jws::ES256.signer_from_der(&*der)?;
            signer.set_key_id(&key.kid);
            Box::new(signer)
        }
        SigningAlg::EdDSA => {
            let mut signer = jws::EdDSA.signer_from_der(&*der)?;
            signer.set_key_id(&key.kid);
            Box::new(signer)
        }
        SigningAlg::HS256 => return Err(no_pair()),
    })
}

fn no_pair() -> KeyError {
    KeyError::Crypto("a MAC has no key pair".into())
}

pub(super) fn verifier(key: &StoredKey) -> Result<Box<dyn JwsVerifier>, KeyError> {
    let jwk = Jwk::from_bytes(key.public_jwk.as_bytes())?;
    Ok(match key.alg {
        SigningAlg::RS256 => Box::new(jws::RS256.verifier_from_jwk(&jwk)?),
        SigningAlg::ES256 => Box::new(jws::ES256.verifier_from_jwk(&jwk)?),
        SigningAlg::PS256 => Box::new(jws::PS256.verifier_from_jwk(&jwk)?),
        SigningAlg::EdDSA => Box::new(jws::EdDSA.verifier_from_jwk(&jwk)?),
        SigningAlg::HS256 => return Err(no_pair()),
    })
}

/// RFC 7638 §3: SHA-256 over the required members in the order of their names.
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
