//! Limits a message that external parties can trigger to one per period, with the number of occurrences since the last.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::env::Timestamp;

/// Limits a message to one per period.
#[derive(Debug)]
pub struct LogLimiter {
    period_ms: i64,
    /// The time of the last message, in milliseconds since the epoch; 0 before the first.
    last: AtomicI64,
    /// The number of occurrences since then.
    count: AtomicU64,
}

impl LogLimiter {
    #[must_use]
    pub const fn new(period_seconds: i64) -> Self {
        Self { period_ms: period_seconds * 1000, last: AtomicI64::new(0), count: AtomicU64::new(0) }
    }

    /// Counts an occurrence. If a message is due, returns the number of occurrences since the last one, including this
    /// one.
    pub fn pass(&self, now: Timestamp) -> Option<u64> {
        self.count.fetch_add(1, Ordering::Relaxed);
        let last = self.last.load(Ordering::Relaxed);
        // A clock that was set back must not suppress messages.
        let due = last == 0 || now.0 < last || now.0 - last >= self.period_ms;
        let passed = due && self.last.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        passed.then(|| self.count.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_a_period_carries_the_count() {
        let limiter = LogLimiter::new(60);
        let at = |seconds: i64| Timestamp::from_seconds(1_000_000 + seconds);
        assert_eq!(limiter.pass(at(0)), Some(1));
        assert_eq!([limiter.pass(at(1)), limiter.pass(at(59))], [None, None]);
        assert_eq!(limiter.pass(at(60)), Some(3));
        assert_eq!(limiter.pass(at(-100)), Some(1));
    }
}
