//! The client of an id, however it came to be known here.
//!
//! Next door: [`super::client_document`], those that nobody registered; [`super::client_auth`], whether somebody is that client.

use std::sync::Arc;

use super::Provider;
use super::error::Result;
use crate::domain::client::Client;
use crate::domain::ids::ClientId;

impl Provider {
    /// A disabled one too, whose `disabled` says so.
    pub async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>> {
        match self.store.authority().client(&self.store, id).await? {
            Some(client) => Ok(Some(client)),
            None => self.documented_client(id).await,
        }
    }
}
