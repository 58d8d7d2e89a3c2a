//! The server's signing keys, managed by command. See `keys::rotation` for the schedule and the states.

use super::{AuditContext, ManageError, Manager, RequiredRole, Result};
use crate::domain::event::EventKind;
use crate::domain::signing_key::{KeyAlg, StoredKey};
use crate::keys::rotation;
pub use crate::keys::rotation::RotationOutcome;
use crate::store::signing_keys;

/// Returns all keys, the oldest first.
pub async fn list(manager: &Manager) -> Result<Vec<StoredKey>> {
    Ok(signing_keys::all(manager.store.read()).await?)
}

/// Makes the next key the active one: now, or as soon as relying parties can know it.
pub async fn rotate(manager: &Manager, by: &AuditContext, alg: KeyAlg, at_once: bool) -> Result<RotationOutcome> {
    let fresh = rotation::successor(&manager.store, &manager.master, alg).await?;
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                let rotated = rotation::rotate_in_transaction(tx, fresh, at_once).await?;
                recorder.other(tx, EventKind::KeyRotated, alg.as_str()).await?;
                Ok(rotated)
            })
        })
        .await
}

/// Retires a key at once. What it signed becomes invalid, and what was encrypted to it cannot be decrypted any
/// more.
pub async fn retire(manager: &Manager, by: &AuditContext, kid: &str) -> Result<()> {
    let missing = |kid: &str| ManageError::NotFound(format!("key {kid}"));
    let alg = list(manager).await?.into_iter().find(|key| key.kid == kid).map(|key| key.alg);
    let alg = alg.ok_or_else(|| missing(kid))?;
    let fresh = rotation::successor(&manager.store, &manager.master, alg).await?;
    let kid = kid.to_owned();
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                if !rotation::retire_in_transaction(tx, &kid, fresh).await? {
                    return Err(missing(&kid));
                }
                recorder.other(tx, EventKind::KeyRetired, kid).await
            })
        })
        .await
}
