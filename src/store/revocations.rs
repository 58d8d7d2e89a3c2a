//! What a node remembers of revocations, so that the gate, introspection and UserInfo refuse a token without asking the
//! database. The truth is in the database ([`super::authorizations`]); this is a copy of its last part.
//!
//! Access tokens alone are judged by it. A version that was incremented, a session and a grant that ended are remembered
//! for longer than any access token lives; a token that was revoked alone, until its own expiry. How long is measured on
//! the node itself, and what is compared are versions: it does not matter whose clock says what.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use super::ChangeEvent;
use crate::domain::authorization::Authorization;
use crate::domain::ids::{GrantId, SessionId, UserId};
use crate::domain::version::{RevocationKey, VersionedEntity};
use crate::env::{Monotonic, Timestamp};

/// The longest life of an access token (`config::lifetimes` and `domain::api` hold it to that), in seconds.
pub const MAX_ACCESS_TOKEN_TTL: i64 = 86_400;
/// Between the end of a transaction and the token that is signed after it, and between two nodes' clocks.
const SAFETY_MARGIN_SECONDS: i64 = 600;
/// How far back the feed is read at a start: the clock of the node that wrote an entry may be five minutes slow.
pub(super) const FEED_LOOKBACK_SECONDS: i64 = MAX_ACCESS_TOKEN_TTL + SAFETY_MARGIN_SECONDS + 300;
/// Tokens whose expiry falls into the same so many seconds are forgotten together.
const BUCKET_SECONDS: i64 = 600;

#[derive(Default)]
pub struct Revocations {
    newest: RwLock<HashMap<RevocationKey, RevokedBefore>>,
    /// By the end of the bucket that their expiry falls into: a token says itself where to look.
    tokens: RwLock<BTreeMap<i64, HashSet<RevocationKey>>>,
}

#[derive(Clone, Copy)]
struct RevokedBefore {
    /// [`ENDED`] for a session and a grant.
    version: i64,
    forget_at: Monotonic,
}

const ENDED_VERSION: i64 = i64::MAX;

const fn bucket(expires_at: Timestamp) -> i64 {
    expires_at.seconds().div_euclid(BUCKET_SECONDS)
}

impl Revocations {
    /// Takes in what the change feed says. A panic elsewhere under the lock loses no revocation.
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

    /// Takes over what was read of another database, in place of everything that was known.
    pub(super) fn replace(&self, read: Self) {
        let (newest, tokens) = (read.newest.into_inner(), read.tokens.into_inner());
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = newest.unwrap_or_else(PoisonError::into_inner);
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens.unwrap_or_else(PoisonError::into_inner);
    }

    /// Forgets what no living access token was issued before.
    pub(super) fn forget(&self, now: Timestamp, uptime: Monotonic) {
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        newest.retain(|_, entry| uptime < entry.forget_at);
        drop(newest);
        // The margin: this node's clock may be ahead of the one that judges the token's expiry.
        let oldest = bucket(now.plus_seconds(-SAFETY_MARGIN_SECONDS));
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        *tokens = tokens.split_off(&oldest);
    }

    /// Whether nothing that an access token depends on has been revoked since it was issued, as far as this node has
    /// heard. Behind a poisoned lock nothing is active.
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

    /// Whether one access token has been revoked by itself.
    #[must_use]
    pub fn is_token_revoked(&self, jti: RevocationKey, expires_at: Timestamp) -> bool {
        let Ok(tokens) = self.tokens.read() else { return true };
        tokens.get(&bucket(expires_at)).is_some_and(|revoked| revoked.contains(&jti))
    }

    /// Whether a browser session goes on, of a user whose version was `version`.
    #[must_use]
    pub fn is_session_active(&self, session: SessionId, user: UserId, version: i64) -> bool {
        self.newest.read().is_ok_and(|newest| {
            let older = |of, version| newest.get(&of).is_some_and(|entry: &RevokedBefore| version < entry.version);
            !older(RevocationKey::from(&VersionedEntity::User(user)), version) && !older(session.into(), 0)
        })
    }

    /// Whether everything of a grant has been ended already.
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
        // An older entry that comes late takes nothing back.
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

    /// A set doubles when it is seven eighths full, so it is largest just after that.
    #[test]
    fn a_revoked_token_takes_at_most_48_bytes() {
        let (revocations, end) = (Revocations::default(), Timestamp::from_seconds(10_000));
        let all: Vec<_> = (0..917_505).map(|n: u128| (RevocationKey::from(uuid::Uuid::from_u128(n)), end)).collect();
        for (number, upto) in [("just before it doubles", 917_504), ("just after", 917_505)] {
            revocations.add_tokens(&all[..upto]);
            let tokens = revocations.tokens.read().unwrap();
            // One byte of the table beside each place; a place for each eight sevenths of the capacity.
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
