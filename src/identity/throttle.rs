//! How many failures are too many (NIST SP 800-63B-4 §3.2.2): counted before the work is done, so that attempts made at
//! once cannot pass the budget together; a success is taken back.
//!
//! Each kind of secret has budgets of its own: wrong passwords at an address stop passwords there, not device codes, and
//! the other way round. What was right before has a budget apart from strangers': a browser that has signed in to the
//! account, a signed-in user or a browser that has connected a device. Neither an address nor a stranger can use it up.
//!
//! Sign-ins are counted by what was typed, not by whose it is: the username and the address of one account run out
//! apart from each other, so that nobody learns that they belong together. By either an account can be tried
//! [`MAX_FAILURES_PER_ACCOUNT`] times.

use sha2::{Digest as _, Sha256};

use crate::domain::ids::{ClientId, UserId};
use crate::domain::network_prefix::network_prefix;
use crate::domain::secret::{Digest, base64url};
use crate::env::Timestamp;
use crate::store::{Store, StoreError, throttle};

pub const WINDOW_SECONDS: i64 = 15 * 60;
/// Seconds to wait where there are as many counters as there may be (`quotas.failure_counters`).
const FULL_RETRY_SECONDS: i64 = 60;
const MAX_FAILURES_PER_ACCOUNT: i32 = 10;
const MAX_FAILURES_PER_ADDRESS: i32 = 100;
/// Accounts asked for, made or not: each answer tells whether a username is taken.
const MAX_SIGN_UPS_PER_ADDRESS: i32 = 20;
/// Secrets and keys that are wrong at a gate, each counted once; and secrets of one client that are wrong at the token
/// endpoint, where its own is short.
const MAX_WRONG_SECRETS_PER_ADDRESS: i32 = 100;
/// Clients whose address a proxy does not say readably share the budget of so many addresses.
const UNKNOWN_ADDRESS_FACTOR: i32 = 50;
/// A building full of screens behind one address.
const MAX_DEVICES_PER_ADDRESS: i32 = 300;

/// Who is counted for a sign-in.
#[derive(Clone, Debug)]
pub struct LoginAttempt {
    /// What was typed as the account, folded, whether there is one or not.
    pub typed: String,
    pub address: String,
    /// The browser, if it has signed in to that account before.
    pub known_browser: Option<(String, UserId)>,
}

/// Who is counted for a device's code that is typed in.
#[derive(Clone, Debug)]
pub struct UserCodeAttempt {
    pub browser: String,
    pub address: String,
    /// The user who is signed in.
    pub user: Option<UserId>,
    /// Whether a right code was typed in this browser before.
    pub is_known_browser: bool,
}

/// Who is counted for something that is stored. Whoever has authenticated has a budget apart from the address's, which
/// strangers there could use up.
#[derive(Clone, Copy, Debug)]
pub enum Requester<'a> {
    /// Empty where a proxy does not say it readably.
    Address(&'a str),
    Client(&'a ClientId),
    /// A valid initial access token.
    Token(Digest),
}

/// What was counted, for taking it back.
#[derive(Clone, Debug)]
pub struct CountedAttempt(Vec<Digest>);

/// Refused.
#[derive(Clone, Copy, Debug)]
pub struct ThrottleError {
    pub until: Timestamp,
    /// Whether it is the first one refused in its window: the others would only fill the events.
    pub first: bool,
}

impl ThrottleError {
    /// How long that is, in words that complete "Wait …".
    pub fn wait(self, now: Timestamp) -> String {
        match self.until.since(now).max(0) / 60_000 + 1 {
            1 => "a minute".to_owned(),
            minutes => format!("{minutes} minutes"),
        }
    }
}

fn digest(kind: &str, parts: &[&str]) -> Digest {
    let mut hash = Sha256::new();
    for part in std::iter::once(&kind).chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    Digest(hash.finalize().into())
}

/// Counts an attempt as failed until it is taken back; refuses it where it is one too many.
pub async fn count(store: &Store, attempt: &LoginAttempt) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    let own = match &attempt.known_browser {
        Some((browser, user)) => digest("browser", &[browser, &user.to_string(), &attempt.typed]),
        None => digest("account", &[&attempt.typed]),
    };
    count_at_address(store, "address", &attempt.address, own, attempt.known_browser.is_some()).await
}

/// The same for a code of a device.
pub async fn count_user_code(
    store: &Store,
    attempt: &UserCodeAttempt,
) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    let own = match attempt.user {
        Some(user) => digest("user code of a user", &[&user.to_string()]),
        None => digest("user code", &[&attempt.browser]),
    };
    let known = attempt.user.is_some() || attempt.is_known_browser;
    count_at_address(store, "user code address", &attempt.address, own, known).await
}

