//! The authorization code grant (RFC 6749 §4.1.3, RFC 7636 §4.6). The code is consumed first, by a single statement
//! that only one of several concurrent requests can win.
//!
//! A second use is a regular outcome: the transaction that refuses it also revokes everything issued from the code
//! (§4.1.2).

use super::{TokenRequest, TokenResponse};
use crate::domain::authorization::Authorization;
use crate::domain::authorization_code::AuthorizationCode;
use crate::domain::client::Client;
use crate::domain::client_metadata::GrantType;
use crate::domain::event::{Actor, Event, EventKind, RequestOrigin};
use crate::domain::grant::{FamilySalt, Grant, RepeatTiming};
use crate::domain::ids::EventId;
use crate::domain::secret::{Secret, SecretKind};
use crate::env::Timestamp;
use crate::keys::refresh_token;
use crate::protocol::Provider;
use crate::protocol::client_access::AccessPoint;
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::protocol::pkce;
use crate::store::grants::GrantSelector;
use crate::store::{ChangeEvent, StoreError, Tx, codes, events, grants, revoked_tokens};

fn invalid_grant(text: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, text)
}

pub(super) fn unknown_code() -> OAuthError {
    invalid_grant("The code is unknown, used or expired.")
}

impl Provider {
    pub(super) async fn redeem_code(
        &self,
        asking: TokenRequest<'_>,
        code: &str,
        redirect_uri: Option<&str>,
        verifier: Option<&str>,
    ) -> Result<TokenResponse> {
        let bound_to = asking.bound_to()?;
        let TokenRequest { client, parameters, origin, .. } = asking;
        if !code.starts_with(SecretKind::AuthorizationCode.prefix()) {
            return Err(unknown_code());
        }
        let apis = self.store.authority().apis(&self.store).await?;
        let (provider, client_now) = (self.clone(), client.clone());
        let (parameters, redirect_uri, verifier) =
            (parameters.clone(), redirect_uri.map(ToOwned::to_owned), verifier.map(ToOwned::to_owned));
        let digest = SecretKind::AuthorizationCode.digest(code);
        let redeemed = self
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let code = match codes::consume(tx, &digest).await? {
                        codes::ConsumeResult::Now(code) => code,
                        codes::ConsumeResult::Before(code) => {
                            provider
                                .revoke_reused_grant(tx, &code.authorization, "a code was used twice", &origin)
                                .await?;
                            return Ok(Err(unknown_code()));
                        }
                        codes::ConsumeResult::Unknown => return Ok(Err(unknown_code())),
                    };
                    if let Err(error) = matches(&code, &client_now, redirect_uri.as_deref(), verifier.as_deref()) {
                        // A presenter that does not match the request must be assumed to be a thief.
                        provider
                            .revoke_reused_grant(tx, &code.authorization, "a code was presented wrongly", &origin)
                            .await?;
                        return Ok(Err(error));
                    }
                    let authorization = Authorization { bound_to, ..code.authorization };
                    // Uses the client as read for this request, as for its scopes.
                    if !client_now.meta.allowed_groups.is_empty()
                        && let Err(error) =
                            provider.check_access(tx, &authorization, AccessPoint::Code, &origin).await?
                    {
                        return Ok(Err(error));
                    }
                    let granted = provider.grant(tx, &client_now, authorization, &parameters, &apis).await?;
                    Ok(granted.and_then(|granted| {
                        granted.ok_or_else(|| unknown_code().with_cause("what it hangs on has ended"))
                    }))
                })
            })
            .await?;
        self.mint(client, redeemed?).await
    }

    /// Begins the refresh token family of a new grant and returns its first token. Returns `None` if the client does
    /// not use refresh tokens or no user signed in.
    pub(super) async fn begin_family(
        &self,
        tx: &Tx,
        client: &Client,
        authorization: &Authorization,
    ) -> std::result::Result<Option<Secret>, StoreError> {
        let (Some(id), true) = (authorization.grant, client.meta.allows(GrantType::RefreshToken)) else {
            return Ok(None);
        };
        let salt = FamilySalt(self.env.random());
        let (secret, digest) = refresh_token::derive(&self.master, id, 1, &salt);
        let ends_at = self.family_end(authorization, tx.now());
        let grant = Grant {
            id,
            authorization: authorization.clone(),
            generation: 1,
            salt,
            current: digest,
            previous: None,
            superseded: Vec::new(),
            rotated_at: tx.now(),
            repeats: RepeatTiming::None,
            contested: 0,
            created_at: tx.now(),
            expires_at: self.refresh_token_end(tx.now(), ends_at),
            ends_at,
            revoked: false,
        };
        grants::insert(tx, &grant).await?;
        Ok(Some(secret))
    }

    /// Returns when a family that begins now ends, however often it is used. Without `offline_access` it ends with the
    /// session at the latest (OpenID Connect Core §11).
    fn family_end(&self, authorization: &Authorization, now: Timestamp) -> Timestamp {
        let longest = now.plus_seconds(self.lifetimes.grant);
        let session_ends = authorization.sign_in.as_ref().and_then(|sign_in| sign_in.session_ends);
        match session_ends.filter(|_| authorization.bound_session().is_some()) {
            Some(session_ends) => longest.min(session_ends),
            None => longest,
        }
    }

    pub(super) fn refresh_token_end(&self, now: Timestamp, family_ends: Timestamp) -> Timestamp {
        now.plus_seconds(self.lifetimes.refresh_token).min(family_ends)
    }

    /// Revokes the whole grant after a code or token was reused, since a copy must have been stolen. The change and the
    /// event are written once: repeated attempts do not flood the change feed or the audit log.
    pub(super) async fn revoke_reused_grant(
        &self,
        tx: &Tx,
        authorization: &Authorization,
        what: &str,
        origin: &RequestOrigin,
    ) -> std::result::Result<(), StoreError> {
        let Some(grant) =
            authorization.grant.filter(|grant| !self.store.authority().revocations().is_grant_revoked(*grant))
        else {
            return Ok(());
        };
        if grants::revoke(tx, GrantSelector::Grant(grant)).await? == 0 {
            revoked_tokens::insert_grant(tx, grant).await?;
        }
        tx.publish(ChangeEvent::Ended(grant.into())).await?;
        events::insert(tx, &self.reuse_event(tx, authorization, what, origin)).await
    }

    /// Returns the audit event for the reuse of a code or token.
    pub(super) fn reuse_event(
        &self,
        tx: &Tx,
        authorization: &Authorization,
        what: &str,
        origin: &RequestOrigin,
    ) -> Event {
        Event {
            id: EventId(self.env.uuid()),
            at: tx.now(),
            kind: EventKind::TokenReused,
            actor: Actor::Client(authorization.client.clone()),
            user: authorization.user(),
            client: Some(authorization.client.clone()),
            origin: origin.clone(),
            detail: what.to_owned(),
        }
    }
}

/// Returns whether the redemption matches the authorization request of the code.
fn matches(
    code: &AuthorizationCode,
    client: &Client,
    redirect_uri: Option<&str>,
    verifier: Option<&str>,
) -> Result<()> {
    if code.authorization.client != client.id {
        return Err(unknown_code().with_cause("another client's code"));
    }
    if !client.has_redirect_uri(&code.redirect_uri) {
        return Err(invalid_grant("The redirect URI is not one of this client's any more."));
    }
    match redirect_uri {
        Some(uri) if uri != code.redirect_uri => {
            return Err(invalid_grant("redirect_uri differs from the authorization request."));
        }
        None if code.redirect_uri_sent => {
            return Err(invalid_grant("redirect_uri is missing: the authorization request had one."));
        }
        _ => {}
    }
    pkce::verify(code.challenge.as_ref(), verifier)
}
