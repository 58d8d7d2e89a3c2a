//! The client credentials grant (RFC 6749 §4.4).
//!
//! For a JWT nothing is written, and only the client authentication reads the database. For an API, the versions of the
//! APIs are also compared with the database.
//!
//! See also: [`super::jwt_bearer`], which issues the same to a client that authenticates by the token of a trusted
//! issuer.

use super::{TokenRequest, TokenResponse};
use crate::domain::authorization::Authorization;
use crate::domain::permissions::Permissions;
use crate::domain::scope::{STANDARD_SCOPES, Scopes};
use crate::protocol::Provider;
use crate::protocol::access_token::TokenPlan;
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::protocol::resource::{ScopeResolver, check_unambiguous_scopes, is_allowed_by_apis, known_version};
use crate::store::authorizations::{self, RowLock};

impl Provider {
    pub(super) async fn client_credentials(&self, asking: TokenRequest<'_>) -> Result<TokenResponse> {
        let now = self.env.now();
        let (authorization, plan) = self.authorize_client(&asking).await?;
        let opaque = self.commit_opaque_token(&plan, &authorization).await?;
        self.mint_access_token(asking.client, &authorization, &plan, now, opaque)
    }

    /// Returns the authorization of a client for itself and the token plan, using the current APIs.
    pub(super) async fn authorize_client(&self, asking: &TokenRequest<'_>) -> Result<(Authorization, TokenPlan)> {
        let conn = self.store.read();
        if let Some((authorization, plan)) = self.authorize_client_from_cache(asking).await?
            && (authorization.permissions.apis.is_empty()
                || authorizations::is_current(conn, &authorization, self.store.database_now(), RowLock::None).await?
                    && is_allowed_by_apis(conn, asking.client, &authorization.permissions).await?)
        {
            return Ok((authorization, plan));
        }
        // Another node has just changed the APIs. A token issued with the old versions would be rejected everywhere.
        self.store.authority().invalidate_client_and_apis(&asking.client.id);
        let known = self.authorize_client_from_cache(asking).await?;
        known.ok_or_else(|| {
            OAuthError::new(ErrorCode::InvalidScope, "None of the scopes asked for means anything here.")
        })
    }

    /// Returns the same using the cached APIs; `None` if no requested scope belongs to one of them.
    async fn authorize_client_from_cache(
        &self,
        asking: &TokenRequest<'_>,
    ) -> Result<Option<(Authorization, TokenPlan)>> {
        let TokenRequest { client, parameters, .. } = asking;
        let apis = self.store.authority().apis(&self.store).await?;
        // §4.4.2: scopes about a user do not apply to the client itself.
        let may = client.permissions(&apis);
        let allowed = Permissions { general: may.general.filtered(|scope| !STANDARD_SCOPES.contains(&scope)), ..may };
        let judging = ScopeResolver { allowed: &allowed, apis: &apis, narrows: false };
        let resources = judging.resources(parameters)?;
        let asked = match parameters.scope()? {
            // §3.3: the default scopes are all scopes that the client may have.
            None if resources.is_empty() => allowed.names(),
            None => judging.at(&resources),
            Some(asked) => {
                let asked = Scopes::parse(asked).unwrap_or_default();
                if asked.is_empty() || !asked.is_subset(&allowed.names()) {
                    let text = "This client may not have that scope.";
                    return Err(OAuthError::new(ErrorCode::InvalidScope, text).with_cause(asked.to_string()));
                }
                asked
            }
        };
        let permissions = judging.resolve_permissions(&asked, &resources)?;
        if permissions.is_empty() && !asked.is_empty() {
            return Ok(None);
        }
        check_unambiguous_scopes(&permissions, &apis)?;
        let permissions = permissions.for_access_token();
        let bound_to = asking.bound_to()?;
        let authorization = Authorization { bound_to, ..Authorization::for_client(client.id.clone(), permissions) };
        let authorization = authorization.with_versions(|of| known_version(of, client, &apis));
        let plan = self.plan_access_token(client, &authorization.permissions.apis, &apis);
        Ok(Some((authorization, plan)))
    }
}
