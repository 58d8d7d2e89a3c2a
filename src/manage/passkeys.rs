//! A user's passkeys, as administrators see them: list and remove. See also `identity::passkey`, where users
//! add and use them, and [`super::access`], which removes all of them.

use super::access::RemovalSummary;
use super::{AuditContext, ManageError, Manager, RequiredRole, Result};
use crate::domain::event::EventKind;
use crate::domain::ids::{PasskeyId, UserId};
use crate::domain::passkey::Passkey;
use crate::store::{passkey_removal, passkeys};

/// Returns a user's passkeys, the oldest first.
pub async fn list(manager: &Manager, user: UserId) -> Result<Vec<Passkey>> {
    Ok(passkeys::of_user(manager.store.read(), user).await?)
}

/// Removes one of a user's passkeys, and the sessions and grants that began with it. Returns what was removed.
pub async fn remove(manager: &Manager, by: &AuditContext, user: UserId, id: PasskeyId) -> Result<RemovalSummary> {
    manager
        .transact(by, RequiredRole::AdministratorFor(user), move |tx, recorder| {
            Box::pin(async move {
                let ended = passkey_removal::one(tx, user, id).await?;
                let ended = ended.ok_or_else(|| ManageError::NotFound(format!("passkey {id} of that user")))?;
                let removed =
                    RemovalSummary { sessions: ended.sessions, grants: ended.grants, ..RemovalSummary::default() };
                recorder.user(tx, EventKind::PasskeyRemoved, user, format!("{id}; ended: {removed}")).await?;
                Ok(removed)
            })
        })
        .await
}
