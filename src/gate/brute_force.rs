//! Limits guessing of secrets and API keys at the gate. Once an address has sent too many wrong credentials, only
//! credentials that were right before are accepted from there until its window ends. So a client in use is not locked
//! out by other callers behind the same address, and other addresses are not affected.
//!
//! The counts are kept in the database (`identity::throttle`), shared by all nodes, at one statement for each new wrong
//! credential below the limit. Right credentials, known wrong credentials and addresses over the limit are cached in
//! memory and cost no statement. See also [`super::authenticate`], which checks the credentials;
//! [`super::rate_limits`], the limit on all requests.

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

/// The maximum number of entries of each cache. An evicted entry costs one statement to restore.
const MAX_ENTRIES: u64 = 100_000;

/// The number of locks, one for each value of a byte: as many addresses can be checked at the same time.
const LOCK_COUNT: usize = 256;

#[derive(Clone)]
pub struct BruteForceLimits {
    /// Credentials that were right, with the time of their first use.
    right: Cache<Digest, Timestamp>,
    /// The end of the window for wrong credentials of an address and for addresses over the limit. A repeated wrong
    /// credential is not counted again, because a script that repeats one is not guessing.
    until: Cache<Digest, Timestamp>,
    /// Held while a credential from an address is checked, so that concurrent guesses cannot exceed the limit.
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

    /// Returns the lock to hold while a guess is checked, or `None` if the credential is no new guess. The error is the
    /// time until which the address is blocked.
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
        // A repeated wrong credential is no new guess and does not make other requests wait.
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
    /// Returns `None` for a credential that is not checked (a kind that the API does not accept, or a key with a wrong
    /// checksum) and for a caller without an address.
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
        // Callers whose address the proxy does not report are not counted together, because one of them would lock out
        // the others.
        let address = network_prefix(&caller?.to_string());
        // The zero byte separates the parts; no username contains it.
        let credential = Sha256::new().chain_update(user).chain_update([0]).chain_update(secret.expose());
        let neighbourhood = Digest(Sha256::digest(&address).into());
        Some(Self { address, neighbourhood, credential: Digest(credential.finalize().into()) })
    }

    /// Returns the digest of the credential together with the caller's network.
    fn credential_and_network(&self) -> Digest {
        Digest(Sha256::new().chain_update(self.credential.0).chain_update(self.neighbourhood.0).finalize().into())
    }
}

impl Gate {
    /// Authenticates the credential, unless the address is blocked.
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

    /// Counts a wrong credential. Returns the time until which the address is blocked, if this one exceeded the limit.
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
