//! In-memory copies of rows that a node has read, kept until the node learns that they have changed.
//!
//! An entry is valid only if nothing has changed since before it was read. A change between the read and the insertion
//! makes the entry stale at once. Changes are counted in 256 stripes, so that one change causes few other entries to be
//! read again, and a feed entry about many changes stays short.
//!
//! [`super::node_cache`] owns these caches, and [`super::feed`] carries the changes.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::sync::Cache;
use serde::{Deserialize, Serialize};

use super::Result;
use crate::domain::ids::{ClientId, UserId};
use crate::domain::secret::Digest;
use crate::domain::signature_key::KeyId;

const STRIPES: usize = 256;

/// A cache key, which belongs to one of the stripes.
pub trait Striped {
    fn stripe(&self) -> u8;
}

impl Striped for UserId {
    /// The last byte is random (RFC 9562 §5.7).
    fn stripe(&self) -> u8 {
        self.0.as_bytes()[15]
    }
}

impl Striped for Digest {
    fn stripe(&self) -> u8 {
        self.0[0]
    }
}

impl Striped for KeyId {
    fn stripe(&self) -> u8 {
        of_name(self.as_str())
    }
}

impl Striped for ClientId {
    fn stripe(&self) -> u8 {
        of_name(self.as_str())
    }
}

/// Users choose names, and names differ most in their last letters.
fn of_name(name: &str) -> u8 {
    name.bytes().fold(0, |sum: u8, byte| sum.rotate_left(3) ^ byte)
}

/// A set of stripes in which something has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stripes(Vec<u8>);

impl Stripes {
    pub(super) fn all() -> Self {
        Self((0..=u8::MAX).collect())
    }
}

impl<'a, K: Striped + 'a> FromIterator<&'a K> for Stripes {
    fn from_iter<I: IntoIterator<Item = &'a K>>(keys: I) -> Self {
        let mut stripes: Vec<u8> = keys.into_iter().map(Striped::stripe).collect();
        stripes.sort_unstable();
        stripes.dedup();
        Self(stripes)
    }
}

/// The number of changes in each stripe.
pub(super) struct ChangeCounts([AtomicU64; STRIPES]);

impl ChangeCounts {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    /// Returns a number that changes whenever something in the stripe of `key` has changed.
    pub(super) fn of(&self, key: &impl Striped) -> u64 {
        self.0.get(usize::from(key.stripe())).map(|count| count.load(Ordering::SeqCst)).unwrap_or_default()
    }

    /// Returns a copy of all counts.
    pub(super) fn snapshot(&self) -> ChangeSnapshot {
        ChangeSnapshot(Box::new(std::array::from_fn(|at| {
            self.0.get(at).map_or(0, |count| count.load(Ordering::SeqCst))
        })))
    }

