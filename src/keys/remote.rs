//! Key sets published at a URL (`jwks_uri`). A set is fetched when first needed and cached as long as the response
//! allows, within limits. It is fetched again for a key id that it does not contain, at most every five seconds: key
//! ids can be invented, and a client that has just changed its keys does not wait longer than that.
//!
//! There is one fetch at a time for each client and URL. Its result, including a failure, answers every request that
//! waited for it, and a failure is remembered for a minute. So a slow host delays its own client's requests once by
//! some seconds, and no other requests.
//!
//! A set is used for at most [`MAX_AGE`] after it was fetched, so that a key that its owner has removed does not remain
//! valid indefinitely while the host does not respond. If the set is stale but contains the required key, it is fetched
//! in the background. The request that starts the fetch waits for at most [`REFRESH_WAIT_TIMEOUT`] and then continues
//! with the cached set; all other requests continue with it at once.
//!
//! See also `protocol::client_keys`, which decides what a failure means for the request.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::OwnedMutexGuard;

use crate::domain::certificate::Thumbprint;
use crate::domain::jwks::JwkSet;
use crate::env::Timestamp;
use crate::outbound::{OutboundClient, OutboundError, Purpose, UrlSource};

/// The maximum memory in bytes for the sets of one origin; and the time after which an unused set is evicted.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
const IDLE_TTL: Duration = Duration::from_hours(24);
/// The weight in bytes of a URL whose keys could not be fetched.
const EMPTY_WEIGHT: u32 = 500;
/// The lifetime of a set in seconds if its response does not state one; and the maximum lifetime.
const DEFAULT_TTL: i64 = 3600;
const MAX_TTL: i64 = 43_200;
/// The maximum age in seconds at which a set may be used, since the last successful fetch.
pub const MAX_AGE: i64 = 86_400;
/// The time to wait for a background fetch. If the host responds within it, a removed key is rejected at once.
pub const REFRESH_WAIT_TIMEOUT: Duration = Duration::from_millis(300);
/// The minimum seconds between two fetches of one URL after a failure, or of a stale set.
const RETRY_INTERVAL: i64 = 60;
/// The minimum seconds between two fetches for keys that are not in a fresh set.
const MISSING_KEY_RETRY_INTERVAL: i64 = 5;

/// A client for published key sets; cheap to clone.
#[derive(Clone)]
pub struct RemoteKeys {
    outbound: OutboundClient,
    /// By origin of the URL, so that URLs from strangers cannot evict those that an administrator registered.
    caches: [Cache<String, Arc<KeySetEntry>>; UrlSource::COUNT],
}

/// The URL of a set, its owner, and the origin of the URL.
#[derive(Clone, Copy, Debug)]
pub struct KeySource<'a> {
    /// The client, or the purpose. Each owner has its own copy of a set, so that its fetches do not delay other owners.
    pub owner: &'a str,
    pub url: &'a str,
    pub named_by: UrlSource,
}

/// The cache entry of one URL. The weight is outside the mutex, so that the cache can read it at any time.
#[derive(Default)]
struct KeySetEntry {
    cached: Mutex<CachedKeySet>,
    weight: AtomicU32,
    /// Held during a fetch. Requests whose keys are cached do not wait for it.
    fetch_lock: Arc<tokio::sync::Mutex<()>>,
}

/// The cached state of one URL.
#[derive(Default)]
struct CachedKeySet {
    /// The number of fetches.
    fetches: u64,
    keys: Option<Arc<JwkSet>>,
    fetched_at: Option<Timestamp>,
    requested_at: Option<Timestamp>,
    /// The time of the last fetch for a key that a fresh set did not contain.
    missing_key_requested_at: Option<Timestamp>,
    fresh_until: Option<Timestamp>,
    /// The reason why the last fetch failed.
    fetch_error: Option<OutboundError>,
    /// The reason why the response was not a key set.
    parse_error: Option<String>,
    expiry_reported: bool,
}

