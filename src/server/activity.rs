//! What one connection is doing: requests in flight, bytes held for it, whether its peer takes what is sent. Shared by the
//! reader and writer of its socket ([`super::paced`]), its requests ([`super::requests`]) and [`super::admission`].
//!
//! **Memory.** A connection of a stranger may hold [`ALLOWANCE`] bytes of unfinished requests and unsent responses, and more
//! only out of [`SHARED`], which all strangers share. A request waits until its connection has room for it, so a peer that
//! does not read its responses is not given more of them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// Bytes that every connection may hold.
const ALLOWANCE: usize = 32 * 1024;
/// Bytes beyond it that the connections of strangers may hold together.
const SHARED: usize = 32 * 1024 * 1024;
/// Bytes that one connection may hold before its next request is looked at.
const MAX_HELD: usize = 128 * 1024;
/// The same for a trusted proxy, whose connection carries the requests of many.
const MAX_HELD_FOR_PROXY: usize = 1024 * 1024;
/// Bytes set aside for a request until the size of its response is known.
pub(super) const RESERVED: usize = 16 * 1024;

/// Returns the time by the runtime's clock, which also wakes what sleeps.
#[expect(clippy::disallowed_methods, reason = "socket deadlines and tokio's timers have to read the same clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// What is left of [`SHARED`].
#[derive(Debug)]
pub(super) struct Budget(Mutex<isize>);

impl Default for Budget {
    fn default() -> Self {
        Self(Mutex::new(signed(SHARED)))
    }
}

impl Budget {
    /// Takes `bytes` where they are left, or in any case if they are `owed`.
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

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    /// Where bytes beyond [`ALLOWANCE`] come from; trusted proxies speak for many and need none.
    budget: Option<Arc<Budget>>,
    held: Mutex<usize>,
    /// Requests begun since the connection was opened.
    begun: AtomicUsize,
    in_flight: AtomicUsize,
    /// Whether bytes wait that the socket does not take.
    is_blocked: AtomicBool,
    /// Something was released, or the socket takes bytes again.
    released: Notify,
    evicted: Notify,
    /// An HTTP/2 connection was idle for too long; it says goodbye before it closes.
    idle: Notify,
}

impl Activity {
    pub(super) fn new(budget: Option<Arc<Budget>>) -> Self {
        Self {
            budget,
            held: Mutex::default(),
            begun: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
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

    /// Whether it waits for its peer: for a request, or to take a response.
    pub(super) fn is_waiting(&self) -> bool {
        !self.is_busy() || self.is_blocked.load(Ordering::Acquire)
    }

    pub(super) fn set_blocked(&self, blocked: bool) {
        if self.is_blocked.swap(blocked, Ordering::AcqRel) && !blocked {
            self.released.notify_waiters();
        }
    }

    /// Closes the connection, to make room for another.
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

    fn grow(&self, bytes: usize, owed: bool) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let grown = held.saturating_add(bytes);
        let more = grown.saturating_sub(ALLOWANCE) - held.saturating_sub(ALLOWANCE);
        let taken = self.budget.as_ref().is_none_or(|budget| budget.take(more, owed));
        if taken {
            *held = grown;
        }
        taken
    }

    fn shrink(&self, bytes: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let shrunk = held.saturating_sub(bytes);
        let less = held.saturating_sub(ALLOWANCE) - shrunk.saturating_sub(ALLOWANCE);
        *held = shrunk;
        drop(held);
        if let Some(budget) = &self.budget {
            budget.give_back(less);
        }
        self.released.notify_waiters();
    }

    /// Whether there is room for another request; always for the only one.
    fn has_room(&self) -> bool {
        let held = *self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let max = if self.budget.is_some() { MAX_HELD } else { MAX_HELD_FOR_PROXY };
        held == 0 || held.saturating_add(RESERVED) <= max
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
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Bytes held for a connection until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    activity: Arc<Activity>,
    bytes: usize,
}

impl Held {
    pub(super) fn none(activity: &Arc<Activity>) -> Self {
        Self { activity: activity.clone(), bytes: 0 }
    }

    /// Waits until the connection has room for a request, and sets [`RESERVED`] bytes aside for it.
    pub(super) async fn reserve(activity: &Arc<Activity>) -> Self {
        let mut held = Self::none(activity);
        loop {
            let released = activity.released.notified();
            let mut released = std::pin::pin!(released);
            // From here on no release is missed.
            released.as_mut().enable();
            let is_blocked = activity.is_blocked.load(Ordering::Acquire);
            if !is_blocked && activity.has_room() && (held.grow(RESERVED) || activity.is_alone()) {
                return held;
            }
            released.await;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Holds `bytes` more; `false` where neither the connection nor all strangers together have them left.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let grown = self.activity.grow(bytes, false);
        if grown {
            self.bytes = self.bytes.saturating_add(bytes);
        }
        grown
    }

    /// Holds exactly `bytes`, which are there already.
    pub(super) fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.activity.grow(bytes - self.bytes, true);
        } else {
            self.activity.shrink(self.bytes - bytes);
        }
        self.bytes = bytes;
    }
}

impl Activity {
    /// Whether one request at most is in flight: it may pass although strangers hold too much together.
    fn is_alone(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) <= 1
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.activity.shrink(self.bytes);
        }
    }
}
