//! The times API keys were last used, collected in memory so that a use costs no statement. A background job writes
//! them.
//!
//! [`super::api_keys::touch`] writes them.

use std::collections::HashMap;
use std::sync::Mutex;

use super::{Result, Store, api_keys};
use crate::domain::ids::ApiKeyId;
use crate::env::Timestamp;

/// The maximum number of keys in memory. Uses of further keys are not recorded.
const MAX_KEYS: usize = 100_000;
/// The maximum number of keys in one statement.
const MAX_BATCH_KEYS: usize = 500;

#[derive(Default)]
pub struct LastUsed(Mutex<HashMap<ApiKeyId, Timestamp>>);

impl LastUsed {
    /// Records the use of a key. Called only for keys that exist, so that invented keys cannot fill the map.
    pub fn note(&self, key: ApiKeyId, at: Timestamp) {
        if let Ok(mut uses) = self.0.lock()
            && (uses.len() < MAX_KEYS || uses.contains_key(&key))
        {
            let latest = uses.entry(key).or_insert(at);
            *latest = (*latest).max(at);
        }
    }

    /// Writes the uses recorded since the last call.
    ///
    /// # Errors
    /// Returns an error if the database does not answer. Unwritten uses are kept for the next call.
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
