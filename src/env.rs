//! The sources of time and randomness.
//!
//! Code that needs either takes an [`Env`], so that tests can control the clock. Clippy's `disallowed-methods` prevents
//! other sources. See also `config` (settings) and `domain` (the values that carry these times).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rand::Rng;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Milliseconds since 1970-01-01T00:00:00Z. Both databases store an integer, because SQLite would store and compare a
/// time as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns whole seconds, the unit of JWT's `NumericDate` (RFC 7519 §2).
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

    /// Returns the milliseconds from `earlier` to this time, negative if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the calendar date and time, or the Unix epoch if the time is out of range.
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

    /// Returns the milliseconds from `earlier` to this time.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A source of the current time.
#[derive(Clone, Debug)]
pub enum Clock {
    System,
    /// A clock that only moves when it is set, in milliseconds since the epoch. For tests.
    Manual(Arc<AtomicI64>),
    /// A manual clock as read on a machine whose clock is off by this many milliseconds.
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

    /// Returns the time of the database's clock, for a database that has no clock of its own. SQLite uses the machine's
    /// clock. In tests, the manual clock is the database's clock, whatever this node's skew.
    #[must_use]
    pub fn database_now(&self) -> Timestamp {
        match self {
            Self::Skewed(at, _) => Timestamp(at.load(Ordering::SeqCst)),
            Self::System | Self::Manual(_) => self.now(),
        }
    }
}

/// The correction of a node's clock in milliseconds, shared by all clones.
#[derive(Clone, Debug, Default)]
pub struct ClockCorrection(Arc<AtomicI64>);

/// Smaller differences are not corrected, because they are within the error of measurement.
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

    /// Corrects the clock to a `reading` of the database's clock, made between `asked` and `answered` by this machine's
    /// clock. Returns the new difference in milliseconds if it has changed.
    pub fn correct_clock(&self, reading: Timestamp, asked: Timestamp, answered: Timestamp) -> Option<i64> {
        let uncertain = answered.since(asked).div_euclid(2);
        let difference = reading.since(Timestamp(asked.0.saturating_add(uncertain)));
        let known = self.correction.0.load(Ordering::Relaxed);
        // If the clock was set meanwhile, the reading is not usable.
        if uncertain < 0 || (difference - known).abs() <= uncertain + MIN_CORRECTION_MILLIS {
            return None;
        }
        self.correction.0.store(difference, Ordering::Relaxed);
        Some(difference)
    }

    /// Returns the time since boot, including time in which the machine was suspended: a node that wakes up has missed
    /// all changes meanwhile. In tests it is the manual clock's time.
    #[must_use]
    pub fn uptime(&self) -> Monotonic {
        match &self.clock {
            Clock::System => since_boot(),
            Clock::Manual(at) | Clock::Skewed(at, _) => Monotonic(at.load(Ordering::SeqCst)),
        }
    }

    /// Returns unpredictable bytes from a cryptographic generator that the operating system seeds.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        #[expect(clippy::disallowed_methods, reason = "this is the one place that draws randomness")]
        rand::rng().fill_bytes(&mut bytes);
        bytes
    }

    /// Returns a UUID whose first 48 bits are the time (RFC 9562 §5.7), so that rows created together are adjacent in
    /// an index.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.uuid_at(self.now())
    }

    /// Returns a UUID with the time `at`.
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

/// On other systems, the standard library determines whether the clock runs while the machine is suspended.
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
            // Within the error of measurement.
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
