//! The state of one connection: its requests in flight, the memory held for it, and whether its peer reads what
//! is sent. The reader and writer of its socket ([`super::deadline_stream`]), its requests ([`super::service`])
//! and [`super::admission`] share it.
//!
//! **Memory.** A connection from an untrusted peer may hold [`BODY_ALLOWANCE`] bytes of unfinished requests and
//! unsent responses. More bytes come out of [`SHARED_BUDGET`], which all untrusted peers share. A request waits
//! until its connection has room for it, so a peer that does not read its responses does not get more of them.
//! Its headers are counted from the moment they arrive.
//!
//! **Waiting.** [`PeerWait`] marks a request that cannot continue before its peer does something. A connection
//! may be closed to make room for another one if all of its requests are marked.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// The bytes that every connection may hold.
const BODY_ALLOWANCE: usize = 32 * 1024;
/// The bytes of headers that every connection may hold in addition: enough for the first requests of a page.
const HEADER_ALLOWANCE: usize = 32 * 1024;
/// The additional bytes that the connections of all untrusted peers may hold together.
const SHARED_BUDGET: usize = 32 * 1024 * 1024;
/// The maximum number of bytes that a connection may hold when its next request is processed.
const MAX_HELD: usize = 128 * 1024;
/// The same limit for a trusted proxy, whose connection carries the requests of many users.
const MAX_HELD_FOR_PROXY: usize = 1024 * 1024;
/// The bytes reserved for a request until the size of its response is known.
pub(super) const RESERVED: usize = 16 * 1024;

/// Returns the time of the runtime's clock, which also drives the timers.
#[expect(clippy::disallowed_methods, reason = "socket deadlines and tokio's timers have to read the same clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// The remaining bytes of [`SHARED_BUDGET`].
#[derive(Debug)]
pub(super) struct MemoryBudget(Mutex<isize>);

impl Default for MemoryBudget {
    fn default() -> Self {
        Self(Mutex::new(signed(SHARED_BUDGET)))
    }
}

impl MemoryBudget {
    /// Takes `bytes` if they are available, or unconditionally if they are `owed`.
    fn take(&self, bytes: usize, owed: bool) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = bytes == 0 || owed || *left >= signed(bytes);
        if taken {
            *left = left.saturating_sub(signed(bytes));
        }
        taken
    }

    fn give_back(&self, bytes: usize) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_add(signed(bytes));
    }
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

/// The bytes held for one connection.
#[derive(Clone, Copy, Debug, Default)]
struct HeldBytes {
    all: usize,
    /// Bytes of headers. No request waits for them, because they have arrived already.
    headers: usize,
}

impl HeldBytes {
    fn beyond_allowance(&self) -> usize {
        let bodies = self.all.saturating_sub(self.headers);
        bodies.saturating_sub(BODY_ALLOWANCE) + self.headers.saturating_sub(HEADER_ALLOWANCE)
    }

    fn add(self, kind: MemoryKind, bytes: usize) -> Self {
        let headers = if kind == MemoryKind::Headers { bytes } else { 0 };
        Self { all: self.all.saturating_add(bytes), headers: self.headers.saturating_add(headers) }
    }

    fn subtract(self, kind: MemoryKind, bytes: usize) -> Self {
        let headers = if kind == MemoryKind::Headers { bytes } else { 0 };
        Self { all: self.all.saturating_sub(bytes), headers: self.headers.saturating_sub(headers) }
    }
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    /// The source of bytes beyond [`BODY_ALLOWANCE`]; `None` for a trusted proxy, which serves many users.
    budget: Option<Arc<MemoryBudget>>,
    held: Mutex<HeldBytes>,
    /// The number of requests begun since the connection was opened.
    begun: AtomicUsize,
    in_flight: AtomicUsize,
    /// The number of requests in flight that wait for the peer.
    peer_waits: AtomicUsize,
    /// The number of requests that [`MemoryReservation::reserve`] has admitted.
    admitted: AtomicUsize,
    /// Whether bytes wait because the socket does not accept them.
    is_blocked: AtomicBool,
    /// Notifies that memory was released, or that the socket accepts bytes again.
    released: Notify,
    evicted: Notify,
    /// Notifies that an HTTP/2 connection was idle for too long; it sends GOAWAY before it closes.
    idle: Notify,
}

