//! Collects rejected requests and writes them in batches. A rejected request costs no statement of its own, and
//! one address that is rejected all the time can neither exhaust memory nor displace the entries of other
//! addresses.
//!
//! See also [`crate::store::rejected_requests`], which stores them for some days, and `web::error_report`,
//! which reports them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::store::rejected_requests::{self, RejectedRequest};
use crate::store::{Result, Store, StoreError};

/// The maximum number of entries that wait to be written. The oldest ones are dropped.
const MAX_PENDING: usize = 1000;
/// The maximum number of these from one address. Its oldest ones are dropped.
const MAX_PENDING_PER_ADDRESS: usize = 100;

/// The queue of rejected requests. Cheap to clone; all clones share one queue.
#[derive(Clone, Default)]
pub struct RefusalLog(Arc<RefusalQueue>);

#[derive(Default)]
struct RefusalQueue {
    waiting: Mutex<PendingRefusals>,
    /// Allows one batch at a time, so that a flush returns only after all earlier entries are written.
    writes: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct PendingRefusals {
    refusals: VecDeque<RejectedRequest>,
    of_address: HashMap<String, usize>,
}

impl PendingRefusals {
    /// Adds a rejected request. If there are too many, it replaces the oldest entry of its address or of all
    /// addresses: the newest one has the id that a user has just been shown.
    fn add(&mut self, refusal: RejectedRequest) {
        let of_address = self.of_address.get(&refusal.address).copied().unwrap_or_default();
        let replaced = if of_address >= MAX_PENDING_PER_ADDRESS {
            self.refusals.iter().position(|waiting| waiting.address == refusal.address)
        } else {
            (self.refusals.len() >= MAX_PENDING).then_some(0)
        };
        if let Some(at) = replaced {
            self.remove(at);
        }
        *self.of_address.entry(refusal.address.clone()).or_default() += 1;
        self.refusals.push_back(refusal);
    }

    fn remove(&mut self, at: usize) {
        if let Some(removed) = self.refusals.remove(at)
            && let Some(count) = self.of_address.get_mut(&removed.address)
        {
            *count -= 1;
            if *count == 0 {
                self.of_address.remove(&removed.address);
            }
        }
    }
}

impl RefusalLog {
    pub fn add(&self, refusal: RejectedRequest) {
        self.lock().add(refusal);
    }

    /// Writes the collected entries. Does not access the database if there are none.
    ///
    /// # Errors
    /// Returns an error if the database does not respond. The entries stay in the queue until the next flush.
    pub async fn flush(&self, store: &Store) -> Result<()> {
        let (this, store) = (self.clone(), store.clone());
        // In its own task, so that entries are not lost if the caller is cancelled.
        let done = tokio::spawn(async move { this.write(&store).await }).await;
        done.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    async fn write(&self, store: &Store) -> Result<()> {
        let _one = self.0.writes.lock().await;
        let taken = std::mem::take(&mut *self.lock());
        if taken.refusals.is_empty() {
            return Ok(());
        }
        let refusals: Vec<RejectedRequest> = taken.refusals.iter().cloned().collect();
        let written =
            store.write(move |tx| Box::pin(async move { rejected_requests::insert(tx, refusals).await })).await;
        if written.is_err() {
            let mut waiting = self.lock();
            let since = std::mem::replace(&mut *waiting, taken);
            since.refusals.into_iter().for_each(|refusal| waiting.add(refusal));
        }
        written
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, PendingRefusals> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
