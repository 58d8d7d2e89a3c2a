//! Passwords: the rules of NIST SP 800-63B-4 §3.1.1.2, and equal work whoever asks.
//!
//! Hashing runs on the blocking pool behind a semaphore with a bounded queue: a flood of sign-ins gets "busy" and
//! everything else keeps serving. Next door: [`super::hash`] the hashes themselves, [`super::login`].

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::hash::{self, Memory};
use crate::domain::secret::Secret;
use crate::domain::user::PasswordHash;

const LEAST_CHARACTERS: usize = 8;
const MOST_CHARACTERS: usize = 256;
/// Waiting beyond those that are hashed; past it the answer is "busy".
const QUEUE: usize = 32;

/// Why a password is not taken. The texts are for the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("Use at least {LEAST_CHARACTERS} characters.")]
    TooShort,
    #[error("Use at most {MOST_CHARACTERS} characters.")]
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
}

impl Hasher {
    /// One that hashes `at_once` passwords at a time: each takes a core and 19 MiB.
    pub fn new(at_once: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once.max(1))), waiting: Arc::default(), memories: Arc::default() }
    }

    /// Hashes a new password that keeps the rules.
    pub async fn hash(&self, password: Secret) -> Result<PasswordHash, PasswordError> {
        self.hash_instead(password, None).await
    }

    /// Hashes a password anew whose `old` hash is outdated, where it keeps the rules.
    pub async fn renew(&self, password: Secret, old: PasswordHash) -> Result<PasswordHash, PasswordError> {
        self.hash_instead(password, Some(old)).await
    }

    async fn hash_instead(&self, password: Secret, old: Option<PasswordHash>) -> Result<PasswordHash, PasswordError> {
        let password = normalised(&password)?;
        if password.chars().count() < LEAST_CHARACTERS {
            return Err(PasswordError::TooShort);
        }
        self.run(move |memory| {
            if is_common(&password) {
                return Err(PasswordError::Common);
            }
            hash::make(password.as_bytes(), old.as_ref(), memory).ok_or(PasswordError::Broken)
        })
        .await?
    }

    /// Whether `password` is the one of `hash`; as much work where there is none.
    pub async fn verify(&self, password: Secret, hash: Option<&PasswordHash>) -> Result<bool, PasswordError> {
        // Longer than any password can be: wrong, before any work is spent on it.
        let Ok(normal) = normalised(&password) else { return Ok(false) };
        let known = hash.is_some();
        let hash = hash.cloned().unwrap_or_else(|| PasswordHash(hash::NOBODYS.to_owned()));
        self.run(move |memory| {
            // Who made a hash elsewhere may have hashed what was typed as it was.
            let right = hash::matches(normal.as_bytes(), &hash, memory)
                || (*normal != password.expose()
                    && hash::is_outdated(&hash)
                    && hash::matches(password.expose().as_bytes(), &hash, memory));
            right && known
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let waiting = Waiting::enter(&self.waiting)?;
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

/// A place in the queue, given back when the request goes away too.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Result<Self, PasswordError> {
        let place = Self(count);
        if count.fetch_add(1, Ordering::SeqCst) >= QUEUE { Err(PasswordError::Busy) } else { Ok(place) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// NFKC (SP 800-63B-4 §3.1.1.2), so that one password typed on two keyboards is one.
fn normalised(password: &Secret) -> Result<Zeroizing<String>, PasswordError> {
    // A character has at most four bytes: no need to normalise what is too long anyhow.
    if password.expose().len() > MOST_CHARACTERS * 4 {
        return Err(PasswordError::TooLong);
    }
    let text = Zeroizing::new(password.expose().nfkc().collect::<String>());
    if text.chars().count() > MOST_CHARACTERS { Err(PasswordError::TooLong) } else { Ok(text) }
}

/// Whether the whole of it is one entry of zxcvbn's lists of common passwords, names and words.
fn is_common(password: &str) -> bool {
    let entropy = zxcvbn::zxcvbn(password, &[]);
    entropy.sequence().len() == 1 && entropy.guesses() < 1_000_000
}
