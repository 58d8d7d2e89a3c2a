//! Key sets that clients publish at an address of theirs (`jwks_uri`): fetched when first needed, kept as long as the
//! answer says (within bounds), fetched again for a key id that is not in them, at most once a minute.
//!
//! One fetch at a time a client and address, however many requests wait for it, and a failure is remembered for a minute too: a
//! host that is slow or gone costs its own client's requests some seconds once, and nobody else anything.

use std::sync::Arc;
use std::time::Duration;

use std::sync::atomic::{AtomicU32, Ordering};

use moka::sync::Cache;
use tokio::sync::Mutex;

use crate::domain::certificate::Thumbprint;
use crate::domain::jwks::JwkSet;
use crate::env::Timestamp;
use crate::outbound::{Outbound, OutboundError};

/// Memory for all of them together, in bytes, and for how long one is remembered that nobody asks for.
const MOST: u64 = 16 * 1024 * 1024;
const REMEMBERED: Duration = Duration::from_hours(24);
/// What an address takes whose keys could not be had.
const BARE: u32 = 500;
/// More than a set of fifty keys has.
const MOST_BYTES: usize = 64 * 1024;
/// Seconds that a set is kept where its answer does not say.
const USUAL: i64 = 3600;
/// And at most.
const LONGEST: i64 = 86_400;
/// Between two fetches of one address.
const PAUSE: i64 = 60;

/// Cheap to clone.
#[derive(Clone)]
pub struct RemoteKeys {
    outbound: Outbound,
    known: Cache<String, Arc<Slot>>,
}

/// One address. Its weight stands beside what is known, so that the cache can ask for it at any time.
#[derive(Default)]
struct Slot {
    kept: Mutex<Kept>,
    weight: AtomicU32,
}

/// What is known of one address.
#[derive(Default)]
struct Kept {
    keys: Option<Arc<JwkSet>>,
    asked_at: Option<Timestamp>,
    /// When it was asked for a key that the set did not have.
    looked_for_at: Option<Timestamp>,
    fresh_until: Option<Timestamp>,
}

enum Problem {
    Busy,
    Host(String),
}

/// What a set is asked for; one that has it not is fetched again.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    Any,
    Kid(&'a str),
    Certificate(Thumbprint),
}

impl<'a> From<Option<&'a str>> for Wanted<'a> {
    fn from(kid: Option<&'a str>) -> Self {
        kid.map_or(Self::Any, Self::Kid)
    }
}

impl Wanted<'_> {
    fn is_in(self, keys: &JwkSet) -> bool {
        match self {
            Self::Any => true,
            Self::Kid(kid) => keys.has(kid),
            Self::Certificate(thumbprint) => keys.certificates().any(|own| own == thumbprint),
        }
    }
}

impl RemoteKeys {
    pub fn new(outbound: Outbound) -> Self {
        let weight = |name: &String, slot: &Arc<Slot>| {
            let name = u32::try_from(name.len()).unwrap_or(u32::MAX);
            BARE.saturating_add(name).saturating_add(slot.weight.load(Ordering::Relaxed))
        };
        let known = Cache::builder().weigher(weight).max_capacity(MOST).time_to_idle(REMEMBERED).build();
        Self { outbound, known }
    }

    /// The set at `url` for that client or purpose, with what is wanted in it where it can be had; nothing where it cannot
    /// be fetched and never was. Each client has its own: what one of them asks for keeps no other one waiting.
    pub async fn get(&self, owner: &str, url: &str, wanted: Wanted<'_>, now: Timestamp) -> Option<Arc<JwkSet>> {
        // No client id has a space.
        let name = format!("{owner} {url}");
        let slot = self.known.get_with_by_ref(&name, Arc::default);
        let mut kept = slot.kept.lock().await;
        let fresh = kept.fresh_until.is_some_and(|until| now < until);
        let has_it = kept.keys.as_ref().is_some_and(|keys| wanted.is_in(keys));
        let lately = |at: Option<Timestamp>| at.is_some_and(|at| now.since(at) < PAUSE * 1000);
        // A client that has just changed its keys is believed at once; made-up names cost a request a minute.
        let wait = if fresh && !has_it { lately(kept.looked_for_at) } else { lately(kept.asked_at) };
        if (fresh && has_it) || wait {
            return kept.keys.clone();
        }
        if fresh {
            kept.looked_for_at = Some(now);
        }
        kept.asked_at = Some(now);
        match self.fetch(url).await {
            Ok((keys, seconds)) => {
                slot.weight.store(keys.weight(), Ordering::Relaxed);
                kept.keys = Some(Arc::new(keys));
                kept.fresh_until = Some(now.plus_seconds(seconds));
                // Put back, so that it is weighed again.
                self.known.insert(name, slot.clone());
            }
            // Our own fault: its host was not asked, and may be at once.
            Err(Problem::Busy) => {
                (kept.asked_at, kept.looked_for_at) = (None, None);
                tracing::warn!(url, "a client's keys cannot be fetched: too many others are");
            }
            // What was there before is better than nothing: a host that is away for an hour locks nobody out.
            Err(Problem::Host(problem)) => tracing::warn!(url, problem, "a client's keys cannot be fetched"),
        }
        kept.keys.clone()
    }

    async fn fetch(&self, url: &str) -> Result<(JwkSet, i64), Problem> {
        let fetched = self.outbound.get(url, "application/jwk-set+json, application/json").await;
        let fetched = fetched.map_err(|error| match error {
            OutboundError::Busy => Problem::Busy,
            error => Problem::Host(error.to_string()),
        })?;
        if fetched.body.len() > MOST_BYTES {
            return Err(Problem::Host(format!("the set has more than {MOST_BYTES} bytes")));
        }
        let keys = JwkSet::parse(&fetched.body).map_err(Problem::Host)?.lean();
        Ok((keys, fetched.max_age.unwrap_or(USUAL).clamp(PAUSE, LONGEST)))
    }
}
