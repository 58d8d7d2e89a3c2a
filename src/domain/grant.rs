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

/// Repeats that come this soon after the rotation are parallel requests of one client.
const PROMPT_REPEAT_SECONDS: i64 = 10;
/// A rotation that follows the one before within this time comes sooner than access tokens expire.
const QUICK_ROTATION_SECONDS: i64 = 30;
/// The family ends after this many contested generations in a row ([`Grant::judge`]).
const MAX_CONTESTED_GENERATIONS: i32 = 7;
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

/// How the predecessor of the current token was repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repeats {
    None,
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
    /// When the current token was derived, by the database's clock.
    pub rotated_at: Timestamp,
    pub repeats: Repeats,
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
pub enum Presented {
    /// The current token.
    Current,
    /// The previous token within the grace window: the answer is the current token again.
    Repeated(Repeats),
    /// Any other token: a copy exists. The family ends.
    Reused,
    /// Two parties use the family in turn. The family ends.
    Contested,
}

impl Grant {
    /// Judges an authentic token of this grant by its digest. `now` is the database's clock, like `rotated_at`; `grace`
    /// is in seconds.
    ///
    /// Within the window a thief's use of a stolen token looks like a repeat. Two parties that hold the family in turn
    /// still differ from parallel requests of one client: either their repeats come late, or their rotations come
    /// quickly. A generation of either kind is contested, and several of them in a row end the family.
    #[must_use]
    pub fn judge(&self, presented: &Digest, now: Timestamp, grace: i64) -> Presented {
        let age = now.since(self.rotated_at);
        let is_current = self.current == *presented;
        let is_previous = self.previous.is_some_and(|previous| previous == *presented);
        let in_window = (-MAX_CLOCK_STEP_SECONDS * 1000..=grace * 1000).contains(&age);
        if is_current {
            let contested = self.contested_by(now) >= MAX_CONTESTED_GENERATIONS;
            if contested { Presented::Contested } else { Presented::Current }
        } else if is_previous && in_window {
            let repeat = if age > PROMPT_REPEAT_SECONDS * 1000 { Repeats::Late } else { Repeats::Prompt };
            Presented::Repeated(self.repeats.max(repeat))
        } else {
            Presented::Reused
        }
    }

    /// How many generations in a row are contested if the current one is rotated now.
    #[must_use]
    pub fn contested_by(&self, now: Timestamp) -> i32 {
        let is_quick = now.since(self.rotated_at) <= QUICK_ROTATION_SECONDS * 1000;
        match self.repeats {
            Repeats::Late => self.contested.saturating_add(1),
            Repeats::Prompt if is_quick => self.contested.saturating_add(1),
            Repeats::Prompt | Repeats::None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FamilySalt, Grant, Presented, Repeats};
    use crate::domain::authorization::Authorization;
    use crate::domain::ids::{ClientId, GrantId};
    use crate::domain::permissions::Permissions;
    use crate::domain::secret::Digest;
    use crate::env::Timestamp;

    fn family() -> Grant {
        let then = Timestamp::from_seconds(10_000);
        Grant {
            id: GrantId(uuid::Uuid::nil()),
            authorization: Authorization::of_client(ClientId::parse("web").unwrap(), Permissions::default()),
            generation: 5,
            salt: FamilySalt([0; 16]),
            current: Digest([5; 32]),
            previous: Some(Digest([4; 32])),
            rotated_at: then,
            repeats: Repeats::None,
            contested: 0,
            created_at: then,
            expires_at: then.plus_seconds(100),
            ends_at: then.plus_seconds(100),
            revoked: false,
        }
    }

    #[test]
    fn digests_and_the_window_decide_what_a_token_is() {
        let grant = family();
        let (prompt, late) = (Presented::Repeated(Repeats::Prompt), Presented::Repeated(Repeats::Late));
        for (digest, seconds, grace, expected) in [
            (5, 0, 60, Presented::Current),
            (5, 99, 60, Presented::Current),
            (5, 0, 0, Presented::Current),
            (4, 0, 60, prompt),
            (4, 10, 60, prompt),
            (4, 11, 60, late),
            (4, 60, 60, late),
            (4, 61, 60, Presented::Reused),
            (4, 0, 0, prompt),
            (4, 1, 0, Presented::Reused),
            // The database's clock was set back.
            (4, -300, 60, prompt),
            (4, -301, 60, Presented::Reused),
            (3, 0, 60, Presented::Reused),
            // A token of the right generation that is not the family's own.
            (9, 0, 60, Presented::Reused),
        ] {
            let now = grant.rotated_at.plus_seconds(seconds);
            assert_eq!(grant.judge(&Digest([digest; 32]), now, grace), expected, "{digest} {seconds} {grace}");
        }
        let first = Grant { previous: None, ..family() };
        assert_eq!(first.judge(&Digest([4; 32]), first.rotated_at, 60), Presented::Reused);
    }

    #[test]
    fn only_contested_generations_in_a_row_are_counted() {
        for (repeats, seconds, before, expected) in [
            (Repeats::None, 1, 3, 0),
            (Repeats::Prompt, 30, 3, 4),
            (Repeats::Prompt, 31, 3, 0),
            (Repeats::Late, 600, 3, 4),
        ] {
            let grant = Grant { repeats, contested: before, ..family() };
            let now = grant.rotated_at.plus_seconds(seconds);
            assert_eq!(grant.contested_by(now), expected, "{repeats:?} {seconds}");
        }
        let grant = Grant { repeats: Repeats::Late, contested: 6, ..family() };
        assert_eq!(grant.judge(&grant.current, grant.rotated_at, 60), Presented::Contested);
    }
}
