//! Authenticates the presented credential. Every kind of credential yields one [`Identity`]. The error text is the same
//! whether a credential is unknown, expired, revoked or almost right.
//!
//! One file for each kind: [`token`], [`client_secret`], [`api_key`], [`signature`], [`oauth1`], [`session`],
//! [`certificate`]. See also [`super::credentials`], which reads the credential from the request.

mod api_key;
mod certificate;
mod client_secret;
mod oauth1;
mod session;
mod signature;
mod token;

use super::credentials::PresentedCredential;
use super::decision::{Denial, Identity, Reason};
use super::forwarded_request::ForwardedRequest;
use super::{Gate, GateRequest};
use crate::domain::api::Api;
use crate::domain::client::{Client, RegistrationKind};
use crate::domain::client_metadata::GrantType;
use crate::domain::gate::CredentialKind;
use crate::protocol::error::{OAuthError, Result};

/// The reason why a request is not authenticated.
pub(super) enum AuthenticationError {
    Nothing,
    Denied(Denial),
    /// The credential cannot be checked at present; the response is 503.
    Unavailable(OAuthError),
}

pub(super) type AuthenticationResult = std::result::Result<Identity, AuthenticationError>;

fn invalid() -> AuthenticationError {
    let text = "The credential is unknown, expired, revoked or not for this API.";
    AuthenticationError::Denied(Denial::new(Reason::InvalidCredential, text))
}

/// Returns whether a client may act on its own behalf. The scopes of a dynamically registered client are those that it
/// may request from users. They are the client's own only if the policy granted it `client_credentials` (RFC 6749
/// §4.4).
fn acts_for_itself(client: &Client) -> bool {
    let by_itself = || client.meta.grant_types.contains(&GrantType::ClientCredentials);
    !client.disabled && (client.registration_kind == RegistrationKind::Admin || by_itself())
}

/// Returns the identity of a client that acts on its own behalf. Its scopes at this API are those it is registered for.
fn client_identity(way: CredentialKind, api: &Api, client: &Client) -> Identity {
    Identity {
        credential_kind: way,
        subject: client.id.to_string(),
        client: Some(client.id.clone()),
        user: None,
        user_summary: None,
        scopes: api.scopes.filtered(|scope| client.can_request_scope(api, scope)),
        acr: None,
        auth_time: None,
    }
}

impl Gate {
    /// Authenticates by what accompanies every request of a connection or browser: the TLS certificate or, if that
    /// belongs to no client, the browser session. A browser may have a certificate for another purpose.
    async fn authenticate_connection(
        &self,
        api: &Api,
        asked: &GateRequest<'_>,
        original: &ForwardedRequest,
    ) -> Result<AuthenticationResult> {
        let by_certificate = match asked.certificate.filter(|_| api.allows_credential(CredentialKind::Mtls)) {
            Some(certificate) => self.by_certificate(api, asked.fields, certificate).await?,
            None => Err(AuthenticationError::Nothing),
        };
        if by_certificate.is_ok() || !api.allows_credential(CredentialKind::Session) {
            return Ok(by_certificate);
        }
        match self.by_session(api, asked.fields, original).await? {
            Err(AuthenticationError::Nothing) => Ok(by_certificate),
            by_session => Ok(by_session),
        }
    }

    pub(super) async fn identify(
        &self,
        api: &Api,
        asked: &GateRequest<'_>,
        original: &ForwardedRequest,
        presented: PresentedCredential<'_>,
    ) -> Result<AuthenticationResult> {
        match presented {
            PresentedCredential::Nothing => self.authenticate_connection(api, asked, original).await,
            PresentedCredential::Bearer(token) if api.allows_credential(CredentialKind::Bearer) => {
                self.by_token(api, token, asked.certificate).await
            }
            PresentedCredential::Basic { user, password } if api.allows_credential(CredentialKind::Basic) => {
                self.by_secret(api, &user, &password).await
            }
            PresentedCredential::ApiKey { key, user } => {
                match if user.is_some() { CredentialKind::Basic } else { CredentialKind::ApiKey } {
                    way if api.allows_credential(way) => {
                        self.authenticate_api_key(api, way, &key, user.as_deref(), asked.caller).await
                    }
                    _ => Ok(Err(invalid())),
                }
            }
            PresentedCredential::Signature if api.allows_credential(CredentialKind::MessageSignature) => {
                self.authenticate_signature(api, original, asked.fields).await
            }
            PresentedCredential::OAuth1(header) if api.allows_credential(CredentialKind::Oauth1) => {
                self.authenticate_oauth1(api, original, asked.fields, header).await
            }
            _ => Ok(Err(invalid())),
        }
    }
}
