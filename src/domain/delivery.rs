//! What has to arrive elsewhere, though whoever should get it may not be there now.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::ids::{ClientId, DeliveryId};
use super::participant::Participant;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "of")]
pub enum Delivery {
    /// A client learns of the end of a session (OpenID Connect Back-Channel Logout).
    Logout(Participant),
}

impl Delivery {
    #[must_use]
    pub const fn client(&self) -> &ClientId {
        match self {
            Self::Logout(participant) => &participant.client,
        }
    }
}

/// Where a delivery goes, by which it gets its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Scheme, host and port.
    pub origin: String,
    /// Whether an administrator named it, and not a client that registered itself.
    pub by_admin: bool,
}

impl Destination {
    /// Returns where the client receives logout tokens, or `None` if it has no `backchannel_logout_uri`.
    #[must_use]
    pub fn for_client(client: &Client) -> Option<Self> {
        let uri = client.meta.backchannel_logout_uri.as_ref()?;
        Some(Self { origin: uri.origin(), by_admin: client.is_verified() })
    }
}

/// One that is to be tried now, by the node that has it and no other.
#[derive(Clone, Debug)]
pub struct ClaimedDelivery {
    pub id: DeliveryId,
    pub delivery: Delivery,
    pub destination: Destination,
    /// The first is 1.
    pub attempt: i32,
}

/// The tries that one node has under way at once, of what administrators named or of the rest, by origin.
#[derive(Clone, Debug)]
pub struct DeliverySlots {
    max: usize,
    in_use: HashMap<String, usize>,
}

impl DeliverySlots {
    /// So few of them are one origin's that hosts which are silent leave places to those that answer.
    pub const MAX_PER_ORIGIN: usize = 4;

    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, in_use: HashMap::new() }
    }

    #[must_use]
    pub fn available(&self) -> usize {
        self.max.saturating_sub(self.in_use.values().sum())
    }

    /// Takes a place for `origin`; whether there was one.
    pub fn try_acquire(&mut self, origin: &str) -> bool {
        if self.available() == 0 || self.in_use.get(origin).is_some_and(|taken| *taken >= Self::MAX_PER_ORIGIN) {
            return false;
        }
        *self.in_use.entry(origin.to_owned()).or_default() += 1;
        true
    }

    pub fn release(&mut self, origin: &str) {
        if let Some(taken) = self.in_use.get_mut(origin) {
            *taken = taken.saturating_sub(1);
        }
        self.in_use.retain(|_, taken| *taken > 0);
    }

    /// The origins that get no more.
    pub fn full_origins(&self) -> impl Iterator<Item = &str> {
        self.in_use.iter().filter(|(_, taken)| **taken >= Self::MAX_PER_ORIGIN).map(|(origin, _)| origin.as_str())
    }
}

/// For one try: fetching the keys of the client, sending, and reading the status. Shorter than a claim
/// (`store::deliveries`), so that no other node sends it meanwhile.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(6);

/// What a try came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// It has arrived, or there is nobody any more whom it is for.
    Done,
    /// Trying again would change nothing.
    Failed(String),
    RetryLater(String),
}

/// Seconds between one try and the next, about three days in all: a restart, a bad night, a weekend.
const RETRY_INTERVALS: [i64; 9] = [10, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400, 86_400];

/// How long to wait after that try; nothing where it was the last.
#[must_use]
pub fn pause_after(attempt: i32) -> Option<i64> {
    usize::try_from(attempt - 1).ok().and_then(|at| RETRY_INTERVALS.get(at)).copied()
}

#[cfg(test)]
mod tests {
    use super::{DeliverySlots, pause_after};

    #[test]
    fn one_origin_cannot_take_all_slots() {
        let mut places = DeliverySlots::new(6);
        let took = ["a", "a", "a", "a", "a", "b", "c", "d"].map(|origin| places.try_acquire(origin));
        assert_eq!(took, [true, true, true, true, false, true, true, false]);
        assert_eq!((places.available(), places.full_origins().collect::<Vec<_>>()), (0, vec!["a"]));
        places.release("a");
        assert_eq!((places.available(), places.full_origins().count()), (1, 0));
        assert!(places.try_acquire("d") && !places.try_acquire("a"), "no place is free");
    }

    #[test]
    fn retry_delays_grow_and_end() {
        let pauses: Vec<i64> = (1..).map_while(pause_after).collect();
        assert!(pauses.is_sorted() && pauses.first() == Some(&10) && pauses.len() == 9);
        assert!((2..4).contains(&(pauses.iter().sum::<i64>() / 86_400)));
        assert_eq!((pause_after(0), pause_after(10), pause_after(i32::MIN + 1)), (None, None, None));
    }
}
