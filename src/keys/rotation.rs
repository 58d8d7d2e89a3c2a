//! The life cycle of keys: next (published, so that relying parties know it) → active (signs) → retired (still
//! published) → deleted. Keys rotate on a schedule and by command. A lock ensures that only one of several nodes
//! rotates a key.
//!
//! An RSA key takes a tenth of a second to generate. The first start therefore generates concurrently only the keys
//! that it needs to serve requests and to rotate the default algorithms. A background job creates the others a little
//! later ([`create_missing_keys`]).

use futures::future::try_join_all;

use crate::config::Lifetimes;
use crate::domain::event::Event;
use crate::domain::signing_key::{KeyAlg, KeyState, StoredKey};
use crate::env::Timestamp;
use crate::store::advisory_locks::{self, AdvisoryLock};
use crate::store::{ChangeEvent, Store, Tx, events, signing_keys};

use super::{KeyError, MasterKey, key_pair};

/// Seconds for which a retired key is kept. No signed token is valid for more than a day (`config::lifetimes`), but an
/// expired ID token is still accepted as a hint. The same time applies to tokens that were encrypted to a key before
/// their sender fetched the new JWKS.
pub const RETIRED_KEY_TTL: i64 = 8 * 86_400;

/// Returns the time until which a retired key is kept: it stays published if it signed, and can decrypt otherwise.
pub fn published_until(key: &StoredKey) -> Option<Timestamp> {
    key.retired_at.map(|at| at.plus_seconds(RETIRED_KEY_TTL))
}

/// Creates the keys that a server needs before it serves requests: an active key of each kind, and the next key of
/// those in daily use.
pub async fn ensure_initial_keys(store: &Store, master: &MasterKey) -> Result<(), KeyError> {
    let keys = signing_keys::all(store.read()).await?;
    let due = missing(&keys, |alg| !matches!(alg, KeyAlg::PS256));
    make(store, master, due).await
}

/// Creates the keys that [`ensure_initial_keys`] has left out, and returns whether any were missing. The check uses the
/// keys in memory, so an idle node makes no queries.
pub async fn create_missing_keys(store: &Store, master: &MasterKey, keys: &[StoredKey]) -> Result<bool, KeyError> {
    let due = missing(keys, |_| true);
    let any = !due.is_empty();
    make(store, master, due).await?;
    Ok(any)
}

/// Returns the missing keys: an active key of each kind, and a next key of the signing kinds for which `ahead` returns
/// true.
fn missing(keys: &[StoredKey], ahead: impl Fn(KeyAlg) -> bool) -> Vec<(KeyAlg, KeyState)> {
    let wanted = KeyAlg::ALL.iter().flat_map(|alg| {
        let next = (alg.signing_alg().is_some() && ahead(*alg)).then_some((*alg, KeyState::Next));
        [Some((*alg, KeyState::Active)), next]
    });
    wanted.flatten().filter(|wanted| !has(keys, *wanted)).collect()
}

fn has(keys: &[StoredKey], (alg, state): (KeyAlg, KeyState)) -> bool {
    keys.iter().any(|key| key.alg == alg && key.state == state)
}

