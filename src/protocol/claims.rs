//! The claims released to clients: those of the scopes (OpenID Connect Core §5.4) and those requested individually
//! (§5.5).

use serde_json::{Map, Value};

use super::Provider;
use super::error::Result;
use crate::domain::authorization::Authorization;
use crate::domain::client::Client;
use crate::domain::ids::UserId;
use crate::domain::scope::{CLAIMS, Scopes};
use crate::domain::user::User;
use crate::store::users;

/// The claims of tokens that are not about the user.
const TOKEN_CLAIMS: [&str; 12] =
    ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "c_hash", "sid"];

/// Returns every claim that this provider may release, for discovery.
pub fn supported() -> Vec<&'static str> {
    TOKEN_CLAIMS.into_iter().chain(CLAIMS.iter().flat_map(|(_, claims)| claims.iter().copied())).collect()
}

impl Provider {
    /// Returns the claims of an enabled user for `scopes` and for the names in `single`, without `sub`. Returns `None`
    /// if the user does not exist or is disabled.
    pub async fn user_claims(
        &self,
        id: UserId,
        scopes: &Scopes,
        single: &[String],
    ) -> Result<Option<Map<String, Value>>> {
        let Some(user) = users::by_id(self.store.read(), id).await?.filter(|user| !user.disabled) else {
            return Ok(None);
        };
        let wants = |name: &str| {
            let of_scope = |(scope, names): &(&str, &[&str])| names.contains(&name) && scopes.contains(scope);
            CLAIMS.iter().any(of_scope) || single.iter().any(|single| single == name)
        };
        let groups = if wants("groups") { users::groups_of(self.store.read(), id).await? } else { Vec::new() };
        let mut claims = all_claims(&user, groups);
        claims.retain(|name, _| wants(name));
        Ok(Some(claims))
    }

    /// Returns the user claims of an ID token: those of `scopes`, those requested for the ID token, and those
    /// `configured` for its client ([`configured_id_token_claims`]).
    pub async fn id_token_claims(
        &self,
        authorization: &Authorization,
        scopes: &Scopes,
        configured: Vec<String>,
    ) -> Result<Map<String, Value>> {
        let mut single = authorization.claims.id_token.clone();
        single.extend(configured);
        match authorization.user() {
            Some(user) if !single.is_empty() || !scopes.is_empty() => {
                Ok(self.user_claims(user, scopes, &single).await?.unwrap_or_default())
            }
            _ => Ok(Map::new()),
        }
    }
}

/// Returns the claims that the client's settings put into its ID tokens, limited to the granted scopes.
pub fn configured_id_token_claims(client: &Client, authorization: &Authorization) -> Vec<String> {
    client.meta.granted_id_token_claims(&authorization.permissions.general)
}

/// Returns all claims of a user.
fn all_claims(user: &User, groups: Vec<String>) -> Map<String, Value> {
    let Ok(Value::Object(mut all)) = serde_json::to_value(&user.profile) else { return Map::new() };
    let profile = &user.profile;
    for (claim, there, verified) in [
        ("email_verified", profile.email.is_some(), profile.email_verified),
        ("phone_number_verified", profile.phone_number.is_some(), profile.phone_number_verified),
    ] {
        all.remove(claim);
        if there {
            all.insert(claim.into(), verified.into());
        }
    }
    all.insert("preferred_username".into(), user.username.as_str().into());
    all.insert("updated_at".into(), user.updated_at.seconds().into());
    all.insert("groups".into(), groups.into());
    all
}