/// The reason why no keys are available.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteKeysError {
    #[error("the keys cannot be fetched: {0}")]
    Fetch(OutboundError),
    #[error("what stands there is no key set: {0}")]
    Unusable(String),
    /// The last set is too old. `first` is true once, until keys are fetched again.
    #[error("the keys are too old, and none can be fetched: {problem}")]
    Expired { fetched_at: Timestamp, problem: String, first: bool },
}

/// The key that a request needs. A set that does not contain it is fetched again.
#[derive(Clone, Copy, Debug)]
pub enum KeyQuery<'a> {
    Any,
    Kid(&'a str),
    Certificate(Thumbprint),
}

impl<'a> From<Option<&'a str>> for KeyQuery<'a> {
    fn from(kid: Option<&'a str>) -> Self {
        kid.map_or(Self::Any, Self::Kid)
    }
}

impl KeyQuery<'_> {
    fn is_in(self, keys: &JwkSet) -> bool {
        match self {
            Self::Any => true,
            Self::Kid(kid) => keys.has_kid(kid),
            Self::Certificate(thumbprint) => keys.certificates().any(|own| own == thumbprint),
        }
    }
}

impl RemoteKeys {
    pub fn new(outbound: &OutboundClient) -> Self {
        let weight = |name: &String, slot: &Arc<KeySetEntry>| {
            let name = u32::try_from(name.len()).unwrap_or(u32::MAX);
            EMPTY_WEIGHT.saturating_add(name).saturating_add(slot.weight.load(Ordering::Relaxed))
        };
        let known = || Cache::builder().weigher(weight).max_capacity(MAX_BYTES).time_to_idle(IDLE_TTL).build();
        Self { outbound: outbound.for_purpose(Purpose::ClientKeys), caches: [known(), known(), known()] }
    }

    /// Returns the set of `source`, which contains the wanted key if that can be fetched. Never returns a set older
    /// than [`MAX_AGE`].
    pub async fn get(
        &self,
        source: KeySource<'_>,
        wanted: KeyQuery<'_>,
        now: Timestamp,
    ) -> Result<Arc<JwkSet>, RemoteKeysError> {
        let Some(known) = self.caches.get(source.named_by.index()) else {
            return Err(RemoteKeysError::Fetch(OutboundError::Busy));
        };
        // The space separates the parts; no client id contains one.
        let name = format!("{} {}", source.owner, source.url);
        let slot = known.get_with_by_ref(&name, Arc::default);
        let (arrived_at, is_known) = {
            let mut kept = slot.lock_cached();
            if kept.has_fresh(wanted, now) {
                return kept.current(now);
            }
            (kept.fetches, kept.has_usable(wanted, now))
        };
        let turn = if is_known {
            slot.fetch_lock.clone().try_lock_owned().ok()
        } else {
            Some(slot.fetch_lock.clone().lock_owned().await)
        };
        let Some(turn) = turn else { return slot.lock_cached().current(now) };
        let ask = {
            let mut kept = slot.lock_cached();
            kept.fetches == arrived_at && kept.needs_fetch(wanted, now)
        };
        if ask {
            let outbound = self.outbound.named_by(source.named_by);
            let (url, known, refreshed) = (source.url.to_owned(), known.clone(), slot.clone());
            // A separate task, so that the fetch continues for the other waiting requests if the caller is cancelled.
            let fetch = tokio::spawn(async move {
                refresh(outbound, url, refreshed.clone(), turn, now).await;
                // Inserted again, so that the cache updates its weight.
                known.insert(name, refreshed);
            });
            if is_known {
                tokio::time::timeout(REFRESH_WAIT_TIMEOUT, fetch).await.ok();
            } else {
                fetch.await.map_err(|_| RemoteKeysError::Fetch(OutboundError::Busy))?;
            }
        }
        slot.lock_cached().current(now)
    }
}

