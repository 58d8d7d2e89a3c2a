//! Limits failed attempts (NIST SP 800-63B-4 §3.2.2). An attempt is counted before the work is done, so that concurrent
//! attempts cannot exceed the limit together. A success is subtracted again.
//!
//! Each kind of secret has its own budgets: wrong passwords from an address block passwords there, but not device
//! codes, and vice versa. A browser that has signed in to the account, a signed-in user and a browser that has
//! connected a device have a separate budget, which neither an address nor a stranger can exhaust.
//!
//! Sign-ins are counted by the typed login, not by the account. The username and the email address of one account have
//! separate counters, so that the counters do not reveal that they belong together. Each of them allows
//! [`MAX_FAILURES_PER_ACCOUNT`] attempts.

use sha2::{Digest as _, Sha256};

use crate::domain::ids::{ClientId, UserId};
use crate::domain::network_prefix::network_prefix;
use crate::domain::secret::{Digest, base64url};
use crate::env::Timestamp;
use crate::store::{Store, StoreError, throttle};

pub const WINDOW_SECONDS: i64 = 15 * 60;
/// Seconds to wait when the number of counters has reached `quotas.failure_counters`.
const FULL_RETRY_SECONDS: i64 = 60;
const MAX_FAILURES_PER_ACCOUNT: i32 = 10;
const MAX_FAILURES_PER_ADDRESS: i32 = 100;
/// Sign-up requests, successful or not, because each response reveals whether a username is taken.
const MAX_SIGN_UPS_PER_ADDRESS: i32 = 20;
/// Wrong secrets and keys at the gate, each counted once; and wrong secrets at the token endpoint for a client whose
/// own secret is short.
const MAX_WRONG_SECRETS_PER_ADDRESS: i32 = 100;
/// Clients whose address the proxy does not report share the budget of this many addresses.
const UNKNOWN_ADDRESS_FACTOR: i32 = 50;
/// Allows for a building full of screens behind one address.
const MAX_DEVICES_PER_ADDRESS: i32 = 300;

/// The counters of a sign-in attempt.
#[derive(Clone, Debug)]
pub struct LoginAttempt {
    /// The typed login, case-folded, whether the account exists or not.
    pub typed: String,
    pub address: String,
    /// The browser, if it has signed in to that account before.
    pub known_browser: Option<(String, UserId)>,
}

/// The counters of an attempt to enter a device's user code.
#[derive(Clone, Debug)]
pub struct UserCodeAttempt {
    pub browser: String,
    pub address: String,
    /// The signed-in user.
    pub user: Option<UserId>,
    /// Whether a correct code was entered in this browser before.
    pub is_known_browser: bool,
}

/// The party that is counted for a request that stores something. Authenticated parties have their own budget;
/// strangers at the same address cannot exhaust it.
#[derive(Clone, Copy, Debug)]
pub enum Requester<'a> {
    /// Empty if the proxy does not report a valid address.
    Address(&'a str),
    Client(&'a ClientId),
    /// A valid initial access token.
    Token(Digest),
}

/// The counters that an attempt incremented, so that it can be taken back.
#[derive(Clone, Debug)]
pub struct CountedAttempt(Vec<Digest>);

/// The attempt exceeds a budget.
#[derive(Clone, Copy, Debug)]
pub struct ThrottleError {
    pub until: Timestamp,
    /// Whether this is the first refused attempt of its window. Only that one is audited, so that refusals do not fill
    /// the events.
    pub first: bool,
}

impl ThrottleError {
    /// Returns the waiting time in words that complete "Wait …".
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

/// Counts an attempt as failed until it is taken back. Returns the error if it exceeds a budget.
pub async fn count(store: &Store, attempt: &LoginAttempt) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    let own = match &attempt.known_browser {
        Some((browser, user)) => digest("browser", &[browser, &user.to_string(), &attempt.typed]),
        None => digest("account", &[&attempt.typed]),
    };
    count_at_address(store, "address", &attempt.address, own, attempt.known_browser.is_some()).await
}

/// Counts an attempt to enter a user code of a device.
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

/// Counts by address and by `own`. A `known` party counts at its address too, but is not blocked there.
async fn count_at_address(
    store: &Store,
    kind: &str,
    address: &str,
    own: Digest,
    known: bool,
) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    let most = if known { i32::MAX } else { MAX_FAILURES_PER_ADDRESS };
    // The address is counted first: beyond its budget it creates no further counters, whatever logins it tries. Clients
    // whose address the proxy does not report share no budget, because one of them would lock out all the others.
    let by_address = (!address.is_empty()).then(|| (digest(kind, &[&network_prefix(address)]), most));
    count_each(store, by_address.into_iter().chain([(own, MAX_FAILURES_PER_ACCOUNT)]).collect(), known).await
}

/// Counts a sign-up request from `address`. It is never taken back.
pub async fn count_sign_up(store: &Store, address: &str) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    count_request(store, "sign-up", Requester::Address(address), MAX_SIGN_UPS_PER_ADDRESS).await
}

/// Counts a device authorization request, which stores a row until it expires (RFC 8628 §3.2).
pub async fn count_device(
    store: &Store,
    requester: Requester<'_>,
) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    count_request(store, "device", requester, MAX_DEVICES_PER_ADDRESS).await
}

/// Counts a client registration, because an open endpoint can be flooded (RFC 7591 §5).
pub async fn count_registration(
    store: &Store,
    requester: Requester<'_>,
    most: i32,
) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    count_request(store, "registration", requester, most).await
}

/// Counts a change of a registration (RFC 7592) by address, separately from registrations.
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

/// Counts a wrong secret or key at the gate. It is never taken back and does not affect the budgets of sign-ins.
pub async fn count_wrong_secret(
    store: &Store,
    address: &str,
) -> Result<Result<CountedAttempt, ThrottleError>, StoreError> {
    count_each(store, vec![(digest("guess", &[&network_prefix(address)]), MAX_WRONG_SECRETS_PER_ADDRESS)], false).await
}

/// Counts a secret presented for a client whose own is short enough to be guessed, until it is taken back.
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

/// Increments each of `counters`, up to its budget. When the maximum number of counters exists, only `known` parties
/// get new ones.
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

/// Takes back an attempt that succeeded.
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
