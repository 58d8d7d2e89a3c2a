//! When API keys were used: in memory, so that a use costs no statement, until the upkeep writes it down.
//!
//! Next door: [`super::api_keys::touch`], which writes.

use std::collections::HashMap;
use std::sync::Mutex;

use super::{Result, Store, api_keys};
use crate::domain::ids::ApiKeyId;
use crate::env::Timestamp;

/// Keys in memory; the use of another one is passed over.
const MAX_KEYS: usize = 100_000;
/// Keys in one statement.
const MAX_BATCH_KEYS: usize = 500;

#[derive(Default)]
pub struct LastUsed(Mutex<HashMap<ApiKeyId, Timestamp>>);

impl LastUsed {
    /// Remembers that a key was used. Called with keys that there are alone, so that nobody fills it with others.
    pub fn note(&self, key: ApiKeyId, at: Timestamp) {
        if let Ok(mut uses) = self.0.lock()
            && (uses.len() < MAX_KEYS || uses.contains_key(&key))
        {
            let latest = uses.entry(key).or_insert(at);
            *latest = (*latest).max(at);
        }
    }

    /// Writes what was noted since the last time.
    ///
    /// # Errors
    /// Where the database does not answer; what was not written is kept for the next time.
    pub async fn write(&self, store: &Store) -> Result<()> {
        let noted = self.0.lock().map(|mut uses| std::mem::take(&mut *uses)).unwrap_or_default();
        let noted: Vec<_> = noted.into_iter().collect();
        let mut batches = noted.chunks(MAX_BATCH_KEYS);
        while let Some(batch) = batches.next() {
            let uses = batch.to_vec();
            let written = store.write(move |tx| Box::pin(async move { api_keys::touch(tx, &uses).await })).await;
            if let Err(error) = written {
                batch.iter().chain(batches.flatten()).for_each(|(key, at)| self.note(*key, *at));
                return Err(error);
            }
        }
        Ok(())
    }
}
