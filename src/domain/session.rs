//! A browser session of a person who signed in.

use super::authorization::SignInMethod;
use super::ids::{PasskeyId, SessionId, UserId};
use super::secret::Digest;
use crate::env::Timestamp;

/// All times are by the database's clock: nodes whose clocks differ judge a session alike.
#[derive(Clone, Debug)]
pub struct Session {
    /// Of the cookie's value.
    pub digest: Digest,
    pub id: SessionId,
    pub user: UserId,
    pub auth_time: Timestamp,
    pub method: SignInMethod,
    /// The passkey of the last sign-in. The session ends when the passkey is removed.
    pub passkey: Option<PasskeyId>,
    /// Whether the last sign-in was by the strongest method that the account has. Not what a passkey that another session
    /// added since makes a weaker one.
    pub used_strongest_method: bool,
    /// Whether the person asked to stay signed in on this browser.
    pub remembered: bool,
    pub created_at: Timestamp,
    pub last_seen: Timestamp,
    /// Its end if nothing more happens.
    pub idle_until: Timestamp,
    /// Its end whatever happens.
    pub expires_at: Timestamp,
    pub address: String,
    pub user_agent: String,
    /// What the pages keep in it between two requests, as JSON.
    pub data: String,
    /// When it was read for the request that it is judged in; not kept. [`Self::last_seen`] in a list.
    pub read_at: Timestamp,
}

impl Session {
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        now < self.idle_until && now < self.expires_at
    }

    /// Whether the user signed in within the last `seconds`: what outlives the session is not given to somebody who only
    /// found the browser open.
    #[must_use]
    pub fn has_recent_sign_in(&self, seconds: i64) -> bool {
        self.read_at.since(self.auth_time) <= seconds.saturating_mul(1000)
    }
}
