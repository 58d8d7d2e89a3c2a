//! The client of an id, however it came to be known here.
//!
//! Next door: [`super::client_document`], those that nobody registered; [`super::client_auth`], whether somebody is that client.

use std::sync::Arc;

use super::Provider;
use super::error::Result;
use crate::domain::client::Client;
use crate::domain::ids::ClientId;
use crate::store::node_cache::ClientWithVersions;

impl Provider {
    /// A disabled one too, whose `disabled` says so.
    pub async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>> {
        let known = self.store.authority().client_with_versions(&self.store, id).await?;
        self.stored_or_from_document(id, known).await
    }

    /// The same, as the database has it now: for what authenticates it.
    pub async fn current_client(&self, id: &ClientId) -> Result<Option<Arc<Client>>> {
        let known = self.store.authority().current_client(&self.store, id).await?;
        self.stored_or_from_document(id, known).await
    }

    async fn stored_or_from_document(&self, id: &ClientId, known: ClientWithVersions) -> Result<Option<Arc<Client>>> {
        match (known.client, known.version) {
            (Some(client), _) => Ok(Some(client)),
            (None, 0) => self.client_from_document(id).await,
            // One of that id was registered here and has been deleted.
            (None, version) => {
                let (client, settings_version) = (self.client_from_document(id).await?, known.settings_version);
                Ok(client.map(|client| Arc::new(Client { version, settings_version, ..client.as_ref().clone() })))
            }
        }
    }
}
