//! The individual parameters of an authorization request, each parsed into its type (OpenID Connect Core §3.1.2.1,
//! §5.5).
//!
//! Only the length of `display`, `ui_locales` and `claims_locales` is checked: the pages fit any window and have one
//! language, and claims have a single language. All three are optional for the provider (§3.1.2.1, §5.2).

use super::check::invalid;
use crate::config::SignUpMode;
use crate::domain::api::Api;
use crate::domain::authorization::Acr;
use crate::domain::claims_request::{ClaimsRequest, RequestedAcr};
use crate::domain::client::{Client, RegistrationKind};
use crate::domain::client_metadata::{GrantType, ResponseType};
use crate::domain::ids::UserId;
use crate::domain::interaction::Prompt;
use crate::domain::permissions::Permissions;
use crate::domain::scope::{OFFLINE_ACCESS, Scopes};
use crate::protocol::Provider;
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::protocol::parameters::Parameters;
use crate::protocol::resource::{ScopeResolver, check_unambiguous_scopes};

/// Returns the requested permissions that the client may have.
pub(in crate::protocol) fn permissions(
    parameters: &Parameters,
    client: &Client,
    response_type: ResponseType,
    apis: &[Api],
) -> Result<Permissions> {
    let refused = |text: &'static str| OAuthError::new(ErrorCode::InvalidScope, text);
    let allowed = client.permissions(apis);
    // Client libraries request every scope of `scopes_supported` unless they are configured otherwise. A client that
    // registers itself has no administrator who could correct that.
    let narrows = client.registration_kind != RegistrationKind::Admin;
    let judging = ScopeResolver { allowed: &allowed, apis, narrows };
    let resources = judging.resources(parameters);
    let asked = match parameters.scope()? {
        Some(asked) => Scopes::parse(asked).map_err(|_| refused("scope has a character that no scope has."))?,
        None => default_scopes(&judging, resources.as_deref().map_err(Clone::clone)?).map_err(refused)?,
    };
    // Offline access is useless to a client that cannot use refresh tokens, and it requires a code. Otherwise the scope
    // is ignored (OpenID Connect Core §11).
    let renewable = client.meta.allows(GrantType::RefreshToken) && response_type.has_code();
    let asked = asked.filtered(|scope| scope != OFFLINE_ACCESS || renewable);
    let permissions = judging.resolve_permissions(&asked, &resources?)?;
    if permissions.is_empty() {
        return Err(refused("None of the scopes asked for means anything here."));
    }
    if response_type.has_token() {
        check_unambiguous_scopes(&permissions, apis)?;
    }
    Ok(permissions)
}

/// Returns the default scopes (RFC 6749 §3.3): all that the client may have at the APIs that it names. Without an API
/// there is no default: the consent page would be empty, so the user would not be asked at all.
fn default_scopes(judging: &ScopeResolver<'_>, named: &[&Api]) -> std::result::Result<Scopes, &'static str> {
    let all = judging.at(named);
    if named.is_empty() {
        return Err("The parameter scope is missing.");
    }
    if all.is_empty() && !named.iter().any(|api| judging.can_access(api)) {
        return Err("The parameter scope is missing, and this client may ask for no scope of that API.");
    }
    Ok(all)
}

/// Parses `prompt`. The value `create` is refused if sign-up is disabled (Initiating User Registration via OpenID
/// Connect §4.1).
pub(super) fn prompt(parameters: &Parameters, sign_up: SignUpMode) -> Result<Prompt> {
    let mut prompt = Prompt::default();
    for value in parameters.one("prompt")?.unwrap_or_default().split(' ').filter(|value| !value.is_empty()) {
        match value {
            "none" => prompt.none = true,
            "login" => prompt.login = true,
            "consent" => prompt.consent = true,
            "select_account" => prompt.select_account = true,
            Prompt::CREATE if sign_up == SignUpMode::Open => prompt.create = true,
            _ => return Err(invalid("prompt has a value that is not supported.")),
        }
    }
    if prompt.none && (prompt.login || prompt.consent || prompt.select_account || prompt.create) {
        return Err(invalid("prompt=none goes with no other value."));
    }
    Ok(prompt)
}

pub(super) fn max_age(parameters: &Parameters) -> Result<Option<i64>> {
    let Some(text) = parameters.one("max_age")? else { return Ok(None) };
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid("max_age is a number of seconds."));
    }
    // A value that overflows is longer than the age of any session.
    Ok(Some(text.parse::<u32>().map_or(i64::from(u32::MAX), i64::from)))
}

pub(super) fn claims(parameters: &Parameters) -> Result<ClaimsRequest> {
    parameters
        .one("claims")?
        .map_or_else(|| Ok(ClaimsRequest::default()), |text| ClaimsRequest::parse(text).map_err(invalid))
}

/// Returns the requested authentication context classes: from the claim if it names any, from `acr_values`, or the
/// client's default.
pub(super) fn acr(parameters: &Parameters, client: &Client, claim: Option<RequestedAcr>) -> Result<RequestedAcr> {
    let asked = parameters.one("acr_values")?.map(RequestedAcr::from_acr_values);
    let default = || RequestedAcr {
        values: client.meta.default_acr_values.iter().filter_map(|acr| Acr::parse(acr)).collect(),
        essential: false,
    };
    Ok(claim.filter(|claim| claim.essential || !claim.values.is_empty()).or(asked).unwrap_or_else(default))
}

/// Returns the user that the client names by an ID token of this server or by the claim `sub`.
pub(super) async fn hinted(
    provider: &Provider,
    parameters: &Parameters,
    client: &Client,
    sub: Option<&str>,
) -> Result<Option<UserId>> {
    let named = match sub {
        None => None,
        Some(sub) => {
            let unknown =
                || OAuthError::new(ErrorCode::LoginRequired, "There is no such person as the claim sub names.");
            Some(provider.user_by_subject(client, sub).ok_or_else(unknown)?)
        }
    };
    let Some(hint) = parameters.one("id_token_hint")? else { return Ok(named) };
    match provider.read_hint(hint).await? {
        Some(hint) if hint.client == client.id && named.is_none_or(|named| named == hint.user) => Ok(Some(hint.user)),
        _ => Err(invalid("id_token_hint is not an ID token that this server issued to this client.")),
    }
}
