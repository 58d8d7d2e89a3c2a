//! How keys come and go: next (published, so that relying parties know it) → active (signs) → retired (still
//! published) → gone. On a schedule and by command; on many nodes, the change feed's lock makes it happen once.

use crate::config::Lifetimes;
use crate::domain::algorithms::SigningAlg;
use crate::domain::event::Event;
use crate::domain::signing_key::{KeyState, StoredKey};
use crate::env::Timestamp;
use crate::store::{Change, Store, Tx, events, signing_keys};

use super::{KeyError, MasterKey, pair};

/// Nothing signed lives longer than a day (`config::lifetimes`), but an expired ID token is still good as a hint.
pub const PUBLISHED_AFTER_RETIREMENT: i64 = 8 * 86_400;

/// Until when a key that has been retired stays published.
pub fn published_until(key: &StoredKey) -> Option<Timestamp> {
    key.retired_at.map(|at| at.plus_seconds(PUBLISHED_AFTER_RETIREMENT))
}

/// Makes an active and a next key where an algorithm has none.
pub async fn ensure(store: &Store, master: &MasterKey) -> Result<(), KeyError> {
    for alg in SigningAlg::ASYMMETRIC {
        for state in [KeyState::Active, KeyState::Next] {
            let has = move |keys: &[StoredKey]| keys.iter().any(|key| key.alg == alg && key.state == state);
            if has(&signing_keys::all(store.read()).await?) {
                continue;
            }
            let key = generate(store, master, alg, state).await?;
            store
                .write(move |tx| {
                    Box::pin(async move {
                        // Takes the feed's lock first: what is read after it is what the other node has written.
                        tx.tell(Change::Keys).await?;
                        if !has(&signing_keys::all(tx.conn()).await?) {
                            signing_keys::insert(tx, &key).await?;
                        }
                        Ok(())
                    })
                })
                .await?;
        }
    }
    Ok(())
}

/// Makes the next key of `alg` the active one and a new one the next; the new active key's id.
pub async fn rotate(store: &Store, master: &MasterKey, alg: SigningAlg, event: Event) -> Result<String, KeyError> {
    let fresh = generate(store, master, alg, KeyState::Next).await?;
    let kid = store
        .write(move |tx| {
            Box::pin(async move {
                tx.tell(Change::Keys).await?;
                let active = advance(tx, alg, fresh).await?;
                events::insert(tx, &event).await?;
                Ok(active)
            })
        })
        .await?;
    kid.ok_or_else(|| KeyError::Crypto("there is no next key".into()))
}

/// Rotates where the schedule still asks for it: another node that judged so at the same moment may have been first, and
/// the successor it published a moment ago must not sign before relying parties know it. The new active key's id.
pub async fn rotate_due(
    store: &Store,
    master: &MasterKey,
    lifetimes: &Lifetimes,
    alg: SigningAlg,
    event: Event,
) -> Result<Option<String>, KeyError> {
    let fresh = generate(store, master, alg, KeyState::Next).await?;
    let lifetimes = lifetimes.clone();
    let kid = store
        .write(move |tx| {
            Box::pin(async move {
                // Takes the feed's lock first, as `ensure` does.
                tx.tell(Change::Keys).await?;
                if !due(&signing_keys::all(tx.conn()).await?, &lifetimes, tx.now()).contains(&alg) {
                    return Ok(None);
                }
                events::insert(tx, &event).await?;
                advance(tx, alg, fresh).await
            })
        })
        .await?;
    Ok(kid)
}

/// Takes a key out at once: nothing verifies by it any more. An active one is succeeded by the next one first.
/// Whether there was such a key.
pub async fn retire(store: &Store, master: &MasterKey, kid: &str, event: Event) -> Result<bool, KeyError> {
    let keys = signing_keys::all(store.read()).await?;
    let Some(alg) = keys.iter().find(|key| key.kid == kid).map(|key| key.alg) else { return Ok(false) };
    let fresh = generate(store, master, alg, KeyState::Next).await?;
    let kid = kid.to_owned();
    let done = store
        .write(move |tx| {
            Box::pin(async move {
                tx.tell(Change::Keys).await?;
                let keys = signing_keys::all(tx.conn()).await?;
                match keys.iter().find(|key| key.kid == kid).map(|key| key.state) {
                    None => return Ok(false),
                    Some(KeyState::Active) => drop(advance(tx, alg, fresh).await?),
                    Some(KeyState::Next) => signing_keys::insert(tx, &fresh).await?,
                    Some(KeyState::Retired) => {}
                }
                signing_keys::delete(tx, &kid).await?;
                events::insert(tx, &event).await?;
                Ok(true)
            })
        })
        .await?;
    Ok(done)
}

/// What the schedule asks for now; judged from memory, so that an idle node asks the database nothing.
pub fn due(keys: &[StoredKey], lifetimes: &Lifetimes, now: Timestamp) -> Vec<SigningAlg> {
    SigningAlg::ASYMMETRIC
        .into_iter()
        .filter(|alg| {
            keys.iter().any(|key| {
                key.alg == *alg
                    && key.state == KeyState::Active
                    && key.activated_at.is_some_and(|at| now >= at.plus_seconds(lifetimes.signing_key))
            }) && keys.iter().any(|key| {
                key.alg == *alg
                    && key.state == KeyState::Next
                    && now >= key.created_at.plus_seconds(lifetimes.signing_key_overlap)
            })
        })
        .collect()
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
                tx.tell(Change::Keys).await
            })
        })
        .await?;
    Ok(())
}

async fn advance(tx: &Tx, alg: SigningAlg, fresh: StoredKey) -> crate::store::Result<Option<String>> {
    let keys = signing_keys::all(tx.conn()).await?;
    let of = |state| keys.iter().find(|key| key.alg == alg && key.state == state).cloned();
    let (Some(mut next), active) = (of(KeyState::Next), of(KeyState::Active)) else { return Ok(None) };
    if let Some(mut active) = active {
        active.state = KeyState::Retired;
        active.retired_at = Some(tx.now());
        signing_keys::update(tx, &active).await?;
    }
    next.state = KeyState::Active;
    next.activated_at = Some(tx.now());
    signing_keys::update(tx, &next).await?;
    signing_keys::insert(tx, &fresh).await?;
    Ok(Some(next.kid))
}

/// RSA takes a tenth of a second and more: away from the threads that serve requests.
async fn generate(store: &Store, master: &MasterKey, alg: SigningAlg, state: KeyState) -> Result<StoredKey, KeyError> {
    let (master, now) = (master.clone(), store.env().now());
    tokio::task::spawn_blocking(move || pair::generate(&master, alg, state, now))
        .await
        .map_err(|error| KeyError::Crypto(error.to_string()))?
}
