//! A grant: one authorization that the client may renew, and the state of its refresh token family (RFC 9700 §4.14.2).
//!
//! The family is one row. Each generation has exactly one refresh token, which `keys::refresh_token` derives from the
//! grant, the generation and the family's salt, so that every repeat of a refresh gets the same successor. The digests
//! of the current and the previous token decide whether a token is accepted. The generation named in a token is not
//! trusted. See also `store::grants` (the row) and `protocol::token` (the refresh).

use std::fmt;

use super::authorization::Authorization;
use super::ids::GrantId;
use super::secret::Digest;
use crate::env::Timestamp;

/// Repeats within this time after the rotation overlap with it. They are parallel requests of one client, however often
/// it refreshes.
const OVERLAP_SECONDS: i64 = 2;
/// Repeats within this time after the rotation may be slow requests of one client that seldom refreshes.
const PROMPT_REPEAT_SECONDS: i64 = 10;
/// The maximum number of superseded tokens that a family remembers.
const MAX_SUPERSEDED: usize = 8;
/// A rotation is quick if it follows the previous one within this time, which is sooner than access tokens expire.
const QUICK_ROTATION_SECONDS: i64 = 30;
/// The family is revoked after this many contested generations in a row ([`Grant::classify`]).
const MAX_CONTESTED_GENERATIONS: i32 = 7;
const OVERLAP_MILLIS: i64 = OVERLAP_SECONDS * 1000;
const PROMPT_REPEAT_MILLIS: i64 = PROMPT_REPEAT_SECONDS * 1000;
/// How far the database's clock may step back, for instance on a failover to a standby, without revoking families.
const MAX_CLOCK_STEP_SECONDS: i64 = 300;

/// Random bytes of one family. Without them, the master key alone cannot derive the family's tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FamilySalt(pub [u8; 16]);

impl fmt::Debug for FamilySalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[salt]")
    }
}

/// A token older than the previous one that parallel requests used. `at` is the time of the first use of its successor,
/// by the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupersededToken {
    pub digest: Digest,
    pub at: Timestamp,
}

/// When the previous token was repeated, relative to the rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RepeatTiming {
    None,
    /// All repeats came within [`OVERLAP_SECONDS`] of the rotation: parallel requests.
    Overlapping,
    /// All repeats came within [`PROMPT_REPEAT_SECONDS`] of the rotation.
    Prompt,
    /// At least one repeat came later.
    Late,
}

#[derive(Clone, Debug)]
pub struct Grant {
    pub id: GrantId,
    pub authorization: Authorization,
    /// The generation of the current refresh token, starting at 1.
    pub generation: i32,
    pub salt: FamilySalt,
    pub current: Digest,
    /// The token that the current one replaced.
    pub previous: Option<Digest>,
    /// Tokens before the previous one that a delayed parallel request may still present.
    pub superseded: Vec<SupersededToken>,
    /// The time at which the current token was derived, by the database's clock.
    pub rotated_at: Timestamp,
    pub repeats: RepeatTiming,
    /// The number of contested generations in a row.
    pub contested: i32,
    pub created_at: Timestamp,
    /// The time at which the current token expires.
    pub expires_at: Timestamp,
    /// The absolute end of the family, regardless of use. Without `offline_access` it is no later than the end of the
    /// session.
    pub ends_at: Timestamp,
    pub revoked: bool,
}

/// The outcome of presenting an authentic refresh token of an active grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshTokenUse {
    /// The current token.
    Current,
    /// The previous token within the grace window. The response repeats the current token.
    Repeated(RepeatTiming),
    /// A token that parallel requests used and whose successor was first used a moment ago. This request may be one of
    /// those parallel requests, delayed. The token is rejected and the family stays active.
    Superseded,
    /// Any other token: a copy of it exists. The family is revoked.
    Reused,
    /// Two parties use the family alternately. The family is revoked.
    Contested,
}

