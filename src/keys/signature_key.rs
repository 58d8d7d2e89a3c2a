//! The keys that verify clients' request signatures, loaded from their stored form (`domain::signature_key`). Secrets
//! are unsealed and JWKs parsed once, not for each request.
//!
//! See also [`super::seal`]; the package `signet-signatures`, which defines the key types (RFC 9421 §3.3).

use moka::sync::Cache;
use serde_json::{Map, Value};
use signet_signatures::VerifyingKey;
use zeroize::Zeroizing;

use super::master::MasterKey;
use super::{KeyError, key_pair, public_jwk, seal};
use crate::domain::algorithms::SigningAlg;
use crate::domain::signature_key::{KeyId, KeyMaterial, SealedSecret, SignatureAlg};

/// The maximum number of cached keys.
const MAX_CACHED: u64 = 10_000;

/// Returns the usage of the seal. It includes the key id, so a sealed secret cannot be moved to another key.
fn usage(keyid: &KeyId) -> String {
    format!("signature-key {}", keyid.as_str())
}

impl MasterKey {
    pub fn seal_shared_secret(&self, keyid: &KeyId, secret: &[u8]) -> Result<SealedSecret, KeyError> {
        seal::seal(self, &usage(keyid), secret).map(SealedSecret)
    }

    /// Returns the secret if it was sealed under this master key for that key id.
    pub fn open_shared_secret(&self, keyid: &KeyId, sealed: &SealedSecret) -> Option<Zeroizing<Vec<u8>>> {
        seal::open(self, &usage(keyid), &sealed.0).ok().map(Zeroizing::new)
    }
}

/// A cache of keys by their complete stored form. The form determines the key, so entries never become stale.
#[derive(Clone)]
pub struct SignatureKeyCache(Cache<String, VerifyingKey>);

impl Default for SignatureKeyCache {
    fn default() -> Self {
        Self(Cache::new(MAX_CACHED))
    }
}

impl SignatureKeyCache {
    /// Returns the key; `None` if it has another algorithm or cannot be parsed.
    pub fn verifying_key(
        &self,
        master: &MasterKey,
        keyid: &KeyId,
        alg: Option<SignatureAlg>,
        material: &KeyMaterial,
    ) -> Option<VerifyingKey> {
        let made_of = match material {
            KeyMaterial::SealedSecret(sealed) => sealed.0.clone(),
            KeyMaterial::Jwk(jwk) => serde_json::to_string(jwk).ok()?,
        };
        let name = format!("{} {made_of}", keyid.as_str());
        let key = if let Some(key) = self.0.get(&name) {
            key
        } else {
            let key = match material {
                KeyMaterial::SealedSecret(sealed) => {
                    VerifyingKey::from_secret(&master.open_shared_secret(keyid, sealed)?).ok()?
                }
                KeyMaterial::Jwk(jwk) => VerifyingKey::from_jwk(jwk).ok()?,
            };
            self.0.insert(name, key.clone());
            key
        };
        alg.is_none_or(|alg| alg.as_str() == key.algorithm().as_str()).then_some(key)
    }
}

/// Checks that a JWK is a valid public key for that algorithm.
///
/// # Errors
/// Returns a sentence that describes the problem.
pub fn check_jwk(alg: SignatureAlg, jwk: &Map<String, Value>) -> Result<(), String> {
    if alg == SignatureAlg::RsaV15Sha256 {
        let key = public_jwk::verifying(jwk, SigningAlg::RS256);
        return key.map(drop).ok_or_else(|| "the JWK is no public RSA key of 2048 to 4096 bits".to_owned());
    }
    let key = VerifyingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    if key.algorithm().as_str() != alg.as_str() {
        return Err(format!("the key is of {}, not of {}", key.algorithm().as_str(), alg.as_str()));
    }
    Ok(())
}

/// Verifies RSA-SHA256 of OAuth 1.0: RSASSA-PKCS1-v1_5 (RFC 8017 §8.2) over the signature base string (RFC 5849
/// §3.4.3).
pub fn verify_rsa_sha256(jwk: &Map<String, Value>, base: &[u8], signature: &[u8]) -> bool {
    let key = public_jwk::verifying(jwk, SigningAlg::RS256);
    let verifier = key.and_then(|key| key_pair::verifier(&key, SigningAlg::RS256).ok());
    verifier.is_some_and(|verifier| verifier.verify(base, signature).is_ok())
}
