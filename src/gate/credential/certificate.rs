//! A client's TLS certificate (RFC 8705 §2), which the proxy has verified and hands on: the one client that is registered
//! with what it says. Where two are, nobody can say which of them it is.

use std::sync::Arc;

use super::{Proven, Unproven, acts_for_itself, client_itself};
use crate::domain::api::Api;
use crate::domain::certificate::CertificateName;
use crate::domain::client::Client;
use crate::domain::gate::Way;
use crate::gate::Gate;
use crate::gate::verdict::{Reason, Refusal};
use crate::keys::certificate::ClientCertificate;
use crate::protocol::error::Result;

impl Gate {
    pub(super) async fn by_certificate(&self, api: &Api, certificate: &ClientCertificate) -> Result<Proven> {
        let (provider, store) = (&self.provider, &self.provider.store);
        let mut clients: Vec<Arc<Client>> = Vec::new();
        for name in certificate.names().iter().map(CertificateName::digest) {
            let owners = store.authority().certified(store, &name).await?;
            for owner in owners.iter().flat_map(|owners| owners.iter()) {
                let client = store.authority().client(store, owner).await?.filter(|client| acts_for_itself(client));
                let Some(client) = client.filter(|client| clients.iter().all(|known| known.id != client.id)) else {
                    continue;
                };
                if provider.is_certified(&client, certificate).await {
                    clients.push(client);
                }
            }
        }
        if let [client] = clients.as_slice() {
            return Ok(Ok(client_itself(Way::Mtls, api, client)));
        }
        let text = "The certificate is no client's of this server, or several have it.";
        let refusal = Refusal::new(Reason::InvalidCredential, text);
        Ok(Err(Unproven::Refused(Refusal { tried: Some(Way::Mtls), ..refusal })))
    }
}
