//! Our own key pairs: what each kind is for, and the states of one.
//!
//! A signing key is next (published, not used yet), active (signs), retired (published until nothing signed by it lives).
//! A key that others encrypt to needs no time as next: they take what they find, and a retired one still decrypts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::algorithms::{KeyManagementAlg, SigningAlg, algorithms};
use crate::env::Timestamp;

algorithms! {
    /// The kinds of our key pairs. A MAC has none, so HS256 is not one of them.
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
    /// What it signs with; nothing where others encrypt to it.
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

    /// What may be encrypted to it.
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

/// A key pair as it is kept: the private half sealed under the master key.
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
    /// Whether it stands in the JWKS: signatures are verified by any of our keys, but encrypted is to the active one only.
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
