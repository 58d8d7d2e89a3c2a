//! What no request gets past, whoever it is for: a header block over 48 KiB (HTTP/2: 30 KiB) or 100 fields (RFC 6585 §5), no Host or two (RFC 9112
//! §3.2), a method that the path does not have (RFC 9110 §15.5.6), work that does not end. Each is refused in the form of whoever asks.
//!
//! Next door: `server::listen`, which stops reading what is larger or slower still; `extract::body`, bodies.

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
/// The same over HTTP/2 where no trusted proxy sends them: a field may be one byte there and take seventy in memory
/// (`server::connection`). Longer requests are sent by POST.
const MAX_HTTP2_HEADER_BYTES: usize = 30 * 1024;
const HEADERS_TOO_LARGE: &str = "The address or the headers of the request are too long. The likely cause is too many or too \
                                 large cookies: delete the cookies of this site, then try again.";
/// Header fields of a request that no trusted proxy sends. Browsers send about twenty, beside a field for each cookie (RFC
/// 9113 §8.2.3), which do not count.
const MAX_HEADER_FIELDS: usize = 100;
/// The store gives up sooner; what takes longer hangs.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub enum ErrorFormat {
    /// JSON.
    Program,
    /// A page.
    Page,
    /// A page on the host of an app behind a gate.
    AppHostPage,
}

impl ErrorFormat {
    /// From where the request came, which a page tells and JSON does not.
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

/// What happened, for statuses that no error code of OAuth stands for.
fn titled(page: PageError, status: StatusCode) -> PageError {
    match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => page.titled("Your browser sent too much at once"),
        StatusCode::METHOD_NOT_ALLOWED => page.titled("This page can’t be opened like that"),
        StatusCode::BAD_REQUEST => page.titled("Your browser’s request is incomplete"),
        _ => page,
    }
}

/// Says that the headers of a request were too large, and that none but `Host` was kept.
#[derive(Clone, Copy, Debug)]
pub struct HeadersTooLarge;

/// Returns whether a request that no trusted proxy sends is refused for its headers.
pub fn are_headers_too_large(version: Version, uri: &Uri, headers: &HeaderMap) -> bool {
    let max = if version == Version::HTTP_2 { MAX_HTTP2_HEADER_BYTES } else { MAX_HEADER_BYTES };
    headers.len() - headers.get_all(header::COOKIE).iter().count() > MAX_HEADER_FIELDS
        || header_bytes(uri, headers) > max
}

/// The request line and the fields, as they were sent (RFC 9112 §2.1).
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
    // RFC 9112 §3.2: refused, whatever else it says.
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

/// For a path that has other methods; axum adds which.
pub async fn wrong_method(app: AppState, face: ErrorFormat, request: Request) -> Response {
    let error = OAuthError::new(ErrorCode::InvalidRequest, "This address takes no request of that kind.");
    let asker = face.page_origin(&app, &request.into_parts().0);
    face.error_response(&app, &asker, StatusCode::METHOD_NOT_ALLOWED, error)
}
