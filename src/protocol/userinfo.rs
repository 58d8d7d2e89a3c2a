//! UserInfo (OpenID Connect Core §5.3): what the token's scopes and the claims asked for say about its person, as they
//! are now.

use serde_json::{Map, Value};

use super::Provider;
use super::error::{ErrorCode, OAuthError, Result};
use crate::domain::scope::OPENID;

impl Provider {
    /// The claims, `sub` first.
    pub async fn userinfo(&self, token: &str) -> Result<Map<String, Value>> {
        let verified = self.bearer(token).await?;
        let authorization = &verified.authorization;
        if !authorization.scopes.contains(OPENID) {
            return Err(OAuthError::new(ErrorCode::InsufficientScope, "The access token needs the scope openid."));
        }
        let gone = || OAuthError::new(ErrorCode::InvalidToken, "The person of this token is not here any more.");
        let id = authorization.user().ok_or_else(gone)?;
        let client = self.client(&authorization.client).await?.ok_or_else(gone)?;
        let claims = self.claims_about(id, &authorization.scopes, &authorization.claims.userinfo).await?;
        let mut all = Map::new();
        all.insert("sub".into(), self.subject(&client, authorization).into());
        all.extend(claims.ok_or_else(gone)?);
        Ok(all)
    }
}
