//! The refresh token grant (RFC 6749 §6, RFC 9700 §4.14.2). The row of the token family is locked, then the presented
//! token is judged:
//!
//! The current token is rotated. The previous token within the grace window returns the current one again, so that
//! parallel requests, tabs and lost responses agree. A token that parallel requests used a moment ago is refused, with
//! an event. Any other token of the family revokes the family and everything issued from it.
//!
//! See also: `domain::grant`, which judges the token; `keys::refresh_token`, which derives the tokens.

use super::issue::{GrantedTokens, in_access_token};
use super::{TokenRequest, TokenResponse};
use crate::domain::api::Api;
use crate::domain::authorization::Authorization;
use crate::domain::certificate::{Confirmation, Thumbprint};
use crate::domain::client::Client;
use crate::domain::client_metadata::RefreshTokenRotation;
use crate::domain::grant::{Grant, RefreshTokenUse};
use crate::domain::secret::{Digest, Secret};
use crate::env::Timestamp;
use crate::keys::refresh_token;
use crate::protocol::Provider;
use crate::protocol::client_access::AccessPoint;
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::protocol::parameters::Parameters;
use crate::protocol::resource::{current_apis, permissions_for_token};
use crate::store::authorizations::{self, RowLock};
use crate::store::{StoreError, Tx, events, grants};

/// The minimum interval between two writes of the last use of a token that does not rotate.
const EXTENSION_STEP_MILLIS: i64 = 60_000;

/// The reason in the audit event if the family remains active.
const SUPERSEDED_TOKEN_REFUSED: &str = "an old refresh token was refused that parallel requests had just used";

pub(super) fn invalid_refresh_token() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, "The refresh token is unknown, used, expired or revoked.")
}

