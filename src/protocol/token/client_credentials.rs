//! Client credentials (RFC 6749 §4.4): the client for itself. Nothing is read and nothing written for a JWT.
//!
//! Next door: [`super::jwt_bearer`], where a client that proves who it is by somebody else's token gets the same.

use super::{Asking, TokenSet};
use crate::domain::authorization::Authorization;
use crate::domain::scope::{STANDARD, Scopes};
use crate::protocol::Provider;
use crate::protocol::access_token::Plan;
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::protocol::resource::resources;

impl Provider {
    pub(super) async fn client_credentials(&self, asking: Asking<'_>) -> Result<TokenSet> {
        let now = self.env.now();
        let (authorization, plan) = self.for_itself(&asking).await?;
        let opaque = self.keep_opaque_alone(&plan, &authorization).await?;
        self.mint_access_token(asking.client, &authorization, &plan, now, opaque)
    }

    /// What a client gets for itself.
    pub(super) async fn for_itself(&self, asking: &Asking<'_>) -> Result<(Authorization, Plan)> {
        let Asking { client, parameters, .. } = asking;
        let apis = self.store.authority().apis(&self.store).await?;
        // §4.4.2, §3.3: without a scope it gets what it may have, but for what says something about a person.
        let own = client.meta.scope.filtered(|scope| !STANDARD.contains(&scope));
        let scopes = match parameters.one("scope")? {
            None => own,
            Some(asked) => {
                let asked = Scopes::parse(asked).unwrap_or_default();
                if asked.is_empty() || !asked.within(&own) {
                    return Err(OAuthError::new(ErrorCode::InvalidScope, "This client may not have that scope."));
                }
                asked
            }
        };
        let resources = resources(parameters, &scopes, &apis, false)?;
        let bound_to = asking.bound_to()?;
        let authorization =
            Authorization { bound_to, ..Authorization::of_client(client.id.clone(), scopes, resources) };
        let plan = self.plan_access_token(client, &authorization.resources, &apis);
        Ok((authorization, plan))
    }
}
