//! Authenticates a client by the TLS certificate (RFC 8705 §2) that the proxy has verified and forwards. Exactly one
//! client must be registered with an identifier of the certificate; if there are several, the certificate identifies
//! none of them.

use std::sync::Arc;

use super::{AuthenticationError, AuthenticationResult, acts_for_itself, client_identity};
use crate::domain::api::Api;
use crate::domain::client::Client;
use crate::domain::gate::CredentialKind;
use crate::gate::Gate;
use crate::gate::decision::{Denial, Reason};
use crate::gate::headers::Headers;
use crate::keys::certificate::ClientCertificate;
use crate::protocol::error::Result;

impl Gate {
    pub(super) async fn by_certificate(
        &self,
        api: &Api,
        fields: &Headers<'_>,
        certificate: &ClientCertificate,
    ) -> Result<AuthenticationResult> {
        if is_cross_origin(fields) {
            let text = "A browser's certificate counts only for what a page of the same origin asks.";
            return Ok(Err(denied(text)));
        }
        let (provider, store) = (&self.provider, &self.provider.store);
        let mut clients: Vec<Arc<Client>> = Vec::new();
        for name in certificate.identifier_digests() {
            let owners = store.authority().certificate_owners(store, name).await?;
            for owner in owners.iter().flat_map(|owners| owners.iter()) {
                let client = store.authority().client(store, owner).await?.filter(|client| acts_for_itself(client));
                let Some(client) = client.filter(|client| clients.iter().all(|known| known.id != client.id)) else {
                    continue;
                };
                match provider.is_client_certificate(&client, certificate).await {
                    Ok(true) => clients.push(client),
                    Ok(false) => {}
                    Err(error) => return Ok(Err(AuthenticationError::Unavailable(error))),
                }
            }
        }
        if let [client] = clients.as_slice() {
            return Ok(Ok(client_identity(CredentialKind::Mtls, api, client)));
        }
        Ok(Err(denied("The certificate is no client's of this server, or several have it.")))
    }
}

fn denied(text: &str) -> AuthenticationError {
    AuthenticationError::Denied(Denial {
        tried: Some(CredentialKind::Mtls),
        ..Denial::new(Reason::InvalidCredential, text)
    })
}

/// Returns whether a browser sent the request from another origin. Browsers present a certificate for cross-origin
/// requests too, and report the origin in `Sec-Fetch-Site` (Fetch Metadata). Other programs do not send this field.
fn is_cross_origin(fields: &Headers<'_>) -> bool {
    match fields.once("sec-fetch-site") {
        Ok(None | Some("same-origin" | "none")) => false,
        Ok(Some(_)) | Err(_) => true,
    }
}