impl Grant {
    /// Classifies an authentic token of this grant by its digest. `arrived` (the arrival of the request) and `now` are
    /// by the database's clock, like `rotated_at`. `grace` is in seconds.
    ///
    /// Within the grace window, the use of a stolen token looks like a repeat. Two parties that share a family still
    /// differ from parallel requests of one client, which overlap with the rotation: either their repeats come late, or
    /// they come some seconds after rotations that follow each other quickly. Either pattern makes a generation
    /// contested. Several contested generations in a row revoke the family.
    ///
    /// A token older than the previous one is never accepted (RFC 9700 §4.14.2). It revokes the family: its successor
    /// has been used, so the sender has not lost a response. The exception is a request that arrived before the first
    /// use of the successor, if parallel requests used the token and that first use was a moment ago. Such a request
    /// waited for the others. A request that arrives afterwards is reuse.
    #[must_use]
    pub fn classify(&self, presented: &Digest, arrived: Timestamp, now: Timestamp, grace: i64) -> RefreshTokenUse {
        let age = now.since(self.rotated_at);
        let is_current = self.current == *presented;
        let is_previous = self.previous.is_some_and(|previous| previous == *presented);
        let in_window = (-MAX_CLOCK_STEP_SECONDS * 1000..=grace * 1000).contains(&age);
        if is_current {
            let contested = self.contested_generations(now) >= MAX_CONTESTED_GENERATIONS;
            if contested { RefreshTokenUse::Contested } else { RefreshTokenUse::Current }
        } else if is_previous && in_window {
            let repeat = if age <= OVERLAP_MILLIS {
                RepeatTiming::Overlapping
            } else if age <= PROMPT_REPEAT_MILLIS {
                RepeatTiming::Prompt
            } else {
                RepeatTiming::Late
            };
            RefreshTokenUse::Repeated(self.repeats.max(repeat))
        } else if self.is_straggler(presented, arrived, now, grace) {
            RefreshTokenUse::Superseded
        } else {
            RefreshTokenUse::Reused
        }
    }

    fn is_straggler(&self, presented: &Digest, arrived: Timestamp, now: Timestamp, grace: i64) -> bool {
        let oldest = OVERLAP_SECONDS.min(grace) * 1000;
        let is_recent = |at: Timestamp| (-MAX_CLOCK_STEP_SECONDS * 1000..=oldest).contains(&now.since(at));
        self.superseded.iter().any(|old| old.digest == *presented && is_recent(old.at) && arrived <= old.at)
    }

    /// Returns the family after the rotation from the current token to the token with the digest `next`.
    #[must_use]
    pub fn rotated(mut self, next: Digest, now: Timestamp, expires_at: Timestamp) -> Self {
        let contested = self.contested_generations(now);
        let mut superseded = std::mem::take(&mut self.superseded);
        let was_parallel = self.previous.filter(|_| self.repeats != RepeatTiming::None);
        superseded.extend(was_parallel.map(|digest| SupersededToken { digest, at: now }));
        superseded.retain(|old| now.since(old.at) <= OVERLAP_MILLIS);
        superseded.drain(..superseded.len().saturating_sub(MAX_SUPERSEDED));
        Self {
            generation: self.generation.saturating_add(1),
            previous: Some(self.current),
            superseded,
            current: next,
            contested,
            repeats: RepeatTiming::None,
            rotated_at: now,
            expires_at,
            ..self
        }
    }