impl Activity {
    pub(super) fn new(budget: Option<Arc<MemoryBudget>>) -> Self {
        Self {
            budget,
            held: Mutex::default(),
            begun: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            peer_waits: AtomicUsize::new(0),
            admitted: AtomicUsize::new(0),
            is_blocked: AtomicBool::new(false),
            released: Notify::new(),
            evicted: Notify::new(),
            idle: Notify::new(),
        }
    }

    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::Acquire)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) > 0
    }

    /// Returns whether all progress depends on the peer: no request is in flight, or each of them waits for its
    /// body or for a window, or the socket accepts no bytes.
    pub(super) fn is_waiting(&self) -> bool {
        let all_wait = self.in_flight.load(Ordering::Acquire) <= self.peer_waits.load(Ordering::Acquire);
        all_wait || self.is_blocked.load(Ordering::Acquire)
    }

    pub(super) fn set_blocked(&self, blocked: bool) {
        if self.is_blocked.swap(blocked, Ordering::AcqRel) && !blocked {
            self.released.notify_waiters();
        }
    }

    /// Closes the connection to make room for another one.
    pub(super) fn evict(&self) {
        self.evicted.notify_one();
    }

    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    pub(super) fn set_idle(&self) {
        self.idle.notify_one();
    }

    pub(super) async fn idle(&self) {
        self.idle.notified().await;
    }

    fn grow(&self, kind: MemoryKind, bytes: usize, owed: bool) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let grown = held.add(kind, bytes);
        let more = grown.beyond_allowance() - held.beyond_allowance();
        let taken = self.budget.as_ref().is_none_or(|budget| budget.take(more, owed));
        if taken {
            *held = grown;
        }
        taken
    }

    fn shrink(&self, kind: MemoryKind, bytes: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let before = held.beyond_allowance();
        *held = held.subtract(kind, bytes);
        let less = before - held.beyond_allowance();
        drop(held);
        if let Some(budget) = &self.budget {
            budget.give_back(less);
        }
        self.released.notify_waiters();
    }

    /// Returns whether there is room for another request. There is always room for the only one.
    fn has_room(&self) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let bodies = held.all.saturating_sub(held.headers);
        let max = if self.budget.is_some() { MAX_HELD } else { MAX_HELD_FOR_PROXY };
        bodies == 0 || bodies.saturating_add(RESERVED) <= max
    }

    /// Admits a request although the shared budget is exhausted, if no other request of this connection is
    /// admitted.
    fn admit_alone(&self) -> bool {
        self.admitted.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// A request in flight, until the last byte of its response is handed over.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Activity>);

impl InFlight {
    pub(super) fn begin(activity: &Arc<Activity>) -> Self {
        activity.begun.fetch_add(1, Ordering::AcqRel);
        activity.in_flight.fetch_add(1, Ordering::AcqRel);
        Self(activity.clone())
    }

    pub(super) fn peer_wait(&self) -> PeerWait {
        PeerWait::new(&self.0)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Marks a request that waits for its peer. Dropping it ends the wait.
#[derive(Debug)]
pub(super) struct PeerWait {
    activity: Arc<Activity>,
    is_set: bool,
}

impl PeerWait {
    pub(super) fn new(activity: &Arc<Activity>) -> Self {
        Self { activity: activity.clone(), is_set: false }
    }

    pub(super) fn set(&mut self, waits: bool) {
        match (std::mem::replace(&mut self.is_set, waits), waits) {
            (false, true) => drop(self.activity.peer_waits.fetch_add(1, Ordering::AcqRel)),
            (true, false) => drop(self.activity.peer_waits.fetch_sub(1, Ordering::AcqRel)),
            _ => {}
        }
    }
}

impl Drop for PeerWait {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// The kind of data that memory is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemoryKind {
    Headers,
    /// Data of requests and responses.
    Bodies,
}

/// Bytes held for a connection until this is dropped.
#[derive(Debug)]
pub(super) struct MemoryReservation {
    activity: Arc<Activity>,
    kind: MemoryKind,
    bytes: usize,
    is_admitted: bool,
}

impl MemoryReservation {
    pub(super) fn none(activity: &Arc<Activity>) -> Self {
        Self::empty_of(MemoryKind::Bodies, activity)
    }

    /// Creates an empty reservation for headers.
    pub(super) fn empty_headers(activity: &Arc<Activity>) -> Self {
        Self::empty_of(MemoryKind::Headers, activity)
    }

    fn empty_of(kind: MemoryKind, activity: &Arc<Activity>) -> Self {
        Self { activity: activity.clone(), kind, bytes: 0, is_admitted: false }
    }

    /// Waits until the connection has room for a request, and reserves [`RESERVED`] bytes for it.
    pub(super) async fn reserve(activity: &Arc<Activity>) -> Self {
        let mut held = Self::none(activity);
        // It waits for memory of the connection's other requests, which is held until the peer reads their
        // responses.
        let mut wait = PeerWait::new(activity);
        loop {
            let released = activity.released.notified();
            let mut released = std::pin::pin!(released);
            // From here on no notification is missed.
            released.as_mut().enable();
            let is_blocked = activity.is_blocked.load(Ordering::Acquire);
            if !is_blocked && activity.has_room() && held.admit() {
                return held;
            }
            wait.set(true);
            released.await;
        }
    }

    fn admit(&mut self) -> bool {
        if self.grow(RESERVED) {
            self.activity.admitted.fetch_add(1, Ordering::AcqRel);
            self.is_admitted = true;
        } else {
            self.is_admitted = self.activity.admit_alone();
        }
        self.is_admitted
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Holds `bytes` more. Returns `false` if neither the connection nor the shared budget has them left.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let grown = self.activity.grow(self.kind, bytes, false);
        if grown {
            self.bytes = self.bytes.saturating_add(bytes);
        }
        grown
    }

    /// Sets the reservation to exactly `bytes`, which are in memory already.
    pub(super) fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.activity.grow(self.kind, bytes - self.bytes, true);
        } else {
            self.activity.shrink(self.kind, self.bytes - bytes);
        }
        self.bytes = bytes;
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        if self.is_admitted {
            self.activity.admitted.fetch_sub(1, Ordering::AcqRel);
        }
        if self.bytes > 0 || self.is_admitted {
            self.activity.shrink(self.kind, self.bytes);
        }
    }
}
