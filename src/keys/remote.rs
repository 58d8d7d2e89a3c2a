//! Key sets that clients publish at an address of theirs (`jwks_uri`): fetched when first needed, kept as long as the
//! answer says (within bounds), fetched again for a key id that is not in them, at most once a minute.
//!
//! One fetch at a time an address, however many requests wait for it, and a failure is remembered for a minute too: a
//! host that is slow or gone costs its own client's requests some seconds once, and nobody else anything.

use std::sync::Arc;

use moka::sync::Cache;
use tokio::sync::Mutex;

use crate::domain::jwks::JwkSet;
use crate::env::Timestamp;
use crate::outbound::Outbound;

/// Addresses that are remembered.
const MOST: u64 = 10_000;
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
    known: Cache<String, Arc<Mutex<Kept>>>,
}

/// What is known of one address.
#[derive(Default)]
struct Kept {
    keys: Option<Arc<JwkSet>>,
    asked_at: Option<Timestamp>,
    fresh_until: Option<Timestamp>,
}

impl RemoteKeys {
    pub fn new(outbound: Outbound) -> Self {
        Self { outbound, known: Cache::new(MOST) }
    }

    /// The set at `url`, with the key `kid` in it where it can be had; nothing where it cannot be fetched and never was.
    pub async fn get(&self, url: &str, kid: Option<&str>, now: Timestamp) -> Option<Arc<JwkSet>> {
        let kept = self.known.get_with_by_ref(url, Arc::default);
        let mut kept = kept.lock().await;
        let fresh = kept.fresh_until.is_some_and(|until| now < until);
        let has_it = kept.keys.as_ref().is_some_and(|keys| kid.is_none_or(|kid| keys.has(kid)));
        let asked_just_now = kept.asked_at.is_some_and(|at| now.since(at) < PAUSE * 1000);
        if (fresh && has_it) || asked_just_now {
            return kept.keys.clone();
        }
        kept.asked_at = Some(now);
        match self.fetch(url).await {
            Ok((keys, seconds)) => {
                kept.keys = Some(Arc::new(keys));
                kept.fresh_until = Some(now.plus_seconds(seconds));
            }
            // What was there before is better than nothing: a host that is away for an hour locks nobody out.
            Err(problem) => tracing::warn!(url, problem, "a client's keys cannot be fetched"),
        }
        kept.keys.clone()
    }

    async fn fetch(&self, url: &str) -> Result<(JwkSet, i64), String> {
        let fetched = self.outbound.get(url, "application/jwk-set+json, application/json").await;
        let fetched = fetched.map_err(|error| error.to_string())?;
        let keys = JwkSet::parse(&fetched.body)?;
        Ok((keys, fetched.max_age.unwrap_or(USUAL).clamp(PAUSE, LONGEST)))
    }
}
