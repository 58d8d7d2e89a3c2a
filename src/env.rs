//! The world outside that decisions depend on: what time it is and what is random.
//!
//! Everything that needs either takes an [`Env`], so that a test can hold the clock in its hand
//! (clippy's `disallowed-methods` keeps the rest of the house from going around it).
//! Next door: `config` (settings), `domain` (the values that carry these times).

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

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

/// Milliseconds on a clock of this process alone, which nobody sets: for how long something has been.
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

/// The clock and the operating system's randomness.
#[derive(Clone, Debug)]
pub struct Env {
    pub clock: Clock,
}

impl Env {
    #[must_use]
    pub const fn system() -> Self {
        Self { clock: Clock::System }
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How long this process has been running; the manual clock's own time in tests.
    #[must_use]
    pub fn uptime(&self) -> Monotonic {
        match &self.clock {
            Clock::System => {
                static START: OnceLock<Instant> = OnceLock::new();
                #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
                let elapsed = START.get_or_init(Instant::now).elapsed();
                Monotonic(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
            }
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
