//! The error for a client that authenticated successfully by a method that it may not use.
//!
//! Libraries that do not know the method repeat a refused request with another method and report only the last error
//! (`golang.org/x/oauth2`). So an error that would occur with any method takes precedence over the error about the
//! method, which then hides nothing. The checks only read: a request that is refused here consumes no code or token.

use super::{GrantRequest, authorization_code, refresh_token};
use crate::domain::client::Client;
use crate::domain::ids::ClientId;
use crate::domain::secret::SecretKind;
use crate::keys;
use crate::protocol::Provider;
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::protocol::parameters::Parameters;
use crate::store::{codes, grants};

impl Provider {
    /// Returns the error for a token request of `client` whose authentication failed with `error`.
    pub async fn wrong_method_error(&self, client: &Client, parameters: &Parameters, error: OAuthError) -> OAuthError {
        match self.find_other_error(client, parameters).await {
            Ok(None) => error,
            // A public client is not authenticated, so only `invalid_grant` is disclosed.
            Ok(Some(later)) | Err(later) if client.meta.is_public() && later.code != ErrorCode::InvalidGrant => error,
            Ok(Some(later)) | Err(later) => {
                let both = format!("{} {}", later.description, error.description);
                let cause = [later.cause, error.cause].into_iter().flatten().collect::<Vec<_>>().join("; ");
                OAuthError::new(later.code, both).with_cause(cause)
            }
        }
    }

    /// Returns the error that the request would get with any method, as far as reading can tell: an error in the
    /// request itself, or a code or refresh token that is no longer valid.
    async fn find_other_error(&self, client: &Client, parameters: &Parameters) -> Result<Option<OAuthError>> {
        Ok(match GrantRequest::allowed(client, parameters)? {
            GrantRequest::AuthorizationCode { code, .. } => {
                let digest = SecretKind::AuthorizationCode.digest(code);
                let is_unused = codes::is_unused(self.store.read(), &digest, &client.id).await?;
                (!is_unused).then(authorization_code::unknown_code)
            }
            GrantRequest::RefreshToken { token, .. } => {
                (!self.is_of_active_grant(&client.id, token).await?).then(refresh_token::invalid_refresh_token)
            }
            GrantRequest::ClientCredentials
            | GrantRequest::DeviceCode { .. }
            | GrantRequest::TokenExchange(_)
            | GrantRequest::JwtBearer { .. } => None,
        })
    }

    async fn is_of_active_grant(&self, client: &ClientId, token: &str) -> Result<bool> {
        let Some(presented) = keys::refresh_token::parse(&self.master, token) else { return Ok(false) };
        let grant = grants::by_id(self.store.read(), presented.grant).await?;
        let is_latest = |digest| digest == presented.digest;
        Ok(grant.is_some_and(|grant| {
            grant.authorization.client == *client
                && self.is_grant_active(&grant)
                && (is_latest(grant.current) || grant.previous.is_some_and(is_latest))
        }))
    }
}
