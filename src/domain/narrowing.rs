//! Narrows what was granted: [`still_allowed`] removes what the client may no longer request and what the APIs no
//! longer define. It is called wherever a permission is used again: resuming a sign-in, redeeming a code or a device
//! code, refreshing, token exchange, UserInfo, introspection and the gate.
//!
//! Narrowing never adds a permission. Revocation is checked elsewhere (`store::authorizations`).

use super::api::Api;
use super::authorization::Authorization;
use super::client::Client;
use super::client_metadata::GrantType;
use super::device::DeviceRequest;
use super::interaction::AuthorizationRequest;
use super::permissions::Permissions;
use super::scope::OFFLINE_ACCESS;

/// Returns the part of `granted` that `client` may still have at `apis`. An API that lost every granted scope is
/// removed. An entry for access without scopes stays while the API has none.
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

/// Returns whether the client may request a scope of no API.
fn can_request_general_scope(client: &Client, scope: &str) -> bool {
    client.meta.scope.contains(scope) && (scope != OFFLINE_ACCESS || client.meta.allows(GrantType::RefreshToken))
}

impl Authorization {
    /// Returns what is left of the authorization, or `None` if nothing useful is.
    #[must_use]
    pub fn narrowed(&self, client: &Client, apis: &[Api]) -> Option<Self> {
        let permissions = still_allowed(&self.permissions, client, apis);
        let lost_all = permissions.is_empty() && !self.permissions.is_empty();
        // A token for APIs only must not become one for UserInfo.
        let lost_apis = permissions.apis.is_empty() && !self.permissions.apis.is_empty();
        if lost_all || lost_apis && !permissions.has_openid() {
            return None;
        }
        let part_of_offline = self.part_of_offline && can_request_general_scope(client, OFFLINE_ACCESS);
        let claims = self.claims.clone().restricted_to(&client.meta.scope);
        Some(Self { permissions, part_of_offline, claims, ..self.clone() })
    }
}

/// Why a request that was accepted earlier is rejected now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevalidationError {
    /// The redirect URI is no longer the client's. Nothing may be sent there.
    RedirectUri,
    ResponseType,
    /// The client requires PKCE now.
    PkceRequired,
    Scopes,
}

impl AuthorizationRequest {
    /// Returns what is left of the request.
    ///
    /// # Errors
    /// Returns what the client may no longer do. The redirect URI is checked first, because other errors are sent
    /// there.
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
    /// Returns what is left of the request, or `None` if no scope is.
    #[must_use]
    pub fn narrowed(&self, client: &Client, apis: &[Api]) -> Option<Self> {
        let permissions = still_allowed(&self.permissions, client, apis);
        (!permissions.is_empty()).then(|| Self { permissions, ..self.clone() })
    }
}
