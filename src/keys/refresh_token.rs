//! The form of a refresh token: the grant's id, its generation, 128 random bits, and a MAC that says we made it.
//!
//! With it an old token of a family is known for what it is (reuse, RFC 9700 §4.14.2) without a row for every token
//! there ever was, and a guessed one does nothing. The newest one's digest is kept beside: the MAC alone is not enough.

use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::master::{MasterKey, Purpose};
use crate::domain::ids::GrantId;
use crate::domain::secret::{Digest, Secret, SecretKind, base64url, from_base64url};
use crate::env::Env;

/// An authentic refresh token.
#[derive(Debug)]
pub struct RefreshToken {
    pub grant: GrantId,
    pub generation: i32,
    pub digest: Digest,
}

/// A new one, and what is kept of it.
pub fn mint(master: &MasterKey, env: &Env, grant: GrantId, generation: i32) -> (Secret, Digest) {
    let mut bytes = Vec::with_capacity(68);
    bytes.extend_from_slice(grant.0.as_bytes());
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes.extend_from_slice(&env.random::<16>());
    let mac = master.mac(Purpose::RefreshToken, &[&bytes]);
    bytes.extend_from_slice(&mac);
    let text = format!("{}{}", SecretKind::RefreshToken.prefix(), base64url(&bytes));
    let digest = SecretKind::RefreshToken.digest(&text);
    (Secret::new(text), digest)
}

/// What a token says, where we made it.
pub fn parse(master: &MasterKey, text: &str) -> Option<RefreshToken> {
    let encoded = text.strip_prefix(SecretKind::RefreshToken.prefix()).filter(|rest| rest.len() <= 96)?;
    let bytes = from_base64url(encoded)?;
    let (body, mac) = bytes.split_at_checked(36)?;
    if !bool::from(master.mac(Purpose::RefreshToken, &[body]).as_slice().ct_eq(mac)) {
        return None;
    }
    let (grant, rest) = body.split_at_checked(16)?;
    let generation: [u8; 4] = rest.get(..4)?.try_into().ok()?;
    Some(RefreshToken {
        grant: GrantId(Uuid::from_slice(grant).ok()?),
        generation: i32::from_be_bytes(generation),
        digest: SecretKind::RefreshToken.digest(text),
    })
}
