//! A user's passkeys, as administrators see them: a list, and removing one. Next door: `identity::passkey`, where users add
//! and use them; [`super::access`], which removes all of them.

use super::{By, ManageError, Manager, Needs, Result};
use crate::domain::event::EventKind;
use crate::domain::ids::{PasskeyId, UserId};
use crate::domain::passkey::Passkey;
use crate::store::passkeys;

/// Returns a user's passkeys, the oldest first.
pub async fn list(manager: &Manager, user: UserId) -> Result<Vec<Passkey>> {
    Ok(passkeys::of_user(manager.store.read(), user).await?)
}

/// Removes one of a user's passkeys.
pub async fn remove(manager: &Manager, by: &By, user: UserId, id: PasskeyId) -> Result<()> {
    manager
        .transact(by, Needs::AdministratorFor(user), move |tx, recorder| {
            Box::pin(async move {
                if !passkeys::delete(tx, user, id).await? {
                    return Err(ManageError::NotFound(format!("passkey {id} of that user")));
                }
                recorder.user(tx, EventKind::PasskeyRemoved, user, id.to_string()).await
            })
        })
        .await
}
