//! How many failures are too many (NIST SP 800-63B-4 §3.2.2): counted by account and by address, before the work is
//! done, so that attempts made at once cannot pass the budget together; a success is taken back.
//!
//! The owner is never locked out by somebody else: a browser that has signed in to the account before has an allowance
//! of its own.

use sha2::{Digest as _, Sha256};

use crate::domain::ids::UserId;
use crate::domain::secret::Digest;
use crate::env::Timestamp;
use crate::store::{Store, StoreError, throttle};

const WINDOW_SECONDS: i64 = 15 * 60;
const PER_ACCOUNT: i32 = 10;
const PER_ADDRESS: i32 = 100;

/// Who is counted for an attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The account as it was typed, whether there is one or not: an unknown one is throttled alike.
    pub account: String,
    pub address: String,
    /// The browser, where it has signed in to that account before.
    pub known_browser: Option<(String, UserId)>,
}

/// What was counted, for taking it back.
#[derive(Clone, Debug)]
pub struct Counted(Vec<Digest>);

/// Refused until then.
#[derive(Clone, Copy, Debug)]
pub struct TooMany(pub Timestamp);

impl TooMany {
    /// How long that is, in words that complete "Wait …".
    pub fn wait(self, now: Timestamp) -> String {
        match self.0.since(now).max(0) / 60_000 + 1 {
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
pub async fn count(store: &Store, attempt: &Attempt) -> Result<Result<Counted, TooMany>, StoreError> {
    let account = match &attempt.known_browser {
        Some((browser, user)) => digest("browser", &[browser, &user.to_string()]),
        None => digest("account", &[&attempt.account]),
    };
    let counters = [(account, PER_ACCOUNT), (digest("address", &[&attempt.address]), PER_ADDRESS)];
    store
        .write(move |tx| {
            Box::pin(async move {
                let mut until: Option<Timestamp> = None;
                for (digest, most) in &counters {
                    let count = throttle::add(tx, digest, WINDOW_SECONDS).await?;
                    if count.failures > *most {
                        until = Some(until.map_or(count.resets_at, |until| until.max(count.resets_at)));
                    }
                }
                Ok(match until {
                    Some(until) => Err(TooMany(until)),
                    None => Ok(Counted(counters.iter().map(|(digest, _)| *digest).collect())),
                })
            })
        })
        .await
}

/// The attempt was right after all.
pub async fn take_back(store: &Store, counted: Counted) -> Result<(), StoreError> {
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
