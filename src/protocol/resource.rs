//! The permissions that a request asks for: the names in `scope` are mapped to scopes of APIs by `resource` (RFC 8707,
//! RFC 9068 §3).
//!
//! A name that several APIs define refers to the APIs in `resource`. Without `resource`, all requested API scopes must
//! belong to one API, which becomes the token's audience. A token has several audiences only if the request names
//! several.
//!
//! `resource` may be a URI equivalent to the API's identifier (RFC 3986 §6.2); from then on the registered form is
//! used.
//!
//! See also: [`super::access_token`], which uses these audiences; `domain::permissions`, the pairs of API and scope.

use std::borrow::Cow;
use std::collections::HashMap;

use super::error::{ErrorCode, OAuthError, Result};
use super::parameters::Parameters;
use crate::domain::api::{Api, ApiId};
use crate::domain::client::Client;
use crate::domain::narrowing::still_allowed;
use crate::domain::permissions::Permissions;
use crate::domain::scope::{STANDARD_SCOPES, Scopes};
use crate::domain::uri::normalized;
use crate::domain::version::{VersionedEntity, Versions};
use crate::store::{Connection, StoreError, apis};

fn invalid_target(text: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidTarget, text)
}

/// Returns the version of `client` or of one of these APIs, as loaded for this request.
pub fn known_version(of: &VersionedEntity, client: &Client, apis: &[Api]) -> i64 {
    match of {
        VersionedEntity::Client(id) if *id == client.id => client.version,
        VersionedEntity::Api(id) => apis.iter().find(|api| api.identifier == *id).map_or(0, |api| api.version),
        _ => 0,
    }
}

/// Returns the versions of `client` and of the APIs of a request, as loaded for this request.
pub fn known_versions(client: &Client, permissions: &Permissions, apis: &[Api]) -> Versions {
    let of_apis = permissions.apis.apis().cloned().map(VersionedEntity::Api);
    let all = std::iter::once(VersionedEntity::Client(client.id.clone())).chain(of_apis);
    all.map(|of| {
        let version = known_version(&of, client, apis);
        (of, version)
    })
    .collect()
}

fn invalid_scope(text: impl Into<String>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidScope, text.into())
}

/// Returns the ids in `known` that `asked` names, without duplicates; `None` if `asked` names an unknown one.
pub fn named<'a>(asked: &[&str], known: impl Iterator<Item = &'a ApiId>) -> Option<Vec<&'a ApiId>> {
    let known: Vec<&ApiId> = known.collect();
    let mut by_normal_form: Option<HashMap<String, &ApiId>> = None;
    let mut found: Vec<&ApiId> = Vec::new();
    for text in asked {
        let exact = known.iter().copied().find(|api| api.as_str() == *text);
        let equivalent = || {
            let all = by_normal_form.get_or_insert_with(|| {
                known.iter().filter_map(|api| Some((normalized(api.as_str())?, *api))).collect()
            });
            all.get(&normalized(text)?).copied()
        };
        let api = exact.or_else(equivalent)?;
        if !found.contains(&api) {
            found.push(api);
        }
    }
    Some(found)
}

/// Returns the APIs from the database if the permissions of `client` depend only on the APIs' settings, and the APIs in
/// `known` otherwise. Every other change of an API changes a version that is compared.
pub async fn current_apis<'a, C: Connection>(
    conn: &C,
    client: &Client,
    permissions: &Permissions,
    known: &'a [Api],
) -> std::result::Result<Cow<'a, [Api]>, StoreError> {
    if client.depends_on_api_settings(permissions) {
        return Ok(Cow::Owned(apis::all(conn).await?));
    }
    Ok(Cow::Borrowed(known))
}

/// Returns whether the current settings of the APIs in the database allow `client` all these permissions.
pub async fn is_allowed_by_apis<C: Connection>(
    conn: &C,
    client: &Client,
    permissions: &Permissions,
) -> std::result::Result<bool, StoreError> {
    if !client.depends_on_api_settings(permissions) {
        return Ok(true);
    }
    let apis = apis::all(conn).await?;
    Ok(still_allowed(permissions, client, &apis).apis == permissions.apis)
}

/// Resolves requested scopes against what the client may have.
pub struct ScopeResolver<'a> {
    /// The permissions that the client may request.
    pub allowed: &'a Permissions,
    pub apis: &'a [Api],
    /// Whether a standard scope that the client may not have is ignored (RFC 6749 §3.3) instead of refused.
    pub narrows: bool,
}

