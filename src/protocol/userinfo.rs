//! UserInfo (OpenID Connect Core §5.3): what the token's scopes say about its person, as it is now.

use serde_json::{Map, Value};

use super::error::{ErrorCode, OAuthError, Result};
use super::{Provider, claims};
use crate::domain::scope::OPENID;
use crate::store::people;

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
        let user = people::by_id(self.store.read(), id).await?.filter(|user| !user.disabled).ok_or_else(gone)?;
        let groups = if authorization.scopes.contains("groups") {
            people::groups_of(self.store.read(), id).await?
        } else {
            Vec::new()
        };
        let mut all = Map::new();
        all.insert("sub".into(), authorization.sub().into());
        all.extend(claims::about(&user, &groups, &authorization.scopes));
        Ok(all)
    }
}
