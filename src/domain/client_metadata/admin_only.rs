//! The members of client metadata that only an administrator sets.

use super::{ClientMetadata, GrantType};

/// The members that only an administrator sets. A self-registered client cannot set them, does not see them, and does
/// not lose them when it changes its registration (RFC 7592 §2.2).
pub const ADMIN_ONLY_MEMBERS: [&str; 13] = [
    "api_scopes",
    "http_redirect_hosts",
    "introspection_apis",
    "consent",
    "allowed_groups",
    "id_token_claims",
    "strict_client_authentication",
    "require_pkce",
    "token_exchange",
    "jwt_bearer",
    "access_token_format",
    "refresh_token_rotation",
    "refresh_token_grace",
];

impl ClientMetadata {
    /// Returns the client's own metadata combined with the [`ADMIN_ONLY_MEMBERS`] of `had`. Policies for a grant type
    /// that the client gives up are removed. The scopes of APIs follow from `scope`
    /// ([`Self::resolve_self_registered_scopes`]).
    #[must_use]
    pub fn with_admin_only_members(&self, had: &Self) -> Self {
        let members = |meta: &Self| match serde_json::to_value(meta) {
            Ok(serde_json::Value::Object(members)) => members,
            _ => serde_json::Map::new(),
        };
        let (mut said, had_members) = (members(self), members(had));
        for name in ADMIN_ONLY_MEMBERS.into_iter().filter(|name| *name != "api_scopes") {
            let given_up = match name {
                "token_exchange" => !self.allows(GrantType::TokenExchange),
                "jwt_bearer" => !self.allows(GrantType::JwtBearer),
                _ => false,
            };
            match had_members.get(name).filter(|_| !given_up) {
                Some(value) => drop(said.insert(name.to_owned(), value.clone())),
                None => drop(said.remove(name)),
            }
        }
        // This type serialized both values, so it can deserialize the result.
        serde_json::from_value(said.into()).unwrap_or_else(|_| had.clone())
    }
}
