//! API keys: what one looks like, what is kept of it, and for what it is good.
//!
//! A key is `sgk_`, 32 base62 characters (190 random bits), and six more that are the CRC32 (IEEE) of all that: scanners
//! find one that leaked, and tell it from text that only looks like one. No specification has such keys.
//!
//! Next door: [`super::gate`], where they are shown; [`super::secret`], the other kinds of secrets.

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

/// Networks that one key may be used from, at most.
pub const MAX_NETWORKS: usize = 20;
const MAX_NAME_LENGTH: usize = 100;

/// A whole key, with its checksum right. It is handed out once; only its digest is kept.
#[derive(Clone, Debug)]
pub struct ApiKeySecret(Secret);

impl ApiKeySecret {
    #[must_use]
    pub fn mint(env: &Env) -> Self {
        // Four times 62 is the most of them that a byte has room for: a byte beyond is drawn again, so that each
        // character is as likely as any other.
        let letters = std::iter::repeat_with(|| env.random::<RANDOM_LENGTH>()).flatten().filter(|byte| *byte < 248);
        let text: String = SecretKind::ApiKey
            .prefix()
            .chars()
            .chain(letters.take(RANDOM_LENGTH).map(|byte| base62_digit(u32::from(byte))))
            .collect();
        let check = checksum(&text);
        Self(Secret::new(text + &check))
    }

    /// Nothing where `text` is no key, whatever the database has: guesses are told so without asking it.
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

    /// For the one place that hands it out.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        SecretKind::ApiKey.digest(self.0.expose())
    }
}

fn base62_digit(number: u32) -> char {
    BASE62.get((number % 62) as usize).map_or('0', |byte| char::from(*byte))
}

/// CRC32 in base62, the most significant character first. It holds typing errors off, nobody who means it.
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

/// Whose a key is: it ends with them, and can do no more than they.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    User(UserId),
    Client(ClientId),
}

/// One key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub digest: Digest,
    pub owner: Owner,
    /// The API that it is for: another one that later has the same gate is not opened by it.
    pub api: ApiId,
    /// Of the API when it was made: one made anew under its identifier is another API.
    pub api_version: i64,
    pub gate: GateName,
    /// By which its owner knows it.
    pub name: String,
    pub scopes: Scopes,
    /// From where it may be used; from anywhere where there is none.
    pub networks: Vec<IpNet>,
    pub created_at: Timestamp,
    /// For ever where there is none.
    pub expires_at: Option<Timestamp>,
    /// Give or take some minutes.
    pub last_used_at: Option<Timestamp>,
}

/// Why a key that there is opens nothing.
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

    /// Whether it may be used at the gate of `api`, from there and now. Whether its owner is there and turned on is
    /// `store::authority`'s to say.
    ///
    /// # Errors
    /// Why not; for the log alone.
    pub fn check_usable(&self, api: &Api, from: Option<IpAddr>, now: Timestamp) -> Result<(), ApiKeyError> {
        if self.api != api.identifier || self.api_version != api.version || api.gate.as_ref() != Some(&self.gate) {
            return Err(ApiKeyError::WrongGate);
        }
        if self.is_expired(now) {
            return Err(ApiKeyError::Expired);
        }
        // Whose address nobody knows comes from none of them.
        let is_in = |from: IpAddr| self.networks.iter().any(|network| network.contains(&from.to_canonical()));
        if !self.networks.is_empty() && !from.is_some_and(is_in) {
            return Err(ApiKeyError::NetworkNotAllowed);
        }
        Ok(())
    }

    /// What it may do there now: what it was made for, of which the API or the client may have lost something since.
    #[must_use]
    pub fn effective_scopes(&self, api: &Api, holder: &ResolvedOwner) -> Scopes {
        self.scopes.filtered(|scope| api.scopes.contains(scope) && holder.can_have_scope(api, scope))
    }
}

/// Whoever a key is of, as they are now.
#[derive(Clone, Debug)]
pub enum ResolvedOwner {
    User(Arc<UserSummary>),
    Client(Arc<Client>),
}

impl ResolvedOwner {
    /// A client has the scopes it is registered for. A person has no list of them: the gate's rules look at groups.
    #[must_use]
    pub fn can_have_scope(&self, api: &Api, scope: &str) -> bool {
        match self {
            Self::User(_) => true,
            Self::Client(client) => client.meta.api_scopes.contains(&api.identifier, scope),
        }
    }
}

/// A key's name, as it is kept.
///
/// # Errors
/// A sentence that says what a name may be.
pub fn parse_key_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_LENGTH || name.chars().any(is_hidden) {
        return Err("has 1 to 100 characters, none of them invisible");
    }
    Ok(name.to_owned())
}

/// A network as it is compared: its first address, and IPv4 where it is that in the clothes of IPv6 (RFC 4291 §2.5.5.2).
///
/// # Errors
/// A sentence that names what is no network.
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
