//! Mutual TLS (RFC 8705): client authentication by certificate (§2), and tokens bound to the certificate with which
//! they were obtained (§3).
//!
//! See also: [`super::client_auth`], which uses the former; [`super::token`] and [`super::bearer`], the latter;
//! `web::extract`, which reads the certificate.

use super::Provider;
use super::access_token::VerifiedToken;
use super::client_keys::ClientKeysError;
use super::error::{ErrorCode, OAuthError, Result};
use super::token::TokenRequest;
use crate::domain::certificate::Confirmation;
use crate::domain::client::Client;
use crate::domain::client_metadata::ClientAuthMethod;
use crate::keys::certificate::ClientCertificate;
use crate::keys::remote::KeyQuery;

impl Provider {
    /// Returns whether the certificate is the client's: its subject matches (§2.1.2), or the client has published it
    /// (§2.2.2).
    pub async fn is_client_certificate(&self, client: &Client, certificate: &ClientCertificate) -> Result<bool> {
        let names = certificate.identifier_digests();
        if client.meta.certificate_names().iter().any(|own| names.contains(&own.digest())) {
            return Ok(true);
        }
        let by_its_own = client.meta.token_endpoint_auth_method == ClientAuthMethod::SelfSignedTlsClientAuth;
        if !by_its_own || client.meta.jwks_uri.is_none() {
            return Ok(false);
        }
        let thumbprint = certificate.thumbprint;
        match self.client_keys(client, KeyQuery::Certificate(thumbprint)).await {
            Ok(keys) => Ok(keys.certificates().any(|own| own == thumbprint)),
            Err(ClientKeysError::Unavailable(error)) => Err(error),
            Err(ClientKeysError::Unusable(why)) => {
                tracing::warn!(client = %client.id, why, "the client's certificates cannot be used");
                Ok(false)
            }
        }
    }
}

impl TokenRequest<'_> {
    /// Returns what the issued tokens are bound to.
    pub(super) fn bound_to(&self) -> Result<Option<Confirmation>> {
        if !self.client.meta.tls_client_certificate_bound_access_tokens {
            return Ok(None);
        }
        let text = "The tokens of this client are bound to its certificate, and it came without one.";
        let certificate = self.certificate.ok_or_else(|| OAuthError::new(ErrorCode::InvalidRequest, text))?;
        Ok(Some(Confirmation::Certificate(certificate.thumbprint)))
    }
}

impl VerifiedToken {
    /// Returns whether the presenter has the certificate that the token is bound to (§3). True if the token is not
    /// bound.
    pub fn is_confirmed_by(&self, certificate: Option<&ClientCertificate>) -> bool {
        match self.authorization.bound_to {
            None => true,
            Some(Confirmation::Certificate(thumbprint)) => certificate.is_some_and(|it| it.thumbprint == thumbprint),
        }
    }
}