impl ScopeResolver<'_> {
    /// Returns the APIs that `resource` names (RFC 8707 §2).
    pub fn resources(&self, parameters: &Parameters) -> Result<Vec<&Api>> {
        let asked: Vec<&str> = parameters.all("resource").collect();
        let unknown = || invalid_target("resource is not an API that is registered here.").with_cause(asked.join(" "));
        let ids = named(&asked, self.apis.iter().map(|api| &api.identifier)).ok_or_else(unknown)?;
        Ok(ids.into_iter().filter_map(|id| self.apis.iter().find(|api| api.identifier == *id)).collect())
    }

    /// Returns the permissions for the scopes in `names`.
    ///
    /// Unknown scopes are ignored (OpenID Connect Core §3.1.2.1), and so are scopes of APIs other than those in
    /// `resource`. A scope that the client may not have is an error, unless `narrows` applies.
    ///
    /// Naming an API in `resource` is not enough: the request must include one of its scopes, since scopes are what a
    /// user allows and a client is registered for. For an API without scopes, the user allows access to the API.
    pub fn resolve_permissions(&self, names: &Scopes, resources: &[&Api]) -> Result<Permissions> {
        let mut permissions = Permissions::default();
        let mut general = Vec::new();
        for name in names.iter() {
            let in_question =
                |api: &&Api| resources.is_empty() || resources.iter().any(|r| r.identifier == api.identifier);
            let defined = |api: &&Api| !STANDARD_SCOPES.contains(&name) && api.scopes.contains(name);
            let mut owners = self.apis.iter().filter(defined).peekable();
            if owners.peek().is_none() {
                if self.allowed.general.contains(name) {
                    general.push(name);
                } else if STANDARD_SCOPES.contains(&name) && !self.narrows {
                    return Err(not_allowed(name));
                }
                continue;
            }
            let owners: Vec<&Api> = owners.filter(in_question).collect();
            let mut may = owners.iter().filter(|api| self.allowed.apis.contains(&api.identifier, name)).peekable();
            if !owners.is_empty() && may.peek().is_none() {
                return Err(not_allowed(name));
            }
            for api in may {
                permissions.apis.add(&api.identifier, &[name].into_iter().collect());
            }
        }
        permissions.general = general.into_iter().collect();
        if resources.is_empty() && permissions.apis.len() > 1 {
            let text = "The scopes are of more than one API: name the one that is meant with the parameter resource.";
            return Err(invalid_target(text));
        }
        for api in resources.iter().filter(|api| !permissions.apis.has_api(&api.identifier)).collect::<Vec<_>>() {
            if !api.scopes.is_empty() {
                let text = "resource is an API of which no scope is asked for.";
                return Err(invalid_target(text).with_cause(api.identifier.as_str()));
            }
            if !self.can_access(api) {
                let text = "resource is an API that this client may not ask for.";
                return Err(invalid_target(text).with_cause(api.identifier.as_str()));
            }
            permissions.apis.add(&api.identifier, &Scopes::default());
        }
        Ok(permissions)
    }

    /// Returns the default scopes of a request without `scope` (RFC 6749 §3.3): all that the client may have at the
    /// APIs it names.
    pub fn at(&self, resources: &[&Api]) -> Scopes {
        let may = |api: &Api, name: &str| self.allowed.apis.contains(&api.identifier, name);
        resources.iter().flat_map(|api| api.scopes.iter().filter(|name| may(api, name))).collect()
    }

    /// Returns whether the client may request an API that has no scopes.
    pub fn can_access(&self, api: &Api) -> bool {
        let allowed = &self.allowed.apis;
        api.scopes.is_empty() && allowed.has_api(&api.identifier) && allowed.scopes_of(&api.identifier).is_empty()
    }
}

fn not_allowed(name: &str) -> OAuthError {
    invalid_scope(format!("This client may not ask for the scope {name}."))
}

/// Returns the part of `granted` for one access token: limited to the APIs in `asked` if there are any (RFC 8707 §2.2),
/// and to `scope` (RFC 6749 §6).
pub fn permissions_for_token(
    asked: &[&str],
    granted: &Permissions,
    scope: Option<&str>,
    apis: &[Api],
) -> Result<Permissions> {
    let foreign = || invalid_target("resource was not part of the authorization.").with_cause(asked.join(" "));
    let asked = named(asked, granted.apis.apis()).ok_or_else(foreign)?;
    let mut permissions = granted.clone();
    if !asked.is_empty() {
        permissions.apis = permissions.apis.filtered_apis(|api| asked.contains(&api));
    }
    if let Some(scope) = scope {
        let names = Scopes::parse(scope).unwrap_or_default();
        if names.is_empty() || !names.is_subset(&permissions.names()) {
            return Err(invalid_scope("That scope was not granted.").with_cause(scope));
        }
        permissions.general = permissions.general.filtered(|name| names.contains(name));
        permissions.apis = permissions.apis.filtered(|_, name| names.contains(name));
        if !asked.iter().all(|asked| permissions.apis.has_api(asked)) {
            return Err(invalid_target("resource is an API of which no scope is asked for."));
        }
    }
    check_unambiguous_scopes(&permissions, apis)?;
    Ok(permissions.for_access_token())
}

/// Returns an error if a scope of the token would have different meanings at its audiences (RFC 9068 §3): an API that
/// reads only `scope` and `aud` would allow more than was granted.
pub fn check_unambiguous_scopes(permissions: &Permissions, apis: &[Api]) -> Result<()> {
    if permissions.apis.len() < 2 {
        return Ok(());
    }
    let names = permissions.apis.names();
    let granted = apis.iter().filter(|api| permissions.apis.has_api(&api.identifier));
    let more = |api: &Api| {
        let known = api.scopes.filtered(|scope| names.contains(scope));
        !known.is_subset(&permissions.apis.scopes_of(&api.identifier))
    };
    if granted.into_iter().any(more) {
        let text =
            "Two of these APIs have a scope of the same name: ask for one token for each with the parameter resource.";
        return Err(invalid_target(text));
    }
    Ok(())
}
