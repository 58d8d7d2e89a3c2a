//! Signing and verifying our own JWTs (RFC 7515, RFC 7519). The algorithm is the key's, never the header's; a verified
//! token's claims are the caller's to judge (issuer, audience, expiry, type).

use josekit::jws::{self, JwsHeader};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{KeyError, Keyring};
use crate::domain::algorithms::SigningAlg;
use crate::domain::secret::from_base64url;

/// Nothing we sign is longer; what is, is not looked at.
const MOST_BYTES: usize = 16 * 1024;

/// The kinds of our tokens, as `typ` tells them apart (RFC 8725 §3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtType {
    IdToken,
    /// RFC 9068 §2.1.
    AccessToken,
}

impl JwtType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::IdToken => "JWT",
            Self::AccessToken => "at+jwt",
        }
    }
}

/// A compact JWT over `claims`.
pub fn sign(keys: &Keyring, alg: SigningAlg, typ: JwtType, claims: &impl Serialize) -> Result<String, KeyError> {
    let ring = keys.current();
    let signer = ring.signer(alg).ok_or_else(|| KeyError::Crypto(format!("there is no {} key", alg.as_str())))?;
    let mut header = JwsHeader::new();
    header.set_token_type(typ.as_str());
    let payload = serde_json::to_vec(claims).map_err(|error| KeyError::Crypto(error.to_string()))?;
    Ok(jws::serialize_compact(&payload, &header, signer)?)
}

/// The claims of a token that one of our keys signed as `typ`; nothing where it is anything else.
pub fn verify<T: DeserializeOwned>(keys: &Keyring, typ: JwtType, token: &str) -> Option<T> {
    #[derive(serde::Deserialize)]
    struct Header {
        kid: String,
        typ: String,
        // A header parameter that must be understood, and none is (RFC 7515 §4.1.11).
        crit: Option<serde_json::Value>,
    }
    if token.len() > MOST_BYTES {
        return None;
    }
    let header: Header = serde_json::from_slice(&from_base64url(token.split('.').next()?)?).ok()?;
    if header.crit.is_some() || header.typ != typ.as_str() {
        return None;
    }
    let ring = keys.current();
    let (payload, _) = jws::deserialize_compact(token, ring.verifier(&header.kid)?).ok()?;
    serde_json::from_slice(&payload).ok()
}
