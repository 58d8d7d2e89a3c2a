//! Secrets that the server issues, their kinds and their stored form.
//!
//! Each kind has its own prefix, which secret scanners and users recognize, and its own hash domain, so that a code can
//! never be accepted as a refresh token, whatever table it is looked up in. Only the digest of a secret is stored.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The kinds of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    AuthorizationCode,
    AccessToken,
    RefreshToken,
    ClientSecret,
    Setup,
    /// The browser session's cookie.
    Session,
    /// The last part of an issued `request_uri` (RFC 9126 §2.2).
    PushedRequest,
    /// RFC 8628 §3.2.
    DeviceCode,
    /// A user code, which has no prefix because users type it.
    UserCode,
    /// RFC 7591 §3: allows a caller to register clients.
    InitialAccess,
    /// RFC 7592 §3: allows a client to manage its own registration.
    Registration,
    /// A program's credential at a gate. It has its own format ([`super::api_key`]).
    ApiKey,
}

impl SecretKind {
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "sgc_",
            Self::AccessToken => "sga_",
            Self::RefreshToken => "sgr_",
            Self::ClientSecret => "sgs_",
            Self::Setup => "sgi_",
            Self::Session => "sgb_",
            Self::PushedRequest => "sgp_",
            Self::DeviceCode => "sgd_",
            Self::UserCode => "sgu_",
            Self::InitialAccess => "sgn_",
            Self::Registration => "sgm_",
            Self::ApiKey => "sgk_",
        }
    }

    /// Generates a secret of this kind with 256 random bits.
    #[must_use]
    pub fn mint(self, random: [u8; 32]) -> Secret {
        Secret::new(format!("{}{}", self.prefix(), base64url(&random)))
    }

    /// Returns the stored form of `text`: SHA-256 over the kind and the text. A slow hash adds nothing to 256 random
    /// bits.
    #[must_use]
    pub fn digest(self, text: &str) -> Digest {
        let mut hash = Sha256::new();
        hash.update(self.prefix().as_bytes());
        hash.update([0]);
        hash.update(text.as_bytes());
        Digest(hash.finalize().into())
    }
}

/// A secret in memory. `Debug` does not show it, and it is wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the text, only for sending or checking it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// The SHA-256 digest of a secret. Equality takes constant time.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[digest]")
    }
}

/// Encodes base64url without padding (RFC 4648 §5), the encoding of bytes in JOSE and OAuth.
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes unpadded base64url, or returns `None` if it is malformed.
#[must_use]
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()
}
