//! The issuer's keys as they are known: fetched when first needed, again after five minutes beside the requests, and at
//! once for a key that is not known, at most once a minute. What is known goes on being good while the issuer is away.

use std::sync::{Arc, PoisonError, RwLock};

use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::sync::Mutex;

use crate::discovery::{self, IssuerError, KeySet};
use crate::token::Key;

/// Seconds since 1970.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Seconds after which a set is fetched again, though every key was in it: one may have been taken out.
const FRESH: i64 = 300;
/// Seconds between two attempts, and between two for keys that are not known.
const PAUSE: i64 = 60;
/// Seconds between two attempts while there are no keys at all.
const SHORT_PAUSE: i64 = 5;

pub(crate) struct Keys {
    issuer: String,
    client: Result<Client, String>,
    clock: Clock,
    known: RwLock<Known>,
    /// One asks at a time; the others wait for what it finds.
    asking: Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    set: Option<Arc<KeySet>>,
    got_at: i64,
    asked_at: Option<i64>,
    /// When it was asked for a key that was not in the set.
    looked_for_at: Option<i64>,
}

/// There are no keys at all, and the issuer cannot be asked.
#[derive(Debug)]
pub(crate) struct NoKeys;

impl Keys {
    pub fn new(issuer: String, client: Option<Client>, clock: Clock) -> Self {
        // A certificate of ours would not be sent elsewhere, nor an answer be taken from there.
        let own = || Client::builder().redirect(Policy::none()).build().map_err(|error| error.to_string());
        let client = client.map_or_else(own, Ok);
        Self { issuer, client, clock, known: RwLock::default(), asking: Mutex::new(()) }
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The same of another client or clock, without what is known.
    pub fn anew(&self, client: Option<Client>, clock: Option<Clock>) -> Self {
        let client = client.or_else(|| self.client.clone().ok());
        Self::new(self.issuer.clone(), client, clock.unwrap_or_else(|| Arc::clone(&self.clock)))
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key of that name; nothing where the issuer has none.
    pub async fn find(self: &Arc<Self>, kid: &str) -> Result<Option<Arc<Key>>, NoKeys> {
        let now = (self.clock)();
        let known = self.known();
        let Some(set) = &known.set else {
            self.first().await;
            let set = self.known().set.ok_or(NoKeys)?;
            return Ok(set.get(kid).cloned());
        };
        if let Some(key) = set.get(kid) {
            if now - known.got_at >= FRESH && past(known.asked_at, PAUSE, now) {
                self.mark(|known| known.asked_at = Some(now));
                let keys = Arc::clone(self);
                tokio::spawn(async move {
                    let _one = keys.asking.lock().await;
                    let _ = keys.ask().await;
                });
            }
            return Ok(Some(Arc::clone(key)));
        }
        self.look_for().await;
        Ok(self.known().set.and_then(|set| set.get(kid).cloned()))
    }

    /// Where nothing was ever fetched.
    async fn first(&self) {
        let _one = self.asking.lock().await;
        let known = self.known();
        // Somebody else may have been quicker, or may have found nobody there a moment ago.
        if known.set.is_none() && past(known.asked_at, SHORT_PAUSE, (self.clock)()) {
            let _ = self.ask().await;
        }
    }

    /// Where a key is named that is not in the set: after a rotation, or made up.
    async fn look_for(&self) {
        let _one = self.asking.lock().await;
        let now = (self.clock)();
        if past(self.known().looked_for_at, PAUSE, now) {
            self.mark(|known| known.looked_for_at = Some(now));
            let _ = self.ask().await;
        }
    }

    /// Asks the issuer now. What was known stays where it does not answer.
    pub async fn ask(&self) -> Result<(), IssuerError> {
        self.mark(|known| known.asked_at = Some((self.clock)()));
        let client = self.client.as_ref().map_err(|error| IssuerError::Client(error.clone()))?;
        let found = discovery::keys(client, &self.issuer).await;
        match &found {
            Ok(_) => tracing::debug!(issuer = self.issuer, "the issuer's keys were fetched"),
            Err(error) => tracing::warn!(issuer = self.issuer, %error, "the issuer's keys could not be fetched"),
        }
        let set = Arc::new(found?);
        self.mark(|known| {
            known.set = Some(set);
            known.got_at = (self.clock)();
        });
        Ok(())
    }

    fn mark(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
    }
}

fn past(last: Option<i64>, pause: i64, now: i64) -> bool {
    last.is_none_or(|last| now - last >= pause)
}
