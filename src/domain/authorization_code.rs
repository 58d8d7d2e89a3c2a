//! An authorization code as stored: its authorization and what its redemption must match (RFC 6749 §4.1.3, RFC 7636
//! §4.6).

use serde::{Deserialize, Serialize};

use super::authorization::Authorization;
use super::secret::Digest;
use crate::env::Timestamp;

/// The `code_challenge` of the method S256, the only supported method (RFC 9700 §2.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeChallenge(pub String);

#[derive(Clone, Debug)]
pub struct AuthorizationCode {
    pub digest: Digest,
    pub authorization: Authorization,
    /// As sent to the authorization endpoint. The token request must repeat it exactly.
    pub redirect_uri: String,
    /// Whether the authorization request had `redirect_uri`. If not, this is the client's only one and need not be
    /// repeated (RFC 6749 §4.1.3).
    pub redirect_uri_sent: bool,
    pub challenge: Option<CodeChallenge>,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}
