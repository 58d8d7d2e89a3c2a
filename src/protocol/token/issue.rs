//! Issues tokens for an authorization. Every grant type ends here. Signing happens after the transaction, outside of
//! it.

use super::TokenResponse;
use crate::domain::api::Api;
use crate::domain::authorization::Authorization;
use crate::domain::claims_request::RequestedClaims;
use crate::domain::client::Client;
use crate::domain::scope::Scopes;
use crate::domain::secret::Secret;
use crate::env::Timestamp;
use crate::protocol::Provider;
use crate::protocol::access_token::TokenPlan;
use crate::protocol::claims::configured_id_token_claims;
use crate::protocol::error::Result;
use crate::protocol::id_token::AccompanyingTokens;
use crate::protocol::parameters::Parameters;
use crate::protocol::resource::{current_apis, permissions_for_token};
use crate::store::authorizations::{self, RowLock};
use crate::store::{StoreError, Tx, passkeys};

/// The result of the issuing transaction. Signing remains to be done.
pub(super) struct GrantedTokens {
    /// The authorization for the ID token.
    pub authorization: Authorization,
    /// The authorization for the access token.
    pub access: Authorization,
    pub plan: TokenPlan,
    pub at: Timestamp,
    /// The opaque access token that the transaction has inserted.
    pub opaque: Option<Secret>,
    pub refresh: Option<Secret>,
}

impl Provider {
    /// Begins a grant from a user's `authorization`, narrowed to what is currently allowed and to what the request asks
    /// for. Returns `None` if something it depends on has been revoked, or if nothing of it is allowed any more.
    pub(super) async fn grant(
        &self,
        tx: &Tx,
        client: &Client,
        authorization: Authorization,
        parameters: &Parameters,
        apis: &[Api],
    ) -> std::result::Result<Result<Option<GrantedTokens>>, StoreError> {
        // This check uses the permissions as granted: narrowing would drop an API that has been deleted since.
        if !authorizations::is_current(tx.conn(), &authorization, tx.database_now(), RowLock::Shared).await? {
            return Ok(Ok(None));
        }
        let apis = &*current_apis(tx.conn(), client, &authorization.permissions, apis).await?;
        let Some(left) = authorization.narrowed(client, apis) else { return Ok(Ok(None)) };
        if !authorizations::is_current_after_narrowing(tx.conn(), &authorization, &left, tx.database_now()).await? {
            return Ok(Ok(None));
        }
        let authorization = left;
        let passkey = authorization.sign_in.as_ref().and_then(|sign_in| sign_in.passkey);
        if let Some(passkey) = passkey
            && !passkeys::exists(tx.conn(), passkey).await?
        {
            return Ok(Ok(None));
        }
        let asked: Vec<&str> = parameters.all("resource").collect();
        let permissions = match permissions_for_token(&asked, &authorization.permissions, None, apis) {
            Ok(permissions) => permissions,
            Err(error) => return Ok(Err(error)),
        };
        // The family keeps all the allowed APIs: a refresh may request others of them (RFC 8707 §2.2).
        let refresh = self.begin_family(tx, client, &authorization).await?;
        let authorization = authorization.restricted_to(permissions);
        let access = in_access_token(&authorization, &asked);
        let plan = self.plan_access_token(client, &access.permissions.apis, apis);
        let opaque = self.insert_opaque_token(tx, &plan, &access).await?;
        Ok(Ok(Some(GrantedTokens { authorization, access, plan, at: tx.now(), opaque, refresh })))
    }

    /// Signs the granted tokens.
    pub(super) async fn mint(&self, client: &Client, granted: GrantedTokens) -> Result<TokenResponse> {
        let GrantedTokens { authorization, access, plan, at, opaque, refresh } = granted;
        let mut tokens = self.mint_access_token(client, &access, &plan, at, opaque)?;
        if authorization.permissions.has_openid() {
            let about = self
                .id_token_claims(&authorization, &Scopes::default(), configured_id_token_claims(client, &authorization))
                .await?;
            let beside = AccompanyingTokens { access_token: Some(&tokens.access_token), code: None, about };
            tokens.id_token = self.id_token(client, &authorization, beside).await?;
        }
        tokens.refresh_token = refresh.map(|token| token.expose().to_owned());
        Ok(tokens)
    }

    /// Signs an access token alone, for a token exchange.
    pub(super) fn mint_access_token(
        &self,
        client: &Client,
        authorization: &Authorization,
        plan: &TokenPlan,
        issued_at: Timestamp,
        opaque: Option<Secret>,
    ) -> Result<TokenResponse> {
        let access_token = match opaque {
            Some(token) => token,
            None => self.sign_access_token(client, plan, authorization, issued_at)?,
        };
        Ok(TokenResponse {
            access_token: access_token.expose().to_owned(),
            token_type: "Bearer",
            issued_token_type: None,
            expires_in: plan.lifetime,
            refresh_token: None,
            id_token: None,
            scope: authorization.permissions.names(),
        })
    }
}

/// Returns the part of the granted authorization that the access token carries.
///
/// A token requested with `resource` is for that API alone (RFC 9068 §2.2.3): the API cannot use it at UserInfo to read
/// what the user has allowed the client.
pub(super) fn in_access_token(granted: &Authorization, asked: &[&str]) -> Authorization {
    if asked.is_empty() {
        return granted.clone();
    }
    let claims = RequestedClaims { userinfo: Vec::new(), ..granted.claims.clone() };
    Authorization { claims, ..granted.clone().restricted_to(granted.permissions.api_scopes_only()) }
}
