//! A grant: one authorization that may be renewed, and the state of its family of refresh tokens.
//!
//! The family is one row. A refresh token names its grant and its generation and proves with a MAC that we made it
//! (`keys::refresh_token`), so that an old one is recognised as reuse without keeping every token there ever was.

use super::authorization::Authorization;
use super::ids::GrantId;
use super::secret::Digest;
use crate::env::Timestamp;

/// Within this many seconds the same client may repeat a refresh whose answer was lost.
pub const LOST_REPLY_SECONDS: i64 = 10;

#[derive(Clone, Debug)]
pub struct Grant {
    pub id: GrantId,
    pub authorization: Authorization,
    /// The generation of the newest refresh token, from 1 on.
    pub generation: i32,
    /// The newest refresh token's digest.
    pub current: Digest,
    /// When the newest generation was first handed out.
    pub rotated_at: Timestamp,
    pub created_at: Timestamp,
    /// The newest token's end.
    pub expires_at: Timestamp,
    pub revoked: bool,
}

/// What presenting an authentic refresh token of a live grant comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// The newest one: rotate.
    Current,
    /// The one before, while its successor's answer may have been lost: a fresh successor, and the unanswered one dies.
    LostReply,
    /// Anything older: somebody has a copy. The family ends.
    Reused,
}

impl Grant {
    /// Judges an authentic token of this grant.
    #[must_use]
    pub fn judge(&self, generation: i32, digest: &Digest, now: Timestamp) -> Presented {
        if generation == self.generation && *digest == self.current {
            Presented::Current
        } else if generation == self.generation - 1 && now.since(self.rotated_at) <= LOST_REPLY_SECONDS * 1000 {
            Presented::LostReply
        } else {
            Presented::Reused
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Grant, Presented};
    use crate::domain::authorization::Authorization;
    use crate::domain::ids::{ClientId, GrantId};
    use crate::domain::scope::Scopes;
    use crate::domain::secret::Digest;
    use crate::env::Timestamp;

    #[test]
    fn the_newest_rotates_the_one_before_has_ten_seconds_and_older_ones_are_copies() {
        let then = Timestamp::from_seconds(1000);
        let grant = Grant {
            id: GrantId(uuid::Uuid::nil()),
            authorization: Authorization::of_client(ClientId::parse("web").unwrap(), Scopes::default(), Vec::new()),
            generation: 5,
            current: Digest([5; 32]),
            rotated_at: then,
            created_at: then,
            expires_at: then.plus_seconds(100),
            revoked: false,
        };
        let other = Digest([4; 32]);
        for (generation, digest, seconds, expected) in [
            (5, grant.current, 0, Presented::Current),
            (5, grant.current, 99, Presented::Current),
            (4, other, 0, Presented::LostReply),
            (4, other, 10, Presented::LostReply),
            (4, other, 11, Presented::Reused),
            (3, other, 0, Presented::Reused),
            // The unanswered successor, after a lost reply has put another in its place.
            (5, other, 0, Presented::Reused),
            (6, other, 0, Presented::Reused),
        ] {
            assert_eq!(
                grant.judge(generation, &digest, then.plus_seconds(seconds)),
                expected,
                "{generation} {seconds}"
            );
        }
    }
}
