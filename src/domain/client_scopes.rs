//! Resolves the names in a client's `scope` to APIs. In documents, forms and registrations, `scope` may name a scope of
//! an API if exactly one API defines it. `api_scopes` names all other API scopes. The stored form has pairs of API and
//! scope: every API scope is in `api_scopes`, and `scope` has the names that no API defined at that time. The pairs do
//! not change when APIs change, so that a permission never moves to another API implicitly.
//!
//! See also [`super::permissions`] (the pairs) and [`super::client_metadata`] (the two members).

use super::api::Api;
use super::client::Client;
use super::client_metadata::{ClientMetadata, MemberError};
use super::ids::ApiId;
use super::permissions::{ApiScopes, Permissions};
use super::scope::{STANDARD_SCOPES, Scopes};
use super::uri::normalized;

impl Client {
    /// Returns the permissions that the client may request at these APIs.
    #[must_use]
    pub fn permissions(&self, apis: &[Api]) -> Permissions {
        let mut all = self.meta.api_scopes.clone();
        for api in apis.iter().filter(|api| self.is_self_registered_at(api) || self.can_access_api(api)) {
            all.add(&api.identifier, &api.scopes);
        }
        Permissions { general: self.meta.scope.clone(), apis: all }
    }

    /// Returns whether the client may request `scope` of `api`: an administrator registered it for that scope, or it is
    /// self-registered and the API accepts self-registered clients.
    #[must_use]
    pub fn can_request_scope(&self, api: &Api, scope: &str) -> bool {
        api.scopes.contains(scope)
            && (self.meta.api_scopes.contains(&api.identifier, scope) || self.is_self_registered_at(api))
    }

    /// Returns whether the client may request tokens for an `api` without scopes. User consent, where required, is
    /// separate.
    #[must_use]
    pub fn can_access_api(&self, api: &Api) -> bool {
        api.scopes.is_empty() && (self.is_verified() || self.is_self_registered_at(api))
    }

    /// Returns whether these permissions depend on an API's settings and not only on what is stored with the client.
    #[must_use]
    pub fn depends_on_api_settings(&self, permissions: &Permissions) -> bool {
        permissions.apis.iter().any(|(_, scopes)| !self.is_verified() || scopes.is_empty())
    }

    fn is_self_registered_at(&self, api: &Api) -> bool {
        api.self_registered_clients && !self.is_verified()
    }
}

impl ClientMetadata {
    /// Moves each API scope named in `scope` to `api_scopes`. Returns the errors of the members that name APIs.
    #[must_use]
    pub fn resolve_scopes(&mut self, apis: &[Api]) -> Vec<MemberError> {
        let mut problems: Vec<MemberError> = Vec::new();
        for name in self.scope.iter() {
            if let [first, others @ ..] = owners(apis, name).as_slice()
                && !others.is_empty()
            {
                problems.push(ambiguous_scope_error(name, first, others));
            }
        }
        for (id, scopes) in self.api_scopes.iter() {
            let Some(api) = apis.iter().find(|api| api.identifier == *id) else {
                problems.push(MemberError::new("api_scopes", format!("there is no API {}: add it first", id.as_str())));
                continue;
            };
            let unknown = scopes.filtered(|scope| !api.scopes.contains(scope));
            if !unknown.is_empty() {
                let text = format!("{} has no scope {unknown}: add it to that API's scopes first", id.as_str());
                problems.push(MemberError::new("api_scopes", text));
            }
        }
        for named in &mut self.introspection_apis {
            // Use the registered spelling of an equivalent URI (RFC 3986 §6.2).
            let is_same = |api: &&Api| normalized(api.identifier.as_str()) == normalized(named.as_str());
            if let Some(api) = apis.iter().find(is_same) {
                *named = api.identifier.clone();
            }
        }
        for id in self.introspection_apis.iter().filter(|id| !apis.iter().any(|api| api.identifier == **id)) {
            let text = format!("there is no API {}: add it first", id.as_str());
            problems.push(MemberError::new("introspection_apis", text));
        }
        self.move_unambiguous_scopes(apis);
        problems
    }