    pub(super) fn changed(&self, stripes: &Stripes) {
        for stripe in &stripes.0 {
            if let Some(count) = self.0.get(usize::from(*stripe)) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// The number of changes in each stripe at one moment.
pub struct ChangeSnapshot(Box<[u64; STRIPES]>);

impl ChangeSnapshot {
    /// Returns the sum of the counts of the stripes of `keys`, which changes as soon as one of them has changed.
    pub fn of<'a, K: Striped + 'a>(&self, keys: impl IntoIterator<Item = &'a K>) -> u64 {
        let of = |key: &K| self.0.get(usize::from(key.stripe())).copied().unwrap_or_default();
        keys.into_iter().map(of).sum()
    }
}

pub(super) struct StripedCache<K, V> {
    /// Each value with the count of its stripe from before it was read.
    entries: Cache<K, (u64, Arc<V>)>,
    changes: ChangeCounts,
}

impl<K, V> StripedCache<K, V>
where
    K: Striped + Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(super) fn new(most: u64) -> Self {
        Self { entries: Cache::new(most), changes: ChangeCounts::new() }
    }

    /// Returns the cached value of `key`, or the one that `read` finds. Misses are not cached, so lookups of invented
    /// keys cannot evict entries in use.
    pub(super) async fn get(&self, key: &K, read: impl Future<Output = Result<Option<V>>>) -> Result<Option<Arc<V>>> {
        let changes = self.changes.of(key);
        if let Some((read_at, value)) = self.entries.get(key)
            && read_at == changes
        {
            return Ok(Some(value));
        }
        let Some(value) = read.await?.map(Arc::new) else {
            self.entries.invalidate(key);
            return Ok(None);
        };
        self.entries.insert(key.clone(), (changes, value.clone()));
        Ok(Some(value))
    }

    pub(super) fn changed(&self, stripes: &Stripes) {
        self.changes.changed(stripes);
    }
}

#[cfg(test)]
mod tests {
    use super::{ChangeCounts, StripedCache, Stripes};
    use crate::domain::ids::{ClientId, UserId};
    use crate::store::Result;

    fn id(last: u8) -> UserId {
        UserId(uuid::Uuid::from_u128(u128::from(last)))
    }

    async fn found(value: u32) -> Result<Option<u32>> {
        Ok(Some(value))
    }

    #[tokio::test]
    async fn entry_read_before_a_change_is_not_served() {
        let kept = StripedCache::new(10);
        let get = async |key, value| *kept.get(&id(key), found(value)).await.unwrap().unwrap();
        assert_eq!((get(1, 10).await, get(1, 11).await), (10, 10), "kept");
        assert_eq!((get(2, 20).await, get(1, 11).await), (20, 10));
        kept.changed(&Stripes::from_iter(&[id(1)]));
        assert_eq!((get(1, 12).await, get(2, 21).await), (12, 20), "the other one is still kept");
        // A change during the read: the value is returned this once, and the next caller reads it again.
        let third = id(3);
        let late = kept.get(&third, async {
            kept.changed(&Stripes::from_iter(&[id(3)]));
            found(30).await
        });
        assert_eq!(**late.await.unwrap().as_ref().unwrap(), 30);
        assert_eq!((get(3, 31).await, get(3, 32).await), (31, 31));
        kept.changed(&Stripes::all());
        assert_eq!((get(1, 13).await, get(2, 22).await, get(3, 33).await), (13, 22, 33));
    }

    #[tokio::test]
    async fn misses_are_not_cached() {
        let kept = StripedCache::new(10);
        assert!(kept.get(&id(1), async { Ok(None) }).await.unwrap().is_none());
        assert_eq!(*kept.get(&id(1), found(1)).await.unwrap().unwrap(), 1);
        kept.changed(&Stripes::from_iter(&[id(1)]));
        assert!(kept.get(&id(1), async { Ok(None) }).await.unwrap().is_none());
        assert_eq!(*kept.get(&id(1), found(2)).await.unwrap().unwrap(), 2);
    }

    /// A changed client causes only the keys in its stripe to be read and verified again.
    #[test]
    fn change_affects_only_its_stripe() {
        let counts = ChangeCounts::new();
        let before = counts.snapshot();
        counts.changed(&Stripes::from_iter(&[id(1)]));
        let after = counts.snapshot();
        assert_ne!(before.of(&[id(1)]), after.of(&[id(1)]));
        assert_ne!(before.of(&[id(2), id(1)]), after.of(&[id(2), id(1)]));
        assert_eq!(before.of(&[id(2)]), after.of(&[id(2)]));
        let clients: Vec<ClientId> = ["web", "app", "billing"].map(|id| ClientId::parse(id).unwrap()).to_vec();
        counts.changed(&Stripes::from_iter(&clients[..1]));
        assert_eq!(after.of(&clients[1..]), counts.snapshot().of(&clients[1..]));
    }

    #[test]
    fn stripes_of_many_changes_stay_short() {
        let many: Vec<UserId> = (0..100_000_u128).map(|n| UserId(uuid::Uuid::from_u128(n))).collect();
        assert_eq!(many.iter().collect::<Stripes>(), Stripes::all());
        assert_eq!(serde_json::to_string(&Stripes::from_iter(&[id(7), id(7)])).unwrap(), "[7]");
    }
}
