//! Passwords: the rules of NIST SP 800-63B-4 §3.1.1.2, with response times that do not reveal whether a user exists.
//!
//! Verifying an imported hash (bcrypt, scrypt, PBKDF2, SHA-crypt) takes a different time than verifying one of this
//! server. While a deployment has imported hashes, a failed sign-in is answered no earlier than [`Hasher::budget`]
//! after its work began, whether the user exists or not. The budget is 1.5 times the time of the slowest kind on this
//! machine. Waiting for it does not occupy a place in the queue.
//!
//! Hashing runs on the blocking pool behind a semaphore with a bounded queue. A flood of sign-ins gets "busy", and all
//! other requests are still served. See also [`super::hash`], the hashes themselves; [`super::login`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::foreign_hash;
use super::hash::{self, Memory};
use crate::domain::secret::Secret;
use crate::domain::user::PasswordHash;

const MIN_CHARACTERS: usize = 8;
const MAX_CHARACTERS: usize = 256;
/// The maximum number of waiting requests, in addition to those being hashed. Beyond it the error is
/// [`PasswordError::Busy`].
const MAX_QUEUED: usize = 32;

/// The reason why a password is not accepted. The texts are shown to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("Use at least {MIN_CHARACTERS} characters.")]
    TooShort,
    #[error("Use at most {MAX_CHARACTERS} characters.")]
    TooLong,
    #[error("Many people use that one, so it is easy to guess. Choose another.")]
    Common,
    #[error("Many people are signing in right now. Try again in a moment.")]
    Busy,
    #[error("The password could not be checked.")]
    Broken,
}

/// Hashes and verifies a limited number of passwords at a time.
#[derive(Clone)]
pub struct Hasher {
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    /// The memory of idle hash operations; at most one for each permit.
    memories: Arc<Mutex<Vec<Memory>>>,
    /// The verification time on this machine by kind of hash (`PasswordHash::cost_class`) and, where it matters,
    /// password length.
    measured: Arc<tokio::sync::Mutex<MeasuredTimes>>,
}

type MeasuredTimes = HashMap<(String, Option<usize>), Duration>;

/// The result of a verification.
#[derive(Clone, Copy, Debug)]
pub struct PasswordVerification {
    pub right: bool,
    began: Instant,
    took: Duration,
    /// The maximum number of attempts for such a password.
    tries: u32,
}

impl PasswordVerification {
    /// Returns the time before which a failure must not be answered, given a `budget` for each attempt.
    pub fn end(&self, budget: Duration) -> Instant {
        let budget = budget.saturating_mul(self.tries).max(Duration::from_millis(1));
        // If a busy machine took longer than the budget, the response waits for the next multiple.
        let times = self.took.as_micros().div_ceil(budget.as_micros()).max(1);
        self.began + budget.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX))
    }
}

