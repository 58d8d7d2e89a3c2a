//! Limits that apply to all requests: a header block over 48 KiB (30 KiB with HTTP/2) or over 100 fields (RFC 6585
//! §5), a missing or repeated `Host` (RFC 9112 §3.2), a method that the path does not support (RFC 9110 §15.5.6), and
//! a timeout. Errors are rendered in the format of the route group.
//!
//! See also `server::listen`, which stops reading larger or slower requests, and `extract::body`, which reads bodies.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::{ApiError, PageError};
use super::extract::origin;
use crate::app::AppState;
use crate::domain::event::RequestOrigin;
use crate::protocol::error::{ErrorCode, OAuthError};

/// The query may hold an ID token of 16 KiB as a hint, and `state`, `nonce` and `login_hint` of 8 KiB each.
const MAX_HEADER_BYTES: usize = 48 * 1024;
/// The limit for HTTP/2 requests that no trusted proxy sends: a one-byte HPACK field may take seventy bytes in memory
/// (`server::connection`). Longer requests can use POST.
const MAX_HTTP2_HEADER_BYTES: usize = 30 * 1024;
const HEADERS_TOO_LARGE: &str = "The address or the headers of the request are too long. The likely cause is too many or too \
                                 large cookies: delete the cookies of this site, then try again.";
/// The maximum number of header fields of a request that no trusted proxy sends. Browsers send about twenty, and one
/// field for each cookie (RFC 9113 §8.2.3). Cookie fields are not counted.
const MAX_HEADER_FIELDS: usize = 100;
/// Longer than the timeouts of the store, so a request that reaches it hangs.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The format of error responses in a route group.
#[derive(Clone, Copy, Debug)]
pub enum ErrorFormat {
    /// JSON.
    Program,
    /// A page.
    Page,
    /// A page on the host of a client behind a gate.
    AppHostPage,
}

impl ErrorFormat {
    /// Returns the origin of the request for an error page. JSON errors do not need it.
    fn page_origin(self, app: &AppState, parts: &Parts) -> RequestOrigin {
        match self {
            Self::Program => RequestOrigin::default(),
            Self::Page | Self::AppHostPage => origin(parts, &app.config.trusted_proxies),
        }
    }

    fn error_response(self, app: &AppState, asker: &RequestOrigin, status: StatusCode, error: OAuthError) -> Response {
        let mut response = match self {
            Self::Program => ApiError::from(error).into_response(),
            Self::Page => titled(PageError::new(app, asker, error), status).into_response(),
            Self::AppHostPage => titled(PageError::new(app, asker, error).on_apps_host(), status).into_response(),
        };
        *response.status_mut() = status;
        response
    }
}

/// Sets the title for a status without an OAuth error code.
fn titled(page: PageError, status: StatusCode) -> PageError {
    match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => page.titled("Your browser sent too much at once"),
        StatusCode::METHOD_NOT_ALLOWED => page.titled("This page can’t be opened like that"),
        StatusCode::BAD_REQUEST => page.titled("Your browser’s request is incomplete"),
        _ => page,
    }
}

/// A request extension: the headers were too large, and only `Host` was kept.
#[derive(Clone, Copy, Debug)]
pub struct HeadersTooLarge;

/// Returns whether a request that no trusted proxy sends is refused for its headers.
pub fn are_headers_too_large(version: Version, uri: &Uri, headers: &HeaderMap) -> bool {
    let max = if version == Version::HTTP_2 { MAX_HTTP2_HEADER_BYTES } else { MAX_HEADER_BYTES };
    headers.len() - headers.get_all(header::COOKIE).iter().count() > MAX_HEADER_FIELDS
        || header_bytes(uri, headers) > max
}

/// Returns the size of the request line and the header fields as sent (RFC 9112 §2.1).
fn header_bytes(uri: &Uri, headers: &HeaderMap) -> usize {
    let line = uri.path_and_query().map_or(0, |it| it.as_str().len());
    headers.iter().fold(line, |sum, (name, value)| sum + name.as_str().len() + value.len() + 4)
}

pub async fn layer(State((app, face)): State<(AppState, ErrorFormat)>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let asker = face.page_origin(&app, &parts);
    let were_dropped = parts.extensions.get::<HeadersTooLarge>().is_some();
    if were_dropped || header_bytes(&parts.uri, &parts.headers) > MAX_HEADER_BYTES {
        let error = OAuthError::new(ErrorCode::InvalidRequest, HEADERS_TOO_LARGE);
        return face.error_response(&app, &asker, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, error);
    }
    // RFC 9112 §3.2: such a request is always rejected.
    if parts.version == Version::HTTP_11 && parts.headers.get_all(header::HOST).iter().count() != 1 {
        let error = OAuthError::new(ErrorCode::InvalidRequest, "The request has no Host header, or more than one.");
        return face.error_response(&app, &asker, StatusCode::BAD_REQUEST, error);
    }
    let answer = next.run(Request::from_parts(parts, body));
    if let Ok(response) = tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
        return response;
    }
    let error = OAuthError::new(ErrorCode::TemporarilyUnavailable, "Try again in a moment.");
    face.error_response(&app, &asker, StatusCode::SERVICE_UNAVAILABLE, error.with_cause("no answer in time"))
}

/// Returns the 405 response. axum adds `Allow`.
pub async fn wrong_method(app: AppState, face: ErrorFormat, request: Request) -> Response {
    let error = OAuthError::new(ErrorCode::InvalidRequest, "This address takes no request of that kind.");
    let asker = face.page_origin(&app, &request.into_parts().0);
    face.error_response(&app, &asker, StatusCode::METHOD_NOT_ALLOWED, error)
}
