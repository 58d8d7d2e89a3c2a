//! Mutual TLS (RFC 8705): who a client is by its certificate (§2), and tokens that are nothing without the certificate
//! with which they were got (§3).
//!
//! Next door: [`super::client_auth`], which asks the first; [`super::token`] and [`super::bearer`], the second. How a
//! certificate gets here: `web::extract`.

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
    /// Whether that certificate is the client's: one that names it (§2.1.2), or one of those that it published (§2.2.2).
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
    /// To what the tokens are bound that come of this.
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
    /// §3: whether whoever presents it has what it is bound to.
    pub fn is_confirmed_by(&self, certificate: Option<&ClientCertificate>) -> bool {
        match self.authorization.bound_to {
            None => true,
            Some(Confirmation::Certificate(thumbprint)) => certificate.is_some_and(|it| it.thumbprint == thumbprint),
        }
    }
}
