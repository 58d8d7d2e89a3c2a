//! Refreshing (RFC 6749 §6, RFC 9700 §4.14.2): the token rotates at each use by one compare-and-set; an old one ends the
//! family, but for the one before within ten seconds, whose answer may have been lost.

use super::issue::Granted;
use super::{Asking, TokenSet};
use crate::domain::authorization::Authorization;
use crate::domain::certificate::{Confirmation, Thumbprint};
use crate::domain::client::Client;
use crate::domain::grant::{Grant, Presented};
use crate::domain::scope::Scopes;
use crate::keys::refresh_token;
use crate::protocol::Provider;
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::protocol::parameters::Parameters;
use crate::protocol::resource::narrowed;
use crate::store::grants;
use crate::store::grants::Rotation;

fn refused() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, "The refresh token is unknown, used, expired or revoked.")
}

impl Provider {
    pub(super) async fn refresh(&self, asking: Asking<'_>, token: &str, scope: Option<&str>) -> Result<TokenSet> {
        let bound_to = asking.bound_to()?;
        let certificate = asking.certificate.map(|certificate| certificate.thumbprint);
        let Asking { client, parameters, origin, .. } = asking;
        let presented = refresh_token::parse(&self.master, token).ok_or_else(refused)?;
        let apis = self.store.authority().apis(&self.store).await?;
        let (provider, client_now, parameters) = (self.clone(), client.clone(), parameters.clone());
        let scope = scope.map(ToOwned::to_owned);
        let refreshed = self
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let Some(grant) = grants::hold(tx, presented.grant).await? else {
                        return Ok(Err(refused()));
                    };
                    if grant.authorization.client != client_now.id {
                        provider
                            .end_copied(tx, &grant.authorization, "another client used a refresh token", &origin)
                            .await?;
                        return Ok(Err(refused().because("another client's refresh token")));
                    }
                    if !provider.lives(&grant) {
                        return Ok(Err(refused()));
                    }
                    if !is_the_same_public_client(&client_now, &grant, certificate) {
                        return Ok(Err(refused().because("without the certificate that it is bound to")));
                    }
                    let judged = grant.judge(presented.generation, &presented.digest, tx.now());
                    if judged == Presented::Reused {
                        provider.end_copied(tx, &grant.authorization, "an old refresh token was used", &origin).await?;
                        return Ok(Err(refused().because("reuse")));
                    }
                    // What cannot be granted is refused before the token is used up.
                    let authorization = match narrow(&grant, &client_now, scope.as_deref(), &parameters) {
                        Ok(authorization) => Authorization { bound_to, ..authorization },
                        Err(error) => return Ok(Err(error)),
                    };
                    let (generation, rotated_at) = match judged {
                        Presented::Current => (grant.generation + 1, tx.now()),
                        _ => (grant.generation, grant.rotated_at),
                    };
                    let (secret, digest) = refresh_token::mint(&provider.master, &provider.env, grant.id, generation);
                    let expires_at = provider.refresh_token_end(tx.now(), grant.created_at);
                    if !grants::rotate(tx, &grant, &Rotation { generation, digest, rotated_at, expires_at }).await? {
                        // Another request rotated it between the reading and here; the client may ask again.
                        return Ok(Err(refused().because("lost a race")));
                    }
                    let plan = provider.plan_access_token(&client_now, &authorization.resources, &apis);
                    let opaque = provider.keep_opaque(tx, &plan, &authorization).await?;
                    Ok(Ok(Granted { authorization, plan, at: tx.now(), opaque, refresh: Some(secret) }))
                })
            })
            .await?;
        let mut granted = refreshed?;
        // OpenID Connect Core §12.2: an ID token of a refresh has no nonce.
        granted.authorization.nonce = None;
        self.mint(client, granted).await
    }

    fn lives(&self, grant: &Grant) -> bool {
        !grant.revoked
            && self.env.now() < grant.expires_at
            && self.store.authority().stands(&grant.authorization, None, grant.created_at)
    }
}

/// RFC 8705 §4: a public client shows that it is the one that got the refresh token by the certificate it had then. Another
/// one has shown who it is, and may have had a new certificate made since.
fn is_the_same_public_client(client: &Client, grant: &Grant, certificate: Option<Thumbprint>) -> bool {
    match grant.authorization.bound_to.filter(|_| client.meta.is_public()) {
        Some(Confirmation::Certificate(thumbprint)) => certificate == Some(thumbprint),
        None => true,
    }
}

/// §6: no more scopes than were granted, nor than the client may have by now; the grant itself keeps them all.
fn narrow(grant: &Grant, client: &Client, scope: Option<&str>, parameters: &Parameters) -> Result<Authorization> {
    let mut authorization = grant.authorization.clone();
    authorization.scopes = authorization.scopes.filtered(|scope| client.meta.scope.contains(scope));
    if let Some(scope) = scope {
        let asked = Scopes::parse(scope).unwrap_or_default();
        if asked.is_empty() || !asked.within(&authorization.scopes) {
            return Err(OAuthError::new(ErrorCode::InvalidScope, "That scope was not granted."));
        }
        authorization.scopes = asked;
    }
    authorization.resources = narrowed(parameters, &authorization.resources)?;
    Ok(authorization)
}
