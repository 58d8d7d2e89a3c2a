//! An authorization code as it is kept: what it stands for and what its redemption must match (RFC 6749 §4.1.3, RFC 7636 §4.6).

use serde::{Deserialize, Serialize};

use super::authorization::Authorization;
use super::secret::Digest;
use crate::env::Timestamp;

/// `code_challenge` with the method S256; no other method is known here (RFC 9700 §2.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeChallenge(pub String);

#[derive(Clone, Debug)]
pub struct AuthorizationCode {
    pub digest: Digest,
    pub authorization: Authorization,
    /// As it was sent to the authorization endpoint; it must be repeated to the letter.
    pub redirect_uri: String,
    /// Whether it was sent at all, or stands here as the client's only one (RFC 6749 §4.1.3: then it need not be repeated).
    pub redirect_uri_sent: bool,
    pub challenge: Option<CodeChallenge>,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}
