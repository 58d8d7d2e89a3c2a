//! Taking an account's access away: the reset of a user, and the adoption of an account that a stranger made by signing up.
//!
//! A self-registered account gets rights and groups from an administrator only when that administrator adopts it. The
//! adoption removes in the same transaction all by which the stranger could go on using the account: what is left is
//! what the administrator sets. Next door: [`super::people`], whose `save_in` refuses rights without an adoption.

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

/// What a reset leaves as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeepOptions {
    pub passkeys: bool,
    pub api_keys: bool,
    pub sessions: bool,
    pub grants: bool,
    pub consents: bool,
}

impl KeepOptions {
    /// What a new password leaves, where nobody asks for a reset.
    pub(super) const CREDENTIALS: Self =
        Self { passkeys: true, api_keys: true, sessions: false, grants: false, consents: true };
}

/// What has been removed from an account.
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
    /// `2 passkeys, 1 session`, or `nothing`.
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

/// Removes a user's credentials and ends their access, but for what `keep` names and the session `but`.
pub(super) async fn remove_in(
    tx: &Tx,
    user: UserId,
    keep: KeepOptions,
    but: Option<SessionId>,
) -> Result<RemovalSummary> {
    let mut removed = RemovalSummary::default();
    // First: it locks the user, behind whom a passkey, key or session on its way into its table waits.
    (removed.sessions, removed.grants) = end_access(tx, user, keep, but).await?;
    if !keep.passkeys {
        // The sessions and grants that began with them, also where the others stay.
        let ended = passkey_removal::of_user(tx, user).await?;
        removed.passkeys = ended.passkeys;
        removed.sessions += ended.sessions;
        removed.grants += ended.grants;
    }
    if !keep.api_keys {
        removed.api_keys = api_keys::delete_of_owner(tx, &Owner::User(user)).await?;
    }
    if !keep.consents {
        // An app that an intruder has allowed in the user's name would get new tokens without asking.
        removed.consents = consents::delete_of_user(tx, user).await?;
    }
    Ok(removed)
}

/// Ends what a user is signed in to, but for what `keep` names and the session `but`; how many sessions and grants.
async fn end_access(tx: &Tx, user: UserId, keep: KeepOptions, but: Option<SessionId>) -> Result<(u64, u64)> {
    // The user's version first: what is being issued comes to its end, and is found below.
    if keep.grants {
        tx.publish(ChangeEvent::People(Stripes::from_iter(&[user]))).await?;
    } else {
        versions::revoke(tx, &VersionedEntity::User(user)).await?;
    }
    // Before the sessions are looked for: a sign-in on its way comes to its end first, or sees what has changed.
    users::lock_if_enabled(tx, user, None).await?;
    let sessions = if keep.sessions { 0 } else { session_end::of_user(tx, user, but).await?.len() as u64 };
    let grants = if keep.grants { 0 } else { grants::revoke(tx, grants::GrantSelector::User(user)).await? };
    Ok((sessions, grants))
}

/// Makes `after` an account of the administrator's: nothing stays of what the stranger set up, and the password is the
/// one in `after`, if any.
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
