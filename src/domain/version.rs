//! Versions: counters that a revocation increments, so that everything issued before it is older than what is stored.
//!
//! A version never goes back. A deleted client or API leaves its counter behind, and a namesake made anew starts above it:
//! what was issued for the old one is not good for the new one. No time is compared, so clocks may differ.
//!
//! Next door: [`super::authorization`], which carries the versions it was made under; `store::versions`, the counters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::ids::{ApiId, ClientId, GrantId, SessionId, UserId};
use super::secret::{base64url, from_base64url};

/// What has a version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum VersionedEntity {
    User(UserId),
    Client(ClientId),
    /// What one user has allowed one client.
    Consent(UserId, ClientId),
    Api(ApiId),
    /// A client's settings: incremented by every change of them, by those too that revoke nothing.
    ClientSettings(ClientId),
}

impl VersionedEntity {
    /// The primary key of its counter.
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

    /// The user with whom its counter is deleted. User ids never come back.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::User(user) | Self::Consent(user, _) => Some(*user),
            Self::Client(_) | Self::Api(_) | Self::ClientSettings(_) => None,
        }
    }
}

/// Sixteen bytes that stand for something that can be revoked, in the change feed and in a node's memory.
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
            // Random bits enough.
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

/// Of one access token, by its `jti`.
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

/// The versions that an authorization or a request was made under, by [`Versioned::key`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Versions(BTreeMap<String, i64>);

impl Versions {
    #[must_use]
    pub fn get(&self, of: &VersionedEntity) -> Option<i64> {
        self.0.get(&of.counter_key()).copied()
    }

    /// Removes one, and returns what it was.
    pub fn remove(&mut self, of: &VersionedEntity) -> Option<i64> {
        self.0.remove(&of.counter_key())
    }

    /// Whether these and `other` know the same version of each of `all`.
    #[must_use]
    pub fn has_same_versions(&self, other: &Self, all: &[VersionedEntity]) -> bool {
        all.iter().all(|of| self.get(of).is_some_and(|version| other.get(of) == Some(version)))
    }
}

/// What has a version already keeps it: two that differ cannot both be current.
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
