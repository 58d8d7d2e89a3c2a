//! Looks up a client by its id, whatever its kind of registration.
//!
//! See also: [`super::client_document`], clients with metadata documents; [`super::client_auth`], client
//! authentication.

use std::sync::Arc;

use super::Provider;
use super::error::Result;
use crate::domain::client::Client;
use crate::domain::ids::ClientId;
use crate::store::node_cache::ClientWithVersions;

impl Provider {
    /// Returns the client of that id. It may be disabled: see its `disabled`.
    pub async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>> {
        let known = self.store.authority().client_with_versions(&self.store, id).await?;
        self.stored_or_from_document(id, known).await
    }

    /// Returns the client as it is in the database now, bypassing the cache. Authentication needs this.
    pub async fn current_client(&self, id: &ClientId) -> Result<Option<Arc<Client>>> {
        let known = self.store.authority().current_client(&self.store, id).await?;
        self.stored_or_from_document(id, known).await
    }

    async fn stored_or_from_document(&self, id: &ClientId, known: ClientWithVersions) -> Result<Option<Arc<Client>>> {
        match (known.client, known.version) {
            (Some(client), _) => Ok(Some(client)),
            (None, 0) => self.client_from_document(id).await,
            // A client of that id was registered on this server and has been deleted.
            (None, version) => {
                let (client, settings_version) = (self.client_from_document(id).await?, known.settings_version);
                Ok(client.map(|client| Arc::new(Client { version, settings_version, ..client.as_ref().clone() })))
            }
        }
    }
}
