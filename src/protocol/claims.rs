//! Which claims each scope gives away (OpenID Connect Core §5.4).

use serde_json::{Map, Value};

use crate::domain::scope::Scopes;
use crate::domain::user::User;
use crate::env::Timestamp;

/// The claims of `profile` (OpenID Connect Core §5.4).
const PROFILE: [&str; 12] = [
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "nickname",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
];

/// Every claim that this provider may hand out, for discovery.
pub const SUPPORTED: [&str; 31] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "at_hash",
    "sid",
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
    "email",
    "email_verified",
    "address",
    "phone_number",
    "phone_number_verified",
    "groups",
];

/// What `scopes` say about a person, without `sub`.
pub fn about(user: &User, groups: &[String], scopes: &Scopes) -> Map<String, Value> {
    let mut claims = Map::new();
    let Ok(Value::Object(all)) = serde_json::to_value(&user.profile) else { return claims };
    let mut take = |name: &str| {
        if let Some(value) = all.get(name) {
            claims.insert(name.to_owned(), value.clone());
        }
    };
    if scopes.contains("profile") {
        PROFILE.into_iter().for_each(&mut take);
    }
    if scopes.contains("address") {
        take("address");
    }
    if scopes.contains("email") {
        take("email");
    }
    if scopes.contains("phone") {
        take("phone_number");
    }
    if scopes.contains("profile") {
        claims.insert("preferred_username".into(), user.username.as_str().into());
        claims.insert("updated_at".into(), Timestamp::seconds(user.updated_at).into());
    }
    if scopes.contains("email") && user.profile.email.is_some() {
        claims.insert("email_verified".into(), user.profile.email_verified.into());
    }
    if scopes.contains("phone") && user.profile.phone_number.is_some() {
        claims.insert("phone_number_verified".into(), user.profile.phone_number_verified.into());
    }
    if scopes.contains("groups") {
        claims.insert("groups".into(), groups.to_vec().into());
    }
    claims
}
