//! The checks of an authorization request, in order. The first stage yields a trusted [`ReplyTo`]: an error before that
//! is shown to the user, an error after it is sent to the client. Each stage has its own type.
//!
//! RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1, §3.1.2.2, §3.2.2.1 and §3.3.2.1, RFC 7636 §4.3.
//!
//! See also: [`super::request`], which parses the individual parameters; [`super::request_object`], which resolves
//! parameters that are not in the query.

use std::sync::Arc;

use super::request::{acr, claims, hinted, max_age, permissions, prompt};
use super::request_object::REQUEST_URI_PREFIX;
use crate::domain::client::Client;
use crate::domain::client_metadata::ResponseType;
use crate::domain::ids::ClientId;
use crate::domain::interaction::{AuthorizationRequest, ReplyTo, ResponseMode};
use crate::domain::permissions::Permissions;
use crate::domain::redirect_mismatch::difference;
use crate::domain::scope::OPENID;
use crate::domain::secret::Digest;
use crate::protocol::Provider;
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::protocol::parameters::Parameters;
use crate::protocol::pkce;
use crate::protocol::resource::known_versions;

/// How an authorization request is refused.
#[derive(Debug)]
pub enum AuthorizeError {
    /// An error before the redirect URI is validated: shown on a page, never redirected.
    Shown(OAuthError),
    /// An error after the redirect URI is validated: sent to the client.
    Redirect(Box<ReplyTo>, OAuthError),
}

/// The maximum length in bytes of values that are stored while the request waits for its user. Longer values are
/// refused, not truncated. Client software puts whole URLs, JSON and encrypted sessions into the first three.
const MAX_LENGTHS: [(&str, usize); 8] = [
    ("state", 8192),
    ("nonce", 8192),
    ("login_hint", 8192),
    ("scope", 2048),
    ("acr_values", 2048),
    ("ui_locales", 2048),
    ("claims_locales", 2048),
    ("display", 2048),
];

pub(super) fn invalid(text: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, text)
}

impl Provider {
    /// Returns the requesting client, if it is known and enabled.
    pub(super) async fn requesting_client(&self, parameters: &Parameters) -> Result<Arc<Client>> {
        let unknown =
            || OAuthError::new(ErrorCode::InvalidClient, "The app that sent you here is not known to this server.");
        let id = parameters
            .one("client_id")?
            .ok_or_else(|| invalid("The app did not say who it is: client_id is missing."))?;
        let id = ClientId::parse(id).map_err(|_| unknown())?;
        // A request pushed to another node names a client version that this node may not have read yet.
        let pushed = parameters.one("request_uri")?.is_some_and(|uri| uri.starts_with(REQUEST_URI_PREFIX));
        let client = if pushed { self.current_client(&id).await? } else { self.client(&id).await? };
        client.filter(|client| !client.disabled).ok_or_else(unknown)
    }

    /// Checks a request whose response may be sent to `reply_to`.
    pub(super) async fn judge(
        &self,
        parameters: &Parameters,
        client: &Client,
        reply_to: &ReplyTo,
        pushed: Option<Digest>,
    ) -> Result<AuthorizationRequest> {
        parameters.check_repetition()?;
        check_lengths(parameters)?;
        let response_type = response_type(parameters, client)?;
        check_mode(parameters, response_type)?;
        if parameters.one("registration")?.is_some() {
            // OpenID Connect Core §7.2.1: only self-issued providers support `registration`.
            let text = "The parameter registration is not supported.";
            return Err(OAuthError::new(ErrorCode::RegistrationNotSupported, text));
        }
        let apis = self.store.authority().apis(&self.store).await?;
        let permissions = permissions(parameters, client, response_type, &apis)?;
        let nonce = parameters.one("nonce")?.map(ToOwned::to_owned);
        if response_type.has_id_token() {
            check_id_token(&permissions, nonce.as_deref())?;
        }
        let asked = claims(parameters)?;
        let acr = acr(parameters, client, asked.acr)?;
        Ok(AuthorizationRequest {
            client: client.id.clone(),
            versions: known_versions(client, &permissions, &apis),
            response_type,
            reply_to: reply_to.clone(),
            nonce,
            challenge: pkce::challenge(parameters, client.needs_pkce() && response_type.has_code())?,
            prompt: prompt(parameters, self.sign_up)?,
            max_age: max_age(parameters)?.or(client.meta.default_max_age),
            login_hint: parameters.one("login_hint")?.map(ToOwned::to_owned),
            hinted: hinted(self, parameters, client, asked.sub.as_deref()).await?,
            acr,
            // A client cannot request claims one by one that its scopes do not include.
            claims: asked.claims.restricted_to(&client.meta.scope),
            permissions,
            pushed,
        })
    }
}

