//! API keys: their format, their stored form and where each may be used.
//!
//! A key is `sgk_`, 32 base62 characters (190 random bits) and six characters with the CRC32 (IEEE) of that text. The
//! prefix and the checksum let secret scanners find a leaked key and tell it from similar text. No specification covers
//! such keys.
//!
//! See also [`super::gate`], which accepts them, and [`super::secret`], the other kinds of secrets.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

use super::api::{Api, ApiId};
use super::client::Client;
use super::gate::GateName;
use super::ids::{ApiKeyId, ClientId, UserId};
use super::printable::is_hidden;
use super::scope::Scopes;
use super::secret::{Digest, Secret, SecretKind};
use super::user::UserSummary;
use crate::config::parse_network;
use crate::env::{Env, Timestamp};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_LENGTH: usize = 32;
const CHECKSUM_LENGTH: usize = 6;

/// The maximum number of networks from which one key may be used.
pub const MAX_NETWORKS: usize = 20;
const MAX_NAME_LENGTH: usize = 100;

/// A complete key with a valid checksum. It is shown once. Only its digest is stored.
#[derive(Clone, Debug)]
pub struct ApiKeySecret(Secret);

impl ApiKeySecret {
    #[must_use]
    pub fn mint(env: &Env) -> Self {
        // 248 is the largest multiple of 62 in a byte. Bytes from there on are drawn again, so that all characters are
        // equally likely.
        let letters = std::iter::repeat_with(|| env.random::<RANDOM_LENGTH>()).flatten().filter(|byte| *byte < 248);
        let text: String = SecretKind::ApiKey
            .prefix()
            .chars()
            .chain(letters.take(RANDOM_LENGTH).map(|byte| base62_digit(u32::from(byte))))
            .collect();
        let check = checksum(&text);
        Self(Secret::new(text + &check))
    }

    /// Returns `None` if `text` has no valid format and checksum. This rejects guesses without a database query.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters = text.strip_prefix(SecretKind::ApiKey.prefix())?;
        if letters.len() != RANDOM_LENGTH + CHECKSUM_LENGTH || !letters.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return None;
        }
        let (said, check) = text.split_at_checked(text.len() - CHECKSUM_LENGTH)?;
        (checksum(said) == check).then(|| Self(Secret::new(text.to_owned())))
    }

    /// Returns the text, only for showing it once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Returns the stored form.
    #[must_use]
    pub fn digest(&self) -> Digest {
        SecretKind::ApiKey.digest(self.0.expose())
    }
}

fn base62_digit(number: u32) -> char {
    BASE62.get((number % 62) as usize).map_or('0', |byte| char::from(*byte))
}

/// Returns the CRC32 in base62, the most significant character first. It detects typing errors. It is no protection
/// against attackers.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut letters = [0; CHECKSUM_LENGTH].map(|_: u8| {
        let last = base62_digit(rest);
        rest /= 62;
        last
    });
    letters.reverse();
    letters.into_iter().collect()
}

/// The owner of a key. The key is deleted with its owner and never grants more than the owner has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    User(UserId),
    Client(ClientId),
}

/// A key as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub digest: Digest,
    pub owner: Owner,
    /// The API that the key is for. It does not open another API that later has the same gate.
    pub api: ApiId,
    /// The version of the API when the key was made. A new API with the same identifier is a different API.
    pub api_version: i64,
    pub gate: GateName,
    /// The label by which the owner recognizes the key.
    pub name: String,
    pub scopes: Scopes,
    /// The networks from which the key may be used; all if empty.
    pub networks: Vec<IpNet>,
    pub created_at: Timestamp,
    /// `None` if the key does not expire.
    pub expires_at: Option<Timestamp>,
    /// Accurate to some minutes.
    pub last_used_at: Option<Timestamp>,
}

/// Why an existing key is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyError {
    WrongGate,
    Expired,
    NetworkNotAllowed,
}

impl ApiKey {
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Checks that the key may be used at the gate of `api`, from this address and now. It does not check that the
    /// owner exists and is enabled.
    ///
    /// # Errors
    /// Returns the reason, for the log only.
    pub fn check_usable(&self, api: &Api, from: Option<IpAddr>, now: Timestamp) -> Result<(), ApiKeyError> {
        if self.api != api.identifier || self.api_version != api.version || api.gate.as_ref() != Some(&self.gate) {
            return Err(ApiKeyError::WrongGate);
        }
        if self.is_expired(now) {
            return Err(ApiKeyError::Expired);
        }
        // A request whose address is unknown is in none of the networks.
        let is_in = |from: IpAddr| self.networks.iter().any(|network| network.contains(&from.to_canonical()));
        if !self.networks.is_empty() && !from.is_some_and(is_in) {
            return Err(ApiKeyError::NetworkNotAllowed);
        }
        Ok(())
    }

    /// Returns the scopes of the key that the API still defines and its owner may still have.
    #[must_use]
    pub fn effective_scopes(&self, api: &Api, holder: &ResolvedOwner) -> Scopes {
        self.scopes.filtered(|scope| api.scopes.contains(scope) && holder.can_have_scope(api, scope))
    }
}

/// The current state of a key's owner.
#[derive(Clone, Debug)]
pub enum ResolvedOwner {
    User(Arc<UserSummary>),
    Client(Arc<Client>),
}

impl ResolvedOwner {
    /// A client has the scopes it is registered for. A user has no list of scopes: the gate's rules check groups.
    #[must_use]
    pub fn can_have_scope(&self, api: &Api, scope: &str) -> bool {
        match self {
            Self::User(_) => true,
            Self::Client(client) => client.meta.api_scopes.contains(&api.identifier, scope),
        }
    }
}

/// Parses a key's name and trims it.
///
/// # Errors
/// Returns a sentence that says what a name may be.
pub fn parse_key_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_LENGTH || name.chars().any(is_hidden) {
        return Err("has 1 to 100 characters, none of them invisible");
    }
    Ok(name.to_owned())
}

/// Parses a network into its canonical form: its first address, with IPv4-mapped IPv6 addresses as IPv4 (RFC 4291
/// §2.5.5.2).
///
/// # Errors
/// Returns a sentence that names the invalid network.
pub fn network(text: &str) -> Result<IpNet, String> {
    let network =
        parse_network(text.trim()).ok_or_else(|| format!("{:?} is neither an address nor a CIDR", text.trim()))?;
    let canonical = match network {
        IpNet::V4(_) => None,
        IpNet::V6(net) => net.addr().to_ipv4_mapped().zip(net.prefix_len().checked_sub(96)),
    };
    let canonical = canonical.and_then(|(addr, prefix)| Ipv4Net::new(addr, prefix).ok());
    Ok(canonical.map_or(network, IpNet::V4).trunc())
}

#[cfg(test)]
mod tests;
