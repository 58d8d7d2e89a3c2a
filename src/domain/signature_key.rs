//! Keys with which a client signs its requests (RFC 9421; docs/gate.md): public keys as JWKs, and shared secrets sealed
//! under the master key. An administrator registers them. They are separate from the `jwks` or `jwks_uri` that a client
//! publishes.
//!
//! See also `keys::signature_key`, which seals secrets and builds keys from these, and [`super::jwks`], a client's own
//! key set.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The maximum number of keys of one client.
pub const MAX_KEYS: usize = 20;

/// A key id, unique among the keys of all clients: the `keyid` of a signature (RFC 9421 §2.3), or the
/// `oauth_consumer_key` of OAuth 1.0 (RFC 5849 §3.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

impl KeyId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for KeyId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        if text.is_empty() || text.len() > 200 || !text.bytes().all(allowed) {
            return Err("keyid: has 1 to 200 visible ASCII characters, no quotation mark and no backslash");
        }
        Ok(Self(text))
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0
    }
}

/// The algorithms of RFC 9421 §3.3. Each key has exactly one, so that a sender cannot choose how a key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignatureAlg {
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    #[serde(rename = "ed25519")]
    Ed25519,
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
    #[serde(rename = "rsa-pss-sha512")]
    RsaPssSha512,
    /// Only for RSA-SHA256 of OAuth 1.0. It is not available for message signatures.
    #[serde(rename = "rsa-v1_5-sha256")]
    RsaV15Sha256,
}

impl SignatureAlg {
    pub const ALL: [Self; 5] =
        [Self::Ed25519, Self::EcdsaP256Sha256, Self::RsaPssSha512, Self::HmacSha256, Self::RsaV15Sha256];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::RsaPssSha512 => "rsa-pss-sha512",
            Self::RsaV15Sha256 => "rsa-v1_5-sha256",
        }
    }
}

/// A shared secret, sealed under the master key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedSecret(pub String);

impl std::fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[sealed]")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyMaterial {
    SealedSecret(SealedSecret),
    Jwk(Map<String, Value>),
}

/// A key in the form that is stored and that `export` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureKey {
    pub keyid: KeyId,
    pub alg: SignatureAlg,
    #[serde(flatten)]
    pub material: KeyMaterial,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyid_is_header_safe() {
        for good in ["k", "client:kid", "test-key-ed25519", &"k".repeat(200)] {
            assert!(KeyId::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a\"b", "a\\b", "ä", "a\n", &"k".repeat(201)] {
            assert!(KeyId::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn signature_key_round_trips_as_json() {
        let key = SignatureKey {
            keyid: KeyId("k1".to_owned()),
            alg: SignatureAlg::HmacSha256,
            material: KeyMaterial::SealedSecret(SealedSecret("a.b.c.d.e".to_owned())),
        };
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(text, r#"{"keyid":"k1","alg":"hmac-sha256","sealed_secret":"a.b.c.d.e"}"#);
        assert_eq!(serde_json::from_str::<SignatureKey>(&text).unwrap(), key);
        assert!(!format!("{key:?}").contains("a.b.c"));
    }
}
