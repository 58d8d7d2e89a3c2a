//! What has to arrive elsewhere, though whoever should get it may not be there now.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::DeliveryId;
use super::participant::Participant;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "of")]
pub enum Delivery {
    /// A client learns of the end of a session (OpenID Connect Back-Channel Logout).
    Logout(Participant),
}

/// One that is to be tried now, by the node that has it and no other.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub id: DeliveryId,
    pub what: Delivery,
    /// The first is 1.
    pub attempt: i32,
}

/// For one try: fetching the keys of the client, sending, and reading the status. Shorter than a claim
/// (`store::deliveries`), so that no other node sends it meanwhile.
pub const TRY_TIMEOUT: Duration = Duration::from_secs(6);

/// What a try came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has arrived, or there is nobody any more whom it is for.
    Done,
    /// Trying again would change nothing.
    Refused(String),
    NotYet(String),
}

/// Seconds between one try and the next, about three days in all: a restart, a bad night, a weekend.
const PAUSES: [i64; 9] = [10, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400, 86_400];

/// How long to wait after that try; nothing where it was the last.
#[must_use]
pub fn pause_after(attempt: i32) -> Option<i64> {
    usize::try_from(attempt - 1).ok().and_then(|at| PAUSES.get(at)).copied()
}

#[cfg(test)]
mod tests {
    use super::pause_after;

    #[test]
    fn pauses_grow_and_end() {
        let pauses: Vec<i64> = (1..).map_while(pause_after).collect();
        assert!(pauses.is_sorted() && pauses.first() == Some(&10) && pauses.len() == 9);
        assert!((2..4).contains(&(pauses.iter().sum::<i64>() / 86_400)));
        assert_eq!((pause_after(0), pause_after(10), pause_after(i32::MIN + 1)), (None, None, None));
    }
}
