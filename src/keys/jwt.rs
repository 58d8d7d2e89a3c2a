//! Signing and verifying our own JWTs (RFC 7515, RFC 7519). The algorithm is the key's, never the header's; a verified
//! token's claims are the caller's to judge (issuer, audience, expiry, type).

use josekit::jws::{self, JwsHeader, JwsSigner};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256, Sha512};

use super::{KeyError, Keyring};
use crate::domain::algorithms::SigningAlg;
use crate::domain::secret::{Secret, base64url, from_base64url};

/// Nothing we sign is longer; what is, is not looked at.
const MOST_BYTES: usize = 16 * 1024;

/// The kinds of our tokens, as `typ` tells them apart (RFC 8725 §3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtType {
    IdToken,
    /// RFC 9068 §2.1.
    AccessToken,
    /// OpenID Connect Back-Channel Logout §2.4.
    LogoutToken,
    /// RFC 9701 §5.
    Introspection,
    /// OpenID Connect Core §5.3.2, which asks for no type of its own.
    UserInfo,
}

impl JwtType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::IdToken | Self::UserInfo => "JWT",
            Self::AccessToken => "at+jwt",
            Self::LogoutToken => "logout+jwt",
            Self::Introspection => "token-introspection+jwt",
        }
    }
}

/// A compact JWT over `claims`.
pub fn sign(keys: &Keyring, alg: SigningAlg, typ: JwtType, claims: &impl Serialize) -> Result<String, KeyError> {
    let ring = keys.current();
    let signer = ring.signer(alg).ok_or_else(|| KeyError::Crypto(format!("there is no {} key", alg.as_str())))?;
    serialize(typ, claims, signer)
}

/// A compact JWT over `claims` for a client that chose how it is signed: by our key of that algorithm, or with HS256
/// under the octets of its own secret, which has no `kid` (OpenID Connect Core §10.1).
pub fn sign_for_client(
    keys: &Keyring,
    alg: SigningAlg,
    typ: JwtType,
    claims: &impl Serialize,
    secret: Option<&Secret>,
) -> Result<String, KeyError> {
    if alg != SigningAlg::HS256 {
        return sign(keys, alg, typ, claims);
    }
    let secret = secret.ok_or_else(|| KeyError::Crypto("HS256 needs the client's secret".into()))?;
    serialize(typ, claims, &jws::HS256.signer_from_bytes(secret.expose())?)
}

fn serialize(typ: JwtType, claims: &impl Serialize, signer: &dyn JwsSigner) -> Result<String, KeyError> {
    let mut header = JwsHeader::new();
    header.set_token_type(typ.as_str());
    let payload = serde_json::to_vec(claims).map_err(|error| KeyError::Crypto(error.to_string()))?;
    Ok(jws::serialize_compact(&payload, &header, signer)?)
}

/// The left half of the hash that goes with the signature, for `at_hash`, `c_hash` and `s_hash` (OpenID Connect Core
/// §3.1.3.6, §3.3.2.11; Ed25519 hashes with SHA-512).
pub fn half_hash(alg: SigningAlg, value: &str) -> String {
    let hash = match alg {
        SigningAlg::RS256 | SigningAlg::PS256 | SigningAlg::ES256 | SigningAlg::HS256 => Sha256::digest(value).to_vec(),
        SigningAlg::EdDSA => Sha512::digest(value).to_vec(),
    };
    base64url(hash.split_at(hash.len() / 2).0)
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
