//! Versions: counters that a revocation increments, so that everything issued before has an older version than the
//! stored one.
//!
//! A version never decreases. The counter of a deleted client or API is kept, and a new one with the same id starts
//! above it, so that nothing issued for the old one is valid for the new one. No times are compared, so clocks may
//! differ.
//!
//! See also [`super::authorization`], which carries the versions it was made under, and `store::versions`, the
//! counters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::ids::{ApiId, ClientId, GrantId, SessionId, UserId};
use super::secret::{base64url, from_base64url};

/// An entity that has a version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum VersionedEntity {
    User(UserId),
    Client(ClientId),
    /// The consent of a user to a client.
    Consent(UserId, ClientId),
    Api(ApiId),
    /// The settings of a client. Every change increments the version, including changes that revoke nothing.
    ClientSettings(ClientId),
}

impl VersionedEntity {
    /// Returns the primary key of the entity's counter.
    #[must_use]
    pub fn counter_key(&self) -> String {
        match self {
            Self::User(user) => format!("user:{user}"),
            Self::Client(client) => format!("client:{client}"),
            Self::Consent(user, client) => format!("consent:{user}:{client}"),
            Self::Api(api) => format!("api:{}", api.as_str()),
            Self::ClientSettings(client) => format!("settings:{client}"),
        }
    }

    /// Returns the user with whom the counter is deleted. User ids are never reused.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::User(user) | Self::Consent(user, _) => Some(*user),
            Self::Client(_) | Self::Api(_) | Self::ClientSettings(_) => None,
        }
    }
}

/// A 16-byte key for something that can be revoked, in the change feed and in a node's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RevocationKey([u8; 16]);

impl RevocationKey {
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    fn from_text(text: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(text).into();
        let mut first = [0; 16];
        first.copy_from_slice(digest.split_at(16).0);
        Self(first)
    }
}

impl From<&VersionedEntity> for RevocationKey {
    fn from(of: &VersionedEntity) -> Self {
        match of {
            // The id has enough random bits.
            VersionedEntity::User(user) => Self(user.0.into_bytes()),
            of => Self::from_text(&of.counter_key()),
        }
    }
}

impl From<SessionId> for RevocationKey {
    fn from(session: SessionId) -> Self {
        Self(session.0.into_bytes())
    }
}

impl From<GrantId> for RevocationKey {
    fn from(grant: GrantId) -> Self {
        Self(grant.0.into_bytes())
    }
}

/// The key of one access token, from its `jti`.
impl From<Uuid> for RevocationKey {
    fn from(jti: Uuid) -> Self {
        Self(jti.into_bytes())
    }
}

impl From<RevocationKey> for String {
    fn from(RevocationKey(bytes): RevocationKey) -> Self {
        base64url(&bytes)
    }
}

impl TryFrom<String> for RevocationKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = from_base64url(&text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("is no fingerprint")
    }
}

/// The versions that an authorization or a request was made under, by [`VersionedEntity::counter_key`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Versions(BTreeMap<String, i64>);

impl Versions {
    #[must_use]
    pub fn get(&self, of: &VersionedEntity) -> Option<i64> {
        self.0.get(&of.counter_key()).copied()
    }

    /// Removes the version of an entity and returns it.
    pub fn remove(&mut self, of: &VersionedEntity) -> Option<i64> {
        self.0.remove(&of.counter_key())
    }

    /// Returns whether these and `other` have equal versions of each entity in `all`.
    #[must_use]
    pub fn has_same_versions(&self, other: &Self, all: &[VersionedEntity]) -> bool {
        all.iter().all(|of| self.get(of).is_some_and(|version| other.get(of) == Some(version)))
    }
}

/// Keeps the version of an entity that already has one: two different versions cannot both be current.
impl Extend<(VersionedEntity, i64)> for Versions {
    fn extend<I: IntoIterator<Item = (VersionedEntity, i64)>>(&mut self, all: I) {
        for (of, version) in all {
            self.0.entry(of.counter_key()).or_insert(version);
        }
    }
}

impl FromIterator<(VersionedEntity, i64)> for Versions {
    fn from_iter<I: IntoIterator<Item = (VersionedEntity, i64)>>(all: I) -> Self {
        Self(all.into_iter().map(|(of, version)| (of.counter_key(), version)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{RevocationKey, VersionedEntity};
    use crate::domain::ids::{ApiId, ClientId, UserId};

    #[test]
    fn counter_keys_and_revocation_keys_are_unique() {
        let user = UserId(uuid::Uuid::from_u128(7));
        let id = |text| ClientId::parse(text).unwrap();
        let all = [
            VersionedEntity::User(user),
            VersionedEntity::Client(id("web")),
            VersionedEntity::Client(id(&user.to_string())),
            VersionedEntity::Consent(user, id("web")),
            VersionedEntity::ClientSettings(id("web")),
            VersionedEntity::Api(ApiId::parse("https://api.example.com").unwrap()),
            VersionedEntity::Client(id("https://api.example.com")),
        ];
        let keys: std::collections::HashSet<String> = all.iter().map(VersionedEntity::counter_key).collect();
        let fingerprints: std::collections::HashSet<RevocationKey> = all.iter().map(RevocationKey::from).collect();
        assert_eq!((keys.len(), fingerprints.len()), (all.len(), all.len()));
    }
}
