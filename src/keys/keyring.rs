//! The keys in use on this node: signers, verifiers, decrypters, and the published JWKS (RFC 7517 §5).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use josekit::jwe::JweDecrypter;
use josekit::jwk::Jwk;
use josekit::jws::{JwsSigner, JwsVerifier};

use super::{KeyError, MasterKey, key_pair};
use crate::domain::algorithms::{KeyManagementAlg, SigningAlg};
use crate::domain::signing_key::{KeyState, StoredKey};
use crate::store::{Store, signing_keys};

/// A handle to the current [`KeySet`]; cheap to clone. The set is replaced as a whole when keys change.
#[derive(Clone)]
pub struct Keyring {
    key_set: Arc<RwLock<Arc<KeySet>>>,
    /// The number of changes of the keys since the start.
    generation: Arc<AtomicU64>,
    master: MasterKey,
}

/// An immutable snapshot of the keys.
pub struct KeySet {
    signers: HashMap<SigningAlg, Box<dyn JwsSigner>>,
    verifiers: HashMap<String, Box<dyn JwsVerifier>>,
    /// Newest first.
    decrypters: Vec<DecryptionKey>,
    /// The published document, serialized once.
    pub jwks: Arc<[u8]>,
    pub keys: Vec<StoredKey>,
}

struct DecryptionKey {
    kid: String,
    alg: KeyManagementAlg,
    decrypter: Box<dyn JweDecrypter>,
}

impl KeySet {
    pub(super) fn from_stored(master: &MasterKey, keys: Vec<StoredKey>) -> Result<Self, KeyError> {
        let mut signers = HashMap::new();
        let mut verifiers = HashMap::new();
        let mut decrypters = Vec::new();
        for key in &keys {
            if let Some(alg) = key.alg.signing_alg() {
                if key.state == KeyState::Active {
                    signers.insert(alg, key_pair::signer(master, key, alg)?);
                }
                let jwk = Jwk::from_bytes(key.public_jwk.as_bytes())?;
                verifiers.insert(key.kid.clone(), key_pair::verifier(&jwk, alg)?);
            }
            for alg in key.alg.key_management_algs() {
                let decrypter = key_pair::decrypter(master, key, *alg)?;
                decrypters.insert(0, DecryptionKey { kid: key.kid.clone(), alg: *alg, decrypter });
            }
        }
        let published: Vec<&str> =
            keys.iter().filter(|key| key.is_published()).map(|key| key.public_jwk.as_str()).collect();
        let jwks = format!("{{\"keys\":[{}]}}", published.join(","));
        Ok(Self { signers, verifiers, decrypters, jwks: jwks.into_bytes().into(), keys })
    }

    /// Returns the signer for `alg`.
    pub(super) fn signer(&self, alg: SigningAlg) -> Option<&dyn JwsSigner> {
        self.signers.get(&alg).map(AsRef::as_ref)
    }

    /// Returns the verifier of the key `kid`. It uses that key's own algorithm, whatever a token's header says.
    pub(super) fn verifier(&self, kid: &str) -> Option<&dyn JwsVerifier> {
        self.verifiers.get(kid).map(AsRef::as_ref)
    }

    /// Returns the decrypters for `alg`: that of the key `kid` or, without a `kid`, all of them, newest first.
    pub(super) fn decrypters<'a>(
        &'a self,
        alg: KeyManagementAlg,
        kid: Option<&'a str>,
    ) -> impl Iterator<Item = &'a dyn JweDecrypter> {
        let fits = move |one: &&DecryptionKey| one.alg == alg && kid.is_none_or(|kid| one.kid == kid);
        self.decrypters.iter().filter(fits).map(|one| one.decrypter.as_ref())
    }
}

impl Keyring {
    /// Loads the keys from the database, which `rotation::ensure_initial_keys` has created.
    pub async fn open(store: &Store, master: MasterKey) -> Result<Self, KeyError> {
        let keys = signing_keys::all(store.read()).await?;
        Ok(Self::from_key_set(KeySet::from_stored(&master, keys)?, master))
    }

    pub(super) fn from_key_set(ring: KeySet, master: MasterKey) -> Self {
        Self { key_set: Arc::new(RwLock::new(Arc::new(ring))), generation: Arc::default(), master }
    }

    /// Reloads the keys from the database.
    pub async fn reload(&self, store: &Store) -> Result<(), KeyError> {
        let ring = Arc::new(KeySet::from_stored(&self.master, signing_keys::all(store.read()).await?)?);
        *self.key_set.write().unwrap_or_else(std::sync::PoisonError::into_inner) = ring;
        self.generation.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Returns a number that changes with the keys. If it has changed since a token was verified, the key that verified
    /// it may have been removed.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    pub fn current(&self) -> Arc<KeySet> {
        self.key_set.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
