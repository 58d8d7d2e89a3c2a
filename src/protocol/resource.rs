//! Which permissions a request asks for: the names in `scope` become scopes of APIs by `resource` (RFC 8707, RFC 9068 §3).
//!
//! A name that several APIs define means those that `resource` names. Without `resource` all API scopes asked for have to
//! be of one API, which is the token's audience then. A token has several audiences only where several were named.
//! Next door: [`super::access_token`], which has these audiences; `domain::permissions`, the pairs.

use super::error::{ErrorCode, OAuthError, Result};
use super::parameters::Parameters;
use crate::domain::api::Api;
use crate::domain::client::Client;
use crate::domain::permissions::Permissions;
use crate::domain::scope::{STANDARD, Scopes};
use crate::domain::version::{Versioned, Versions};

fn invalid_target(text: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidTarget, text)
}

/// The version of `client` or of one of these APIs, as they are known here.
pub fn known_version(of: &Versioned, client: &Client, apis: &[Api]) -> i64 {
    match of {
        Versioned::Client(id) if *id == client.id => client.version,
        Versioned::Api(id) => apis.iter().find(|api| api.identifier == *id).map_or(0, |api| api.version),
        _ => 0,
    }
}

/// The versions of `client` and of the APIs of a request, as they are known here.
pub fn known_versions(client: &Client, permissions: &Permissions, apis: &[Api]) -> Versions {
    let of_apis = permissions.apis.apis().cloned().map(Versioned::Api);
    let all = std::iter::once(Versioned::Client(client.id.clone())).chain(of_apis);
    all.map(|of| {
        let version = known_version(&of, client, apis);
        (of, version)
    })
    .collect()
}

fn invalid_scope(text: impl Into<String>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidScope, text.into())
}

/// What a request is judged against.
pub struct Judging<'a> {
    /// What the client may ask for.
    pub allowed: &'a Permissions,
    pub apis: &'a [Api],
    /// Whether a user decides on it. Nobody could decide on an API without scopes.
    pub user_is_asked: bool,
}

impl Judging<'_> {
    /// The APIs that `resource` names (RFC 8707 §2).
    pub fn resources(&self, parameters: &Parameters) -> Result<Vec<&Api>> {
        let mut named: Vec<&Api> = Vec::new();
        for asked in parameters.all("resource") {
            let api = self.apis.iter().find(|api| api.identifier.as_str() == asked);
            let api = api.ok_or_else(|| invalid_target("resource is not an API that is registered here."))?;
            if named.iter().all(|known| known.identifier != api.identifier) {
                named.push(api);
            }
        }
        Ok(named)
    }

    /// The permissions that `names` stand for. What nobody here knows is passed over (OpenID Connect Core §3.1.2.1), and
    /// so are other APIs' scopes beside `resource`; what the client may not have is refused.
    ///
    /// Naming an API is no way into it: one of its scopes has to be asked for, which is what a user allows and a client
    /// is registered for. An API without scopes is for clients about which no user is asked.
    pub fn asked(&self, names: &Scopes, resources: &[&Api]) -> Result<Permissions> {
        let mut permissions = Permissions::default();
        let mut general = Vec::new();
        for name in names.iter() {
            let in_question =
                |api: &&Api| resources.is_empty() || resources.iter().any(|r| r.identifier == api.identifier);
            let defined = |api: &&Api| !STANDARD.contains(&name) && api.scopes.contains(name);
            let mut owners = self.apis.iter().filter(defined).peekable();
            if owners.peek().is_none() {
                if self.allowed.general.contains(name) {
                    general.push(name);
                } else if STANDARD.contains(&name) {
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
            if !api.scopes.is_empty() || self.user_is_asked {
                return Err(invalid_target("resource is an API of which no scope is asked for."));
            }
            permissions.apis.add(&api.identifier, &Scopes::default());
        }
        Ok(permissions)
    }

    /// The default where a request has no `scope` (RFC 6749 §3.3): what the client may have at the APIs that it names.
    pub fn at(&self, resources: &[&Api]) -> Scopes {
        let may = |api: &Api, name: &str| self.allowed.apis.contains(&api.identifier, name);
        resources.iter().flat_map(|api| api.scopes.iter().filter(|name| may(api, name))).collect()
    }
}

fn not_allowed(name: &str) -> OAuthError {
    invalid_scope(format!("This client may not ask for the scope {name}."))
}

/// The part of `granted` that one access token is to carry: of the APIs `asked` for (RFC 8707 §2.2) or of all of them,
/// narrowed by `scope` (RFC 6749 §6), and no further.
pub fn for_token(asked: &[&str], granted: &Permissions, scope: Option<&str>, apis: &[Api]) -> Result<Permissions> {
    if asked.iter().any(|asked| !granted.apis.apis().any(|api| api.as_str() == *asked)) {
        return Err(invalid_target("resource was not part of the authorization."));
    }
    let mut permissions = granted.clone();
    if !asked.is_empty() {
        permissions.apis = permissions.apis.of_apis(|api| asked.contains(&api.as_str()));
    }
    if let Some(scope) = scope {
        let names = Scopes::parse(scope).unwrap_or_default();
        if names.is_empty() || !names.within(&permissions.names()) {
            return Err(invalid_scope("That scope was not granted."));
        }
        permissions.general = permissions.general.filtered(|name| names.contains(name));
        permissions.apis = permissions.apis.filtered(|_, name| names.contains(name));
        if !asked.iter().all(|asked| permissions.apis.apis().any(|api| api.as_str() == *asked)) {
            return Err(invalid_target("resource is an API of which no scope is asked for."));
        }
    }
    one_meaning(&permissions, apis)?;
    Ok(permissions.in_access_token())
}

/// RFC 9068 §3: each scope of a token has one meaning at each of its audiences. Where it would not, the token is refused:
/// an API that reads `scope` and `aud` alone would let in more than was granted.
pub fn one_meaning(permissions: &Permissions, apis: &[Api]) -> Result<()> {
    if permissions.apis.len() < 2 {
        return Ok(());
    }
    let names = permissions.apis.names();
    let granted = apis.iter().filter(|api| permissions.apis.has_api(&api.identifier));
    let more = |api: &Api| {
        let known = api.scopes.filtered(|scope| names.contains(scope));
        !known.within(&permissions.apis.of(&api.identifier))
    };
    if granted.into_iter().any(more) {
        let text =
            "Two of these APIs have a scope of the same name: ask for one token for each with the parameter resource.";
        return Err(invalid_target(text));
    }
    Ok(())
}
