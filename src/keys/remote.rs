//! Key sets that are published at an address (`jwks_uri`): fetched when first needed, kept as long as the answer says
//! (within bounds), fetched again for a key id that is not in them, every five seconds at most: anybody can make up a key id,
//! and a client that has just changed its keys waits no longer than that.
//!
//! One fetch at a time a client and address. Its result, a failure too, answers every request that waited for it, and a
//! failure is remembered for a minute: a slow host costs its own client's requests some seconds once, and nobody else
//! anything.
//!
//! A set is used until [`MAX_AGE`] after it was fetched and no longer, so that a key that its owner has removed does not
//! count for ever while the address is silent. Where it is no longer fresh and has the key that is wanted, it is fetched
//! again beside the requests: the one that begins the fetch gives the host [`REFRESH_WAIT_TIMEOUT`] and then goes on with what is
//! known, and so do all others at once.
//!
//! Next door: `protocol::client_keys`, which decides what a failure means for the request.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::OwnedMutexGuard;

use crate::domain::certificate::Thumbprint;
use crate::domain::jwks::JwkSet;
use crate::env::Timestamp;
use crate::outbound::{OutboundClient, OutboundError, Purpose, UrlSource};

/// Memory for the sets of one origin, in bytes, and for how long one is remembered that nobody asks for.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
const IDLE_TTL: Duration = Duration::from_hours(24);
/// Bytes that an address takes whose keys could not be fetched.
const EMPTY_WEIGHT: u32 = 500;
/// Seconds that a set is kept where its answer does not say, and at most. Then it is fetched again.
const DEFAULT_TTL: i64 = 3600;
const MAX_TTL: i64 = 43_200;
/// Seconds after the last successful fetch until which a set may be used.
pub const MAX_AGE: i64 = 86_400;
/// A host that answers within this time is waited for, so that a key that it no longer has is refused.
pub const REFRESH_WAIT_TIMEOUT: Duration = Duration::from_millis(300);
/// Seconds between two fetches of one address after one that failed, or of a set that is not fresh.
const RETRY_INTERVAL: i64 = 60;
/// Seconds between two fetches for keys that are not in a fresh set.
const MISSING_KEY_RETRY_INTERVAL: i64 = 5;

/// Cheap to clone.
#[derive(Clone)]
pub struct RemoteKeys {
    outbound: OutboundClient,
    /// By origin, so that addresses which strangers name cannot evict those which an administrator registered.
    caches: [Cache<String, Arc<KeySetEntry>>; UrlSource::COUNT],
}

/// Where a set is published, for whom, and who named the address.
#[derive(Clone, Copy, Debug)]
pub struct KeySource<'a> {
    /// The client, or the purpose. Each has its own copy of a set: what one asks for keeps no other one waiting.
    pub owner: &'a str,
    pub url: &'a str,
    pub named_by: UrlSource,
}

/// One address. Its weight stands beside what is known, so that the cache can ask for it at any time.
#[derive(Default)]
struct KeySetEntry {
    cached: Mutex<CachedKeySet>,
    weight: AtomicU32,
    /// Held while the address is asked. Requests whose keys are known do not wait for it.
    fetch_lock: Arc<tokio::sync::Mutex<()>>,
}

/// What is known of one address.
#[derive(Default)]
struct CachedKeySet {
    /// How often the address was asked.
    fetches: u64,
    keys: Option<Arc<JwkSet>>,
    fetched_at: Option<Timestamp>,
    requested_at: Option<Timestamp>,
    /// When it was asked for a key that the set did not have.
    missing_key_requested_at: Option<Timestamp>,
    fresh_until: Option<Timestamp>,
    /// Why the last fetch failed.
    fetch_error: Option<OutboundError>,
    /// The answer was no key set.
    parse_error: Option<String>,
    expiry_reported: bool,
}

/// Why there are no keys.
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

/// What a set is asked for; one that has it not is fetched again.
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

    /// The set of `source`, with what is wanted in it if it can be fetched. Never one older than [`MAX_AGE`].
    pub async fn get(
        &self,
        source: KeySource<'_>,
        wanted: KeyQuery<'_>,
        now: Timestamp,
    ) -> Result<Arc<JwkSet>, RemoteKeysError> {
        let Some(known) = self.caches.get(source.named_by.index()) else {
            return Err(RemoteKeysError::Fetch(OutboundError::Busy));
        };
        // No client id has a space.
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
            // In a task of its own: a caller that goes away does not end it, for the others wait for it too.
            let fetch = tokio::spawn(async move {
                refresh(outbound, url, refreshed.clone(), turn, now).await;
                // Put back, so that it is weighed again.
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
    /// A panic leaves nothing half written in it.
    fn lock_cached(&self) -> MutexGuard<'_, CachedKeySet> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fetches the set once and keeps what came of it.
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
                // Our own fault: its host was not asked, and may be at once.
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

    /// Whether to ask the address now; notes that it is asked.
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

    /// A host that is away for some hours locks nobody out; one that is silent for a day does.
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
