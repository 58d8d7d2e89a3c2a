//! Removing passkeys revokes what they gave access to, in the same transaction: the sessions whose last sign-in used
//! them, and every grant from such a sign-in, including offline grants. A stolen passkey is worthless once it is
//! removed.
//!
//! The user's row and counter are locked first. A concurrent sign-in, code or device authorization either completes
//! before, or finds no passkey. [`super::session_end`] ends the sessions, and [`super::grants`] revokes the grants.

use super::{ChangeEvent, Result, Tx, grants, passkeys, session_end, users, versions};
use crate::domain::ids::{PasskeyId, UserId};

/// The numbers of what was removed and revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemovalCounts {
    pub passkeys: u64,
    pub sessions: u64,
    pub grants: u64,
}

/// Removes one passkey of a user. Returns `None` if the user has no such passkey.
pub async fn one(tx: &Tx, user: UserId, passkey: PasskeyId) -> Result<Option<RemovalCounts>> {
    users::lock_if_enabled(tx, user, None).await?;
    versions::lock_user_for_update(tx, user).await?;
    if !passkeys::delete(tx, user, passkey).await? {
        return Ok(None);
    }
    let (sessions, grants) = access(tx, user, Some(passkey)).await?;
    Ok(Some(RemovalCounts { passkeys: 1, sessions, grants }))
}

/// Removes all passkeys of a user.
pub async fn of_user(tx: &Tx, user: UserId) -> Result<RemovalCounts> {
    users::lock_if_enabled(tx, user, None).await?;
    versions::lock_user_for_update(tx, user).await?;
    let passkeys = passkeys::delete_of_user(tx, user).await?;
    let (sessions, grants) = access(tx, user, None).await?;
    Ok(RemovalCounts { passkeys, sessions, grants })
}

async fn access(tx: &Tx, user: UserId, passkey: Option<PasskeyId>) -> Result<(u64, u64)> {
    let sessions = session_end::end_sessions_of_passkey(tx, user, passkey).await?;
    let grants = grants::revoke_by_passkey(tx, user, passkey).await?;
    for grant in &grants {
        tx.publish(ChangeEvent::Ended((*grant).into())).await?;
    }
    Ok((sessions, grants.len() as u64))
}
