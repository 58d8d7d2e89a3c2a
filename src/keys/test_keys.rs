//! Keys for the tests of this module: one pair of each kind, generated once.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::keyring::KeySet;
use super::{Keyring, MasterKey, key_pair};
use crate::domain::jwks::JwkSet;
use crate::domain::signing_key::{KeyAlg, KeyState, StoredKey};
use crate::env::Timestamp;

static PAIRS: LazyLock<HashMap<KeyAlg, StoredKey>> = LazyLock::new(|| {
    let make = |alg: &KeyAlg| (*alg, key_pair::generate(&master(), *alg, KeyState::Active, Timestamp(0)).unwrap());
    KeyAlg::ALL.iter().map(make).collect()
});

pub(super) fn master() -> MasterKey {
    MasterKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap()
}

pub(super) fn other_master() -> MasterKey {
    MasterKey::parse("//ECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap()
}

/// Returns the active key of that kind.
pub(super) fn key(alg: KeyAlg) -> StoredKey {
    PAIRS[&alg].clone()
}

/// Generates another key.
pub(super) fn fresh(alg: KeyAlg, state: KeyState) -> StoredKey {
    key_pair::generate(&master(), alg, state, Timestamp(1)).unwrap()
}

pub(super) fn ring(keys: Vec<StoredKey>) -> KeySet {
    KeySet::from_stored(&master(), keys).unwrap()
}

/// Returns a keyring with all test keys.
pub(super) fn keyring() -> Keyring {
    Keyring::from_key_set(ring(KeyAlg::ALL.iter().map(|alg| key(*alg)).collect()), master())
}

/// Returns a client's JWK set with these keys.
pub(super) fn published(keys: &[StoredKey]) -> JwkSet {
    let keys: Vec<&str> = keys.iter().map(|key| key.public_jwk.as_str()).collect();
    JwkSet::parse(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes()).unwrap()
}
