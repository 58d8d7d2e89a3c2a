//! Permissions: scopes of no API, and scopes of APIs, each paired with its API (RFC 6749 §3.3, RFC 8707).
//!
//! Two APIs may both define a scope `read`, so a bare name grants nothing at an API. Clients, requests, consents,
//! grants and tokens carry this type. Names are resolved once, on input: in [`super::client_scopes`] for documents and
//! in `protocol::resource` for requests. See also [`super::narrowing`], which removes what is no longer allowed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::ApiId;
use super::scope::{OFFLINE_ACCESS, OPENID, STANDARD_SCOPES, Scopes};

/// Scopes by API. An entry without scopes grants access to an API that defines none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<ApiId, Vec<String>>", into = "BTreeMap<ApiId, Vec<String>>")]
pub struct ApiScopes(BTreeMap<ApiId, Scopes>);

impl ApiScopes {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&ApiId, &Scopes)> {
        self.0.iter()
    }

    pub fn apis(&self) -> impl Iterator<Item = &ApiId> {
        self.0.keys()
    }

    #[must_use]
    pub fn has_api(&self, api: &ApiId) -> bool {
        self.0.contains_key(api)
    }

    /// Returns the scopes at `api`, empty if it has no entry.
    #[must_use]
    pub fn scopes_of(&self, api: &ApiId) -> Scopes {
        self.0.get(api).cloned().unwrap_or_default()
    }

    #[must_use]
    pub fn contains(&self, api: &ApiId, scope: &str) -> bool {
        self.0.get(api).is_some_and(|scopes| scopes.contains(scope))
    }

    /// Adds `scopes` to the entry of `api`.
    pub fn add(&mut self, api: &ApiId, scopes: &Scopes) {
        self.0.entry(api.clone()).or_default().add(scopes);
    }

    /// Returns whether `other` includes all of these. Access to an API without scopes is a different permission from
    /// any scope of it.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        let has = |others: &Scopes, scopes: &Scopes| scopes.is_subset(others) && scopes.is_empty() == others.is_empty();
        self.0.iter().all(|(api, scopes)| other.0.get(api).is_some_and(|others| has(others, scopes)))
    }

    /// Returns the union with `given`. If an API has changed between having scopes and having none, only the entry in
    /// `given` counts.
    #[must_use]
    pub fn extended_by(&self, given: &Self) -> Self {
        let same_kind =
            |api: &ApiId| given.0.get(api).is_none_or(|new| new.is_empty() == self.scopes_of(api).is_empty());
        self.filtered_apis(same_kind).union(given)
    }

    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (api, scopes) in &other.0 {
            all.add(api, scopes);
        }
        all
    }

    /// Returns the pairs for which `keep` holds. An API that loses all its scopes is removed. An entry without scopes
    /// stays.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&ApiId, &str) -> bool) -> Self {
        let left = self.0.iter().map(|(api, scopes)| (api, scopes, scopes.filtered(|scope| keep(api, scope))));
        let left = left.filter(|(_, before, after)| before.is_empty() || !after.is_empty());
        Self(left.map(|(api, _, after)| (api.clone(), after)).collect())
    }

    /// Returns the entries of the APIs for which `keep` holds.
    #[must_use]
    pub fn filtered_apis(&self, keep: impl Fn(&ApiId) -> bool) -> Self {
        Self(self.0.iter().filter(|(api, _)| keep(api)).map(|(api, scopes)| (api.clone(), scopes.clone())).collect())
    }

    /// Returns the bare names, which grant nothing: for display, and for `scope` beside an audience that identifies the
    /// API.
    #[must_use]
    pub fn names(&self) -> Scopes {
        self.0.values().flat_map(Scopes::iter).collect()
    }
}

impl TryFrom<BTreeMap<ApiId, Vec<String>>> for ApiScopes {
    type Error = String;

