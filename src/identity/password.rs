//! Passwords: the rules of NIST SP 800-63B-4 §3.1.1.2, and equal time whoever asks.
//!
//! Hashes that were imported (bcrypt, scrypt, PBKDF2, SHA-crypt) cost another time than ours. While a deployment has some, a refused
//! sign-in is answered no earlier than [`Hasher::budget`] after its work began: half as long again as the costliest kind
//! takes on this machine, whatever the user has or whether there is one. The wait occupies no place in the queue.
//!
//! Hashing runs on the blocking pool behind a semaphore with a bounded queue: a flood of sign-ins gets "busy" and
//! everything else keeps serving. Next door: [`super::hash`] the hashes themselves, [`super::login`].

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
/// Waiting beyond those that are hashed; past it the answer is "busy".
const MAX_QUEUED: usize = 32;

/// Why a password is not taken. The texts are for the person.
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

/// Hashes and verifies passwords, a few at a time.
#[derive(Clone)]
pub struct Hasher {
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    /// Of the hashes that are not being made now: at most as many as there are places.
    memories: Arc<Mutex<Vec<Memory>>>,
    /// How long verifying a hash of each kind took here (`PasswordHash::work`); for a password of that length where it counts.
    measured: Arc<tokio::sync::Mutex<MeasuredTimes>>,
}

type MeasuredTimes = HashMap<(String, Option<usize>), Duration>;

/// What a verification found.
#[derive(Clone, Copy, Debug)]
pub struct PasswordVerification {
    pub right: bool,
    began: Instant,
    took: Duration,
    /// How often a password like this is tried at most.
    tries: u32,
}

impl PasswordVerification {
    /// The moment before which a refusal is not answered, where each try has that `budget`.
    pub fn end(&self, budget: Duration) -> Instant {
        let budget = budget.saturating_mul(self.tries).max(Duration::from_millis(1));
        // What took longer, since the machine was busy, ends at the next multiple.
        let times = self.took.as_micros().div_ceil(budget.as_micros()).max(1);
        self.began + budget.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX))
    }
}

impl Hasher {
    /// One that hashes `at_once` passwords at a time: each takes a core and 19 MiB.
    pub fn new(at_once: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(at_once.max(1))),
            waiting: Arc::default(),
            memories: Arc::default(),
            measured: Arc::default(),
        }
    }

    /// Hashes a new password that keeps the rules.
    pub async fn hash(&self, password: Secret) -> Result<PasswordHash, PasswordError> {
        self.hash_replacing(password, None).await
    }

    /// Whether a new password keeps the rules, without the work of hashing it.
    pub async fn check(&self, password: &Secret) -> Result<(), PasswordError> {
        let password = check_length(password)?;
        self.run(move |_| if is_common(&password) { Err(PasswordError::Common) } else { Ok(()) }).await?
    }

    /// Hashes a password anew whose `old` hash is outdated, where it keeps the rules.
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

    /// Whether `password` is the one of `hash`; as much work as for one of ours where there is none.
    pub async fn verify(&self, password: Secret, hash: Option<&PasswordHash>) -> Result<bool, PasswordError> {
        match self.judge(password, hash).await {
            Ok((right, ..)) => Ok(right),
            Err(PasswordError::TooLong) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether it is, when the work began and how long it took, without the time in the queue.
    async fn judge(
        &self,
        password: Secret,
        hash: Option<&PasswordHash>,
    ) -> Result<(bool, Instant, Duration), PasswordError> {
        // Longer than any password can be: refused before any work is spent on it.
        let normal = normalised(&password)?;
        let known = hash.is_some();
        let hash = hash.cloned().unwrap_or_else(|| PasswordHash(hash::DUMMY_HASH.to_owned()));
        self.run(move |memory| {
            // Who made a hash elsewhere may have hashed what was typed as it was.
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

    /// The time that every refused sign-in with this password takes at least, where there are hashes like these: `samples` has
    /// one of each kind. Nothing where all are ours, since then all take the same time anyhow. A kind that is met for the first
    /// time is measured.
    pub async fn budget(
        &self,
        samples: Vec<PasswordHash>,
        password: &Secret,
    ) -> Result<Option<Duration>, PasswordError> {
        let foreign: Vec<PasswordHash> = samples.into_iter().filter(hash::is_outdated).collect();
        if foreign.is_empty() {
            return Ok(None);
        }
        // NFKC may make it longer or shorter, and both are tried.
        let bytes = normalised(password).map_or(0, |normal| normal.len()).max(password.expose().len());
        // In a task of its own, so that what has been measured stays known where the request goes away meanwhile.
        let hasher = self.clone();
        let longest = tokio::spawn(async move { hasher.longest(foreign, bytes).await });
        Ok(Some(longest.await.map_err(|_| PasswordError::Broken)?? * 3 / 2))
    }

    /// The longest time that one of these hashes or one of ours takes, for a password of so many bytes.
    async fn longest(&self, foreign: Vec<PasswordHash>, bytes: usize) -> Result<Duration, PasswordError> {
        // Held while one is measured, so that sign-ins at once measure it once.
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

    /// The same as [`Self::verify`], with what a refusal has to know of the time it took.
    pub async fn verify_timed(
        &self,
        password: Secret,
        hash: Option<&PasswordHash>,
    ) -> Result<PasswordVerification, PasswordError> {
        // A password that NFKC changes is tried twice where the hash is from elsewhere.
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
            // Held until the work ends, even where the request has been cancelled.
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

/// A place in the queue, given back when the request goes away too.
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

/// NFKC (SP 800-63B-4 §3.1.1.2), so that one password typed on two keyboards is one.
fn normalised(password: &Secret) -> Result<Zeroizing<String>, PasswordError> {
    // A character has at most four bytes: no need to normalise what is too long anyhow.
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

/// Whether the whole of it is one entry of zxcvbn's lists of common passwords, names and words.
fn is_common(password: &str) -> bool {
    let entropy = zxcvbn::zxcvbn(password, &[]);
    entropy.sequence().len() == 1 && entropy.guesses() < 1_000_000
}
