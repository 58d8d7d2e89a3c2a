//! The one mint: an authorization becomes tokens. Signing happens after the transaction and outside of it.

use super::TokenSet;
use crate::domain::api::ApiId;
use crate::domain::authorization::Authorization;
use crate::domain::client::Client;
use crate::domain::scope::OPENID;
use crate::domain::secret::Secret;
use crate::env::Timestamp;
use crate::protocol::Provider;
use crate::protocol::access_token::Plan;
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::protocol::parameters::Parameters;

impl Provider {
    /// Signs what `authorization` was worth at `issued_at`. `opaque` is an access token that the transaction has written
    /// already.
    pub(super) fn mint(
        &self,
        client: &Client,
        authorization: &Authorization,
        plan: &Plan,
        issued_at: Timestamp,
        opaque: Option<Secret>,
        refresh_token: Option<Secret>,
    ) -> Result<TokenSet> {
        let access_token = match opaque {
            Some(token) => token,
            None => self.jwt_access_token(plan, authorization, issued_at)?,
        };
        let id_token = if authorization.scopes.contains(OPENID) {
            let alg = client.meta.id_token_signed_response_alg;
            self.id_token(alg, authorization, Some(access_token.expose()))?
        } else {
            None
        };
        Ok(TokenSet {
            access_token: access_token.expose().to_owned(),
            token_type: "Bearer",
            expires_in: plan.lifetime,
            refresh_token: refresh_token.map(|token| token.expose().to_owned()),
            id_token,
            scope: authorization.scopes.clone(),
        })
    }
}

/// RFC 8707 §2.2: a token request may narrow the resources of its grant, and go no further.
pub(super) fn narrowed(parameters: &Parameters, granted: &[ApiId]) -> Result<Vec<ApiId>> {
    let asked: Vec<&str> = parameters.all("resource").collect();
    if asked.iter().any(|asked| !granted.iter().any(|api| api.as_str() == *asked)) {
        return Err(OAuthError::new(ErrorCode::InvalidTarget, "resource was not part of the authorization."));
    }
    if asked.is_empty() {
        return Ok(granted.to_vec());
    }
    Ok(granted.iter().filter(|api| asked.contains(&api.as_str())).cloned().collect())
}
