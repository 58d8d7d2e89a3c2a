//! The revocations that a node keeps in memory, so that the gate, introspection and UserInfo reject a token without a
//! query. The database is authoritative ([`super::authorizations`]). This is a copy of its recent revocations.
//!
//! Only access tokens are judged by it. An incremented version, an ended session and an ended grant are kept for longer
//! than the lifetime of any access token. A token that was revoked individually is kept until its own expiry. These
//! periods are measured by the node's monotonic clock, and the comparison is between versions, so differences between
//! wall clocks do not matter.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use super::ChangeEvent;
use crate::domain::authorization::Authorization;
use crate::domain::ids::{GrantId, SessionId, UserId};
use crate::domain::version::{RevocationKey, VersionedEntity};
use crate::env::{Monotonic, Timestamp};

/// The maximum lifetime of an access token in seconds, enforced by `config::lifetimes` and `domain::api`.
pub const MAX_ACCESS_TOKEN_TTL: i64 = 86_400;
/// Covers the time between the end of a transaction and the signing of its token, and the difference between two nodes'
/// clocks.
const SAFETY_MARGIN_SECONDS: i64 = 600;
/// How far back the feed is read at startup. The clock of the node that wrote an entry may be five minutes slow.
pub(super) const FEED_LOOKBACK_SECONDS: i64 = MAX_ACCESS_TOKEN_TTL + SAFETY_MARGIN_SECONDS + 300;
/// Tokens that expire within the same interval of this length are discarded together.
const BUCKET_SECONDS: i64 = 600;

#[derive(Default)]
pub struct Revocations {
    newest: RwLock<HashMap<RevocationKey, RevokedBefore>>,
    /// Revoked tokens by the bucket of their expiry, which can be computed from a token.
    tokens: RwLock<BTreeMap<i64, HashSet<RevocationKey>>>,
}

#[derive(Clone, Copy)]
struct RevokedBefore {
    /// [`ENDED_VERSION`] for a session and a grant.
    version: i64,
    forget_at: Monotonic,
}

const ENDED_VERSION: i64 = i64::MAX;

const fn bucket(expires_at: Timestamp) -> i64 {
    expires_at.seconds().div_euclid(BUCKET_SECONDS)
}

impl Revocations {
    /// Applies an entry of the change feed. It ignores lock poisoning, so that a panic elsewhere loses no revocation.
    pub(super) fn apply(&self, change: &ChangeEvent, now: Monotonic) {
        match change {
            ChangeEvent::Version(of, version) => self.remember(*of, *version, now),
            ChangeEvent::Ended(of) => self.remember(*of, ENDED_VERSION, now),
            ChangeEvent::Token(of, expires_at) => self.add_tokens(&[(*of, *expires_at)]),
            _ => {}
        }
    }

    pub(super) fn add_tokens(&self, revoked: &[(RevocationKey, Timestamp)]) {
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        for (jti, expires_at) in revoked {
            tokens.entry(bucket(*expires_at)).or_default().insert(*jti);
        }
    }

    fn remember(&self, of: RevocationKey, version: i64, now: Monotonic) {
        let forget_at = now.plus_seconds(MAX_ACCESS_TOKEN_TTL + SAFETY_MARGIN_SECONDS);
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        let entry = newest.entry(of).or_insert(RevokedBefore { version, forget_at });
        *entry = RevokedBefore { version: entry.version.max(version), forget_at };
    }

    /// Replaces everything with what was read from another database.
    pub(super) fn replace(&self, read: Self) {
        let (newest, tokens) = (read.newest.into_inner(), read.tokens.into_inner());
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = newest.unwrap_or_else(PoisonError::into_inner);
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens.unwrap_or_else(PoisonError::into_inner);
    }

    /// Discards entries that predate every unexpired access token.
    pub(super) fn forget(&self, now: Timestamp, uptime: Monotonic) {
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        newest.retain(|_, entry| uptime < entry.forget_at);
        drop(newest);
        // The margin covers a node's clock that is ahead of the one that judges the token's expiry.
        let oldest = bucket(now.plus_seconds(-SAFETY_MARGIN_SECONDS));
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        *tokens = tokens.split_off(&oldest);
    }

    /// Returns whether nothing that an access token depends on has been revoked since it was issued, as far as this
    /// node knows. If a lock is poisoned, no token is active.
    #[must_use]
    pub fn is_active(&self, authorization: &Authorization) -> bool {
        let Ok(newest) = self.newest.read() else { return false };
        if newest.is_empty() {
            return true;
        }
        let older = |of: RevocationKey, version: i64| newest.get(&of).is_some_and(|entry| version < entry.version);
        let ended = authorization.bound_session().map(RevocationKey::from);
        let mut ended = ended.into_iter().chain(authorization.grant.map(RevocationKey::from));
        let is_older =
            |of: &VersionedEntity| authorization.version_of(of).is_none_or(|version| older(of.into(), version));
        !authorization.versioned_entities().iter().any(is_older) && !ended.any(|of| older(of, 0))
    }

    /// Returns whether this access token has been revoked individually.
    #[must_use]
    pub fn is_token_revoked(&self, jti: RevocationKey, expires_at: Timestamp) -> bool {
        let Ok(tokens) = self.tokens.read() else { return true };
        tokens.get(&bucket(expires_at)).is_some_and(|revoked| revoked.contains(&jti))
    }

    /// Returns whether a browser session is active, given the `version` that its user had.
    #[must_use]
    pub fn is_session_active(&self, session: SessionId, user: UserId, version: i64) -> bool {
        self.newest.read().is_ok_and(|newest| {
            let older = |of, version| newest.get(&of).is_some_and(|entry: &RevokedBefore| version < entry.version);
            !older(RevocationKey::from(&VersionedEntity::User(user)), version) && !older(session.into(), 0)
        })
    }