/// Returns where responses are sent, after checking that the redirect URI is registered for the client.
pub(super) fn reply_to(parameters: &Parameters, client: &Client) -> Result<ReplyTo> {
    let sent = parameters.one("redirect_uri")?;
    let redirect_uri = match (sent, client.meta.redirect_uris.as_slice()) {
        (Some(sent), _) if client.has_redirect_uri(sent) => sent.to_owned(),
        (Some(sent), _) => {
            let text = "The app asked us to send you to an address that is not on its list, so we stopped here to keep you safe.";
            return Err(invalid(text).with_cause(difference(&client.meta.redirect_uris, sent)));
        }
        // RFC 6749 §3.1.2.3 lets a client with a single redirect URI omit it; OpenID Connect does not.
        (None, [only]) if !is_openid(parameters) => only.as_str().to_owned(),
        (None, _) => return Err(invalid("The app did not say where to send you back: redirect_uri is missing.")),
    };
    // `state` is returned unchanged even if it is invalid (RFC 6749 §4.1.2.1). The limit on the request bounds its
    // length.
    let state = parameters.one("state").ok().flatten();
    Ok(ReplyTo {
        redirect_uri,
        redirect_uri_sent: sent.is_some(),
        mode: mode(parameters),
        state: state.map(ToOwned::to_owned),
    })
}

/// Returns the response mode, which applies to errors too: the requested one, or the default of the response type.
/// Tokens are never sent in a query (OAuth 2.0 Multiple Response Types §5), and a request for that is refused by
/// another mode.
fn mode(parameters: &Parameters) -> ResponseMode {
    let tokens = parameters
        .one("response_type")
        .ok()
        .flatten()
        .and_then(ResponseType::parse)
        .is_some_and(|response_type| response_type.has_id_token() || response_type.has_token());
    match parameters.one("response_mode").ok().flatten().and_then(ResponseMode::parse) {
        Some(mode) if mode != ResponseMode::Query || !tokens => mode,
        _ if tokens => ResponseMode::Fragment,
        _ => ResponseMode::Query,
    }
}

fn is_openid(parameters: &Parameters) -> bool {
    parameters.all("scope").any(|scope| scope.split(' ').any(|value| value == OPENID))
}

fn check_lengths(parameters: &Parameters) -> Result<()> {
    for (name, max) in MAX_LENGTHS {
        if parameters.all(name).any(|value| value.len() > max) {
            let text = format!("{name} is too long: at most {max} bytes are taken.");
            return Err(OAuthError::new(ErrorCode::InvalidRequest, text));
        }
    }
    // RFC 6749 appendix A.5 allows no control characters in `state`, and an HTML form would change them.
    if parameters.all("state").any(|state| state.chars().any(char::is_control)) {
        return Err(invalid("state has a control character."));
    }
    Ok(())
}

fn response_type(parameters: &Parameters, client: &Client) -> Result<ResponseType> {
    let Some(response_type) = ResponseType::parse(parameters.required("response_type")?) else {
        let text = "This response type is not known here.";
        return Err(OAuthError::new(ErrorCode::UnsupportedResponseType, text));
    };
    if client.meta.allows_response_type(response_type) {
        return Ok(response_type);
    }
    let text = format!("This client may not use the response type {response_type}.");
    Err(OAuthError::new(ErrorCode::UnauthorizedClient, text))
}

fn check_mode(parameters: &Parameters, response_type: ResponseType) -> Result<()> {
    match parameters.one("response_mode")?.map(ResponseMode::parse) {
        Some(None) => Err(invalid("response_mode is query, fragment or form_post.")),
        Some(Some(ResponseMode::Query)) if response_type.has_id_token() || response_type.has_token() => {
            Err(invalid("Tokens are never answered in a query: use fragment or form_post."))
        }
        _ => Ok(()),
    }
}

/// Checks the requirements for an ID token from the authorization endpoint: it needs an OpenID Connect request, and the
/// nonce that binds it to the browser (OpenID Connect Core §3.2.2.1, §3.3.2.11).
fn check_id_token(permissions: &Permissions, nonce: Option<&str>) -> Result<()> {
    if !permissions.has_openid() {
        return Err(invalid("An ID token needs the scope openid."));
    }
    nonce.map(|_| ()).ok_or_else(|| invalid("The parameter nonce is missing: the response type has an ID token."))
}
