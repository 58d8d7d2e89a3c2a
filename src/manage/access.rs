//! Removes the access to an account: the reset of a user, and the adoption of a self-registered account.
//!
//! A self-registered account gets rights and groups from an administrator only when that administrator adopts
//! it. The adoption removes, in the same transaction, everything through which the person who signed up could
//! keep using the account. Only what the administrator sets remains. See also [`super::users`], whose `save_in`
//! rejects rights without an adoption.

use std::fmt;

use serde::Serialize;

use super::{AuditRecorder, Result};
use crate::domain::api_key::Owner;
use crate::domain::event::EventKind;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::user::User;
use crate::domain::version::VersionedEntity;
use crate::store::{
    ChangeEvent, Stripes, Tx, api_keys, consents, grants, passkey_removal, session_end, users, versions,
};

/// What a reset keeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeepOptions {
    pub passkeys: bool,
    pub api_keys: bool,
    pub sessions: bool,
    pub grants: bool,
    pub consents: bool,
}

impl KeepOptions {
    /// What a new password keeps if no reset was requested.
    pub(super) const CREDENTIALS: Self =
        Self { passkeys: true, api_keys: true, sessions: false, grants: false, consents: true };
}

/// What was removed from an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RemovalSummary {
    pub password: bool,
    pub passkeys: u64,
    pub api_keys: u64,
    pub sessions: u64,
    pub grants: u64,
    pub consents: u64,
}

impl fmt::Display for RemovalSummary {
    /// Writes `2 passkeys, 1 session`, or `nothing`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = [
            (self.passkeys, "passkey"),
            (self.api_keys, "API key"),
            (self.sessions, "session"),
            (self.grants, "grant"),
            (self.consents, "consent"),
        ];
        let mut parts: Vec<String> = if self.password { vec!["the password".to_owned()] } else { Vec::new() };
        for (count, name) in counted.into_iter().filter(|(count, _)| *count > 0) {
            parts.push(format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
        }
        f.write_str(&if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") })
    }
}

/// Removes a user's credentials and ends their access, except what `keep` names and the session `but`.
pub(super) async fn remove_in(
    tx: &Tx,
    user: UserId,
    keep: KeepOptions,
    but: Option<SessionId>,
) -> Result<RemovalSummary> {
    let mut removed = RemovalSummary::default();
    // First, because it locks the user: a concurrent insert of a passkey, key or session waits for that lock.
    (removed.sessions, removed.grants) = end_access(tx, user, keep, but).await?;
    if !keep.passkeys {
        // Also ends the sessions and grants that began with a passkey, even if the other ones are kept.
        let ended = passkey_removal::of_user(tx, user).await?;
        removed.passkeys = ended.passkeys;
        removed.sessions += ended.sessions;
        removed.grants += ended.grants;
    }
    if !keep.api_keys {
        removed.api_keys = api_keys::delete_of_owner(tx, &Owner::User(user)).await?;
    }
    if !keep.consents {
        // A client that an intruder has consented to in the user's name would get new tokens without asking.
        removed.consents = consents::delete_of_user(tx, user).await?;
    }
    Ok(removed)
}

/// Ends a user's sessions and grants, except what `keep` names and the session `but`. Returns the number of
/// sessions and of grants that ended.
async fn end_access(tx: &Tx, user: UserId, keep: KeepOptions, but: Option<SessionId>) -> Result<(u64, u64)> {
    // The user's version first: this waits for grants that are being issued, so that they are found below.
    if keep.grants {
        tx.publish(ChangeEvent::People(Stripes::from_iter(&[user]))).await?;
    } else {
        versions::revoke(tx, &VersionedEntity::User(user)).await?;
    }
    // Before the sessions are read: a concurrent sign-in completes first, or sees the change.
    users::lock_if_enabled(tx, user, None).await?;
    let sessions = if keep.sessions { 0 } else { session_end::of_user(tx, user, but).await?.len() as u64 };
    let grants = if keep.grants { 0 } else { grants::revoke(tx, grants::GrantSelector::User(user)).await? };
    Ok((sessions, grants))
}

/// Turns `after` into an account of the administrator: removes everything that the person who signed up has
/// set, and sets the password in `after`, if any.
pub(super) async fn adopt_in(
    tx: &Tx,
    recorder: &AuditRecorder,
    before: &User,
    after: &mut User,
) -> Result<RemovalSummary> {
    after.self_registered = false;
    let mut removed = remove_in(tx, before.id, KeepOptions::default(), None).await?;
    removed.password = before.password.is_some() && before.password != after.password;
    recorder.user(tx, EventKind::UserAdopted, before.id, format!("removed: {removed}")).await?;
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::RemovalSummary;

    #[test]
    fn removal_summary_names_nonzero_counts() {
        let removed = RemovalSummary { password: true, passkeys: 1, sessions: 2, ..RemovalSummary::default() };
        assert_eq!(removed.to_string(), "the password, 1 passkey, 2 sessions");
        assert_eq!(RemovalSummary::default().to_string(), "nothing");
    }
}