    /// Resolves the scopes of a self-registered client. It keeps the pairs of API and scope that an administrator gave
    /// it, if its new `scope` still names them. Other names stay in `scope` if `policy` allows them and no API defines
    /// them, or if the client `had` them, even if an API has defined them since. The APIs that accept self-registered
    /// clients are not stored with the client ([`Client::permissions`]).
    pub fn resolve_self_registered_scopes(&mut self, had: Option<&Self>, policy: &Scopes, apis: &[Api]) {
        let said = self.scope.clone();
        let pairs = had.map(|had| had.api_scopes.filtered(|_, scope| said.contains(scope))).unwrap_or_default();
        let (names, had) = (pairs.names(), had.map(|had| had.scope.clone()).unwrap_or_default());
        self.api_scopes = pairs;
        self.scope = said.filtered(|scope| {
            let is_new = policy.contains(scope) && owners(apis, scope).is_empty();
            !names.contains(scope) && (is_new || had.contains(scope))
        });
    }

    /// Removes the scopes of `api` from the client, except those in `keeps`.
    pub fn remove_api_scopes(&mut self, api: &ApiId, keeps: &Scopes) {
        self.api_scopes = self.api_scopes.filtered(|id, scope| id != api || keeps.contains(scope));
    }

    /// Removes a deleted API from every member that names it. A new API with the same identifier is a different API.
    pub fn remove_api(&mut self, api: &ApiId) {
        self.remove_api_scopes(api, &Scopes::default());
        self.introspection_apis.retain(|named| named != api);
    }

    /// Returns the form for documents and forms: `scope` includes each API scope that exactly one API defines.
    #[must_use]
    pub fn with_unqualified_scopes(&self, apis: &[Api]) -> Self {
        let is_short = |name: &str| owners(apis, name).len() == 1;
        let short = self.api_scopes.filtered(|_, scope| is_short(scope)).names();
        let mut shown = self.clone();
        shown.scope = self.scope.union(&short);
        shown.api_scopes = self.api_scopes.filtered(|_, scope| !is_short(scope));
        shown
    }

    /// Returns the names in a resolved `scope` that are neither standard scopes nor scopes of an API: typing errors, or
    /// scopes that an API is yet to define.
    #[must_use]
    pub fn unknown_scopes(&self) -> Scopes {
        self.scope.filtered(|scope| !STANDARD_SCOPES.contains(&scope))
    }

    /// Moves the names in `scope` that exactly one API defines to `api_scopes`.
    pub fn move_unambiguous_scopes(&mut self, apis: &[Api]) {
        let mut pairs: ApiScopes = self.api_scopes.filtered_apis(|api| !self.api_scopes.scopes_of(api).is_empty());
        for name in self.scope.iter() {
            if let [only] = owners(apis, name).as_slice() {
                pairs.add(&only.identifier, &[name].into_iter().collect());
            }
        }
        self.api_scopes = pairs;
        self.scope = self.scope.filtered(|scope| owners(apis, scope).len() != 1);
    }
}

fn owners<'a>(apis: &'a [Api], scope: &str) -> Vec<&'a Api> {
    apis.iter().filter(|api| api.scopes.contains(scope)).collect()
}

