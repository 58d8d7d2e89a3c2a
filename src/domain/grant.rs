//! A grant: one authorization that may be renewed, and the state of its family of refresh tokens (RFC 9700 §4.14.2).
//!
//! The family is one row. Each generation has exactly one refresh token, which `keys::refresh_token` derives from the
//! grant, the generation and the family's salt, so that every repeat of a refresh gets the same successor. The digests
//! of the current and the previous token decide; the generation that a token names decides nothing.
//! Next door: `store::grants`, the row; `protocol::token`, the refresh itself.

use std::fmt;

use super::authorization::Authorization;
use super::ids::GrantId;
use super::secret::Digest;
use crate::env::Timestamp;

/// Repeats that come this soon after the rotation overlap with it: parallel requests of one client, however often it
/// refreshes.
const OVERLAP_SECONDS: i64 = 2;
/// Repeats that come this soon after the rotation may be slow requests of one client that refreshes seldom.
const PROMPT_REPEAT_SECONDS: i64 = 10;
/// How many such tokens are known.
const MAX_SUPERSEDED: usize = 8;
/// A rotation that follows the one before within this time comes sooner than access tokens expire.
const QUICK_ROTATION_SECONDS: i64 = 30;
/// The family ends after this many contested generations in a row ([`Grant::judge`]).
const MAX_CONTESTED_GENERATIONS: i32 = 7;
const OVERLAP_MILLIS: i64 = OVERLAP_SECONDS * 1000;
const PROMPT_REPEAT_MILLIS: i64 = PROMPT_REPEAT_SECONDS * 1000;
/// How far the database's clock may be set back, for instance when a standby takes over, without ending families.
const MAX_CLOCK_STEP_SECONDS: i64 = 300;

/// Random bytes of one family, without which the master key alone derives none of its tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FamilySalt(pub [u8; 16]);

impl fmt::Debug for FamilySalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[salt]")
    }
}

/// A token older than the previous one that parallel requests used, and when its successor was first used, by the
/// database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupersededToken {
    pub digest: Digest,
    pub at: Timestamp,
}

/// How the predecessor of the current token was repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RepeatTiming {
    None,
    /// All within [`OVERLAP_SECONDS`] of the rotation: by parallel requests.
    Overlapping,
    /// All within [`PROMPT_REPEAT_SECONDS`] of the rotation.
    Prompt,
    /// At least one came later.
    Late,
}

#[derive(Clone, Debug)]
pub struct Grant {
    pub id: GrantId,
    pub authorization: Authorization,
    /// The generation of the current refresh token, from 1 on.
    pub generation: i32,
    pub salt: FamilySalt,
    pub current: Digest,
    /// The token that the current one replaced.
    pub previous: Option<Digest>,
    /// Tokens before the previous one that may still come with a straggling parallel request.
    pub superseded: Vec<SupersededToken>,
    /// When the current token was derived, by the database's clock.
    pub rotated_at: Timestamp,
    pub repeats: RepeatTiming,
    /// How many generations in a row were contested.
    pub contested: i32,
    pub created_at: Timestamp,
    /// When the current token expires.
    pub expires_at: Timestamp,
    /// When the family ends however often it is used: without `offline_access` at the latest with its session.
    pub ends_at: Timestamp,
    pub revoked: bool,
}

/// The outcome of presenting an authentic refresh token of an active grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshTokenUse {
    /// The current token.
    Current,
    /// The previous token within the grace window: the answer is the current token again.
    Repeated(RepeatTiming),
    /// A token that parallel requests used and whose successor was first used a moment ago, so that this may be one of them
    /// that came late. It is refused, and the family goes on.
    Superseded,
    /// Any other token: a copy exists. The family ends.
    Reused,
    /// Two parties use the family in turn. The family ends.
    Contested,
}

impl Grant {
    /// Judges an authentic token of this grant by its digest. `arrived`, when the request came, and `now` are by the
    /// database's clock, like `rotated_at`; `grace` is in seconds.
    ///
    /// Within the window a thief's use of a stolen token looks like a repeat. Two parties that hold the family in turn
    /// still differ from parallel requests of one client, which overlap with the rotation: either their repeats come
    /// late, or they come some seconds after rotations that follow one another quickly. A generation of either kind is
    /// contested, and several of them in a row end the family.
    ///
    /// A token older than the previous one is never accepted (RFC 9700 §4.14.2). It ends the family: its successor has been
    /// used, so the sender has not lost a reply. One exception: parallel requests used the token, and this one had arrived
    /// before its successor was used, a moment ago; it waited for the others. A request that arrives afterwards is reuse.
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

    /// The family after the rotation from the current token to that of digest `next`.
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

    /// How many generations in a row are contested if the current one is rotated now.
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
            // A token of the right generation that is not the family's own.
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
