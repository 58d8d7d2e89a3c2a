//! Revocation (RFC 7009): a refresh token takes its whole grant with it, an access token goes alone. A token that is
//! unknown is as good as revoked (§2.2); another client's is refused without a word about it.

use uuid::Uuid;

use super::Provider;
use super::error::Result;
use crate::domain::client::Client;
use crate::domain::secret::SecretKind;
use crate::keys::refresh_token;
use crate::store::grants::Of;
use crate::store::{Change, access_tokens, grants, revoked_tokens};

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
                            if grants::revoke(tx, Of::Grant(grant.id)).await? > 0 {
                                tx.tell(Change::Ended(grant.id.into())).await?;
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

    async fn revoke_access(&self, client: &Client, token: &str) -> Result<()> {
        let Some(verified) = self.verify_access_token(token).await? else { return Ok(()) };
        if verified.authorization.client != client.id {
            return Ok(());
        }
        let digest = SecretKind::AccessToken.digest(token);
        let jti = verified.jti.as_deref().and_then(|jti| Uuid::parse_str(jti).ok());
        let expires_at = verified.expires_at;
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    match jti {
                        Some(jti) => revoked_tokens::insert(tx, jti.into(), expires_at).await,
                        None => access_tokens::delete(tx, &digest).await,
                    }
                })
            })
            .await?;
        Ok(())
    }
}
