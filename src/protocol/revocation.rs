//! Token revocation (RFC 7009): a refresh token is revoked with its whole grant, an access token alone. An unknown
//! token counts as revoked (§2.2). For another client's token the error discloses nothing about the token.

use serde::Deserialize;
use serde::de::IgnoredAny;
use uuid::Uuid;

use super::Provider;
use super::error::Result;
use crate::domain::client::Client;
use crate::domain::ids::ClientId;
use crate::domain::secret::SecretKind;
use crate::env::Timestamp;
use crate::keys::jwt::{self, JwtType};
use crate::keys::refresh_token;
use crate::store::grants::GrantSelector;
use crate::store::{CLOCK_MARGIN_SECONDS, ChangeEvent, access_tokens, grants, revoked_tokens};

/// The claims read from a JWT access token that is to be revoked.
#[derive(Deserialize)]
struct RevocableClaims {
    iss: String,
    client_id: ClientId,
    exp: i64,
    jti: String,
    /// Present if a gate issued the token for the API behind it: the token does not belong to a client.
    #[serde(default)]
    gate: Option<IgnoredAny>,
}

impl Provider {
    /// Revokes a token. Returns only after the revocation is durable, so a failure is never reported as success.
    pub async fn revoke(&self, client: &Client, token: &str) -> Result<()> {
        if token.starts_with(SecretKind::RefreshToken.prefix()) {
            self.revoke_refresh(client, token).await
        } else {
            self.revoke_access(client, token).await
        }
    }

    async fn revoke_refresh(&self, client: &Client, token: &str) -> Result<()> {
        let Some(presented) = refresh_token::parse(&self.master, token) else { return Ok(()) };
        let client = client.id.clone();
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    match grants::by_id(tx.conn(), presented.grant).await? {
                        Some(grant) if grant.authorization.client == client => {
                            // The change is published once: if nothing is left to revoke, it was published before.
                            if grants::revoke(tx, GrantSelector::Grant(grant.id)).await? > 0 {
                                tx.publish(ChangeEvent::Ended(grant.id.into())).await?;
                            }
                            Ok(())
                        }
                        _ => Ok(()),
                    }
                })
            })
            .await?;
        Ok(())
    }

    /// Revokes an access token and reads only its owner: a token that is not valid at the moment, because of this
    /// node's clock or missing scopes that may return, is revoked too.
    async fn revoke_access(&self, client: &Client, token: &str) -> Result<()> {
        if token.starts_with(SecretKind::AccessToken.prefix()) {
            let (digest, client) = (SecretKind::AccessToken.digest(token), client.id.clone());
            let delete = self.store.write(move |tx| {
                Box::pin(async move { access_tokens::delete_if_issued_to(tx, &digest, &client).await })
            });
            return Ok(delete.await?);
        }
        let Some(signed) = jwt::verify::<RevocableClaims>(&self.keys, JwtType::AccessToken, token) else {
            return Ok(());
        };
        let is_ours = signed.iss == self.issuer.as_str() && signed.gate.is_none() && signed.client_id == client.id;
        let expires_at = Timestamp::from_seconds(signed.exp);
        // After this time no node accepts the token.
        let is_past = expires_at.plus_seconds(CLOCK_MARGIN_SECONDS) <= self.env.now();
        let Ok(jti) = Uuid::parse_str(&signed.jti) else { return Ok(()) };
        if !is_ours || is_past {
            return Ok(());
        }
        let insert = self
            .store
            .write(move |tx| Box::pin(async move { revoked_tokens::insert(tx, jti.into(), expires_at).await }));
        Ok(insert.await?)
    }
}
