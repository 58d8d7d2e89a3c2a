//! A browser session of a signed-in user.

use super::authorization::SignInMethod;
use super::ids::{PasskeyId, SessionId, UserId};
use super::secret::Digest;
use crate::env::Timestamp;

/// A session. All times are by the database's clock, so that nodes with different clocks agree on whether it is active.
#[derive(Clone, Debug)]
pub struct Session {
    /// The digest of the cookie's value.
    pub digest: Digest,
    pub id: SessionId,
    pub user: UserId,
    pub auth_time: Timestamp,
    pub method: SignInMethod,
    /// The passkey of the last sign-in. The session ends when the passkey is removed.
    pub passkey: Option<PasskeyId>,
    /// Whether the last sign-in used the strongest method that the account had then. A passkey that another session
    /// adds later does not change this.
    pub used_strongest_method: bool,
    /// Whether the user chose to stay signed in on this browser.
    pub remembered: bool,
    pub created_at: Timestamp,
    pub last_seen: Timestamp,
    /// The end of the session without further activity.
    pub idle_until: Timestamp,
    /// The absolute end of the session.
    pub expires_at: Timestamp,
    pub address: String,
    pub user_agent: String,
    /// State that the pages keep between requests, as JSON.
    pub data: String,
    /// The time at which the session was read for the current request, not stored. In lists it equals
    /// [`Self::last_seen`].
    pub read_at: Timestamp,
}

impl Session {
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        now < self.idle_until && now < self.expires_at
    }

    /// Returns whether the user signed in within the last `seconds`. This is required for credentials that outlive the
    /// session, so that another person at an unattended browser does not get them.
    #[must_use]
    pub fn has_recent_sign_in(&self, seconds: i64) -> bool {
        self.read_at.since(self.auth_time) <= seconds.saturating_mul(1000)
    }
}
