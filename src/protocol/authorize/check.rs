//! Every check of an authorization request, in order. The first stage yields a trusted [`ReplyTo`]: what is wrong before
//! it is shown to the person, what is wrong after it goes back to the app. Two types, not a flag.
//!
//! RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1 and §3.1.2.2, RFC 7636 §4.3, RFC 8707 §2.

use std::sync::Arc;

use crate::domain::api::{Api, ApiId};
use crate::domain::authorization::Acr;
use crate::domain::client::Client;
use crate::domain::client_metadata::{GrantType, ResponseType};
use crate::domain::ids::{ClientId, UserId};
use crate::domain::interaction::{AuthorizationRequest, Prompt, ReplyTo, ResponseMode};
use crate::domain::scope::{OFFLINE_ACCESS, OPENID, STANDARD, Scopes};
use crate::protocol::Provider;
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::protocol::parameters::Parameters;
use crate::protocol::pkce;

/// How a request is refused.
#[derive(Debug)]
pub enum Refused {
    /// Before there is an address to trust: a page, never a redirect.
    Shown(OAuthError),
    /// After: the app is told.
    Returned(Box<ReplyTo>, OAuthError),
}

/// Values that are kept while a person is asked; longer ones are refused, not cut.
const MOST_CHARACTERS: usize = 2048;

pub(super) async fn check(
    provider: &Provider,
    parameters: &Parameters,
) -> std::result::Result<(Arc<Client>, AuthorizationRequest), Refused> {
    let (client, reply_to) = trust(provider, parameters).await.map_err(Refused::Shown)?;
    match judge(provider, parameters, &client, &reply_to).await {
        Ok(request) => Ok((client, request)),
        Err(error) => Err(Refused::Returned(Box::new(reply_to), error)),
    }
}

fn invalid(text: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, text)
}

async fn trust(provider: &Provider, parameters: &Parameters) -> Result<(Arc<Client>, ReplyTo)> {
    let unknown =
        || OAuthError::new(ErrorCode::InvalidClient, "The app that sent you here is not known to this server.");
    let id =
        parameters.one("client_id")?.ok_or_else(|| invalid("The app did not say who it is: client_id is missing."))?;
    let id = ClientId::parse(id).map_err(|_| unknown())?;
    let client = provider.store.authority().client(&provider.store, &id).await?;
    let client = client.filter(|client| !client.disabled).ok_or_else(unknown)?;
    let sent = parameters.one("redirect_uri")?;
    let redirect_uri = match (sent, client.meta.redirect_uris.as_slice()) {
        (Some(sent), _) if client.redirects_to(sent) => sent.to_owned(),
        (Some(_), _) => {
            return Err(invalid(
                "The app asked us to send you to an address that is not on its list, so we stopped here to keep you safe.",
            ));
        }
        // RFC 6749 §3.1.2.3 lets a client with a single address leave it out; OpenID Connect does not.
        (None, [only]) if !is_openid(parameters) => only.as_str().to_owned(),
        (None, _) => return Err(invalid("The app did not say where to send you back: redirect_uri is missing.")),
    };
    // An unknown mode is refused later, by the mode that would have been the default.
    let mode =
        parameters.one("response_mode").ok().flatten().and_then(ResponseMode::parse).unwrap_or(ResponseMode::Query);
    let state = parameters.one("state").ok().flatten().filter(|state| state.len() <= MOST_CHARACTERS);
    let reply_to =
        ReplyTo { redirect_uri, redirect_uri_sent: sent.is_some(), mode, state: state.map(ToOwned::to_owned) };
    Ok((client, reply_to))
}

fn is_openid(parameters: &Parameters) -> bool {
    parameters.all("scope").any(|scope| scope.split(' ').any(|value| value == OPENID))
}

async fn judge(
    provider: &Provider,
    parameters: &Parameters,
    client: &Client,
    reply_to: &ReplyTo,
) -> Result<AuthorizationRequest> {
    parameters.check_repetition()?;
    check_lengths(parameters)?;
    check_response(parameters, client)?;
    check_unsupported(parameters)?;
    let apis = provider.store.authority().apis(&provider.store).await?;
    let scopes = scopes(parameters, client, &apis)?;
    let prompt = prompt(parameters)?;
    let (hinted, resources) =
        (hinted(provider, parameters, client)?, resources(parameters, &scopes, &apis, !client.is_trusted())?);
    Ok(AuthorizationRequest {
        client: client.id.clone(),
        reply_to: reply_to.clone(),
        resources,
        nonce: parameters.one("nonce")?.map(ToOwned::to_owned),
        challenge: pkce::challenge(parameters, client.needs_pkce())?,
        prompt,
        max_age: max_age(parameters)?.or(client.meta.default_max_age),
        login_hint: parameters.one("login_hint")?.map(ToOwned::to_owned),
        hinted,
        // A voluntary claim: what is not known here is passed over (OpenID Connect Core §5.5.1.1).
        acr_values: parameters.one("acr_values")?.unwrap_or_default().split(' ').filter_map(Acr::parse).collect(),
        scopes,
    })
}

