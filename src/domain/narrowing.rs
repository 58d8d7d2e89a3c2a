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
    let general = |scope: &str| may_have(client, scope);
    let there = granted
        .apis
        .of_apis(|id| find(id).is_some_and(|api| !granted.apis.of(id).is_empty() || client.may_access(api)));
    Permissions {
        general: granted.general.filtered(general),
        apis: there.filtered(|id, scope| find(id).is_some_and(|api| client.may_request(api, scope))),
    }
}

/// Whether the client may ask for a scope of no API.
fn may_have(client: &Client, scope: &str) -> bool {
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
        let part_of_offline = self.part_of_offline && may_have(client, OFFLINE_ACCESS);
        let claims = self.claims.clone().within(&client.meta.scope);
        Some(Self { permissions, part_of_offline, claims, ..self.clone() })
    }
}

/// Why a request that was accepted before is refused now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoLonger {
    /// Nothing may be sent there.
    RedirectUri,
    ResponseType,
    /// The client needs PKCE by now.
    Challenge,
    Scopes,
}

impl AuthorizationRequest {
    /// What is left of it.
    ///
    /// # Errors
    /// What the client may not do any more, the redirect URI first: other errors are sent there.
    pub fn narrowed(&self, client: &Client, apis: &[Api]) -> Result<Self, NoLonger> {
        if !client.redirects_to(&self.reply_to.redirect_uri) {
            return Err(NoLonger::RedirectUri);
        }
        if !client.meta.allows_response(self.response_type) {
            return Err(NoLonger::ResponseType);
        }
        if self.response_type.code() && client.needs_pkce() && self.challenge.is_none() {
            return Err(NoLonger::Challenge);
        }
        let permissions = still_allowed(&self.permissions, client, apis);
        if permissions.is_empty() || self.response_type.id_token() && !permissions.has_openid() {
            return Err(NoLonger::Scopes);
        }
        Ok(Self { permissions, claims: self.claims.clone().within(&client.meta.scope), ..self.clone() })
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