/// What is `known` counts at its address too, and is not stopped there.
async fn count_at_address(
    store: &Store,
    kind: &str,
    address: &str,
    own: Digest,
    known: bool,
) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    let most = if known { i32::MAX } else { MAX_FAILURES_PER_ADDRESS };
    // The address first: past its budget it leaves no further trace, whatever names it goes on to try. Clients whose
    // address a proxy does not say readably have no budget together: one of them would lock out all the others.
    let by_address = (!address.is_empty()).then(|| (digest(kind, &[&network_prefix(address)]), most));
    count_each(store, by_address.into_iter().chain([(own, MAX_FAILURES_PER_ACCOUNT)]).collect(), known).await
}

/// Counts an account that somebody at `address` asks for. It is never taken back.
pub async fn count_sign_up(store: &Store, address: &str) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    count_request(store, "sign-up", Requester::Address(address), MAX_SIGN_UPS_PER_ADDRESS).await
}

/// Counts a device that is about to be connected: each is a row until it has expired (RFC 8628 §3.2).
pub async fn count_device(
    store: &Store,
    requester: Requester<'_>,
) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    count_request(store, "device", requester, MAX_DEVICES_PER_ADDRESS).await
}

/// Counts a registration of a client (RFC 7591 §5: an open endpoint is not for flooding).
pub async fn count_registration(
    store: &Store,
    requester: Requester<'_>,
    most: i32,
) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    count_request(store, "registration", requester, most).await
}

/// Counts a change of a registration (RFC 7592) by its address, apart from registrations there.
pub async fn count_registration_change(
    store: &Store,
    address: &str,
    most: i32,
) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    count_request(store, "registration change", Requester::Address(address), most).await
}

async fn count_request(
    store: &Store,
    kind: &str,
    requester: Requester<'_>,
    most: i32,
) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    let (counter, most, known) = match requester {
        Requester::Address("") => (digest(kind, &[""]), most.saturating_mul(UNKNOWN_ADDRESS_FACTOR), false),
        Requester::Address(address) => (digest(kind, &[&network_prefix(address)]), most, false),
        Requester::Client(client) => (digest(kind, &["client", client.as_str()]), most, true),
        Requester::Token(token) => (digest(kind, &["token", &base64url(&token.0)]), most, true),
    };
    count_each(store, vec![(counter, most)], known).await
}

/// Counts a secret or key that was wrong at a gate. It is never taken back, and no budget of anybody who signs in.
pub async fn count_wrong_secret(
    store: &Store,
    address: &str,
) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    count_each(store, vec![(digest("guess", &[&network_prefix(address)]), MAX_WRONG_SECRETS_PER_ADDRESS)], false).await
}

/// Counts a secret for a client whose own is short enough to be guessed, until it is taken back.
pub async fn count_client_secret(
    store: &Store,
    client: &ClientId,
    address: &str,
) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    let counter = digest("client secret", &[client.as_str(), &network_prefix(address)]);
    let most = if address.is_empty() {
        MAX_WRONG_SECRETS_PER_ADDRESS.saturating_mul(UNKNOWN_ADDRESS_FACTOR)
    } else {
        MAX_WRONG_SECRETS_PER_ADDRESS
    };
    count_each(store, vec![(counter, most)], false).await
}

/// Counts with each of `counters`, up to its budget. Where very many counters run, only for those who are `known`.
async fn count_each(
    store: &Store,
    counters: Vec<(Digest, i32)>,
    known: bool,
) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    let total = store.quotas().failure_counters;
    store
        .write(move |tx| {
            Box::pin(async move {
                for (digest, most) in &counters {
                    if !known && throttle::is_full(tx, digest, total).await? {
                        let until = tx.now().plus_seconds(FULL_RETRY_SECONDS);
                        return Ok(Err(ThrottleError { until, first: false }));
                    }
                    let count = throttle::add(tx, digest, WINDOW_SECONDS).await?;
                    if count.failures > *most {
                        return Ok(Err(ThrottleError { until: count.resets_at, first: count.failures == *most + 1 }));
                    }
                }
                Ok(Ok(CountedAttempt(counters.iter().map(|(digest, _)| *digest).collect())))
            })
        })
        .await
}

/// The attempt was right after all.
pub async fn take_back(store: &Store, counted: CountedAttempt) -> Result<(), StoreError> {
    store
        .write(move |tx| {
            Box::pin(async move {
                for digest in &counted.0 {
                    throttle::take_back(tx, digest).await?;
                }
                Ok(())
            })
        })
        .await
}
