//! How keys come and go: next (published, so that relying parties know it) → active (signs) → retired (still
//! published) → gone. On a schedule and by command; on many nodes, the change feed's lock makes it happen once.
//!
//! RSA keys take a tenth of a second each, so a first start makes what it needs to answer and to rotate by the default
//! algorithms, all at once; the rest is made by the node's upkeep a little later ([`complete`]).

use futures::future::try_join_all;

use crate::config::Lifetimes;
use crate::domain::event::Event;
use crate::domain::signing_key::{KeyAlg, KeyState, StoredKey};
use crate::env::Timestamp;
use crate::store::{Change, Store, Tx, events, signing_keys};

use super::{KeyError, MasterKey, pair};

/// Nothing signed lives longer than a day (`config::lifetimes`), but an expired ID token is still good as a hint.
/// The same time is left to what was encrypted to a key before its sender read the JWKS again.
pub const PUBLISHED_AFTER_RETIREMENT: i64 = 8 * 86_400;

/// Until when a key that has been retired is of use: published where it signed, else able to decrypt.
pub fn published_until(key: &StoredKey) -> Option<Timestamp> {
    key.retired_at.map(|at| at.plus_seconds(PUBLISHED_AFTER_RETIREMENT))
}

/// Makes what a server must have before it answers: an active key of each kind, and the next of those in daily use.
pub async fn ensure(store: &Store, master: &MasterKey) -> Result<(), KeyError> {
    let keys = signing_keys::all(store.read()).await?;
    let due = missing(&keys, |alg| !matches!(alg, KeyAlg::PS256));
    make(store, master, due).await
}

/// Makes the keys that [`ensure`] left for later; judged from memory, so that an idle node asks the database nothing.
/// Whether it had to make any.
pub async fn complete(store: &Store, master: &MasterKey, keys: &[StoredKey]) -> Result<bool, KeyError> {
    let due = missing(keys, |_| true);
    let any = !due.is_empty();
    make(store, master, due).await?;
    Ok(any)
}

/// What is not there: an active key of each kind, and a next one of the signing kinds that `ahead` names.
fn missing(keys: &[StoredKey], ahead: impl Fn(KeyAlg) -> bool) -> Vec<(KeyAlg, KeyState)> {
    let wanted = KeyAlg::ALL.iter().flat_map(|alg| {
        let next = (alg.signs().is_some() && ahead(*alg)).then_some((*alg, KeyState::Next));
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
                // Takes the feed's lock first: what is read after it is what the other node has written.
                tx.tell(Change::Keys).await?;
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

/// Makes the next key of `alg` the active one and a new one the next; the new active key's id.
pub async fn rotate(store: &Store, master: &MasterKey, alg: KeyAlg, event: Event) -> Result<String, KeyError> {
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
    Ok(kid)
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
                // Takes the feed's lock first, as `make` does.
                tx.tell(Change::Keys).await?;
                if !due(&signing_keys::all(tx.conn()).await?, &lifetimes, tx.now()).contains(&alg) {
                    return Ok(None);
                }
                events::insert(tx, &event).await?;
                advance(tx, alg, fresh).await.map(Some)
            })
        })
        .await?;
    Ok(kid)
}

/// Takes a key out at once: nothing verifies or decrypts by it any more. An active one is succeeded first.
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
pub fn due(keys: &[StoredKey], lifetimes: &Lifetimes, now: Timestamp) -> Vec<KeyAlg> {
    let of = |alg, state| keys.iter().filter(move |key| key.alg == alg && key.state == state);
    let old = |key: &StoredKey| key.activated_at.is_some_and(|at| now >= at.plus_seconds(lifetimes.signing_key));
    let known = |key: &StoredKey| now >= key.created_at.plus_seconds(lifetimes.signing_key_overlap);
    let due = |alg: &KeyAlg| {
        of(*alg, KeyState::Active).any(old) && (alg.signs().is_none() || of(*alg, KeyState::Next).any(known))
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
                tx.tell(Change::Keys).await
            })
        })
        .await?;
    Ok(())
}

/// The next key becomes the active one and `fresh` the next; where there is no next one, `fresh` itself is made active.
async fn advance(tx: &Tx, alg: KeyAlg, mut fresh: StoredKey) -> crate::store::Result<String> {
    let keys = signing_keys::all(tx.conn()).await?;
    let of = |state| keys.iter().find(|key| key.alg == alg && key.state == state).cloned();
    if let Some(mut active) = of(KeyState::Active) {
        active.state = KeyState::Retired;
        active.retired_at = Some(tx.now());
        signing_keys::update(tx, &active).await?;
    }
    let activate = |key: &mut StoredKey| {
        key.state = KeyState::Active;
        key.activated_at = Some(tx.now());
        key.kid.clone()
    };
    let Some(mut next) = of(KeyState::Next) else {
        let kid = activate(&mut fresh);
        signing_keys::insert(tx, &fresh).await?;
        return Ok(kid);
    };
    let kid = activate(&mut next);
    signing_keys::update(tx, &next).await?;
    signing_keys::insert(tx, &fresh).await?;
    Ok(kid)
}

/// Away from the threads that serve requests.
async fn generate(store: &Store, master: &MasterKey, alg: KeyAlg, state: KeyState) -> Result<StoredKey, KeyError> {
    let (master, now) = (master.clone(), store.env().now());
    tokio::task::spawn_blocking(move || pair::generate(&master, alg, state, now))
        .await
        .map_err(|error| KeyError::Crypto(error.to_string()))?
}
