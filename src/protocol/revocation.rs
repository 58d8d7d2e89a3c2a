//! Revocation (RFC 7009): a refresh token takes its whole grant with it, an access token goes alone. A token that is
//! unknown is as good as revoked (§2.2); another client's is refused without a word about it.

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

/// What is read of a JWT access token that is to be revoked.
#[derive(Deserialize)]
struct RevocableClaims {
    iss: String,
    client_id: ClientId,
    exp: i64,
    jti: String,
    /// Made by the gate for the API behind it: none of a client's.
    #[serde(default)]
    gate: Option<IgnoredAny>,
}

impl Provider {
    /// Answers only after the revocation is durable: a failure here is never told as success.
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
                            // Once: the feed has heard of it where there is nothing left to revoke.
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

    /// Reads no more of the token than whose it is: one that is not good at this moment, by this node's clock or for want of
    /// scopes that may come back, is revoked all the same.
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
        // Beyond this no node takes it for good.
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