fn check_lengths(parameters: &Parameters) -> Result<()> {
    for name in ["state", "nonce", "login_hint", "scope", "acr_values", "ui_locales"] {
        if parameters.all(name).any(|value| value.len() > MOST_CHARACTERS) {
            return Err(OAuthError::new(ErrorCode::InvalidRequest, format!("{name} is too long.")));
        }
    }
    Ok(())
}

fn check_response(parameters: &Parameters, client: &Client) -> Result<()> {
    match parameters.required("response_type")? {
        "code"
            if client.meta.allows(GrantType::AuthorizationCode) && client.meta.allows_response(ResponseType::Code) => {}
        "code" => {
            return Err(OAuthError::new(
                ErrorCode::UnauthorizedClient,
                "This client may not use the response type code.",
            ));
        }
        _ => return Err(OAuthError::new(ErrorCode::UnsupportedResponseType, "The response type must be code.")),
    }
    match parameters.one("response_mode")? {
        Some(mode) if ResponseMode::parse(mode).is_none() => {
            Err(invalid("response_mode is query, fragment or form_post."))
        }
        _ => Ok(()),
    }
}

/// OpenID Connect Core §3.1.2.6: each has an error of its own.
fn check_unsupported(parameters: &Parameters) -> Result<()> {
    for (name, code) in [
        ("request", ErrorCode::RequestNotSupported),
        ("request_uri", ErrorCode::RequestUriNotSupported),
        ("registration", ErrorCode::RegistrationNotSupported),
    ] {
        if parameters.one(name)?.is_some() {
            return Err(OAuthError::new(code, format!("The parameter {name} is not supported.")));
        }
    }
    Ok(())
}

/// The scopes that stand for something here and that the client may have. What nobody here knows is passed over
/// (OpenID Connect Core §3.1.2.1); what the client may not have is refused.
pub(in crate::protocol) fn scopes(parameters: &Parameters, client: &Client, apis: &[Api]) -> Result<Scopes> {
    let refused = |text: String| OAuthError::new(ErrorCode::InvalidScope, text);
    // RFC 6749 §3.3: a default or a refusal. By default a person would be asked for nothing, and so not be asked at all.
    let asked = parameters.one("scope")?.ok_or_else(|| refused("The parameter scope is missing.".into()))?;
    let asked = Scopes::parse(asked).map_err(|_| refused("scope has a character that no scope has.".into()))?;
    let known = |scope: &str| STANDARD.contains(&scope) || apis.iter().any(|api| api.scopes.contains(scope));
    if let Some(scope) = asked.iter().find(|scope| known(scope) && !client.meta.scope.contains(scope)) {
        return Err(refused(format!("This client may not ask for the scope {scope}.")));
    }
    let scopes = asked.filtered(|scope| client.meta.scope.contains(scope));
    // A refresh token for somebody who is away is no use to a client that cannot use one.
    let scopes = scopes.filtered(|scope| scope != OFFLINE_ACCESS || client.meta.allows(GrantType::RefreshToken));
    if scopes.is_empty() {
        return Err(refused("None of the scopes asked for means anything here.".into()));
    }
    Ok(scopes)
}

fn prompt(parameters: &Parameters) -> Result<Prompt> {
    let mut prompt = Prompt::default();
    for value in parameters.one("prompt")?.unwrap_or_default().split(' ').filter(|value| !value.is_empty()) {
        match value {
            "none" => prompt.none = true,
            "login" => prompt.login = true,
            "consent" => prompt.consent = true,
            "select_account" => prompt.select_account = true,
            _ => return Err(invalid("prompt has a value that is not supported.")),
        }
    }
    if prompt.none && (prompt.login || prompt.consent || prompt.select_account) {
        return Err(invalid("prompt=none goes with no other value."));
    }
    Ok(prompt)
}

fn max_age(parameters: &Parameters) -> Result<Option<i64>> {
    let Some(text) = parameters.one("max_age")? else { return Ok(None) };
    let age = text.parse::<u32>().map_err(|_| invalid("max_age is a number of seconds."))?;
    Ok(Some(i64::from(age)))
}

fn hinted(provider: &Provider, parameters: &Parameters, client: &Client) -> Result<Option<UserId>> {
    let Some(hint) = parameters.one("id_token_hint")? else { return Ok(None) };
    match provider.read_hint(hint) {
        Some(hint) if hint.aud == client.id => Ok(Some(hint.sub)),
        _ => Err(invalid("id_token_hint is not an ID token that this server issued to this client.")),
    }
}

/// RFC 8707 §2; without `resource`, the APIs that the scopes are of.
///
/// Naming an API is no way into it: one of its scopes has to be asked for, which is what a person allows and a client is
/// registered for. An API without scopes is for clients about which nobody is asked.
pub(in crate::protocol) fn resources(
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
