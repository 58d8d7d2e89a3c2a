//! The authorization response, successful or not: parameters for the redirect URI in the requested response mode, with
//! the unchanged `state` and `iss` (RFC 9207 §2).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use url::form_urlencoded::Serializer;

use crate::config::Issuer;
use crate::domain::interaction::{ReplyTo, ResponseMode};
use crate::protocol::error::OAuthError;

/// An authorization response to be sent to the client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorizationResponse {
    pub redirect_uri: String,
    pub mode: ResponseMode,
    pub parameters: Vec<(Cow<'static, str>, String)>,
}

impl AuthorizationResponse {
    /// Returns an error response (RFC 6749 §4.1.2.1).
    pub fn error(issuer: &Issuer, to: &ReplyTo, error: &OAuthError) -> Self {
        let parameters =
            vec![("error", error.code.as_str().to_owned()), ("error_description", error.description.to_string())];
        Self::new(issuer, to, parameters)
    }

    pub(super) fn new(issuer: &Issuer, to: &ReplyTo, mut parameters: Vec<(&'static str, String)>) -> Self {
        if let Some(state) = &to.state {
            parameters.push(("state", state.clone()));
        }
        parameters.push(("iss", issuer.as_str().to_owned()));
        let parameters = parameters.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect();
        Self { redirect_uri: to.redirect_uri.clone(), mode: to.mode, parameters }
    }

    /// Returns the address to redirect to. For `form_post`, the page posts the parameters to [`Self::redirect_uri`]
    /// instead.
    pub fn location(&self) -> String {
        let query = Serializer::new(String::new()).extend_pairs(&self.parameters).finish();
        let uri = &self.redirect_uri;
        match self.mode {
            // RFC 6749 §3.1.2: an existing query of the redirect URI is kept.
            ResponseMode::Query if uri.contains('?') => format!("{uri}&{query}"),
            ResponseMode::Query => format!("{uri}?{query}"),
            ResponseMode::Fragment | ResponseMode::FormPost => format!("{uri}#{query}"),
        }
    }
}
