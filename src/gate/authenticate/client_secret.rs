//! Authenticates Basic (RFC 7617) with a client id and client secret. User passwords are never accepted.

use super::{AuthenticationResult, acts_for_itself, client_identity, invalid};
use crate::domain::api::Api;
use crate::domain::client_metadata::ClientAuthMethod;
use crate::domain::gate::CredentialKind;
use crate::domain::ids::ClientId;
use crate::domain::secret::Secret;
use crate::gate::Gate;
use crate::protocol::error::Result;

impl Gate {
    pub(super) async fn by_secret(&self, api: &Api, user: &str, password: &Secret) -> Result<AuthenticationResult> {
        let provider = &self.provider;
        let Ok(id) = ClientId::parse(user) else { return Ok(Err(invalid())) };
        let found = provider.store.authority().client(&provider.store, &id).await?;
        // A client that must authenticate with keys is not authenticated by a secret that it has for MACs.
        let by_secret =
            |method| matches!(method, ClientAuthMethod::ClientSecretBasic | ClientAuthMethod::ClientSecretPost);
        let client = found.filter(|it| acts_for_itself(it) && by_secret(it.meta.token_endpoint_auth_method));
        let right =
            client.filter(|client| provider.master.verify_client_secret(client.secret.as_ref(), password.expose()));
        let Some(client) = right else { return Ok(Err(invalid())) };
        Ok(Ok(client_identity(CredentialKind::Basic, api, &client)))
    }
}
