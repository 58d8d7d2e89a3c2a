//! Nonces of signed requests: each is taken once while its signature is good (RFC 9421 §7.2.2).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

/// What a store of the API's own answers with.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

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
    ) -> BoxFuture<'a, Result<bool, NoncesUnavailable>>;
}

/// In memory: for one node. Each key has room for as many nonces; where that is full, requests by this key are refused
/// until one of its nonces has run out, and those by other keys are not.
#[derive(Debug)]
pub struct MemoryNonces {
    max_per_key: usize,
    seen: Mutex<SeenNonces>,
}

type Pair = (String, String);

#[derive(Debug, Default)]
struct SeenNonces {
    by_key: HashMap<String, HashSet<String>>,
    by_end: BTreeSet<(i64, Pair)>,
}

impl MemoryNonces {
    /// As many at once for each key. Nonces are taken of keys that the API knows alone, so that the number of keys bounds
    /// the memory.
    #[must_use]
    pub fn new(max_per_key: usize) -> Self {
        Self { max_per_key, seen: Mutex::default() }
    }

    fn take_now(&self, keyid: &str, nonce: &str, until: i64, now: i64) -> Result<bool, NoncesUnavailable> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget(now);
        let of_key = seen.by_key.entry(keyid.to_owned()).or_default();
        if of_key.contains(nonce) {
            return Ok(false);
        }
        if of_key.len() >= self.max_per_key {
            return Err(NoncesUnavailable);
        }
        of_key.insert(nonce.to_owned());
        seen.by_end.insert((until, (keyid.to_owned(), nonce.to_owned())));
        Ok(true)
    }
}

impl SeenNonces {
    /// Takes out what has run out.
    fn forget(&mut self, now: i64) {
        while let Some((end, (keyid, nonce))) = self.by_end.pop_first() {
            if end >= now {
                self.by_end.insert((end, (keyid, nonce)));
                break;
            }
            if let Some(of_key) = self.by_key.get_mut(&keyid) {
                of_key.remove(&nonce);
                if of_key.is_empty() {
                    self.by_key.remove(&keyid);
                }
            }
        }
    }
}

impl Nonces for MemoryNonces {
    fn take<'a>(
        &'a self,
        keyid: &'a str,
        nonce: &'a str,
        until: i64,
        now: i64,
    ) -> BoxFuture<'a, Result<bool, NoncesUnavailable>> {
        let taken = self.take_now(keyid, nonce, until, now);
        Box::pin(async move { taken })
    }
}

#[cfg(test)]
mod tests {
    use super::{MemoryNonces, NoncesUnavailable};

    #[test]
    fn nonce_is_accepted_once_per_key_until_it_expires() {
        let nonces = MemoryNonces::new(10);
        assert_eq!(nonces.take_now("k1", "n", 100, 50), Ok(true));
        assert_eq!(nonces.take_now("k1", "n", 100, 50), Ok(false));
        assert_eq!(nonces.take_now("k2", "n", 100, 50), Ok(true));
        assert_eq!(nonces.take_now("k1", "n", 100, 100), Ok(false));
        assert_eq!(nonces.take_now("k1", "n", 200, 101), Ok(true));
        let seen = nonces.seen.lock().unwrap();
        assert_eq!((seen.by_key.len(), seen.by_end.len()), (1, 1));
    }

    #[test]
    fn one_key_cannot_fill_the_store_for_another() {
        let nonces = MemoryNonces::new(2);
        for nonce in ["a", "b"] {
            assert_eq!(nonces.take_now("k1", nonce, 10, 0), Ok(true));
        }
        assert_eq!(nonces.take_now("k1", "c", 10, 0), Err(NoncesUnavailable));
        assert_eq!(nonces.take_now("k2", "a", 10, 0), Ok(true));
        assert_eq!(nonces.take_now("k1", "c", 20, 11), Ok(true));
    }

    #[test]
    fn full_store_rejects_new_nonces_and_keeps_old_ones() {
        let nonces = MemoryNonces::new(2);
        assert_eq!(nonces.take_now("k", "a", 10, 0), Ok(true));
        assert_eq!(nonces.take_now("k", "b", 20, 0), Ok(true));
        assert_eq!(nonces.take_now("k", "c", 20, 0), Err(NoncesUnavailable));
        assert_eq!(nonces.take_now("k", "a", 10, 0), Ok(false));
        assert_eq!(nonces.take_now("k", "c", 20, 11), Ok(true));
        assert_eq!(nonces.take_now("k", "b", 20, 11), Ok(false));
    }
}
