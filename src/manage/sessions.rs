//! Ends a user's sessions: one, all, or all but one. See also [`super::access`], which ends all access of a
//! user.

use super::{AuditContext, ManageError, Manager, RequiredRole, Result};
use crate::domain::event::EventKind;
use crate::domain::ids::{SessionId, UserId};
use crate::store::session_end;

/// Ends a user's sessions, all or all but one. Returns their number.
pub async fn end_sessions(manager: &Manager, by: &AuditContext, id: UserId, but: Option<SessionId>) -> Result<usize> {
    manager
        .transact(by, RequiredRole::UserOrAdministrator(id), move |tx, recorder| {
            Box::pin(async move {
                let ended = session_end::of_user(tx, id, but).await?;
                if !ended.is_empty() {
                    let detail = format!("{} of them", ended.len());
                    recorder.user(tx, EventKind::SessionEnded, id, detail).await?;
                }
                Ok(ended.len())
            })
        })
        .await
}

/// Ends one session if it belongs to the user `id`.
pub async fn end_session(manager: &Manager, by: &AuditContext, id: UserId, session: SessionId) -> Result<()> {
    manager
        .transact(by, RequiredRole::UserOrAdministrator(id), move |tx, recorder| {
            Box::pin(async move {
                let ended = session_end::one(tx, session).await?;
                if ended.session.is_none_or(|gone| gone.user != id) {
                    return Err(ManageError::NotFound("such session".to_owned()));
                }
                recorder.user(tx, EventKind::SessionEnded, id, "").await
            })
        })
        .await
}
