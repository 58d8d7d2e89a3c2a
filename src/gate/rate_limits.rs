//! The rate limit of an API: one token bucket for each owner of credentials, whatever credentials they use, and one for
//! each client address of requests without a valid credential. Such requests have no bucket if their address is
//! unknown, because in a shared bucket each caller could block the others. The remaining quota is sent in the fields
//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers). A caller over the limit gets 429 with
//! `Retry-After` (RFC 6585 §4).
//!
//! On a single node the buckets are kept in memory. Nodes that share a database share exact buckets there
//! (`store::gate_buckets`). A node that knows a bucket to be empty does not query the database again before a token can
//! be available.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use moka::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::Gate;
use crate::domain::api::Api;
use crate::domain::gate::RateLimit;
use crate::domain::ids::UserId;
use crate::domain::network_prefix::network_prefix;
use crate::domain::secret::Digest;
use crate::env::Timestamp;
use crate::protocol::error::Result;
use crate::store::gate_buckets;

/// The maximum number of buckets in memory. An evicted bucket counts as full.
const MAX_BUCKETS: u64 = 100_000;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_SECOND_F64: f64 = 1e6;

/// The time at which each bucket will be full again, as far as this node knows.
#[derive(Clone)]
pub struct RateLimits(Cache<Digest, Arc<AtomicI64>>);

impl Default for RateLimits {
    fn default() -> Self {
        Self(Cache::new(MAX_BUCKETS))
    }
}

/// The owner of a bucket.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller<'a> {
    User(UserId),
    Client(&'a str),
    Address(IpAddr),
}

/// The caller's remaining quota after this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// The burst in requests, and the seconds in which as many requests become available again.
    pub quota: (u32, i64),
    pub remaining: i64,
    /// Seconds until the bucket is full again.
    pub reset: i64,
    /// Seconds to wait; `Some` only if this request exceeds the limit.
    pub retry_after: Option<i64>,
}

/// A token bucket as the generic cell rate algorithm: its state is one number, the time at which it will be full again.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// Microseconds in which one token becomes available, and microseconds in which the whole burst does.
    cost: i64,
    depth: i64,
    burst: u32,
}

impl Rate {
    #[expect(clippy::cast_possible_truncation, reason = "a sound limit gives at most 10^11, and `as` saturates")]
    fn of(limit: RateLimit) -> Self {
        let cost = ((MICROS_PER_SECOND_F64 / limit.per_second) as i64).max(1);
        Self { cost, depth: cost.saturating_mul(i64::from(limit.burst)), burst: limit.burst }
    }

    /// Returns the time at which the bucket is full again after taking one token; `None` if no token is available.
    fn taken(self, full_at: i64, now: i64) -> Option<i64> {
        let after = full_at.max(now).saturating_add(self.cost);
        (after <= now.saturating_add(self.depth)).then_some(after)
    }

    fn allowance(self, full_at: i64, now: i64, taken: bool) -> RateLimitStatus {
        let missing = full_at.saturating_sub(now).max(0);
        let left = self.depth.saturating_sub(missing);
        RateLimitStatus {
            quota: (self.burst, seconds(self.depth)),
            remaining: left / self.cost,
            reset: seconds(missing),
            retry_after: (!taken).then(|| seconds(self.cost - left).max(1)),
        }
    }
}

/// Converts microseconds to seconds, rounded up, so that a retry after that time is not too early.
fn seconds(micros: i64) -> i64 {
    micros.saturating_add(MICROS_PER_SECOND - 1).div_euclid(MICROS_PER_SECOND)
}

impl Gate {
    /// Counts a request of that caller. Returns `None` if the API has no limit.
    pub(super) async fn count(&self, api: &Api, caller: Caller<'_>) -> Result<Option<RateLimitStatus>> {
        let Some(limit) = api.rate_limit else { return Ok(None) };
        let (rate, store) = (Rate::of(limit), &self.provider.store);
        let now = micros(self.provider.env.now());
        let name = bucket(api, limit, caller);
        let bucket = self.limits.0.get_with(name, Arc::default);
        let known = bucket.load(Ordering::SeqCst);
        if rate.taken(known, now).is_none() {
            return Ok(Some(rate.allowance(known, now, false)));
        }
        if gate_buckets::are_shared(store) {
            let (taken, full_at) = gate_buckets::take(store, name, now, rate.cost, rate.depth).await?;
            bucket.store(full_at, Ordering::SeqCst);
            return Ok(Some(rate.allowance(full_at, now, taken)));
        }
        let taken = bucket.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |full_at| rate.taken(full_at, now));
        Ok(Some(match taken {
            Ok(before) => rate.allowance(rate.taken(before, now).unwrap_or(before), now, true),
            Err(full_at) => rate.allowance(full_at, now, false),
        }))
    }
}

fn micros(at: Timestamp) -> i64 {
    at.0.saturating_mul(1000)
}

/// Returns the bucket's key. It includes the limit, so a changed limit starts with a full bucket.
fn bucket(api: &Api, limit: RateLimit, caller: Caller<'_>) -> Digest {
    let (kind, name) = match caller {
        Caller::User(id) => ("user", id.to_string()),
        Caller::Client(id) => ("client", id.to_owned()),
        Caller::Address(address) => ("address", network_prefix(&address.to_string())),
    };
    let mut hash = Sha256::new();
    for part in ["gate bucket", api.identifier.as_str(), kind, &name, &format!("{limit:?}")] {
        hash.update(part);
        // The zero byte separates the parts; none of them contains it.
        hash.update([0]);
    }
    Digest(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(burst: u32, per_second: f64) -> Rate {
        Rate::of(RateLimit { burst, per_second })
    }

    #[test]
    fn burst_then_steady_rate() {
        let rate = rate(3, 0.5);
        let (mut full_at, mut now) = (0, 100 * MICROS_PER_SECOND);
        for remaining in [2, 1, 0] {
            full_at = rate.taken(full_at, now).unwrap();
            let told = rate.allowance(full_at, now, true);
            assert_eq!((told.remaining, told.quota, told.retry_after), (remaining, (3, 6), None));
        }
        assert_eq!(rate.taken(full_at, now), None);
        let told = rate.allowance(full_at, now, false);
        assert_eq!((told.remaining, told.reset, told.retry_after), (0, 6, Some(2)));
        now += 2 * MICROS_PER_SECOND;
        full_at = rate.taken(full_at, now).unwrap();
        assert_eq!(rate.taken(full_at, now), None);
        now += 6 * MICROS_PER_SECOND;
        assert_eq!(rate.allowance(full_at, now, true).remaining, 3, "no more than the burst comes back");
    }

    proptest! {
        /// Over any period, the allowed requests do not exceed the burst plus the tokens that became available.
        #[test]
        fn taken_never_exceeds_burst_plus_rate(
            burst in 1..50_u32, per_second in 0.00001..1000.0_f64, steps in prop::collection::vec(0..3_000_000_i64, 1..200),
        ) {
            let rate = rate(burst, per_second);
            let (mut full_at, mut now, start, mut taken) = (0, 5_000 * MICROS_PER_SECOND, 5_000 * MICROS_PER_SECOND, 0_i64);
            for step in steps {
                now += step;
                if let Some(after) = rate.taken(full_at, now) {
                    (full_at, taken) = (after, taken + 1);
                } else {
                    let wait = rate.allowance(full_at, now, false).retry_after.unwrap();
                    prop_assert!(rate.taken(full_at, now + wait * MICROS_PER_SECOND).is_some(), "Retry-After is enough");
                }
                prop_assert!(taken <= i64::from(burst) + (now - start) / rate.cost);
            }
        }
    }
}
