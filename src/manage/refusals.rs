//! Collects what was refused, and writes it in batches: no refused request costs a statement, and a stranger who is refused
//! all the time neither fills the memory nor pushes out what others were refused.
//!
//! Next door: [`crate::store::refusals`], where it is kept for some days; `web::refused`, which reports it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::store::rejected_requests::{self, RejectedRequest};
use crate::store::{Result, Store, StoreError};

/// Refusals that wait to be written at most; of more the latest are kept.
const MAX_PENDING: usize = 1000;
/// Of these, from one address; of more its latest are kept.
const MAX_PENDING_PER_ADDRESS: usize = 100;

/// Cheap to clone; all clones collect together.
#[derive(Clone, Default)]
pub struct RefusalLog(Arc<RefusalQueue>);

#[derive(Default)]
struct RefusalQueue {
    waiting: Mutex<PendingRefusals>,
    /// One batch at a time, so that whoever writes last finds all before it written.
    writes: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct PendingRefusals {
    refusals: VecDeque<RejectedRequest>,
    of_address: HashMap<String, usize>,
}

impl PendingRefusals {
    /// Adds the newest refusal, in place of the oldest one of its address or of all where there are too many: its id is the
    /// one that a user has just been shown.
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

    /// Writes what has come together; nothing is asked of the database where nothing has.
    ///
    /// # Errors
    /// Where the database does not answer: it waits for the next time.
    pub async fn flush(&self, store: &Store) -> Result<()> {
        let (this, store) = (self.clone(), store.clone());
        // On its own, so that a caller who goes away takes nothing along that is not written.
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
