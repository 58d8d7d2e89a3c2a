//! Verifies what clients sign (RFC 7515): request objects and client assertions, with their published keys or their
//! secret.
//!
//! The algorithm must be one that the caller allows, whatever the header says (RFC 8725 §3.1). Keys come only from the
//! client's set; `jwk`, `jku`, `x5u` and `x5c` are ignored (§3.10). The caller must check the claims. See also
//! [`super::jwt`], which signs this server's tokens; [`super::public_jwk`], which decides what a key may be used for.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::{compact, encryption, key_pair, public_jwk};
use crate::domain::algorithms::SigningAlg;
use crate::domain::jwks::JwkSet;
use crate::domain::secret::{Secret, from_base64url};

/// The maximum length of a token in bytes.
pub const MAX_BYTES: usize = 32 * 1024;
/// The maximum number of keys that are tried for one signature.
const MAX_KEYS: usize = 4;
/// The minimum length of a secret in bytes. A key shorter than the hash is weak (RFC 7518 §3.2).
const MIN_SECRET_BYTES: usize = 32;

/// The members of a verified header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedHeader {
    pub alg: SigningAlg,
    pub kid: Option<String>,
    pub typ: Option<String>,
    pub cty: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedJws {
    pub header: VerifiedHeader,
    pub payload: Vec<u8>,
}

impl VerifiedJws {
    /// Returns the payload as the claims of a JWT, which must not have duplicate names (RFC 7519 §4).
    pub fn claims(&self) -> Option<Map<String, Value>> {
        compact::members(&self.payload)
    }

    /// Returns whether `typ` is absent, `JWT` or one of `kinds`. Any other type is a different kind of token (RFC 8725
    /// §3.11).
    pub fn has_acceptable_typ(&self, kinds: &[&str]) -> bool {
        self.header.typ.as_deref().is_none_or(|typ| {
            let typ = typ.to_ascii_lowercase();
            let typ = typ.strip_prefix("application/").unwrap_or(&typ);
            typ == "jwt" || kinds.contains(&typ)
        })
    }
}

/// The reason why verification failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwsError {
    /// The set contains no suitable key with that `kid`; it may be older than the key.
    UnknownKey,
    /// Any other failure; the cause is for the log.
    Invalid(&'static str),
}

/// The parts of a token whose header requires no unsupported extension.
struct ParsedJws<'a> {
    header: VerifiedHeader,
    /// The JWS signing input (RFC 7515 §5.1).
    signing_input: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// Verifies a signature with the client's public keys.
pub fn verify(token: &str, allowed: &[SigningAlg], keys: &JwkSet) -> Result<VerifiedJws, JwsError> {
    let ParsedJws { header, signing_input: input, payload, signature } = read(token)?;
    if header.alg == SigningAlg::HS256 {
        return Err(JwsError::Invalid("a MAC where a signature is expected"));
    }
    if !allowed.contains(&header.alg) {
        return Err(JwsError::Invalid("the algorithm is not allowed here"));
    }
    let named = |key: &&Map<String, Value>| {
        header.kid.as_deref().is_none_or(|kid| key.get("kid").and_then(Value::as_str) == Some(kid))
    };
    let fitting = keys.keys().filter(named).filter_map(|key| public_jwk::verifying(key, header.alg));
    let mut known = false;
    for key in fitting.take(MAX_KEYS) {
        known = true;
        let verifier = key_pair::verifier(&key, header.alg);
        if verifier.is_ok_and(|verifier| verifier.verify(input.as_bytes(), &signature).is_ok()) {
            return Ok(VerifiedJws { header, payload });
        }
    }
    Err(if known { JwsError::Invalid("the signature is wrong") } else { JwsError::UnknownKey })
}

/// Verifies HS256 under the octets of the client secret (OpenID Connect Core §10.1).
pub fn verify_mac(token: &str, secret: &Secret) -> Result<VerifiedJws, JwsError> {
    let ParsedJws { header, signing_input: input, payload, signature } = read(token)?;
    if header.alg != SigningAlg::HS256 {
        return Err(JwsError::Invalid("not an HS256"));
    }
    let secret = secret.expose().as_bytes();
    if secret.len() < MIN_SECRET_BYTES {
        return Err(JwsError::Invalid("the secret is too short for HS256"));
    }
    let mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| JwsError::Invalid("the secret cannot be a key"))?;
    // Compares in constant time.
    let right = mac.chain_update(input).verify_slice(&signature);
    right.map_err(|_| JwsError::Invalid("the MAC is wrong"))?;
    Ok(VerifiedJws { header, payload })
}

/// Returns the header of a compact token, signed or encrypted, **without verification**.
pub fn peek_header(token: &str) -> Option<Map<String, Value>> {
    let signed = compact::parts(token, MAX_BYTES).map(|[header, _, _]| header);
    let encrypted = || compact::parts(token, encryption::MAX_BYTES).map(|[header, _, _, _, _]| header);
    compact::object(signed.or_else(encrypted)?)
}

/// Returns the claims of a signed token **without verification**, to find the client whose keys verify it.
pub fn peek_claims(token: &str) -> Option<Map<String, Value>> {
    let [_, claims, _] = compact::parts(token, MAX_BYTES)?;
    compact::object(claims)
}

fn read(token: &str) -> Result<ParsedJws<'_>, JwsError> {
    let refused = JwsError::Invalid;
    let [header, payload, signature] =
        compact::parts(token, MAX_BYTES).ok_or(refused("not three parts, or too long"))?;
    let members = compact::object(header).ok_or(refused("the header is no JSON object"))?;
    // No critical extension is supported (RFC 7515 §4.1.11).
    if members.contains_key("crit") {
        return Err(refused("the header has crit"));
    }
    let text = |name| compact::text(&members, name).map_err(|_| refused("a header parameter is no text"));
    let header = VerifiedHeader {
        alg: text("alg")?.and_then(SigningAlg::parse).ok_or(refused("the algorithm is none of ours"))?,
        kid: text("kid")?.map(ToOwned::to_owned),
        typ: text("typ")?.map(ToOwned::to_owned),
        cty: text("cty")?.map(ToOwned::to_owned),
    };
    let (input, _) = token.rsplit_once('.').ok_or(refused("not three parts"))?;
    let payload = from_base64url(payload).ok_or(refused("the payload is not base64url"))?;
    let signature = from_base64url(signature).ok_or(refused("the signature is not base64url"))?;
    Ok(ParsedJws { header, signing_input: input, payload, signature })
}

#[cfg(test)]
mod tests;
