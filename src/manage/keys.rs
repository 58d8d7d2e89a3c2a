//! Our keys by command; the schedule and the states are `keys::rotation`'s.

use super::{By, ManageError, Manager, Result};
use crate::domain::event::EventKind;
use crate::domain::signing_key::{KeyAlg, StoredKey};
use crate::keys::rotation;
pub use crate::keys::rotation::Rotated;
use crate::store::signing_keys;

/// Oldest first.
pub async fn list(manager: &Manager) -> Result<Vec<StoredKey>> {
    Ok(signing_keys::all(manager.store.read()).await?)
}

/// Makes the next key the active one: now, or as soon as relying parties can know it.
pub async fn rotate(manager: &Manager, by: &By, alg: KeyAlg, at_once: bool) -> Result<Rotated> {
    let event = manager.recorder(by).event(EventKind::KeyRotated, None, None, alg.as_str().to_owned());
    Ok(rotation::rotate(&manager.store, &manager.master, alg, at_once, event).await?)
}

/// Takes a key out at once: what it signed is void, and what was encrypted to it stays closed.
pub async fn retire(manager: &Manager, by: &By, kid: &str) -> Result<()> {
    let event = manager.recorder(by).event(EventKind::KeyRetired, None, None, kid.to_owned());
    if rotation::retire(&manager.store, &manager.master, kid, event).await? {
        Ok(())
    } else {
        Err(ManageError::NotFound(format!("key {kid}")))
    }
}
