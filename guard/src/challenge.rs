//! What somebody is told who is not let in: the status, the challenge (RFC 6750 §3, RFC 9728 §5.1, RFC 9421 §5.1) and a
//! sentence. Nothing here says which part of a credential was wrong.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::guard::Settings;

const ACCEPT_SIGNATURE: HeaderName = HeaderName::from_static("accept-signature");

/// RFC 6750 §3.1, and what it has no word for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RejectionCode {
    /// 401 without a code: nobody has tried yet.
    Nothing,
    /// 401.
    InvalidToken,
    /// 401: of a signature, for which RFC 6750 has no code.
    InvalidSignature,
    /// 400.
    InvalidRequest,
    /// 413 (RFC 9110 §15.5.14).
    TooLarge,
    /// 403.
    InsufficientScope,
    /// 503: nothing can be verified now.
    Unavailable,
}

#[derive(Debug)]
pub(crate) struct Rejection {
    pub code: RejectionCode,
    pub text: String,
    /// The scopes that would do, where some would.
    pub scopes: Option<String>,
}

impl Rejection {
    pub fn new(code: RejectionCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), scopes: None }
    }

    pub fn status(&self) -> StatusCode {
        match self.code {
            RejectionCode::Nothing | RejectionCode::InvalidToken | RejectionCode::InvalidSignature => {
                StatusCode::UNAUTHORIZED
            }
            RejectionCode::InvalidRequest => StatusCode::BAD_REQUEST,
            RejectionCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            RejectionCode::InsufficientScope => StatusCode::FORBIDDEN,
            RejectionCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self) -> &'static str {
        match self.code {
            RejectionCode::Nothing => "unauthorized",
            RejectionCode::InvalidToken => "invalid_token",
            RejectionCode::InvalidSignature => "invalid_signature",
            RejectionCode::InvalidRequest => "invalid_request",
            RejectionCode::TooLarge => "content_too_large",
            RejectionCode::InsufficientScope => "insufficient_scope",
            RejectionCode::Unavailable => "temporarily_unavailable",
        }
    }

    /// `components` are those that a signature of this request would have to cover.
    pub fn response<B: From<Bytes>>(&self, settings: &Settings, components: &[&str]) -> Response<B> {
        let body = json!({ "error": self.code(), "error_description": self.text }).to_string();
        let mut response = Response::new(B::from(Bytes::from(body)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if matches!(self.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            && let Ok(challenge) = HeaderValue::from_str(&self.challenge(settings))
        {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if self.status() == StatusCode::UNAUTHORIZED && settings.signed.is_some() {
            let covered: Vec<String> = components.iter().map(|name| format!("\"{name}\"")).collect();
            let wanted = format!("sig1=({});created;nonce;keyid", covered.join(" "));
            if let Ok(wanted) = HeaderValue::from_str(&wanted) {
                headers.insert(ACCEPT_SIGNATURE, wanted);
            }
        }
        if self.code == RejectionCode::Unavailable {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }

    fn challenge(&self, settings: &Settings) -> String {
        let mut attributes = vec![("realm", settings.audience.as_str())];
        if matches!(self.code, RejectionCode::InvalidToken | RejectionCode::InsufficientScope) {
            attributes.extend([("error", self.code()), ("error_description", self.text.as_str())]);
        }
        attributes.extend(self.scopes.as_deref().map(|scopes| ("scope", scopes)));
        attributes.extend(settings.resource_metadata.as_deref().map(|address| ("resource_metadata", address)));
        let written = attributes.into_iter().map(|(name, value)| format!("{name}=\"{}\"", escape_attribute(value)));
        format!("Bearer {}", written.collect::<Vec<_>>().join(", "))
    }
}

/// What RFC 6750 §3 lets stand in an attribute: visible ASCII and spaces, but no quote and no backslash.
fn escape_attribute(text: &str) -> String {
    let good = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    text.chars().map(|c| if good(&c) { c } else { '\'' }).collect()
}
