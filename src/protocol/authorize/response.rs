//! The answer to an authorization request, whatever it is: parameters for the app's address in the mode asked for, with
//! `state` to the letter and `iss` (RFC 9207 §2).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use url::form_urlencoded::Serializer;

use crate::config::Issuer;
use crate::domain::interaction::{ReplyTo, ResponseMode};
use crate::protocol::error::OAuthError;

/// An answer on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorizationResponse {
    pub redirect_uri: String,
    pub mode: ResponseMode,
    pub parameters: Vec<(Cow<'static, str>, String)>,
}

impl AuthorizationResponse {
    /// RFC 6749 §4.1.2.1.
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

    /// The address to redirect to; for `form_post` the page posts the parameters to [`Self::redirect_uri`] instead.
    pub fn location(&self) -> String {
        let query = Serializer::new(String::new()).extend_pairs(&self.parameters).finish();
        let uri = &self.redirect_uri;
        match self.mode {
            // RFC 6749 §3.1.2: a query that the address has is kept.
            ResponseMode::Query if uri.contains('?') => format!("{uri}&{query}"),
            ResponseMode::Query => format!("{uri}?{query}"),
            ResponseMode::Fragment | ResponseMode::FormPost => format!("{uri}#{query}"),
        }
    }
}
