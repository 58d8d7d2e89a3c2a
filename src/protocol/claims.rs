//! Which claims are given away: those of the scopes (OpenID Connect Core §5.4) and those asked for one by one (§5.5).

use serde_json::{Map, Value};

use super::Provider;
use super::error::Result;
use crate::domain::authorization::Authorization;
use crate::domain::client::Client;
use crate::domain::ids::UserId;
use crate::domain::scope::{CLAIMS, Scopes};
use crate::domain::user::User;
use crate::store::users;

/// What tokens say beside what is known of their person.
const TOKEN_CLAIMS: [&str; 12] =
    ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "c_hash", "sid"];

/// Every claim that this provider may hand out, for discovery.
pub fn supported() -> Vec<&'static str> {
    TOKEN_CLAIMS.into_iter().chain(CLAIMS.iter().flat_map(|(_, claims)| claims.iter().copied())).collect()
}

impl Provider {
    /// What `scopes` and the names in `single` say about a person who is turned on, without `sub`; nothing where there
    /// is no such person any more.
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

    /// What an ID token says of its user: `scopes`, the single claims that were asked for in it, and those `configured` for its
    /// client ([`configured_id_token_claims`]).
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

/// The claims that the client's settings put into its ID tokens, as far as the granted scopes allow.
pub fn configured_id_token_claims(client: &Client, authorization: &Authorization) -> Vec<String> {
    client.meta.granted_id_token_claims(&authorization.permissions.general)
}

/// Everything that is known about a person.
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
