//! Outgoing messages that must be delivered even if the recipient is unreachable now.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::ids::{ClientId, DeliveryId};
use super::participant::Participant;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "of")]
pub enum Delivery {
    /// Informs a client of the end of a session (OpenID Connect Back-Channel Logout).
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

/// The destination of a delivery, which determines its slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Scheme, host and port.
    pub origin: String,
    /// Whether an administrator registered the destination. If not, a self-registered client named it.
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

/// A delivery that is due and claimed by one node.
#[derive(Clone, Debug)]
pub struct ClaimedDelivery {
    pub id: DeliveryId,
    pub delivery: Delivery,
    pub destination: Destination,
    /// Starts at 1.
    pub attempt: i32,
}

/// The concurrent attempts of one node by origin, either to destinations registered by administrators or to the others.
#[derive(Clone, Debug)]
pub struct DeliverySlots {
    max: usize,
    in_use: HashMap<String, usize>,
}

impl DeliverySlots {
    /// A low limit per origin, so that unresponsive hosts leave slots to responsive ones.
    pub const MAX_PER_ORIGIN: usize = 4;

    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, in_use: HashMap::new() }
    }

    #[must_use]
    pub fn available(&self) -> usize {
        self.max.saturating_sub(self.in_use.values().sum())
    }

    /// Takes a slot for `origin`. Returns whether one was available.
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

    /// Returns the origins that have all their slots in use.
    pub fn full_origins(&self) -> impl Iterator<Item = &str> {
        self.in_use.iter().filter(|(_, taken)| **taken >= Self::MAX_PER_ORIGIN).map(|(origin, _)| origin.as_str())
    }
}

/// The timeout of one attempt: fetching the client's keys, sending and reading the status. It is shorter than a claim
/// (`store::deliveries`), so that no other node sends the message meanwhile.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(6);

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The message was delivered, or its recipient no longer exists.
    Done,
    /// Retrying cannot succeed.
    Failed(String),
    RetryLater(String),
}

/// Seconds between attempts, about three days in total, to cover a restart, an outage at night or over a weekend.
const RETRY_INTERVALS: [i64; 9] = [10, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400, 86_400];

/// Returns the delay in seconds after this attempt, or `None` after the last one.
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
