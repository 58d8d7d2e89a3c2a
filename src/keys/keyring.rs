//! The keys in use on this node: what signs, what verifies, and the JWKS that is published (RFC 7517 §5).

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use josekit::jws::{JwsSigner, JwsVerifier};

use super::{KeyError, MasterKey, pair};
use crate::domain::algorithms::SigningAlg;
use crate::domain::signing_key::{KeyState, StoredKey};
use crate::store::{Store, signing_keys};

/// A handle; cheap to clone, and replaced as a whole when keys change.
#[derive(Clone)]
pub struct Keyring {
    ring: Arc<RwLock<Arc<Ring>>>,
    master: MasterKey,
}

/// One state of the keys.
pub struct Ring {
    signers: HashMap<SigningAlg, Box<dyn JwsSigner>>,
    verifiers: HashMap<String, Box<dyn JwsVerifier>>,
    /// The published document, made once.
    pub jwks: Arc<str>,
    pub keys: Vec<StoredKey>,
}

impl Ring {
    fn read(master: &MasterKey, keys: Vec<StoredKey>) -> Result<Self, KeyError> {
        let mut signers = HashMap::new();
        let mut verifiers = HashMap::new();
        for key in &keys {
            if key.state == KeyState::Active {
                signers.insert(key.alg, pair::signer(master, key)?);
            }
            verifiers.insert(key.kid.clone(), pair::verifier(key)?);
        }
        let published: Vec<&str> = keys.iter().map(|key| key.public_jwk.as_str()).collect();
        let jwks = format!("{{\"keys\":[{}]}}", published.join(","));
        Ok(Self { signers, verifiers, jwks: jwks.into(), keys })
    }

    /// What signs with `alg`.
    pub(super) fn signer(&self, alg: SigningAlg) -> Option<&dyn JwsSigner> {
        self.signers.get(&alg).map(AsRef::as_ref)
    }

    /// What verifies signatures of the key `kid`, with that key's own algorithm whatever a token's header says.
    pub(super) fn verifier(&self, kid: &str) -> Option<&dyn JwsVerifier> {
        self.verifiers.get(kid).map(AsRef::as_ref)
    }
}

impl Keyring {
    /// Reads the keys of the database, which `rotation::ensure` has made.
    pub async fn open(store: &Store, master: MasterKey) -> Result<Self, KeyError> {
        let ring = Ring::read(&master, signing_keys::all(store.read()).await?)?;
        Ok(Self { ring: Arc::new(RwLock::new(Arc::new(ring))), master })
    }

    /// Reads them again.
    pub async fn reload(&self, store: &Store) -> Result<(), KeyError> {
        let ring = Arc::new(Ring::read(&self.master, signing_keys::all(store.read()).await?)?);
        *self.ring.write().unwrap_or_else(std::sync::PoisonError::into_inner) = ring;
        Ok(())
    }

    pub fn current(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
