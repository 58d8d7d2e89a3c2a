//! The issuer's keys as they are known: fetched when first needed, again after five minutes beside the requests, and at
//! once for a key that is not known: at most every [`UNKNOWN_KEY_INTERVAL`] seconds, because anybody can make up names of
//! keys, and no less often, because until then a made-up name keeps a new key from being found.
//!
//! One fetch at a time; its result, a failure too, answers every request that waited for it, and the pause after it counts
//! from its end. A token by a key that is known never waits. While the issuer is away, what is known is used until
//! [`MAX_AGE`] after it was fetched, and no longer: a key may have been taken out meanwhile.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::discovery::{self, IssuerError, KeySet};
use crate::token::Key;

/// Seconds since 1970.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Seconds after which a set is fetched again, though every key was in it: one may have been taken out.
const REFRESH_INTERVAL: i64 = 300;
/// Seconds after the last successful fetch until which a set may be used.
const MAX_AGE: i64 = 86_400;
/// Seconds between two fetches for keys that are not known.
const UNKNOWN_KEY_INTERVAL: i64 = 5;
/// Seconds between two attempts after one that failed.
const RETRY_INTERVAL: i64 = 60;
/// The same while there are no keys that may be used.
const SHORT_RETRY_INTERVAL: i64 = 5;
/// For the metadata and the keys together.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct Keys {
    issuer: String,
    client: Result<Client, String>,
    clock: Clock,
    cache: RwLock<KeyCache>,
    /// Held while the issuer is asked.
    turn: Arc<Mutex<()>>,
}

#[derive(Clone, Default)]
struct KeyCache {
    set: Option<Arc<KeySet>>,
    got_at: i64,
    /// How often the issuer was asked, and when the last time ended.
    fetches: u64,
    last_fetch_ended_at: Option<i64>,
    /// When the last fetch for a key that was not in the set ended, and the seconds until the next one.
    looked_for_at: Option<i64>,
    look_interval: i64,
}

/// Why the issuer is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FetchReason {
    /// There are no keys, or they are old.
    Due,
    UnknownKey,
}

/// There are no keys that may be used, and the issuer does not answer.
#[derive(Debug)]
pub(crate) struct NoKeys;

impl Keys {
    pub fn new(issuer: String, client: Option<Client>, clock: Clock) -> Self {
        // A certificate of ours would not be sent elsewhere, nor an answer be taken from there.
        let own = || Client::builder().redirect(Policy::none()).build().map_err(|error| error.to_string());
        let client = client.map_or_else(own, Ok);
        Self { issuer, client, clock, cache: RwLock::default(), turn: Arc::default() }
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The same of another client or clock, without what is known.
    pub fn anew(&self, client: Option<Client>, clock: Option<Clock>) -> Self {
        let client = client.or_else(|| self.client.clone().ok());
        Self::new(self.issuer.clone(), client, clock.unwrap_or_else(|| Arc::clone(&self.clock)))
    }

    fn cache(&self) -> KeyCache {
        self.cache.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key of that name; nothing where the issuer has none.
    pub async fn find(self: &Arc<Self>, kid: &str) -> Result<Option<Arc<Key>>, NoKeys> {
        let (known, now) = (self.cache(), (self.clock)());
        let Some(set) = known.usable(now) else {
            self.fetch_if(known.fetches, FetchReason::Due, |known, now| {
                known.usable(now).is_none() && has_elapsed(known.last_fetch_ended_at, SHORT_RETRY_INTERVAL, now)
            })
            .await;
            let (known, now) = (self.cache(), (self.clock)());
            return Ok(known.usable(now).ok_or(NoKeys)?.get(kid).cloned());
        };
        if let Some(key) = set.get(kid) {
            if now - known.got_at >= REFRESH_INTERVAL && has_elapsed(known.last_fetch_ended_at, RETRY_INTERVAL, now) {
                self.fetch_in_background();
            }
            return Ok(Some(Arc::clone(key)));
        }
        // After a rotation, or made up.
        self.fetch_if(known.fetches, FetchReason::UnknownKey, |known, now| {
            has_elapsed(known.looked_for_at, known.look_interval, now)
        })
        .await;
        let (known, now) = (self.cache(), (self.clock)());
        Ok(known.usable(now).and_then(|set| set.get(kid).cloned()))
    }

    /// Asks the issuer if `may` still says so when it is this request's turn. Requests that waited while another one asked
    /// have its result.
    async fn fetch_if(self: &Arc<Self>, fetches: u64, reason: FetchReason, may: impl Fn(&KeyCache, i64) -> bool) {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let known = self.cache();
        if known.fetches != fetches || !may(&known, (self.clock)()) {
            return;
        }
        // In a task of its own: a caller that goes away does not end it, for the others wait for it too. It does not fail.
        tokio::spawn(Arc::clone(self).fetch(turn, reason)).await.ok();
    }

    /// Asks the issuer while requests go on, unless somebody does already.
    fn fetch_in_background(self: &Arc<Self>) {
        if let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() {
            tokio::spawn(Arc::clone(self).fetch(turn, FetchReason::Due));
        }
    }

    async fn fetch(self: Arc<Self>, _turn: OwnedMutexGuard<()>, reason: FetchReason) {
        // It is in the log.
        let _ = self.refresh_for(reason).await;
    }

    /// Asks the issuer now. What was known stays where it does not answer.
    pub async fn refresh(&self) -> Result<(), IssuerError> {
        self.refresh_for(FetchReason::Due).await
    }

    async fn refresh_for(&self, reason: FetchReason) -> Result<(), IssuerError> {
        let found = self.discover().await;
        match &found {
            Ok(_) => tracing::debug!(issuer = self.issuer, "the issuer's keys were fetched"),
            Err(error) => tracing::warn!(issuer = self.issuer, %error, "the issuer's keys could not be fetched"),
        }
        let now = (self.clock)();
        self.mark(|known| {
            known.fetches += 1;
            known.last_fetch_ended_at = Some(now);
            if reason == FetchReason::UnknownKey {
                known.looked_for_at = Some(now);
                known.look_interval = if found.is_ok() { UNKNOWN_KEY_INTERVAL } else { RETRY_INTERVAL };
            }
            if let Ok(set) = &found {
                known.set = Some(Arc::clone(set));
                known.got_at = now;
            }
        });
        found.map(drop)
    }

    async fn discover(&self) -> Result<Arc<KeySet>, IssuerError> {
        let client = self.client.as_ref().map_err(|error| IssuerError::Client(error.clone()))?;
        let found = tokio::time::timeout(FETCH_TIMEOUT, discovery::keys(client, &self.issuer)).await;
        let found = found.unwrap_or_else(|_| Err(IssuerError::Silent(self.issuer.clone(), "it is slow".to_owned())));
        found.map(Arc::new)
    }

    fn mark(&self, change: impl FnOnce(&mut KeyCache)) {
        change(&mut self.cache.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl KeyCache {
    /// The set, unless it is too old.
    fn usable(&self, now: i64) -> Option<&Arc<KeySet>> {
        self.set.as_ref().filter(|_| now - self.got_at < MAX_AGE)
    }
}

fn has_elapsed(last: Option<i64>, interval: i64, now: i64) -> bool {
    last.is_none_or(|last| now - last >= interval)
}
