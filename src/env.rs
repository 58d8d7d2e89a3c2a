//! The world outside that decisions depend on: what time it is and what is random.
//!
//! Everything that needs either takes an [`Env`], so that a test can hold the clock in its hand
//! (clippy's `disallowed-methods` keeps the rest of the house from going around it).
//! Next door: `config` (settings), `domain` (the values that carry these times).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rand::Rng;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Milliseconds since 1970-01-01T00:00:00Z. Kept as an integer in the database on both engines, because SQLite would
/// keep a time as text and compare it as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds, as JWT's `NumericDate` wants them (RFC 7519 §2).
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Milliseconds from `earlier` to here; negative where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The calendar's form of it; a time outside the calendar's range is shown as its nearest end.
    #[must_use]
    pub fn date(self) -> time::OffsetDateTime {
        time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
    }
}

/// Milliseconds on the machine's monotonic clock, which measures durations and cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Monotonic(pub i64);

impl Monotonic {
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Milliseconds from `earlier` to here.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// What time it is.
#[derive(Clone, Debug)]
pub enum Clock {
    System,
    /// A clock that stands still until it is moved, in milliseconds since the epoch.
    Manual(Arc<AtomicI64>),
    /// The same on a machine whose clock is off by that many milliseconds.
    Skewed(Arc<AtomicI64>, i64),
}

impl Clock {
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
                let now = time::OffsetDateTime::now_utc();
                Timestamp(i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX))
            }
            Self::Manual(at) => Timestamp(at.load(Ordering::SeqCst)),
            Self::Skewed(at, by) => Timestamp(at.load(Ordering::SeqCst).saturating_add(*by)),
        }
    }

    /// The time by the database's clock, where the database has none of its own: SQLite has the machine's, and with a
    /// clock in a test's hand that clock is the database's, however far this node is off.
    #[must_use]
    pub fn database_now(&self) -> Timestamp {
        match self {
            Self::Skewed(at, _) => Timestamp(at.load(Ordering::SeqCst)),
            Self::System | Self::Manual(_) => self.now(),
        }
    }
}

/// Milliseconds by which a node's clock is corrected; shared by all clones.
#[derive(Clone, Debug, Default)]
pub struct ClockCorrection(Arc<AtomicI64>);

/// The correction does not follow smaller differences: they are within what a measurement can tell.
const MIN_CORRECTION_MILLIS: i64 = 100;

/// The clock and the operating system's randomness.
#[derive(Clone, Debug)]
pub struct Env {
    pub clock: Clock,
    pub correction: ClockCorrection,
}

impl Env {
    #[must_use]
    pub fn system() -> Self {
        Self::with_clock(Clock::System)
    }

    #[must_use]
    pub fn with_clock(clock: Clock) -> Self {
        Self { clock, correction: ClockCorrection::default() }
    }

    /// Returns the time that all nodes agree on: this machine's clock, corrected to that of the database.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.clock.now().0.saturating_add(self.correction.0.load(Ordering::Relaxed)))
    }

    /// Corrects the clock to a reading of the database's, made between `asked` and `answered` by this machine's clock.
    /// Returns the new difference in milliseconds if it has changed.
    pub fn correct_clock(&self, reading: Timestamp, asked: Timestamp, answered: Timestamp) -> Option<i64> {
        let uncertain = answered.since(asked).div_euclid(2);
        let difference = reading.since(Timestamp(asked.0.saturating_add(uncertain)));
        let known = self.correction.0.load(Ordering::Relaxed);
        // A clock that was set in between tells nothing.
        if uncertain < 0 || (difference - known).abs() <= uncertain + MIN_CORRECTION_MILLIS {
            return None;
        }
        self.correction.0.store(difference, Ordering::Relaxed);
        Some(difference)
    }

    /// How long the machine has been running, the time included in which it was suspended: a node that wakes up has heard of
    /// nothing meanwhile. In tests it is the manual clock's own time.
    #[must_use]
    pub fn uptime(&self) -> Monotonic {
        match &self.clock {
            Clock::System => since_boot(),
            Clock::Manual(at) | Clock::Skewed(at, _) => Monotonic(at.load(Ordering::SeqCst)),
        }
    }

    /// Bytes that nobody can guess: a cryptographic generator seeded by the operating system.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        #[expect(clippy::disallowed_methods, reason = "this is the one place that draws randomness")]
        rand::rng().fill_bytes(&mut bytes);
        bytes
    }

    /// A UUID whose first 48 bits are the time (RFC 9562 §5.7), so that rows made together lie together in an index.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.uuid_at(self.now())
    }

    /// One of that time.
    #[must_use]
    pub fn uuid_at(&self, at: Timestamp) -> Uuid {
        let millis = u64::try_from(at.0).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.random::<10>()).into_uuid()
    }
}

#[cfg(target_os = "linux")]
fn since_boot() -> Monotonic {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Monotonic(time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000))
}

/// Elsewhere the clock of the standard library decides whether it stands still.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Monotonic {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
    let elapsed = START.get_or_init(std::time::Instant::now).elapsed();
    Monotonic(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicI64;

    use super::{Clock, Env, Timestamp};

    #[test]
    fn clock_follows_database_readings() {
        let env = Env::with_clock(Clock::Manual(Arc::new(AtomicI64::new(1_000_000))));
        for (reading, asked, answered, corrected, now) in [
            (1_000_050, 1_000_000, 1_000_000, None, 1_000_000),
            (1_300_000, 1_000_000, 1_000_010, Some(299_995), 1_299_995),
            // Within what the measurement can tell.
            (1_300_090, 1_000_000, 1_000_000, None, 1_299_995),
            (1_302_000, 1_000_000, 1_005_000, None, 1_299_995),
            (700_000, 1_000_000, 1_000_000, Some(-300_000), 700_000),
            // This machine's clock was set back meanwhile.
            (1_000_000, 1_000_000, 900_000, None, 700_000),
            (1_000_000, 1_000_000, 1_000_000, Some(0), 1_000_000),
        ] {
            let done = env.correct_clock(Timestamp(reading), Timestamp(asked), Timestamp(answered));
            assert_eq!((done, env.clone().now()), (corrected, Timestamp(now)), "{reading}");
        }
    }
}
