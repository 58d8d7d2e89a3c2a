//! Limits the number of connections, in total and from one address. At a limit, a new connection replaces the
//! oldest one that waits for its peer: an attacker with many open connections loses them to new ones, and
//! cannot lock other peers out.
//!
//! At the limit of one address, that address loses a connection. At the total limit, the address with the most
//! connections loses one, then the next. IPv6 addresses are counted by /64, because the owner of a network
//! chooses the lower half (RFC 6177 §2). Trusted proxies count towards the total only, and lose no connections.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use super::activity::Activity;

/// The connections of one address, in the order of their arrival.
type AddressConnections = BTreeMap<u64, Arc<Activity>>;

#[derive(Default)]
struct ConnectionTable {
    next: u64,
    count: usize,
    by_address: HashMap<IpAddr, AddressConnections>,
}

pub(super) struct ConnectionAdmission {
    total: usize,
    per_address: usize,
    table: Mutex<ConnectionTable>,
}

/// The slot of a connection, until this is dropped.
pub(super) struct ConnectionPermit {
    admission: Arc<ConnectionAdmission>,
    /// The address and number by which it can be evicted; `None` for a proxy.
    of: Option<(IpAddr, u64)>,
}

/// Why a connection was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitReached {
    Total,
    Address,
}

impl LimitReached {
    pub(super) const fn setting(self) -> &'static str {
        match self {
            Self::Total => "connections.total",
            Self::Address => "connections.per_address",
        }
    }
}

impl ConnectionAdmission {
    pub(super) fn new(total: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self { total, per_address, table: Mutex::default() })
    }

    /// Admits a connection; `address` is `None` for a trusted proxy. The second value tells whether another
    /// connection was evicted for it.
    pub(super) fn admit(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        activity: &Arc<Activity>,
    ) -> Result<(ConnectionPermit, bool), LimitReached> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let address = address.map(network);
        let mut evicted = false;
        if let Some(own) = address.filter(|own| table.len(own) >= self.per_address) {
            if !table.evict(own) {
                return Err(LimitReached::Address);
            }
            evicted = true;
        }
        if table.count >= self.total {
            if !table.evict_from_largest() {
                return Err(LimitReached::Total);
            }
            evicted = true;
        }
        table.count += 1;
        table.next += 1;
        let id = table.next;
        let of = address.map(|address| (address, id));
        if let Some((address, id)) = of {
            table.by_address.entry(address).or_default().insert(id, activity.clone());
        }
        Ok((ConnectionPermit { admission: self.clone(), of }, evicted))
    }

    /// Closes up to `count` connections that wait for their peers, from the addresses with the most
    /// connections.
    pub(super) fn make_room(&self, count: usize) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..count {
            if !table.evict_from_largest() {
                return;
            }
        }
    }
}

impl ConnectionTable {
    fn len(&self, address: &IpAddr) -> usize {
        self.by_address.get(address).map_or(0, AddressConnections::len)
    }

    /// Closes a connection that waits for its peer, of the address with the most connections that has one.
    fn evict_from_largest(&mut self) -> bool {
        let largest = self.by_address.iter().max_by_key(|(_, connections)| connections.len());
        if largest.map(|(address, _)| *address).is_some_and(|address| self.evict(address)) {
            return true;
        }
        let mut all: Vec<(usize, IpAddr)> =
            self.by_address.iter().map(|(address, them)| (them.len(), *address)).collect();
        all.sort_unstable_by(|one, other| other.cmp(one));
        all.into_iter().any(|(_, address)| self.evict(address))
    }

    /// Closes the oldest connection of the address that waits for its peer. Returns `false` if none of them
    /// waits.
    fn evict(&mut self, address: IpAddr) -> bool {
        let Some(connections) = self.by_address.get(&address) else { return false };
        let Some(id) = connections.iter().find(|(_, activity)| activity.is_waiting()).map(|(id, _)| *id) else {
            return false;
        };
        self.remove(address, id).is_some_and(|activity| {
            activity.evict();
            true
        })
    }

    fn remove(&mut self, address: IpAddr, id: u64) -> Option<Arc<Activity>> {
        let connections = self.by_address.get_mut(&address)?;
        let removed = connections.remove(&id)?;
        if connections.is_empty() {
            self.by_address.remove(&address);
        }
        self.count = self.count.saturating_sub(1);
        Some(removed)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut table = self.admission.table.lock().unwrap_or_else(PoisonError::into_inner);
        match self.of {
            Some((address, id)) => drop(table.remove(address, id)),
            None => table.count = table.count.saturating_sub(1),
        }
    }
}