impl KeySetEntry {
    /// A poisoned lock is used, because a panic leaves no partial update.
    fn lock_cached(&self) -> MutexGuard<'_, CachedKeySet> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fetches the set once and stores the result.
async fn refresh(
    outbound: OutboundClient,
    url: String,
    slot: Arc<KeySetEntry>,
    _turn: OwnedMutexGuard<()>,
    now: Timestamp,
) {
    let fetched = outbound.get(&url, "application/jwk-set+json, application/json").await;
    let mut kept = slot.lock_cached();
    kept.fetches += 1;
    match fetched {
        Ok(fetched) => match JwkSet::parse(&fetched.body) {
            Ok(keys) => {
                let keys = keys.without_unused_members();
                slot.weight.store(keys.weight(), Ordering::Relaxed);
                let seconds = fetched.max_age.unwrap_or(DEFAULT_TTL).clamp(RETRY_INTERVAL, MAX_TTL);
                kept.keys = Some(Arc::new(keys));
                kept.fetched_at = Some(now);
                kept.fresh_until = Some(now.plus_seconds(seconds));
                (kept.fetch_error, kept.parse_error, kept.expiry_reported) = (None, None, false);
            }
            Err(problem) => {
                tracing::warn!(url, problem, "published keys cannot be used");
                (kept.fetch_error, kept.parse_error) = (None, Some(problem));
            }
        },
        Err(problem) => {
            tracing::warn!(url, %problem, "published keys cannot be fetched");
            if problem == OutboundError::Busy {
                // The failure is local and the host was not contacted, so the next request may retry at once.
                (kept.requested_at, kept.missing_key_requested_at) = (None, None);
            }
            (kept.fetch_error, kept.parse_error) = (Some(problem), None);
        }
    }
}

impl CachedKeySet {
    fn has_fresh(&self, wanted: KeyQuery<'_>, now: Timestamp) -> bool {
        self.fresh_until.is_some_and(|until| now < until) && self.keys.as_ref().is_some_and(|keys| wanted.is_in(keys))
    }

    fn has_usable(&self, wanted: KeyQuery<'_>, now: Timestamp) -> bool {
        self.fetched_at.is_some_and(|at| now < at.plus_seconds(MAX_AGE))
            && self.keys.as_ref().is_some_and(|keys| wanted.is_in(keys))
    }

    /// Returns whether to fetch the URL now, and records the fetch.
    fn needs_fetch(&mut self, wanted: KeyQuery<'_>, now: Timestamp) -> bool {
        if self.has_fresh(wanted, now) {
            return false;
        }
        let fresh = self.fresh_until.is_some_and(|until| now < until);
        let has_failed = self.fetch_error.is_some() || self.parse_error.is_some();
        let (last, pause) = match (fresh, has_failed) {
            (true, false) => (self.missing_key_requested_at, MISSING_KEY_RETRY_INTERVAL),
            (true, true) => (self.missing_key_requested_at, RETRY_INTERVAL),
            (false, _) => (self.requested_at, RETRY_INTERVAL),
        };
        if last.is_some_and(|last| now.since(last) < pause * 1000) {
            return false;
        }
        if fresh {
            self.missing_key_requested_at = Some(now);
        }
        self.requested_at = Some(now);
        true
    }

    /// Returns the cached set. It remains usable while the host is unavailable for some hours, but not for a day.
    fn current(&mut self, now: Timestamp) -> Result<Arc<JwkSet>, RemoteKeysError> {
        match (&self.keys, self.fetched_at) {
            (Some(keys), Some(fetched_at)) if now < fetched_at.plus_seconds(MAX_AGE) => Ok(keys.clone()),
            (Some(_), Some(fetched_at)) => {
                let first = !std::mem::replace(&mut self.expiry_reported, true);
                let problem = self.error().to_string();
                Err(RemoteKeysError::Expired { fetched_at, problem, first })
            }
            _ => Err(self.error()),
        }
    }

    fn error(&self) -> RemoteKeysError {
        match (&self.parse_error, &self.fetch_error) {
            (Some(problem), _) => RemoteKeysError::Unusable(problem.clone()),
            (None, Some(problem)) => RemoteKeysError::Fetch(problem.clone()),
            (None, None) => RemoteKeysError::Fetch(OutboundError::Busy),
        }
    }
}