    /// Returns the number of contested generations in a row if the current one is rotated now.
    #[must_use]
    pub fn contested_generations(&self, now: Timestamp) -> i32 {
        let is_quick = now.since(self.rotated_at) <= QUICK_ROTATION_SECONDS * 1000;
        match self.repeats {
            RepeatTiming::Late => self.contested.saturating_add(1),
            RepeatTiming::Prompt if is_quick => self.contested.saturating_add(1),
            RepeatTiming::Prompt | RepeatTiming::Overlapping | RepeatTiming::None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FamilySalt, Grant, RefreshTokenUse, RepeatTiming, SupersededToken};
    use crate::domain::authorization::Authorization;
    use crate::domain::ids::{ClientId, GrantId};
    use crate::domain::permissions::Permissions;
    use crate::domain::secret::Digest;
    use crate::env::Timestamp;

    fn family() -> Grant {
        let then = Timestamp::from_seconds(10_000);
        Grant {
            id: GrantId(uuid::Uuid::nil()),
            authorization: Authorization::for_client(ClientId::parse("web").unwrap(), Permissions::default()),
            generation: 5,
            salt: FamilySalt([0; 16]),
            current: Digest([5; 32]),
            previous: Some(Digest([4; 32])),
            superseded: vec![SupersededToken { digest: Digest([3; 32]), at: then.plus_seconds(-1) }],
            rotated_at: then,
            repeats: RepeatTiming::None,
            contested: 0,
            created_at: then,
            expires_at: then.plus_seconds(100),
            ends_at: then.plus_seconds(100),
            revoked: false,
        }
    }

    #[test]
    fn token_use_is_classified_by_digest_and_window() {
        let grant = family();
        let repeated = RefreshTokenUse::Repeated;
        let (overlap, prompt, late) =
            (repeated(RepeatTiming::Overlapping), repeated(RepeatTiming::Prompt), repeated(RepeatTiming::Late));
        for (digest, seconds, grace, expected) in [
            (5, 0, 60, RefreshTokenUse::Current),
            (5, 99, 60, RefreshTokenUse::Current),
            (5, 0, 0, RefreshTokenUse::Current),
            (4, 0, 60, overlap),
            (4, 2, 60, overlap),
            (4, 3, 60, prompt),
            (4, 10, 60, prompt),
            (4, 11, 60, late),
            (4, 60, 60, late),
            (4, 61, 60, RefreshTokenUse::Reused),
            (4, 0, 0, overlap),
            (4, 1, 0, RefreshTokenUse::Reused),
            // The database's clock was set back.
            (4, -300, 60, overlap),
            (4, -301, 60, RefreshTokenUse::Reused),
            // Its successor was first used a second before the rotation.
            (3, 0, 60, RefreshTokenUse::Superseded),
            (3, 1, 60, RefreshTokenUse::Superseded),
            (3, 2, 60, RefreshTokenUse::Reused),
            (3, 0, 1, RefreshTokenUse::Superseded),
            (3, 1, 1, RefreshTokenUse::Reused),
            (3, 0, 0, RefreshTokenUse::Reused),
            (2, 0, 60, RefreshTokenUse::Reused),
            // A token that does not belong to the family.
            (9, 0, 60, RefreshTokenUse::Reused),
        ] {
            let now = grant.rotated_at.plus_seconds(seconds);
            // Parallel requests arrived when the successor was first used.
            let arrived = grant.rotated_at.plus_seconds(-1);
            let judged = grant.classify(&Digest([digest; 32]), arrived, now, grace);
            assert_eq!(judged, expected, "{digest} {seconds} {grace}");
            if expected == RefreshTokenUse::Superseded {
                let afterwards = Timestamp(arrived.0 + 1);
                let judged = grant.classify(&Digest([digest; 32]), afterwards, now, grace);
                assert_eq!(judged, RefreshTokenUse::Reused, "{digest}: it arrived after its successor had been used");
            }
        }
        let first = Grant { previous: None, ..family() };
        assert_eq!(first.classify(&Digest([4; 32]), first.rotated_at, first.rotated_at, 60), RefreshTokenUse::Reused);
    }

    #[test]
    fn rotation_remembers_recent_parallel_tokens() {
        let mut grant = family();
        for generation in 6..=20 {
            let (now, previous) = (grant.rotated_at, Digest([generation - 2; 32]));
            assert_eq!(grant.classify(&previous, now, now, 60), RefreshTokenUse::Repeated(RepeatTiming::Overlapping));
            let alone = grant.clone().rotated(Digest([generation; 32]), now, now);
            assert_eq!(alone.classify(&previous, now, now, 60), RefreshTokenUse::Reused, "no parallel request used it");
            grant.repeats = RepeatTiming::Overlapping;
            grant = grant.rotated(Digest([generation; 32]), now, now);
            assert_eq!(grant.classify(&previous, now, now, 60), RefreshTokenUse::Superseded);
        }
        assert_eq!((grant.generation, grant.superseded.len()), (20, 8));
        let now = grant.rotated_at.plus_seconds(3);
        assert_eq!(grant.rotated(Digest([21; 32]), now, now).superseded, []);
    }

    #[test]
    fn only_contested_generations_in_a_row_are_counted() {
        for (repeats, seconds, before, expected) in [
            (RepeatTiming::None, 1, 3, 0),
            (RepeatTiming::Overlapping, 1, 3, 0),
            (RepeatTiming::Prompt, 30, 3, 4),
            (RepeatTiming::Prompt, 31, 3, 0),
            (RepeatTiming::Late, 600, 3, 4),
        ] {
            let grant = Grant { repeats, contested: before, ..family() };
            let now = grant.rotated_at.plus_seconds(seconds);
            assert_eq!(grant.contested_generations(now), expected, "{repeats:?} {seconds}");
        }
        let grant = Grant { repeats: RepeatTiming::Late, contested: 6, ..family() };
        assert_eq!(grant.classify(&grant.current, grant.rotated_at, grant.rotated_at, 60), RefreshTokenUse::Contested);
    }
}