    fn try_from(members: BTreeMap<ApiId, Vec<String>>) -> Result<Self, Self::Error> {
        let mut all = BTreeMap::new();
        for (api, names) in members {
            for name in &names {
                if Scopes::parse(name).is_ok_and(|one| one.iter().eq([name])) {
                    continue;
                }
                return Err(format!("{name:?} is not a scope: a list has one scope in each text"));
            }
            all.insert(api, names.into_iter().collect());
        }
        Ok(Self(all))
    }
}

impl From<ApiScopes> for BTreeMap<ApiId, Vec<String>> {
    fn from(all: ApiScopes) -> Self {
        let names = |scopes: Scopes| scopes.iter().map(ToOwned::to_owned).collect();
        all.0.into_iter().map(|(api, scopes)| (api, names(scopes))).collect()
    }
}

impl FromIterator<(ApiId, Scopes)> for ApiScopes {
    fn from_iter<I: IntoIterator<Item = (ApiId, Scopes)>>(pairs: I) -> Self {
        let mut all = Self::default();
        for (api, scopes) in pairs {
            all.add(&api, &scopes);
        }
        all
    }
}

/// The permissions that a client may request, a user has allowed or a token carries. Its APIs are the token's audience.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Scopes of no API: the standard ones, and names that no API defined when the client was registered.
    #[serde(default, skip_serializing_if = "Scopes::is_empty")]
    pub general: Scopes,
    #[serde(default, skip_serializing_if = "ApiScopes::is_empty")]
    pub apis: ApiScopes,
}

impl Permissions {
    /// Returns permissions with only these scopes of no API.
    #[must_use]
    pub fn general(scopes: Scopes) -> Self {
        Self { general: scopes, apis: ApiScopes::default() }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.general.is_empty() && self.apis.is_empty()
    }

    #[must_use]
    pub fn has_openid(&self) -> bool {
        self.general.contains(OPENID)
    }

    #[must_use]
    pub fn has_offline_access(&self) -> bool {
        self.general.contains(OFFLINE_ACCESS)
    }

    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.general.is_subset(&other.general) && self.apis.is_subset(&other.apis)
    }

    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self { general: self.general.union(&other.general), apis: self.apis.union(&other.apis) }
    }

    /// Returns the permissions of a user's consent after `given` was allowed, too ([`ApiScopes::extended_by`]).
    #[must_use]
    pub fn extended_by(&self, given: &Self) -> Self {
        Self { general: self.general.union(&given.general), apis: self.apis.extended_by(&given.apis) }
    }

    /// Returns the permissions that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let same_kind = |api: &ApiId| self.apis.scopes_of(api).is_empty() == other.apis.scopes_of(api).is_empty();
        let apis = self.apis.filtered_apis(|api| other.apis.has_api(api) && same_kind(api));
        Self {
            general: self.general.filtered(|scope| other.general.contains(scope)),
            apis: apis.filtered(|api, scope| other.apis.contains(api, scope)),
        }
    }

    /// Returns the bare names, those of no API first, as the value of `scope`.
    #[must_use]
    pub fn names(&self) -> Scopes {
        self.general.union(&self.apis.names())
    }

    /// Returns the permissions that an access token carries. A token for an API has that API's scopes. It has the
    /// standard scopes only with `openid`, which allows UserInfo. It always keeps `offline_access`, because the expiry
    /// of the token depends on it.
    #[must_use]
    pub fn for_access_token(&self) -> Self {
        if self.apis.is_empty() {
            return self.clone();
        }
        let openid = self.has_openid();
        let keep = |scope: &str| scope == OFFLINE_ACCESS || openid && STANDARD_SCOPES.contains(&scope);
        Self { general: self.general.filtered(keep), apis: self.apis.clone() }
    }

    /// Returns the permissions of a token that was requested by API: the API scopes only.
    #[must_use]
    pub fn api_scopes_only(&self) -> Self {
        Self { general: Scopes::default(), apis: self.apis.clone() }
    }

    /// Returns these permissions without one scope of no API.
    #[must_use]
    pub fn without(self, scope: &str) -> Self {
        Self { general: self.general.filtered(|name| name != scope), ..self }
    }
}

