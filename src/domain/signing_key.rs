//! The server's own key pairs: the purpose of each kind, and its states.
//!
//! A signing key is next (published, not used yet), active (signs) or retired (published until everything it signed has
//! expired). Encryption keys skip the state next: senders use the key that they find, and a retired key still decrypts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::algorithms::{KeyManagementAlg, SigningAlg, algorithms};
use crate::env::Timestamp;

algorithms! {
    /// The kinds of the server's key pairs. HS256 is a MAC without a key pair, so it is not one of them.
    KeyAlg {
        RS256 = "RS256",
        PS256 = "PS256",
        ES256 = "ES256",
        EdDSA = "EdDSA",
        RsaOaep256 = "RSA-OAEP-256",
        /// A key on P-256, which serves ECDH-ES+A256KW too.
        EcdhEs = "ECDH-ES",
    }
}

impl KeyAlg {
    /// Returns the algorithm with which the key signs, or `None` for an encryption key.
    #[must_use]
    pub const fn signing_alg(self) -> Option<SigningAlg> {
        match self {
            Self::RS256 => Some(SigningAlg::RS256),
            Self::PS256 => Some(SigningAlg::PS256),
            Self::ES256 => Some(SigningAlg::ES256),
            Self::EdDSA => Some(SigningAlg::EdDSA),
            Self::RsaOaep256 | Self::EcdhEs => None,
        }
    }

    /// Returns the algorithms with which others may encrypt to the key.
    #[must_use]
    pub const fn key_management_algs(self) -> &'static [KeyManagementAlg] {
        match self {
            Self::RsaOaep256 => &[KeyManagementAlg::RsaOaep256],
            Self::EcdhEs => &[KeyManagementAlg::EcdhEs, KeyManagementAlg::EcdhEsA256Kw],
            Self::RS256 | Self::PS256 | Self::ES256 | Self::EdDSA => &[],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    Next,
    Active,
    Retired,
}

impl KeyState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Next, Self::Active, Self::Retired].into_iter().find(|state| state.as_str() == text)
    }
}

/// A key pair as stored, with the private half sealed under the master key.
#[derive(Clone)]
pub struct StoredKey {
    pub kid: String,
    pub alg: KeyAlg,
    pub state: KeyState,
    /// The public JWK, as JSON.
    pub public_jwk: String,
    /// A compact JWE of the PKCS#8 private key.
    pub sealed: String,
    pub created_at: Timestamp,
    pub activated_at: Option<Timestamp>,
    pub retired_at: Option<Timestamp>,
}

impl StoredKey {
    /// Returns whether the JWKS includes the key. Signatures may be verified with any key, but only the active one is
    /// for encryption.
    #[must_use]
    pub fn is_published(&self) -> bool {
        self.alg.signing_alg().is_some() || self.state == KeyState::Active
    }
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredKey({} {} {})", self.kid, self.alg.as_str(), self.state.as_str())
    }
}