impl Hasher {
    /// Returns a hasher that processes `at_once` passwords at a time. Each needs a core and 19 MiB.
    pub fn new(at_once: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(at_once.max(1))),
            waiting: Arc::default(),
            memories: Arc::default(),
            measured: Arc::default(),
        }
    }

    /// Hashes a new password that satisfies the rules.
    pub async fn hash(&self, password: Secret) -> Result<PasswordHash, PasswordError> {
        self.hash_replacing(password, None).await
    }

    /// Checks that a new password satisfies the rules, without hashing it.
    pub async fn check(&self, password: &Secret) -> Result<(), PasswordError> {
        let password = check_length(password)?;
        self.run(move |_| if is_common(&password) { Err(PasswordError::Common) } else { Ok(()) }).await?
    }

    /// Hashes a password whose `old` hash is outdated, if it satisfies the rules.
    pub async fn renew(&self, password: Secret, old: PasswordHash) -> Result<PasswordHash, PasswordError> {
        self.hash_replacing(password, Some(old)).await
    }

    async fn hash_replacing(&self, password: Secret, old: Option<PasswordHash>) -> Result<PasswordHash, PasswordError> {
        let password = check_length(&password)?;
        self.run(move |memory| {
            if is_common(&password) {
                return Err(PasswordError::Common);
            }
            hash::make(password.as_bytes(), old.as_ref(), memory).ok_or(PasswordError::Broken)
        })
        .await?
    }

    /// Returns whether `password` matches `hash`. Without a hash it does the work for one of this server's hashes.
    pub async fn verify(&self, password: Secret, hash: Option<&PasswordHash>) -> Result<bool, PasswordError> {
        match self.judge(password, hash).await {
            Ok((right, ..)) => Ok(right),
            Err(PasswordError::TooLong) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns whether the password matches, when the work began and how long it took, excluding the time in the queue.
    async fn judge(
        &self,
        password: Secret,
        hash: Option<&PasswordHash>,
    ) -> Result<(bool, Instant, Duration), PasswordError> {
        // A password above the maximum length is rejected before any work is spent on it.
        let normal = normalised(&password)?;
        let known = hash.is_some();
        let hash = hash.cloned().unwrap_or_else(|| PasswordHash(hash::DUMMY_HASH.to_owned()));
        self.run(move |memory| {
            // The program that created an imported hash may not have normalized the password.
            let matches = || {
                hash::matches(normal.as_bytes(), &hash, memory)
                    || (*normal != password.expose()
                        && hash::is_outdated(&hash)
                        && hash::matches(password.expose().as_bytes(), &hash, memory))
            };
            let (right, began, took) = timed(matches);
            (right && known, began, took)
        })
        .await
    }

    /// Returns the minimum time of every failed sign-in with this password; `None` if all hashes are this server's,
    /// which take equal time. `samples` has one stored hash of each kind. A kind without a measurement is measured
    /// first.
    pub async fn budget(
        &self,
        samples: Vec<PasswordHash>,
        password: &Secret,
    ) -> Result<Option<Duration>, PasswordError> {
        let foreign: Vec<PasswordHash> = samples.into_iter().filter(hash::is_outdated).collect();
        if foreign.is_empty() {
            return Ok(None);
        }
        // NFKC may change the length, and both forms are tried.
        let bytes = normalised(password).map_or(0, |normal| normal.len()).max(password.expose().len());
        // A separate task, so that the measurement is kept if the request is cancelled.
        let hasher = self.clone();
        let longest = tokio::spawn(async move { hasher.longest(foreign, bytes).await });
        Ok(Some(longest.await.map_err(|_| PasswordError::Broken)?? * 3 / 2))
    }

    /// Returns the longest verification time of these hashes and this server's, for a password of that length in bytes.
    async fn longest(&self, foreign: Vec<PasswordHash>, bytes: usize) -> Result<Duration, PasswordError> {
        // Held during a measurement, so that concurrent sign-ins measure each kind once.
        let mut measured = self.measured.lock().await;
        let mut longest = Duration::ZERO;
        for hash in std::iter::once(PasswordHash(hash::DUMMY_HASH.to_owned())).chain(foreign) {
            let length = foreign_hash::length_class(&hash, bytes);
            let kind = (hash.cost_class(), length);
            let took = if let Some(took) = measured.get(&kind) {
                *took
            } else {
                let trial = vec![b'x'; length.unwrap_or(16)];
                let took = self.run(move |memory| timed(|| hash::matches(&trial, &hash, memory)).2).await?;
                measured.insert(kind, took);
                took
            };
            longest = longest.max(took);
        }
        Ok(longest)
    }

    /// Verifies like [`Self::verify`], and returns the times that a failed sign-in needs.
    pub async fn verify_timed(
        &self,
        password: Secret,
        hash: Option<&PasswordHash>,
    ) -> Result<PasswordVerification, PasswordError> {
        // A password that NFKC changes is tried in both forms against an imported hash.
        let tries = if *normalised(&password)? == password.expose() { 1 } else { 2 };
        let (right, began, took) = self.judge(password, hash).await?;
        Ok(PasswordVerification { right, began, took, tries })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let waiting = QueueSlot::enter(&self.waiting)?;
        let place = self.places.clone().acquire_owned().await.map_err(|_| PasswordError::Broken)?;
        drop(waiting);
        let memories = self.memories.clone();
        tokio::task::spawn_blocking(move || {
            // Held until the work ends, even if the request is cancelled.
            let _place = place;
            let lock = || memories.lock().unwrap_or_else(PoisonError::into_inner);
            let mut memory = lock().pop().unwrap_or_default();
            let done = work(&mut memory);
            lock().push(memory);
            done
        })
        .await
        .map_err(|_| PasswordError::Broken)
    }
}

#[expect(clippy::disallowed_methods, reason = "how long work takes on this machine is measured")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Instant, Duration) {
    let began = Instant::now();
    let done = work();
    (done, began, began.elapsed())
}

/// A place in the queue, released on drop, also if the request is cancelled.
struct QueueSlot<'a>(&'a AtomicUsize);

impl<'a> QueueSlot<'a> {
    fn enter(count: &'a AtomicUsize) -> Result<Self, PasswordError> {
        let place = Self(count);
        if count.fetch_add(1, Ordering::SeqCst) >= MAX_QUEUED { Err(PasswordError::Busy) } else { Ok(place) }
    }
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Normalizes to NFKC (SP 800-63B-4 §3.1.1.2), so that a password is the same from different keyboards.
fn normalised(password: &Secret) -> Result<Zeroizing<String>, PasswordError> {
    // A character has at most four bytes, so a longer password is above the maximum without normalizing it.
    if password.expose().len() > MAX_CHARACTERS * 4 {
        return Err(PasswordError::TooLong);
    }
    let text = Zeroizing::new(password.expose().nfkc().collect::<String>());
    if text.chars().count() > MAX_CHARACTERS { Err(PasswordError::TooLong) } else { Ok(text) }
}

fn check_length(password: &Secret) -> Result<Zeroizing<String>, PasswordError> {
    let password = normalised(password)?;
    if password.chars().count() < MIN_CHARACTERS { Err(PasswordError::TooShort) } else { Ok(password) }
}

/// Returns whether the whole password is one entry of zxcvbn's lists of common passwords, names and words.
fn is_common(password: &str) -> bool {
    let entropy = zxcvbn::zxcvbn(password, &[]);
    entropy.sequence().len() == 1 && entropy.guesses() < 1_000_000
}
