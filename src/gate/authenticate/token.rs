//! Authenticates bearer tokens (RFC 6750) issued by this server, either JWTs (RFC 9068) or opaque. A token must be
//! valid, issued for this API, not revoked, and presented with the certificate to which it is bound (RFC 8705 §3).

use super::{AuthenticationResult, invalid};
use crate::domain::api::Api;
use crate::domain::authorization::{SignIn, Subject};
use crate::domain::gate::CredentialKind;
use crate::gate::Gate;
use crate::gate::decision::Identity;
use crate::keys::certificate::ClientCertificate;
use crate::protocol::error::Result;

impl Gate {
    pub(super) async fn by_token(
        &self,
        api: &Api,
        token: &str,
        certificate: Option<&ClientCertificate>,
    ) -> Result<AuthenticationResult> {
        let provider = &self.provider;
        let Some(token) = provider.verify_access_token_cached(token).await? else { return Ok(Err(invalid())) };
        if !token.audience.has(api.identifier.as_str()) || !token.is_confirmed_by(certificate) {
            return Ok(Err(invalid()));
        }
        let authorization = &token.authorization;
        let Some(client) =
            provider.client_without_fetch(&authorization.client).await?.filter(|client| !client.disabled)
        else {
            return Ok(Err(invalid()));
        };
        let person = match authorization.subject {
            Subject::Client => None,
            Subject::User(user) => match provider.store.authority().user(&provider.store, user).await? {
                Some(person) => Some(person),
                None => return Ok(Err(invalid())),
            },
        };
        Ok(Ok(Identity {
            credential_kind: CredentialKind::Bearer,
            subject: provider.subject(&client, authorization),
            client: Some(client.id.clone()),
            user: authorization.user(),
            user_summary: person,
            scopes: authorization
                .permissions
                .apis
                .scopes_of(&api.identifier)
                .filtered(|scope| api.scopes.contains(scope)),
            acr: authorization.sign_in.as_ref().map(SignIn::acr),
            auth_time: authorization.sign_in.as_ref().map(|sign_in| sign_in.auth_time),
        }))
    }
}
