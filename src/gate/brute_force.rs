//! Guessing secrets and API keys at a gate: so many wrong ones of one address and, until its window is over, only
//! credentials count from there that have been right here before. A client that is in use is not locked out by whoever is
//! behind the same address, and anybody elsewhere notices nothing.
//!
//! Kept in the database are the counts (`identity::throttle`), which nodes share: a statement for each new wrong one below
//! the bound. What has been right, what was wrong already and who is over the bound are known in memory, and cost none.
//! Next door: [`super::credential`], whose credentials are judged; [`super::limits`], how often anybody may ask at all.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use futures::future::OptionFuture;
use moka::sync::Cache;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, MutexGuard};

use super::authenticate::{AuthenticationError, AuthenticationResult};
use super::credentials::PresentedCredential;
use super::decision::{Denial, Reason};
use super::forwarded_request::ForwardedRequest;
use super::{Gate, GateRequest};
use crate::domain::api::Api;
use crate::domain::api_key::ApiKeySecret;
use crate::domain::network_prefix::network_prefix;
use crate::domain::secret::Digest;
use crate::env::Timestamp;
use crate::identity::throttle;
use crate::protocol::error::Result;

/// Of each kind in memory. What is forgotten is found out again, by one statement.
const MAX_ENTRIES: u64 = 100_000;

/// How many addresses can be judged at the same time: one for each value of a byte.
const LOCK_COUNT: usize = 256;

#[derive(Clone)]
pub struct BruteForceLimits {
    /// Credentials that were right, and when first.
    right: Cache<Digest, Timestamp>,
    /// Until when: wrong ones by address, which need not be counted again, since a script that goes on with one is no
    /// guesser; and addresses over the bound.
    until: Cache<Digest, Timestamp>,
    /// Held while one of an address is judged: of many at once, none is looked at past the bound.
    turns: Arc<[Mutex<()>; LOCK_COUNT]>,
}

impl Default for BruteForceLimits {
    fn default() -> Self {
        let turns = Arc::new(std::array::from_fn(|_| Mutex::default()));
        Self { right: Cache::new(MAX_ENTRIES), until: Cache::new(MAX_ENTRIES), turns }
    }
}

impl BruteForceLimits {
    fn until(&self, what: &Digest, now: Timestamp) -> Option<Timestamp> {
        self.until.get(what).filter(|until| now < *until)
    }

    /// Held while a guess is judged, where it is one; or until when its address is stopped.
    async fn turn(
        &self,
        guess: &GuessableCredential,
        now: Timestamp,
    ) -> std::result::Result<Option<MutexGuard<'_, ()>>, Timestamp> {
        if self.right.contains_key(&guess.credential) {
            return Ok(None);
        }
        let not_stopped = || self.until(&guess.neighbourhood, now).map_or(Ok(()), Err);
        not_stopped()?;
        // No new guess: who repeats a wrong one keeps nobody else waiting.
        if self.until(&guess.credential_and_network(), now).is_some() {
            return Ok(None);
        }
        let turn = self.turns.get(usize::from(guess.neighbourhood.0[0])).map(Mutex::lock);
        let turn = OptionFuture::from(turn).await;
        not_stopped()?;
        Ok(turn)
    }
}

/// A credential that could have been guessed.
struct GuessableCredential {
    address: String,
    neighbourhood: Digest,
    credential: Digest,
}

impl GuessableCredential {
    /// Nothing for what is not looked at: a way that the API does not take, a key whose checksum is wrong; and nothing for
    /// a caller without an address.
    fn of(api: &Api, presented: &PresentedCredential<'_>, caller: Option<IpAddr>) -> Option<Self> {
        presented.kind().filter(|way| api.allows_credential(*way))?;
        let (user, secret) = match presented {
            PresentedCredential::Basic { user, password } => (user.as_str(), password),
            PresentedCredential::ApiKey { key, user } => {
                ApiKeySecret::parse(key.expose())?;
                (user.as_deref().unwrap_or_default(), key)
            }
            _ => return None,
        };
        // Callers whose address the proxy does not say readably are not counted together: one would lock out the others.
        let address = network_prefix(&caller?.to_string());
        // No username has this byte.
        let credential = Sha256::new().chain_update(user).chain_update([0]).chain_update(secret.expose());
        let neighbourhood = Digest(Sha256::digest(&address).into());
        Some(Self { address, neighbourhood, credential: Digest(credential.finalize().into()) })
    }

    /// The credential as it comes from there.
    fn credential_and_network(&self) -> Digest {
        Digest(Sha256::new().chain_update(self.credential.0).chain_update(self.neighbourhood.0).finalize().into())
    }
}

impl Gate {
    /// Whose the credential is, where it is looked at.
    pub(super) async fn authenticate(
        &self,
        api: &Api,
        asked: &GateRequest<'_>,
        original: &ForwardedRequest,
        presented: PresentedCredential<'_>,
    ) -> Result<AuthenticationResult> {
        let Some(guess) = GuessableCredential::of(api, &presented, asked.caller) else {
            return self.identify(api, asked, original, presented).await;
        };
        let now = self.provider.env.now();
        let _turn = match self.brute_force.turn(&guess, now).await {
            Ok(turn) => turn,
            Err(until) => return Ok(Err(too_many(until, now))),
        };
        let proven = self.identify(api, asked, original, presented).await?;
        if proven.is_ok() {
            self.brute_force.right.get_with(guess.credential, || now);
            return Ok(proven);
        }
        match self.count_failure(&guess, now).await? {
            Some(until) => Ok(Err(too_many(until, now))),
            None => Ok(proven),
        }
    }

    /// Until when the address is stopped, where this was one too many.
    async fn count_failure(&self, guess: &GuessableCredential, now: Timestamp) -> Result<Option<Timestamp>> {
        let (guesses, here) = (&self.brute_force, guess.credential_and_network());
        if guesses.until(&here, now).is_some() {
            return Ok(None);
        }
        match throttle::count_wrong_secret(&self.provider.store, &guess.address).await? {
            Ok(_) => {
                guesses.until.insert(here, now.plus_seconds(throttle::WINDOW_SECONDS));
                Ok(None)
            }
            Err(many) => {
                if many.first {
                    tracing::warn!(address = %guess.address, "too many wrong credentials at a gate");
                }
                guesses.until.insert(guess.neighbourhood, many.until);
                Ok(Some(many.until))
            }
        }
    }
}

fn too_many(until: Timestamp, now: Timestamp) -> AuthenticationError {
    let text = "Too many wrong credentials came from this address; come back later.";
    let seconds = u32::try_from(until.since(now).max(0).div_euclid(1000)).unwrap_or(u32::MAX);
    let retry_after = NonZeroU32::new(seconds.saturating_add(1));
    AuthenticationError::Denied(Denial { retry_after, ..Denial::new(Reason::TooManyFailures, text) })
}