fn ambiguous_scope_error(name: &str, first: &Api, others: &[&Api]) -> MemberError {
    let first = first.identifier.as_str();
    let all: Vec<&str> = std::iter::once(first).chain(others.iter().map(|api| api.identifier.as_str())).collect();
    let text = format!(
        "{name} is a scope of {}: leave it out of scope and write \"api_scopes\": {{\"{first}\": [\"{name}\"]}}",
        all.join(" and of "),
    );
    MemberError::new("scope", text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::domain::api::Api;
    use crate::domain::client_metadata::ClientMetadata;
    use crate::domain::ids::ApiId;
    use crate::domain::scope::Scopes;

    const A: &str = "https://a.example";
    const B: &str = "https://b.example";

    fn api(identifier: &str, scopes: &[&str]) -> Api {
        serde_json::from_value(json!({ "identifier": identifier, "scopes": scopes })).unwrap()
    }

    fn resolved(meta: Value, apis: &[Api]) -> Result<ClientMetadata, String> {
        let mut meta: ClientMetadata = serde_json::from_value(meta).unwrap();
        match meta.resolve_scopes(apis).first() {
            None => Ok(meta),
            Some(problem) => Err(format!("{}: {}", problem.field, problem.message)),
        }
    }

    #[test]
    fn unambiguous_api_scope_may_appear_in_scope() {
        let apis = [api(A, &["read", "write"]), api(B, &["read"])];
        let meta = resolved(json!({ "scope": "openid write custom" }), &apis).unwrap();
        assert_eq!(json!(meta)["api_scopes"], json!({ A: ["write"] }));
        assert_eq!(meta.scope.to_string(), "openid custom");
        assert_eq!(meta.with_unqualified_scopes(&apis).scope.to_string(), "openid custom write");
        let both = resolved(json!({ "scope": "openid write", "api_scopes": { B: ["read"], A: [] } }), &apis).unwrap();
        assert_eq!(json!(both)["api_scopes"], json!({ A: ["write"], B: ["read"] }));
        assert_eq!(json!(both.with_unqualified_scopes(&apis))["api_scopes"], json!({ B: ["read"] }));
    }

    #[test]
    fn ambiguous_scope_is_rejected_with_a_hint() {
        let apis = [api(A, &["read"]), api(B, &["read"])];
        for (meta, words) in [
            (json!({ "scope": "read" }), r#"write "api_scopes": {"https://a.example": ["read"]}"#),
            (json!({ "scope": "read", "api_scopes": { A: ["read"] } }), "scope: read is a scope of"),
            (json!({ "api_scopes": { "https://c.example": ["read"] } }), "there is no API https://c.example"),
            (json!({ "api_scopes": { A: ["write"] } }), "https://a.example has no scope write"),
        ] {
            let error = resolved(meta.clone(), &apis).unwrap_err();
            assert!(error.contains(words), "{meta}: {error}");
        }
    }

    #[test]
    fn scope_moved_to_another_api_grants_nothing() {
        let mut meta = resolved(json!({ "scope": "openid read later" }), &[api(A, &["read"])]).unwrap();
        let a = ApiId::parse(A).unwrap();
        meta.remove_api_scopes(&a, &Scopes::default());
        assert!(meta.api_scopes.is_empty(), "what the API loses, the client loses");
        assert_eq!(meta.scope.to_string(), "openid later", "a name that an API takes later stays a name of no API");
    }

    #[test]
    fn self_registered_client_gets_no_api_scope_by_policy() {
        let apis = [api(A, &["read", "write"]), api(B, &["read"])];
        let had = resolved(json!({ "api_scopes": { B: ["read"] } }), &apis).unwrap();
        let policy: Scopes = ["openid", "read", "write"].into_iter().collect();
        let mut again: ClientMetadata = serde_json::from_value(json!({ "scope": "openid read write" })).unwrap();
        again.resolve_self_registered_scopes(Some(&had), &policy, &apis);
        assert_eq!(json!(again)["api_scopes"], json!({ B: ["read"] }));
        let mut new: ClientMetadata = serde_json::from_value(json!({ "scope": "openid read write" })).unwrap();
        new.resolve_self_registered_scopes(None, &policy, &apis);
        assert_eq!((new.scope.to_string().as_str(), new.api_scopes.is_empty()), ("openid", true));
    }

    #[test]
    fn self_registered_client_keeps_only_existing_api_scopes() {
        let apis = [api(A, &["write", "custom"]), api(B, &["read"])];
        let policy: Scopes = ["openid"].into_iter().collect();
        let had: ClientMetadata =
            serde_json::from_value(json!({ "scope": "openid custom", "api_scopes": { B: ["read"] } })).unwrap();
        let mut again: ClientMetadata = serde_json::from_value(json!({ "scope": "openid custom read write" })).unwrap();
        again.resolve_self_registered_scopes(Some(&had), &policy, &apis);
        assert_eq!(json!(again)["api_scopes"], json!({ B: ["read"] }));
        assert_eq!(again.scope.to_string(), "openid custom", "the name that an API defines now is not that API's");
    }
}