/// Returns the network that is counted as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::super::activity::{InFlight, PeerWait};
    use super::*;

    fn connection() -> Arc<Activity> {
        Arc::new(Activity::new(None))
    }

    #[expect(clippy::unnecessary_wraps, reason = "as admission takes it")]
    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[tokio::test]
    async fn oldest_waiting_connection_is_evicted() {
        let admission = ConnectionAdmission::new(100, 2);
        let all: Vec<Arc<Activity>> = (0..3).map(|_| connection()).collect();
        let busy = InFlight::begin(&all[0]);
        let first = admission.admit(address("2001:db8::1"), &all[0]).ok().unwrap();
        let second = admission.admit(address("2001:db8::2"), &all[1]).ok().unwrap();
        let third = admission.admit(address("2001:db8::3"), &all[2]).ok().unwrap();
        assert_eq!([first.1, second.1, third.1], [false, false, true]);
        all[1].evicted().await;
        let also_busy = InFlight::begin(&all[2]);
        assert_eq!(admission.admit(address("2001:db8::4"), &connection()).err(), Some(LimitReached::Address));
        assert!(admission.admit(address("2001:db8:0:1::1"), &connection()).is_ok(), "another network");
        assert!(admission.admit(None, &connection()).is_ok(), "a proxy");
        drop((busy, also_busy));
    }

    #[tokio::test]
    async fn total_limit_evicts_from_the_largest_address() {
        let admission = ConnectionAdmission::new(3, 100);
        let many: Vec<Arc<Activity>> = (0..2).map(|_| connection()).collect();
        let places: Vec<_> = many.iter().map(|it| admission.admit(address("192.0.2.1"), it).ok().unwrap()).collect();
        let other = connection();
        let _other = admission.admit(address("192.0.2.2"), &other).ok().unwrap();
        let (_new, evicted) = admission.admit(address("192.0.2.3"), &connection()).ok().unwrap();
        assert!(evicted);
        many[0].evicted().await;
        // The slot of an evicted connection is not released twice.
        drop(places);
        let _fourth = admission.admit(address("192.0.2.4"), &connection()).ok().unwrap();
        let _proxies: Vec<_> = (0..1).map(|_| admission.admit(None, &connection())).collect();
        assert_eq!(admission.table.lock().unwrap().count, 3);
    }

    /// All connections of the largest address are being served; a smaller address has one that waits.
    #[tokio::test]
    async fn total_limit_skips_an_address_that_is_busy() {
        let admission = ConnectionAdmission::new(3, 100);
        let busy: Vec<Arc<Activity>> = (0..2).map(|_| connection()).collect();
        let in_flight: Vec<_> = busy.iter().map(InFlight::begin).collect();
        let places: Vec<_> = busy.iter().map(|it| admission.admit(address("192.0.2.1"), it).ok().unwrap()).collect();
        let waiting = connection();
        let small = admission.admit(address("192.0.2.2"), &waiting).ok().unwrap();
        let new = admission.admit(address("192.0.2.3"), &connection()).ok().unwrap();
        assert!(new.1);
        waiting.evicted().await;
        drop((in_flight, places, small));
    }

    #[tokio::test]
    async fn connection_waiting_for_its_peer_is_evicted() {
        let admission = ConnectionAdmission::new(100, 1);
        let slow = connection();
        let (one, other) = (InFlight::begin(&slow), InFlight::begin(&slow));
        let place = admission.admit(address("192.0.2.1"), &slow).ok().unwrap();
        let mut waits = [PeerWait::new(&slow), PeerWait::new(&slow)];
        waits[0].set(true);
        waits[0].set(true);
        assert_eq!(
            admission.admit(address("192.0.2.1"), &connection()).err(),
            Some(LimitReached::Address),
            "one is served"
        );
        waits[1].set(true);
        waits[0].set(false);
        assert_eq!(admission.admit(address("192.0.2.1"), &connection()).err(), Some(LimitReached::Address));
        waits[0].set(true);
        assert!(admission.admit(address("192.0.2.1"), &connection()).is_ok());
        slow.evicted().await;
        drop((one, other, place));
    }
}