impl Provider {
    pub(super) async fn refresh(
        &self,
        asking: TokenRequest<'_>,
        token: &str,
        scope: Option<&str>,
    ) -> Result<TokenResponse> {
        let (arrived, bound_to) = (self.store.estimated_database_time(), asking.bound_to()?);
        let certificate = asking.certificate.map(|certificate| certificate.thumbprint);
        let TokenRequest { client, parameters, origin, .. } = asking;
        let presented = refresh_token::parse(&self.master, token).ok_or_else(invalid_refresh_token)?;
        let apis = self.store.authority().apis(&self.store).await?;
        let (provider, client_now, parameters) = (self.clone(), client.clone(), parameters.clone());
        let scope = scope.map(ToOwned::to_owned);
        let refreshed = self
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let Some((grant, database_now)) = grants::lock_for_update(tx, presented.grant).await? else {
                        return Ok(Err(invalid_refresh_token()));
                    };
                    if grant.authorization.client != client_now.id {
                        provider
                            .revoke_reused_grant(
                                tx,
                                &grant.authorization,
                                "another client used a refresh token",
                                &origin,
                            )
                            .await?;
                        return Ok(Err(invalid_refresh_token().with_cause("another client's refresh token")));
                    }
                    let is_current =
                        authorizations::is_current(tx.conn(), &grant.authorization, tx.database_now(), RowLock::None)
                            .await?;
                    if !provider.is_grant_active(&grant) || !is_current {
                        return Ok(Err(invalid_refresh_token()));
                    }
                    if !is_the_same_public_client(&client_now, &grant, certificate) {
                        return Ok(Err(
                            invalid_refresh_token().with_cause("without the certificate that it is bound to")
                        ));
                    }
                    let grace = client_now.meta.refresh_token_grace.unwrap_or(provider.lifetimes.refresh_token_grace);
                    let judged = grant.classify(&presented.digest, arrived, database_now, grace);
                    if judged == RefreshTokenUse::Superseded {
                        events::insert(
                            tx,
                            &provider.reuse_event(tx, &grant.authorization, SUPERSEDED_TOKEN_REFUSED, &origin),
                        )
                        .await?;
                        return Ok(Err(invalid_refresh_token().with_cause(SUPERSEDED_TOKEN_REFUSED)));
                    }
                    if let Some(copied) = copied(judged) {
                        provider.revoke_reused_grant(tx, &grant.authorization, copied, &origin).await?;
                        return Ok(Err(invalid_refresh_token().with_cause(copied)));
                    }
                    // Permissions that cannot be granted are refused before the token is consumed.
                    let of = &grant.authorization;
                    if !client_now.meta.allowed_groups.is_empty()
                        && let Err(error) = provider.check_access(tx, of, AccessPoint::Refresh, &origin).await?
                    {
                        return Ok(Err(error));
                    }
                    let Some(left) = provider.left_of(tx, &grant, &client_now, &apis).await? else {
                        return Ok(Err(invalid_refresh_token().with_cause("nothing of it is allowed any more")));
                    };
                    let authorization = match narrow(left, &apis, scope.as_deref(), &parameters) {
                        Ok(authorization) => Authorization { bound_to, ..authorization },
                        Err(error) => return Ok(Err(error)),
                    };
                    let rotation = client_now.meta.refresh_token_rotation;
                    let secret = provider.renewed(tx, grant, judged, rotation, database_now).await?;
                    let access = in_access_token(&authorization, &parameters.all("resource").collect::<Vec<_>>());
                    let plan = provider.plan_access_token(&client_now, &access.permissions.apis, &apis);
                    let opaque = provider.insert_opaque_token(tx, &plan, &access).await?;
                    Ok(Ok(GrantedTokens { authorization, access, plan, at: tx.now(), opaque, refresh: Some(secret) }))
                })
            })
            .await?;
        let mut granted = refreshed?;
        // OpenID Connect Core §12.2: an ID token from a refresh has no `nonce`.
        granted.authorization.nonce = None;
        self.mint(client, granted).await
    }

    /// Returns the part of a grant that is currently allowed. The stored grant keeps all of it.
    async fn left_of(
        &self,
        tx: &Tx,
        grant: &Grant,
        client: &Client,
        apis: &[Api],
    ) -> std::result::Result<Option<Authorization>, StoreError> {
        let apis = current_apis(tx.conn(), client, &grant.authorization.permissions, apis).await?;
        let Some(left) = grant.authorization.narrowed(client, &apis) else { return Ok(None) };
        let goes_on =
            authorizations::is_current_after_narrowing(tx.conn(), &grant.authorization, &left, tx.database_now())
                .await?;
        Ok(goes_on.then_some(left))
    }

    /// Returns the refresh token for the response. Updates the row of the family if its state changes.
    async fn renewed(
        &self,
        tx: &Tx,
        mut grant: Grant,
        judged: RefreshTokenUse,
        rotation: RefreshTokenRotation,
        database_now: Timestamp,
    ) -> std::result::Result<Secret, StoreError> {
        let ends_at = grant.ends_at.min(grant.created_at.plus_seconds(self.lifetimes.grant));
        let expires_at = self.refresh_token_end(tx.now(), ends_at);
        let changed = match (judged, rotation) {
            (RefreshTokenUse::Repeated(repeats), _) => std::mem::replace(&mut grant.repeats, repeats) != repeats,
            (_, RefreshTokenRotation::Never) => {
                let is_extended = expires_at.since(grant.expires_at) >= EXTENSION_STEP_MILLIS;
                grant.expires_at = if is_extended { expires_at } else { grant.expires_at };
                is_extended
            }
            (_, RefreshTokenRotation::Always) => {
                let (_, next) = self.derive_token(&grant, grant.generation.saturating_add(1));
                grant = grant.rotated(next, database_now, expires_at);
                true
            }
        };
        if changed {
            grants::update(tx, &grant).await?;
        }
        Ok(self.derive_token(&grant, grant.generation).0)
    }

    fn derive_token(&self, grant: &Grant, generation: i32) -> (Secret, Digest) {
        refresh_token::derive(&self.master, grant.id, generation, &grant.salt)
    }

    pub(super) fn is_grant_active(&self, grant: &Grant) -> bool {
        !grant.revoked && self.env.now() < grant.expires_at
    }
}

/// Returns the reason in the audit event if the token has been copied.
const fn copied(judged: RefreshTokenUse) -> Option<&'static str> {
    match judged {
        RefreshTokenUse::Current | RefreshTokenUse::Repeated(_) | RefreshTokenUse::Superseded => None,
        RefreshTokenUse::Reused => Some("an old refresh token was used"),
        RefreshTokenUse::Contested => Some("a refresh token was used from two places in turn"),
    }
}

/// Returns whether a public client presents the certificate with which it obtained the refresh token (RFC 8705 §4).
/// Always true for a confidential client: it has been authenticated, and its certificate may have been renewed since.
fn is_the_same_public_client(client: &Client, grant: &Grant, certificate: Option<Thumbprint>) -> bool {
    match grant.authorization.bound_to.filter(|_| client.meta.is_public()) {
        Some(Confirmation::Certificate(thumbprint)) => certificate == Some(thumbprint),
        None => true,
    }
}

/// Limits the remaining authorization to the requested scopes and resources (RFC 6749 §6).
fn narrow(left: Authorization, apis: &[Api], scope: Option<&str>, parameters: &Parameters) -> Result<Authorization> {
    let asked: Vec<&str> = parameters.all("resource").collect();
    let permissions = permissions_for_token(&asked, &left.permissions, scope, apis)?;
    Ok(left.restricted_to(permissions))
}
