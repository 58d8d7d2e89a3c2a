//! Removing passkeys ends what they opened, in the same transaction: the sessions whose last sign-in was by them, and every
//! grant that comes of such a sign-in, offline ones too. A stolen passkey is worth nothing once it is removed.
//!
//! The user's row and counter are locked first: a sign-in, a code or a device that is on its way comes to its end before, or
//! finds no passkey. Next door: [`super::session_end`], [`super::grants`].

use super::{ChangeEvent, Result, Tx, grants, passkeys, session_end, users, versions};
use crate::domain::ids::{PasskeyId, UserId};

/// What ended with passkeys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemovalCounts {
    pub passkeys: u64,
    pub sessions: u64,
    pub grants: u64,
}

/// Removes one of a user's passkeys; nothing where the user has no such passkey.
pub async fn one(tx: &Tx, user: UserId, passkey: PasskeyId) -> Result<Option<RemovalCounts>> {
    users::lock_if_enabled(tx, user, None).await?;
    versions::lock_user_for_update(tx, user).await?;
    if !passkeys::delete(tx, user, passkey).await? {
        return Ok(None);
    }
    let (sessions, grants) = access(tx, user, Some(passkey)).await?;
    Ok(Some(RemovalCounts { passkeys: 1, sessions, grants }))
}

/// Removes all of a user's passkeys.
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
