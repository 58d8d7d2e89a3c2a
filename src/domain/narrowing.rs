//! What is left of something granted: [`still_allowed`] takes away what its client may not ask for any more and what its
//! APIs do not define any more. Whatever goes on with a permission calls it: resuming a sign-in, redeeming a code or a
//! device code, refreshing, exchanging, UserInfo, introspection and the gate.
//!
//! A permission never grows here. Whether it was revoked is another question (`store::authority`).

use super::api::Api;
use super::authorization::Authorization;
use super::client::Client;
use super::client_metadata::GrantType;
use super::device::DeviceRequest;
use super::interaction::AuthorizationRequest;
use super::permissions::Permissions;
use super::scope::OFFLINE_ACCESS;

/// The part of `granted` that `client` may still have at `apis`. An API that lost every scope that was granted is left
/// out; one without scopes stays while it has none.
#[must_use]
pub fn still_allowed(granted: &Permissions, client: &Client, apis: &[Api]) -> Permissions {
    let find = |id: &_| apis.iter().find(|api| api.identifier == *id);
    let general = |scope: &str| can_request_general_scope(client, scope);
    let there = granted.apis.filtered_apis(|id| {
        find(id).is_some_and(|api| !granted.apis.scopes_of(id).is_empty() || client.can_access_api(api))
    });
    Permissions {
        general: granted.general.filtered(general),
        apis: there.filtered(|id, scope| find(id).is_some_and(|api| client.can_request_scope(api, scope))),
    }
}

/// Whether the client may ask for a scope of no API.
fn can_request_general_scope(client: &Client, scope: &str) -> bool {
    client.meta.scope.contains(scope) && (scope != OFFLINE_ACCESS || client.meta.allows(GrantType::RefreshToken))
}

impl Authorization {
    /// What is left of it; nothing where it has lost all that it was good for.
    #[must_use]
    pub fn narrowed(&self, client: &Client, apis: &[Api]) -> Option<Self> {
        let permissions = still_allowed(&self.permissions, client, apis);
        let lost_all = permissions.is_empty() && !self.permissions.is_empty();
        // A token for APIs alone does not become one for UserInfo.
        let lost_apis = permissions.apis.is_empty() && !self.permissions.apis.is_empty();
        if lost_all || lost_apis && !permissions.has_openid() {
            return None;
        }
        let part_of_offline = self.part_of_offline && can_request_general_scope(client, OFFLINE_ACCESS);
        let claims = self.claims.clone().restricted_to(&client.meta.scope);
        Some(Self { permissions, part_of_offline, claims, ..self.clone() })
    }
}

/// Why a request that was accepted before is refused now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevalidationError {
    /// Nothing may be sent there.
    RedirectUri,
    ResponseType,
    /// The client needs PKCE by now.
    PkceRequired,
    Scopes,
}

impl AuthorizationRequest {
    /// What is left of it.
    ///
    /// # Errors
    /// What the client may not do any more, the redirect URI first: other errors are sent there.
    pub fn narrowed(&self, client: &Client, apis: &[Api]) -> Result<Self, RevalidationError> {
        if !client.has_redirect_uri(&self.reply_to.redirect_uri) {
            return Err(RevalidationError::RedirectUri);
        }
        if !client.meta.allows_response_type(self.response_type) {
            return Err(RevalidationError::ResponseType);
        }
        if self.response_type.has_code() && client.needs_pkce() && self.challenge.is_none() {
            return Err(RevalidationError::PkceRequired);
        }
        let permissions = still_allowed(&self.permissions, client, apis);
        if permissions.is_empty() || self.response_type.has_id_token() && !permissions.has_openid() {
            return Err(RevalidationError::Scopes);
        }
        Ok(Self { permissions, claims: self.claims.clone().restricted_to(&client.meta.scope), ..self.clone() })
    }
}

impl DeviceRequest {
    /// What is left of it; nothing where no scope is.
    #[must_use]
    pub fn narrowed(&self, client: &Client, apis: &[Api]) -> Option<Self> {
        let permissions = still_allowed(&self.permissions, client, apis);
        (!permissions.is_empty()).then(|| Self { permissions, ..self.clone() })
    }
}
