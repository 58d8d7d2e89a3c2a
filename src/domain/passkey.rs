//! A passkey as stored (WebAuthn Level 3 §4, credential record). Only `identity::passkey` interprets its credential.

use super::ids::{PasskeyId, UserId};
use crate::env::Timestamp;

#[derive(Clone, Debug)]
pub struct Passkey {
    pub id: PasskeyId,
    pub user: UserId,
    pub credential_id: Vec<u8>,
    /// The public key, counter and flags, as JSON.
    pub credential: String,
    pub name: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}
