//! The one mint: an authorization becomes tokens. Signing happens after the transaction and outside of it.

use super::TokenSet;
use crate::domain::authorization::Authorization;
use crate::domain::client::Client;
use crate::domain::scope::{OPENID, Scopes};
use crate::domain::secret::Secret;
use crate::env::Timestamp;
use crate::protocol::Provider;
use crate::protocol::access_token::Plan;
use crate::protocol::error::Result;
use crate::protocol::id_token::Beside;

impl Provider {
    /// Signs what `authorization` was worth at `issued_at`. `opaque` is an access token that the transaction has written
    /// already.
    pub(super) async fn mint(
        &self,
        client: &Client,
        authorization: &Authorization,
        plan: &Plan,
        issued_at: Timestamp,
        opaque: Option<Secret>,
        refresh_token: Option<Secret>,
    ) -> Result<TokenSet> {
        let mut tokens = self.mint_access_token(client, authorization, plan, issued_at, opaque)?;
        if authorization.scopes.contains(OPENID) {
            let about = self.claims_in_id_token(authorization, &Scopes::default()).await?;
            let beside = Beside { access_token: Some(&tokens.access_token), code: None, about };
            tokens.id_token = self.id_token(client, authorization, beside).await?;
        }
        tokens.refresh_token = refresh_token.map(|token| token.expose().to_owned());
        Ok(tokens)
    }

    /// An access token alone, as it comes of another token.
    pub(super) fn mint_access_token(
        &self,
        client: &Client,
        authorization: &Authorization,
        plan: &Plan,
        issued_at: Timestamp,
        opaque: Option<Secret>,
    ) -> Result<TokenSet> {
        let access_token = match opaque {
            Some(token) => token,
            None => self.jwt_access_token(client, plan, authorization, issued_at)?,
        };
        Ok(TokenSet {
            access_token: access_token.expose().to_owned(),
            token_type: "Bearer",
            issued_token_type: None,
            expires_in: plan.lifetime,
            refresh_token: None,
            id_token: None,
            scope: authorization.scopes.clone(),
        })
    }
}
