//! UserInfo (OpenID Connect Core §5.3): the current claims of the user, for the token's scopes and the requested
//! claims.

use serde_json::{Map, Value};

use super::Provider;
use super::error::{ErrorCode, OAuthError, Result};
use crate::keys::certificate::ClientCertificate;
use crate::keys::jwt::JwtType;

/// A UserInfo response.
#[derive(Debug)]
pub enum UserInfo {
    /// The claims as JSON, with `sub` first.
    Claims(Map<String, Value>),
    Jwt(String),
}

impl Provider {
    /// Returns the response for the client: the claims as JSON or, if the client registered an algorithm, as a JWT
    /// (§5.3.2).
    pub async fn userinfo(&self, token: &str, certificate: Option<&ClientCertificate>) -> Result<UserInfo> {
        let verified = self.bearer(token, certificate).await?;
        let authorization = &verified.authorization;
        if !authorization.permissions.has_openid() {
            return Err(OAuthError::new(ErrorCode::InsufficientScope, "The access token needs the scope openid."));
        }
        let gone = || OAuthError::new(ErrorCode::InvalidToken, "The person of this token is not here any more.");
        let id = authorization.user().ok_or_else(gone)?;
        // The client's metadata determines the format of the response. An issued token stays valid without the client's
        // metadata document.
        let client = match self.client(&authorization.client).await? {
            Some(client) => client,
            None => self.client_without_fetch(&authorization.client).await?.ok_or_else(gone)?,
        };
        let claims = self.user_claims(id, &authorization.permissions.general, &authorization.claims.userinfo).await?;
        let mut all = Map::new();
        all.insert("sub".into(), self.subject(&client, authorization).into());
        all.extend(claims.ok_or_else(gone)?);
        let Some(alg) = client.meta.userinfo_signed_response_alg else { return Ok(UserInfo::Claims(all)) };
        all.insert("iss".into(), self.issuer.as_str().into());
        all.insert("aud".into(), client.id.as_str().into());
        let meta = &client.meta;
        let encryption = meta.userinfo_encrypted_response_alg.map(|alg| (alg, meta.userinfo_encrypted_response_enc));
        let signed = self.sign_and_encrypt(&client, alg, encryption, JwtType::UserInfo, &all).await?;
        Ok(UserInfo::Jwt(signed))
    }
}
