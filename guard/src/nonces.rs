//! Nonces of signed requests: each is taken once while its signature is good (RFC 9421 §7.2.2).

use std::collections::{BTreeSet, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

/// What a store of the API's own answers with.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The store cannot say whether a nonce is new: the request is refused with 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("whether a nonce is new cannot be told now")]
pub struct NoncesUnavailable;

/// Where nonces are kept. An API of several nodes, or one whose window has to outlive a restart, keeps them in its database:
/// one insert that fails where the pair is there.
pub trait Nonces: Send + Sync + 'static {
    /// Whether the pair is new, and from now on it is not. It has to be remembered to the end of the second `until`;
    /// both times are in seconds since 1970. Only asked of signatures that have verified.
    fn take<'a>(
        &'a self,
        keyid: &'a str,
        nonce: &'a str,
        until: i64,
        now: i64,
    ) -> Answer<'a, Result<bool, NoncesUnavailable>>;
}

/// In memory: for one node. Where it is full nothing more is let in until something has run out.
#[derive(Debug)]
pub struct MemoryNonces {
    most: usize,
    seen: Mutex<Seen>,
}

type Pair = (String, String);

#[derive(Debug, Default)]
struct Seen {
    pairs: HashSet<Pair>,
    by_end: BTreeSet<(i64, Pair)>,
}

impl MemoryNonces {
    /// As many at once.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, seen: Mutex::default() }
    }

    fn take_now(&self, keyid: &str, nonce: &str, until: i64, now: i64) -> Result<bool, NoncesUnavailable> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((end, pair)) = seen.by_end.pop_first() {
            if end >= now {
                seen.by_end.insert((end, pair));
                break;
            }
            seen.pairs.remove(&pair);
        }
        let pair = (keyid.to_owned(), nonce.to_owned());
        if seen.pairs.contains(&pair) {
            return Ok(false);
        }
        if seen.pairs.len() >= self.most {
            return Err(NoncesUnavailable);
        }
        seen.pairs.insert(pair.clone());
        seen.by_end.insert((until, pair));
        Ok(true)
    }
}

impl Nonces for MemoryNonces {
    fn take<'a>(
        &'a self,
        keyid: &'a str,
        nonce: &'a str,
        until: i64,
        now: i64,
    ) -> Answer<'a, Result<bool, NoncesUnavailable>> {
        let taken = self.take_now(keyid, nonce, until, now);
        Box::pin(async move { taken })
    }
}

#[cfg(test)]
mod tests {
    use super::{MemoryNonces, NoncesUnavailable};

    #[test]
    fn a_nonce_is_new_once_for_each_key_while_it_counts() {
        let nonces = MemoryNonces::new(10);
        assert_eq!(nonces.take_now("k1", "n", 100, 50), Ok(true));
        assert_eq!(nonces.take_now("k1", "n", 100, 50), Ok(false));
        assert_eq!(nonces.take_now("k2", "n", 100, 50), Ok(true));
        assert_eq!(nonces.take_now("k1", "n", 100, 100), Ok(false));
        assert_eq!(nonces.take_now("k1", "n", 200, 101), Ok(true));
        assert_eq!(nonces.seen.lock().unwrap().pairs.len(), 1);
    }

    #[test]
    fn a_full_store_lets_nobody_in_and_forgets_nobody() {
        let nonces = MemoryNonces::new(2);
        assert_eq!(nonces.take_now("k", "a", 10, 0), Ok(true));
        assert_eq!(nonces.take_now("k", "b", 20, 0), Ok(true));
        assert_eq!(nonces.take_now("k", "c", 20, 0), Err(NoncesUnavailable));
        assert_eq!(nonces.take_now("k", "a", 10, 0), Ok(false));
        assert_eq!(nonces.take_now("k", "c", 20, 11), Ok(true));
        assert_eq!(nonces.take_now("k", "b", 20, 11), Ok(false));
    }
}
