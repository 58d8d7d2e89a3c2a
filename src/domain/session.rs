//! A browser session of a person who signed in.

use super::authorization::SignInMethod;
use super::ids::{SessionId, UserId};
use super::secret::Digest;
use crate::env::Timestamp;

#[derive(Clone, Debug)]
pub struct Session {
    /// Of the cookie's value.
    pub digest: Digest,
    pub id: SessionId,
    pub user: UserId,
    pub auth_time: Timestamp,
    pub method: SignInMethod,
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
}

impl Session {
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        now < self.idle_until && now < self.expires_at
    }

    /// Whether the user signed in within the last `seconds`: what outlives the session is not given to somebody who only
    /// found the browser open.
    #[must_use]
    pub fn is_recent(&self, now: Timestamp, seconds: i64) -> bool {
        now.since(self.auth_time) <= seconds * 1000
    }
}
