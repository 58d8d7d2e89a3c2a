//! What clients sign (RFC 7515): request objects, client assertions, by their published keys or under their secret.
//!
//! The algorithm is one that the caller allows, never what a header likes (RFC 8725 §3.1); keys come from the client's
//! set and from nowhere else (`jwk`, `jku`, `x5u` and `x5c` are not looked at, §3.10). The claims are the caller's to
//! judge. Next door: [`super::jwt`] what we sign, [`super::public_jwk`] which key is good for what.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::{compact, encryption, key_pair, public_jwk};
use crate::domain::algorithms::SigningAlg;
use crate::domain::jwks::JwkSet;
use crate::domain::secret::{Secret, from_base64url};

/// Longer ones are not looked at.
pub const MAX_BYTES: usize = 32 * 1024;
/// How many keys are tried for one signature.
const MAX_KEYS: usize = 4;
/// A key shorter than the hash is weak (RFC 7518 §3.2).
const MIN_SECRET_BYTES: usize = 32;

/// What a header says that was verified with the rest.
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
    /// The payload as the claims of a JWT (RFC 7519 §4: no name stands twice).
    pub fn claims(&self) -> Option<Map<String, Value>> {
        compact::members(&self.payload)
    }

    /// Whether it does not say that it is something else (RFC 8725 §3.11): no `typ`, the one of any JWT, or one of these.
    pub fn has_acceptable_typ(&self, kinds: &[&str]) -> bool {
        self.header.typ.as_deref().is_none_or(|typ| {
            let typ = typ.to_ascii_lowercase();
            let typ = typ.strip_prefix("application/").unwrap_or(&typ);
            typ == "jwt" || kinds.contains(&typ)
        })
    }
}

/// Why nothing was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwsError {
    /// The set has no fitting key of that name: it may be older than the key.
    UnknownKey,
    /// Anything else; the cause is for the log.
    Invalid(&'static str),
}

/// A token in its parts, with a header that asks for nothing we do not know.
struct ParsedJws<'a> {
    header: VerifiedHeader,
    /// What is signed (RFC 7515 §5.1).
    signing_input: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// Verifies a signature by one of the client's public keys.
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

/// Verifies an HS256 under the octets of the client's secret (OpenID Connect Core §10.1).
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
    // In a time that does not depend on where it differs.
    let right = mac.chain_update(input).verify_slice(&signature);
    right.map_err(|_| JwsError::Invalid("the MAC is wrong"))?;
    Ok(VerifiedJws { header, payload })
}

/// The header of a token in compact form, signed or encrypted, **as it stands**: nothing of it is verified.
pub fn peek_header(token: &str) -> Option<Map<String, Value>> {
    let signed = compact::parts(token, MAX_BYTES).map(|[header, _, _]| header);
    let encrypted = || compact::parts(token, encryption::MAX_BYTES).map(|[header, _, _, _, _]| header);
    compact::object(signed.or_else(encrypted)?)
}

/// The claims of a signed token **as they stand**, to learn whose keys verify it: nothing of them is verified.
pub fn peek_claims(token: &str) -> Option<Map<String, Value>> {
    let [_, claims, _] = compact::parts(token, MAX_BYTES)?;
    compact::object(claims)
}

fn read(token: &str) -> Result<ParsedJws<'_>, JwsError> {
    let refused = JwsError::Invalid;
    let [header, payload, signature] =
        compact::parts(token, MAX_BYTES).ok_or(refused("not three parts, or too long"))?;
    let members = compact::object(header).ok_or(refused("the header is no JSON object"))?;
    // Extensions that must be understood; we know none (RFC 7515 §4.1.11).
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
