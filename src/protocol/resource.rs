//! Resource indicators (RFC 8707): which APIs a token is for.
//!
//! Next door: [`super::access_token`], whose audience they are; `domain::api`, what an API is.

use super::error::{ErrorCode, OAuthError, Result};
use super::parameters::Parameters;
use crate::domain::api::{Api, ApiId};
use crate::domain::scope::Scopes;

/// RFC 8707 §2; without `resource`, the APIs that the scopes are of.
///
/// Naming an API is no way into it: one of its scopes has to be asked for, which is what a person allows and a client is
/// registered for. An API without scopes is for clients about which nobody is asked.
pub fn resources(
    parameters: &Parameters,
    scopes: &Scopes,
    apis: &[Api],
    somebody_is_asked: bool,
) -> Result<Vec<ApiId>> {
    let invalid = |text: &'static str| OAuthError::new(ErrorCode::InvalidTarget, text);
    let mut resources: Vec<ApiId> = Vec::new();
    for asked in parameters.all("resource") {
        let Some(api) = apis.iter().find(|api| api.identifier.as_str() == asked) else {
            return Err(invalid("resource is not an API that is registered here."));
        };
        let entered = if api.scopes.is_empty() {
            !somebody_is_asked
        } else {
            api.scopes.iter().any(|scope| scopes.contains(scope))
        };
        if !entered {
            return Err(invalid("resource is an API of which no scope is asked for."));
        }
        if !resources.contains(&api.identifier) {
            resources.push(api.identifier.clone());
        }
    }
    if resources.is_empty() {
        let owning = apis.iter().filter(|api| api.scopes.iter().any(|scope| scopes.contains(scope)));
        resources.extend(owning.map(|api| api.identifier.clone()));
    }
    Ok(resources)
}

/// RFC 8707 §2.2: a token request may narrow the resources of its grant, and go no further.
pub fn narrowed(parameters: &Parameters, granted: &[ApiId]) -> Result<Vec<ApiId>> {
    let asked: Vec<&str> = parameters.all("resource").collect();
    if asked.iter().any(|asked| !granted.iter().any(|api| api.as_str() == *asked)) {
        return Err(OAuthError::new(ErrorCode::InvalidTarget, "resource was not part of the authorization."));
    }
    if asked.is_empty() {
        return Ok(granted.to_vec());
    }
    Ok(granted.iter().filter(|api| asked.contains(&api.as_str())).cloned().collect())
}