async fn make(store: &Store, master: &MasterKey, wanted: Vec<(KeyAlg, KeyState)>) -> Result<(), KeyError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let made = try_join_all(wanted.into_iter().map(|(alg, state)| generate(store, master, alg, state))).await?;
    store
        .write(move |tx| {
            Box::pin(async move {
                // Reading after the lock returns the keys that another node has written.
                advisory_locks::lock(tx, AdvisoryLock::SigningKeys).await?;
                tx.publish(ChangeEvent::Keys).await?;
                let keys = signing_keys::all(tx.conn()).await?;
                for key in made.iter().filter(|key| !has(&keys, (key.alg, key.state))) {
                    signing_keys::insert(tx, key).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(())
}

/// Seconds for which a key must have been published before it signs: the time for which the JWKS may be cached.
pub const JWKS_CACHE_TTL: i64 = 3600;

/// The keys of a first start are created within this many milliseconds.
const INITIAL_KEYS_WINDOW_MS: i64 = 60_000;

/// The result of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationOutcome {
    /// The key with this id is active now.
    Now(String),
    /// The key with this id becomes active at that time. Relying parties that cache the JWKS may not know it earlier.
    Scheduled(String, Timestamp),
}

/// Generates a next key. It is called before the transaction that needs the key.
pub async fn successor(store: &Store, master: &MasterKey, alg: KeyAlg) -> Result<StoredKey, KeyError> {
    generate(store, master, alg, KeyState::Next).await
}

/// Makes the next key of an algorithm active, and `fresh` the next one. If cached JWKS may not contain the next key
/// yet, [`rotate_due`] activates it later, unless `at_once` is set.
pub async fn rotate_in_transaction(tx: &Tx, fresh: StoredKey, at_once: bool) -> crate::store::Result<RotationOutcome> {
    let alg = fresh.alg;
    advisory_locks::lock(tx, AdvisoryLock::SigningKeys).await?;
    tx.publish(ChangeEvent::Keys).await?;
    let keys = signing_keys::all(tx.conn()).await?;
    match can_sign_from(&keys, &fresh).filter(|from| !at_once && *from > tx.now()) {
        None => advance(tx, alg, successor_if_needed(&keys, fresh)).await.map(RotationOutcome::Now),
        Some(from) => {
            let next = next_keys(&keys, alg).next().map_or_else(|| fresh.kid.clone(), |next| next.kid.clone());
            if let Some(fresh) = successor_if_needed(&keys, fresh) {
                signing_keys::insert(tx, &fresh).await?;
            }
            Ok(RotationOutcome::Scheduled(next, from))
        }
    }
}

/// Returns the next keys of an algorithm, oldest first.
fn next_keys(keys: &[StoredKey], alg: KeyAlg) -> impl Iterator<Item = &StoredKey> {
    let mut waiting: Vec<&StoredKey> =
        keys.iter().filter(|key| key.alg == alg && key.state == KeyState::Next).collect();
    waiting.sort_by_key(|key| key.created_at);
    waiting.into_iter()
}

/// Returns `fresh` unless there are two next keys already; more would only enlarge the JWKS.
fn successor_if_needed(keys: &[StoredKey], fresh: StoredKey) -> Option<StoredKey> {
    (next_keys(keys, fresh.alg).count() < 2).then_some(fresh)
}

/// Returns the time from which the next key (`fresh` if there is none) may sign because relying parties know it; `None`
/// if it may sign at once.
fn can_sign_from(keys: &[StoredKey], fresh: &StoredKey) -> Option<Timestamp> {
    fresh.alg.signing_alg()?;
    let next = next_keys(keys, fresh.alg).next().unwrap_or(fresh);
    // A key of the first published document is in every cached JWKS.
    let first = keys.iter().map(|key| key.created_at).min()?;
    (next.created_at.since(first) > INITIAL_KEYS_WINDOW_MS).then(|| next.created_at.plus_seconds(JWKS_CACHE_TTL))
}

/// Rotates the keys of an algorithm if that is still due, and returns the id of the new active key. Another node may
/// have rotated them at the same time; the next key it has just published must not sign before relying parties know it.
pub async fn rotate_due(
    store: &Store,
    master: &MasterKey,
    lifetimes: &Lifetimes,
    alg: KeyAlg,
    event: Event,
) -> Result<Option<String>, KeyError> {
    let fresh = generate(store, master, alg, KeyState::Next).await?;
    let lifetimes = lifetimes.clone();
    let kid = store
        .write(move |tx| {
            Box::pin(async move {
                advisory_locks::lock(tx, AdvisoryLock::SigningKeys).await?;
                tx.publish(ChangeEvent::Keys).await?;
                let keys = signing_keys::all(tx.conn()).await?;
                if !due_algorithms(&keys, &lifetimes, tx.now()).contains(&alg) {
                    return Ok(None);
                }
                events::insert(tx, &event).await?;
                advance(tx, alg, successor_if_needed(&keys, fresh)).await.map(Some)
            })
        })
        .await?;
    Ok(kid)
}

/// Deletes a key at once, so that it no longer verifies or decrypts. An active key is replaced by the next one, and
/// `fresh` becomes the next. Returns whether the key existed.
pub async fn retire_in_transaction(tx: &Tx, kid: &str, fresh: StoredKey) -> crate::store::Result<bool> {
    advisory_locks::lock(tx, AdvisoryLock::SigningKeys).await?;
    tx.publish(ChangeEvent::Keys).await?;
    let keys = signing_keys::all(tx.conn()).await?;
    match keys.iter().find(|key| key.kid == kid).map(|key| key.state) {
        None => return Ok(false),
        Some(KeyState::Active) => drop(advance(tx, fresh.alg, Some(fresh)).await?),
        Some(KeyState::Next) => signing_keys::insert(tx, &fresh).await?,
        Some(KeyState::Retired) => {}
    }
    signing_keys::delete(tx, kid).await?;
    Ok(true)
}

/// Returns the algorithms whose rotation is due. The check uses the keys in memory, so an idle node makes no queries.
pub fn due_algorithms(keys: &[StoredKey], lifetimes: &Lifetimes, now: Timestamp) -> Vec<KeyAlg> {
    let of = |alg, state| keys.iter().filter(move |key| key.alg == alg && key.state == state);
    let old = |key: &StoredKey| key.activated_at.is_some_and(|at| now >= at.plus_seconds(lifetimes.signing_key));
    let known = |key: &StoredKey| now >= key.created_at.plus_seconds(lifetimes.signing_key_overlap);
    // A requested rotation waits until relying parties know the key.
    let asked = |alg: KeyAlg| {
        let mut waiting = next_keys(keys, alg);
        let next = waiting.next().filter(|next| now >= next.created_at.plus_seconds(JWKS_CACHE_TTL));
        next.is_some() && waiting.next().is_some()
    };
    let due = |alg: &KeyAlg| {
        asked(*alg)
            || (of(*alg, KeyState::Active).any(old)
                && (alg.signing_alg().is_none() || of(*alg, KeyState::Next).any(known)))
    };
    KeyAlg::ALL.iter().copied().filter(due).collect()
}

/// Deletes retired keys that are no longer needed for verification or decryption.
pub async fn forget(store: &Store, keys: &[StoredKey], now: Timestamp) -> Result<(), KeyError> {
    let old: Vec<String> = keys
        .iter()
        .filter(|key| published_until(key).is_some_and(|end| now >= end))
        .map(|key| key.kid.clone())
        .collect();
    if old.is_empty() {
        return Ok(());
    }
    store
        .write(move |tx| {
            Box::pin(async move {
                for kid in &old {
                    signing_keys::delete(tx, kid).await?;
                }
                tx.publish(ChangeEvent::Keys).await
            })
        })
        .await?;
    Ok(())
}

/// Makes the oldest next key active and inserts `fresh` as a next key. If there is no next key, `fresh` itself becomes
/// active. Returns the id of the active key.
async fn advance(tx: &Tx, alg: KeyAlg, fresh: Option<StoredKey>) -> crate::store::Result<String> {
    let keys = signing_keys::all(tx.conn()).await?;
    let active = keys.iter().find(|key| key.alg == alg && key.state == KeyState::Active).cloned();
    let next = next_keys(&keys, alg).next().cloned();
    let Some(mut succeeds) = next.clone().or_else(|| fresh.clone()) else {
        return Ok(active.map(|active| active.kid).unwrap_or_default());
    };
    if let Some(mut active) = active {
        active.state = KeyState::Retired;
        active.retired_at = Some(tx.now());
        signing_keys::update(tx, &active).await?;
    }
    succeeds.state = KeyState::Active;
    succeeds.activated_at = Some(tx.now());
    if next.is_some() {
        signing_keys::update(tx, &succeeds).await?;
        if let Some(fresh) = &fresh {
            signing_keys::insert(tx, fresh).await?;
        }
    } else {
        signing_keys::insert(tx, &succeeds).await?;
    }
    Ok(succeeds.kid)
}

/// Generates a key on the blocking pool, because RSA keys take long.
async fn generate(store: &Store, master: &MasterKey, alg: KeyAlg, state: KeyState) -> Result<StoredKey, KeyError> {
    let (master, now) = (master.clone(), store.env().now());
    tokio::task::spawn_blocking(move || key_pair::generate(&master, alg, state, now))
        .await
        .map_err(|error| KeyError::Crypto(error.to_string()))?
}
