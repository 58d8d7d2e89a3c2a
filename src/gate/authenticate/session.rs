//! Authenticates by the session cookie on an app's host (`gate::session`). A browser sends the cookie with cross-site
//! requests too. So for requests with an unsafe method the cookie counts only if the app's own pages made the request
//! (Fetch Metadata `Sec-Fetch-Site`, or `Origin`, RFC 6454 §7).

use super::{AuthenticationError, AuthenticationResult, invalid};
use crate::domain::api::Api;
use crate::domain::gate::CredentialKind;
use crate::domain::web_address::AppOrigin;
use crate::gate::Gate;
use crate::gate::app_urls;
use crate::gate::decision::{Denial, Identity, Reason};
use crate::gate::forwarded_request::ForwardedRequest;
use crate::gate::headers::Headers;
use crate::gate::session::{self, GateSession};
use crate::protocol::error::Result;

impl Gate {
    pub(super) async fn by_session(
        &self,
        api: &Api,
        fields: &Headers<'_>,
        original: &ForwardedRequest,
    ) -> Result<AuthenticationResult> {
        let Some((gate, origin)) = api.gate.as_ref().zip(app_urls::request_origin(api, original)) else {
            return Ok(Err(AuthenticationError::Nothing));
        };
        let name = session::cookie_name(gate, origin);
        let mut all = session::cookies(fields.all("cookie"), &name);
        let value = match (all.next(), all.next()) {
            (None, _) => return Ok(Err(AuthenticationError::Nothing)),
            (Some(value), None) => value,
            // One of the cookies was set by another party.
            _ => return Ok(Err(denied(Reason::MalformedCredential, "The session’s cookie is there twice."))),
        };
        if !is_safe_or_same_origin(fields, original, origin) {
            let text = "A session counts for this only from a page of the same origin.";
            return Ok(Err(denied(Reason::InvalidCredential, text)));
        }
        let pass = GateSession::open(self, value).filter(|pass| pass.gate == *gate && pass.origin == *origin);
        let Some(pass) = pass else { return Ok(Err(with_session_kind(invalid()))) };
        let Some(person) = self.session_user(&pass, api).await? else { return Ok(Err(with_session_kind(invalid()))) };
        Ok(Ok(Identity {
            credential_kind: CredentialKind::Session,
            subject: pass.user.to_string(),
            client: None,
            user: Some(pass.user),
            user_summary: Some(person),
            // The user acts directly, without delegation to a client, so the session has every scope of the API. Groups
            // and `acr` values restrict users.
            scopes: api.scopes.clone(),
            acr: Some(pass.acr),
            auth_time: Some(pass.auth_time),
        }))
    }
}

fn denied(reason: Reason, text: &str) -> AuthenticationError {
    with_session_kind(AuthenticationError::Denied(Denial::new(reason, text)))
}

/// Records that a session was presented, for the metrics.
fn with_session_kind(why: AuthenticationError) -> AuthenticationError {
    match why {
        AuthenticationError::Denied(refusal) => {
            AuthenticationError::Denied(Denial { tried: Some(CredentialKind::Session), ..refusal })
        }
        why @ (AuthenticationError::Nothing | AuthenticationError::Unavailable(_)) => why,
    }
}

/// Returns whether a page of the app made the request, or its method is safe (RFC 9110 §9.2.1). A WebSocket is opened
/// by a GET from any page, so it is not treated as safe.
fn is_safe_or_same_origin(fields: &Headers<'_>, original: &ForwardedRequest, origin: &AppOrigin) -> bool {
    let opens_a_socket = fields.has("upgrade") || fields.has("sec-websocket-key");
    if matches!(original.method.as_str(), "GET" | "HEAD" | "OPTIONS") && !opens_a_socket {
        return true;
    }
    let (site, said) = (fields.once("sec-fetch-site"), fields.once("origin"));
    match (site, said) {
        (Ok(site), Ok(said)) => {
            let same_site = site.map(|site| matches!(site, "same-origin" | "none"));
            let same_origin = said.map(|said| said == origin.as_str());
            // At least one of the fields must confirm it and neither may contradict it. A page may hide its origin, but
            // not its site.
            match (same_site, same_origin) {
                (Some(true), _) if said == Some("null") && site == Some("same-origin") => true,
                (None, None) => false,
                (same_site, same_origin) => same_site.unwrap_or(true) && same_origin.unwrap_or(true),
            }
        }
        _ => false,
    }
}