    /// Returns whether a grant is known to be revoked.
    #[must_use]
    pub fn is_grant_revoked(&self, grant: GrantId) -> bool {
        self.newest
            .read()
            .is_ok_and(|newest| newest.get(&grant.into()).is_some_and(|entry| entry.version == ENDED_VERSION))
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_ACCESS_TOKEN_TTL, Revocations, SAFETY_MARGIN_SECONDS};
    use crate::domain::authorization::{Authorization, Subject};
    use crate::domain::ids::{ClientId, GrantId, UserId};
    use crate::domain::permissions::Permissions;
    use crate::domain::version::{RevocationKey, VersionedEntity, Versions};
    use crate::env::{Monotonic, Timestamp};
    use crate::store::ChangeEvent;

    fn authorization(versions: [i64; 3]) -> Authorization {
        let made = Authorization {
            subject: Subject::User(UserId(uuid::Uuid::from_u128(1))),
            grant: Some(GrantId(uuid::Uuid::from_u128(2))),
            ..Authorization::for_client(ClientId::parse("web").unwrap(), Permissions::default())
        };
        let all = made.versioned_entities().into_iter().zip(versions).collect();
        Authorization { versions: all, ..made }
    }

    #[test]
    fn revocation_deactivates_older_authorizations() {
        let revocations = Revocations::default();
        let now = Monotonic(0);
        assert!(revocations.is_active(&authorization([1, 1, 0])));
        for of in authorization([0, 0, 0]).versioned_entities() {
            revocations.apply(&ChangeEvent::Version((&of).into(), 2), now);
        }
        for (versions, active) in
            [([2, 2, 2], true), ([3, 2, 2], true), ([1, 2, 2], false), ([2, 1, 2], false), ([2, 2, 1], false)]
        {
            assert_eq!(revocations.is_active(&authorization(versions)), active, "{versions:?}");
        }
        // An older entry that arrives late must not lower the version.
        revocations
            .apply(&ChangeEvent::Version((&VersionedEntity::User(UserId(uuid::Uuid::from_u128(1)))).into(), 1), now);
        assert!(!revocations.is_active(&authorization([1, 2, 2])));
        assert!(!revocations.is_active(&Authorization { versions: Versions::default(), ..authorization([9, 9, 9]) }));
        revocations.apply(&ChangeEvent::Ended(GrantId(uuid::Uuid::from_u128(2)).into()), now);
        assert!(!revocations.is_active(&authorization([9, 9, 9])));
        let uptime = now.plus_seconds(MAX_ACCESS_TOKEN_TTL + SAFETY_MARGIN_SECONDS);
        revocations.forget(Timestamp(0), Monotonic(uptime.0 - 1));
        assert!(!revocations.is_active(&authorization([9, 9, 9])));
        revocations.forget(Timestamp(0), uptime);
        assert!(revocations.is_active(&authorization([1, 1, 0])));
    }

    #[test]
    fn poisoned_lock_fails_closed_and_keeps_revocations() {
        let revocations = std::sync::Arc::new(Revocations::default());
        let other = revocations.clone();
        std::thread::spawn(move || {
            let _newest = other.newest.write();
            let _tokens = other.tokens.write();
            panic!("under the lock");
        })
        .join()
        .unwrap_err();
        let (jti, end) = (RevocationKey::from(uuid::Uuid::from_u128(3)), Timestamp::from_seconds(100));
        revocations.apply(&ChangeEvent::Token(jti, end), Monotonic(0));
        revocations.apply(&ChangeEvent::Ended(GrantId(uuid::Uuid::from_u128(2)).into()), Monotonic(0));
        assert!(!revocations.is_active(&authorization([1, 1, 0])));
        assert!(revocations.is_token_revoked(jti, end));
        revocations.newest.clear_poison();
        assert!(revocations.is_grant_revoked(GrantId(uuid::Uuid::from_u128(2))));
    }

    /// A set doubles its capacity when it is seven eighths full, so its size per token is largest just after that.
    #[test]
    fn a_revoked_token_takes_at_most_48_bytes() {
        let (revocations, end) = (Revocations::default(), Timestamp::from_seconds(10_000));
        let all: Vec<_> = (0..917_505).map(|n: u128| (RevocationKey::from(uuid::Uuid::from_u128(n)), end)).collect();
        for (number, upto) in [("just before it doubles", 917_504), ("just after", 917_505)] {
            revocations.add_tokens(&all[..upto]);
            let tokens = revocations.tokens.read().unwrap();
            // Each slot has one byte of metadata, and the table has eight slots for each seven entries of capacity.
            let places = tokens.values().map(|set| (set.capacity() * 8).div_ceil(7)).sum::<usize>();
            let bytes = places * (size_of::<RevocationKey>() + 1);
            assert!(bytes <= 48 * upto, "{number}: {bytes} bytes for {upto} tokens");
        }
    }

    #[test]
    fn a_revoked_token_is_remembered_until_its_expiry() {
        let revocations = Revocations::default();
        let jti = |n: u128| RevocationKey::from(uuid::Uuid::from_u128(n));
        let end = Timestamp::from_seconds(10_000);
        revocations.apply(&ChangeEvent::Token(jti(1), end), Monotonic(0));
        assert!(revocations.is_token_revoked(jti(1), end) && !revocations.is_token_revoked(jti(2), end));
        revocations.forget(end.plus_seconds(SAFETY_MARGIN_SECONDS), Monotonic(0));
        assert!(revocations.is_token_revoked(jti(1), end), "another node's clock may be behind");
        revocations.forget(end.plus_seconds(2 * SAFETY_MARGIN_SECONDS + 600), Monotonic(0));
        assert!(!revocations.is_token_revoked(jti(1), end));
    }
}
