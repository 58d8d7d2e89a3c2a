//! How keys come and go: next (published, so that relying parties know it) → active (signs) → retired (still
//! published) → gone. On a schedule and by command; on many nodes, a lock makes it happen once.
//!
//! RSA keys take a tenth of a second each, so a first start makes what it needs to answer and to rotate by the default
//! algorithms, all at once; the rest is made by the node's upkeep a little later ([`complete`]).

use futures::future::try_join_all;

use crate::config::Lifetimes;
use crate::domain::event::Event;
use crate::domain::signing_key::{KeyAlg, KeyState, StoredKey};
use crate::env::Timestamp;
use crate::store::advisory_locks::{self, AdvisoryLock};
use crate::store::{ChangeEvent, Store, Tx, events, signing_keys};

use super::{KeyError, MasterKey, key_pair};

/// Nothing signed lives longer than a day (`config::lifetimes`), but an expired ID token is still good as a hint.
/// The same time is left to what was encrypted to a key before its sender read the JWKS again.
pub const RETIRED_KEY_TTL: i64 = 8 * 86_400;

/// Until when a key that has been retired is of use: published where it signed, else able to decrypt.
pub fn published_until(key: &StoredKey) -> Option<Timestamp> {
    key.retired_at.map(|at| at.plus_seconds(RETIRED_KEY_TTL))
}

/// Makes what a server must have before it answers: an active key of each kind, and the next of those in daily use.
pub async fn ensure_initial_keys(store: &Store, master: &MasterKey) -> Result<(), KeyError> {
    let keys = signing_keys::all(store.read()).await?;
    let due = missing(&keys, |alg| !matches!(alg, KeyAlg::PS256));
    make(store, master, due).await
}

/// Makes the keys that [`ensure_initial_keys`] left for later; judged from memory, so that an idle node asks the database nothing.
/// Whether it had to make any.
pub async fn create_missing_keys(store: &Store, master: &MasterKey, keys: &[StoredKey]) -> Result<bool, KeyError> {
    let due = missing(keys, |_| true);
    let any = !due.is_empty();
    make(store, master, due).await?;
    Ok(any)
}

/// What is not there: an active key of each kind, and a next one of the signing kinds that `ahead` names.
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
                // What is read after it is what the other node has written.
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

/// Since when a key must have been published before it signs: the JWKS says that it may be kept for so long.
pub const JWKS_CACHE_TTL: i64 = 3600;

/// The keys of a first start are made within so many milliseconds.
const INITIAL_KEYS_WINDOW_MS: i64 = 60_000;

/// What a rotation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationOutcome {
    /// That key is the active one now.
    Now(String),
    /// That key will be, from then on: relying parties that keep the JWKS as long as they may do not know it yet.
    Scheduled(String, Timestamp),
}

/// A new key that may come next, made before the transaction that needs it.
pub async fn successor(store: &Store, master: &MasterKey, alg: KeyAlg) -> Result<StoredKey, KeyError> {
    generate(store, master, alg, KeyState::Next).await
}

/// Makes the next key of an algorithm the active one, and `fresh` the next. Where somebody who has kept the JWKS would not
/// know it yet, it is left to [`due`], unless it must be `at_once`.
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

/// Those that wait, oldest first.
fn next_keys(keys: &[StoredKey], alg: KeyAlg) -> impl Iterator<Item = &StoredKey> {
    let mut waiting: Vec<&StoredKey> =
        keys.iter().filter(|key| key.alg == alg && key.state == KeyState::Next).collect();
    waiting.sort_by_key(|key| key.created_at);
    waiting.into_iter()
}

/// A successor, where there is not one beyond the next already: more would only make the document longer.
fn successor_if_needed(keys: &[StoredKey], fresh: StoredKey) -> Option<StoredKey> {
    (next_keys(keys, fresh.alg).count() < 2).then_some(fresh)
}

/// From when the next key (`fresh`, where there is none) may sign without surprising anybody; nothing where nobody has to
/// know it first.
fn can_sign_from(keys: &[StoredKey], fresh: &StoredKey) -> Option<Timestamp> {
    fresh.alg.signing_alg()?;
    let next = next_keys(keys, fresh.alg).next().unwrap_or(fresh);
    // One that stood in the first document there was is known to everybody who knows any.
    let first = keys.iter().map(|key| key.created_at).min()?;
    (next.created_at.since(first) > INITIAL_KEYS_WINDOW_MS).then(|| next.created_at.plus_seconds(JWKS_CACHE_TTL))
}

/// Rotates where the schedule still asks for it: another node that judged so at the same moment may have been first, and
/// the successor it published a moment ago must not sign before relying parties know it. The new active key's id.
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

/// Takes a key out at once: nothing verifies or decrypts by it any more. An active one is succeeded first, and `fresh` is
/// the new next one. Whether there was such a key.
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

/// What the schedule asks for now; judged from memory, so that an idle node asks the database nothing.
pub fn due_algorithms(keys: &[StoredKey], lifetimes: &Lifetimes, now: Timestamp) -> Vec<KeyAlg> {
    let of = |alg, state| keys.iter().filter(move |key| key.alg == alg && key.state == state);
    let old = |key: &StoredKey| key.activated_at.is_some_and(|at| now >= at.plus_seconds(lifetimes.signing_key));
    let known = |key: &StoredKey| now >= key.created_at.plus_seconds(lifetimes.signing_key_overlap);
    // A rotation that was asked for waits until the key is known.
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

/// Deletes retired keys by which nothing can be verified any more.
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

/// The oldest next key becomes the active one, and `fresh` is next; where there is no next one, `fresh` itself is made
/// active. The active one's id.
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

/// Away from the threads that serve requests.
async fn generate(store: &Store, master: &MasterKey, alg: KeyAlg, state: KeyState) -> Result<StoredKey, KeyError> {
    let (master, now) = (master.clone(), store.env().now());
    tokio::task::spawn_blocking(move || key_pair::generate(&master, alg, state, now))
        .await
        .map_err(|error| KeyError::Crypto(error.to_string()))?
}