/// The form for events and lists: `openid email, read of https://api.example.com, access to https://mcp.example.com`.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.general.fmt(f)?;
        let mut between = if self.general.is_empty() { "" } else { ", " };
        for (api, scopes) in self.apis.iter() {
            let what = if scopes.is_empty() { "access to".to_owned() } else { format!("{scopes} of") };
            write!(f, "{between}{what} {}", api.as_str())?;
            between = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{ApiScopes, Permissions};

    fn of(value: serde_json::Value) -> Permissions {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn scope_of_one_api_is_not_within_another() {
        let at_a = of(json!({ "apis": { "https://a.example": ["read"] } }));
        let at_b = of(json!({ "apis": { "https://b.example": ["read"] } }));
        let general = of(json!({ "general": "read" }));
        for (one, other) in [(&at_a, &at_b), (&at_a, &general), (&general, &at_a)] {
            assert!(!one.is_subset(other) && one.intersection(other).is_empty(), "{one} {other}");
        }
        assert!(at_a.is_subset(&at_a.union(&at_b)));
        assert_eq!(at_a.union(&at_b).names().to_string(), "read");
    }

    #[test]
    fn api_token_has_identity_scopes_only_with_openid() {
        for (general, left) in [
            ("email offline_access custom", "offline_access"),
            ("openid email offline_access custom", "openid email offline_access"),
        ] {
            let all = of(json!({ "general": general, "apis": { "https://a.example": ["read"] } }));
            assert_eq!(all.for_access_token().general.to_string(), left);
            let own = of(json!({ "general": general }));
            assert_eq!(own.for_access_token(), own);
        }
    }

    #[test]
    fn list_of_scopes_has_one_scope_per_text() {
        for bad in ["read write", "", " read", "a\"b"] {
            assert!(serde_json::from_value::<ApiScopes>(json!({ "https://a.example": [bad] })).is_err(), "{bad:?}");
        }
        assert!(serde_json::from_value::<ApiScopes>(json!({ "no address": ["read"] })).is_err());
    }

    #[test]
    fn access_without_scopes_is_another_permission() {
        let access = of(json!({ "apis": { "https://a.example": [] } }));
        let read = of(json!({ "apis": { "https://a.example": ["read"] } }));
        for (one, other) in [(&access, &read), (&read, &access)] {
            assert!(!one.is_subset(other) && one.intersection(other).is_empty(), "{one}, {other}");
            assert_eq!(one.extended_by(other), *other, "the API has changed");
        }
        assert!(
            access.is_subset(&access)
                && access.intersection(&access) == access
                && access.extended_by(&access) == access
        );
        assert_eq!(access.to_string(), "access to https://a.example");
    }

    /// Permissions at APIs with scopes and at one without.
    fn permissions() -> impl Strategy<Value = Permissions> {
        let scopes = |least: usize| proptest::collection::vec("[a-d]", least..4);
        let apis = proptest::collection::btree_map("https://[ab]\\.example", scopes(1), 0..3);
        (scopes(0), apis, any::<bool>()).prop_map(|(general, mut apis, access)| {
            if access {
                apis.insert("https://none.example".to_owned(), Vec::new());
            }
            of(json!({ "general": general.join(" "), "apis": apis }))
        })
    }

    proptest! {
        #[test]
        fn intersection_is_within_both(one in permissions(), other in permissions()) {
            let both = one.intersection(&other);
            prop_assert!(both.is_subset(&one) && both.is_subset(&other));
            prop_assert!(one.is_subset(&one.union(&other)));
            prop_assert!(one.for_access_token().is_subset(&one));
            prop_assert_eq!(of(json!(one.clone())), one);
        }
    }
}
