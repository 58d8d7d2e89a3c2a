//! Middleware around each request: a request id, one log line, security headers, and `Cache-Control: no-store` unless
//! a handler sets another value.

use std::collections::BTreeSet;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use super::error_report::{self, NamedClient};
use super::extract::{RequestId, client_address_of, unreadable};
use super::limits::HeadersTooLarge;
use super::urls::{GATE, STATIC};
use crate::app::AppState;

/// The default Content-Security-Policy. It allows no inline scripts or styles.
///
/// `form-action` is left out on purpose: Chromium applies it to the whole redirect chain of a form, and a sign-in
/// ends with a redirect to the client.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                   font-src 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The Content-Security-Policy of the check-session page, which any client may embed in a frame.
const FRAMED_CSP: &str = "default-src 'none'; script-src 'self'; base-uri 'none'; frame-ancestors *";

/// The response header with the request id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A response extension: other sites may embed the page in a frame.
#[derive(Clone, Copy, Debug)]
pub struct AllowFraming;

/// Returns the Content-Security-Policy of a page that embeds frames of these origins.
pub fn csp_with_frames(origins: &BTreeSet<String>) -> Option<HeaderValue> {
    let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
    HeaderValue::from_str(&format!("{CSP}; frame-src {}", origins.join(" "))).ok()
}

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

pub async fn request_layer(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let id = app.env().uuid().simple().to_string();
    let client = NamedClient::default();
    request.extensions_mut().insert(RequestId(id.clone()));
    request.extensions_mut().insert(client.clone());
    // Only the path is logged: queries carry codes, hints and states. The span has the highest level, so that the
    // request id is logged at every log level.
    let were_headers_dropped = request.extensions().get::<HeadersTooLarge>().is_some();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::error_span!("request", request_id = %id, %method, %path);
    if let Some((proxy, value)) = unreadable(request.extensions(), request.headers(), &app.config.trusted_proxies) {
        span.in_scope(|| app.unreadable_addresses.report(app.store(), proxy, &value));
    }
    let asked = error_report::ReportedRequest {
        id: id.clone(),
        method: method.clone(),
        uri: request.uri().clone(),
        address: client_address_of(request.extensions(), request.headers(), &app.config.trusted_proxies),
        client,
    };
    #[expect(clippy::disallowed_methods, reason = "how long an answer took is measured, and nothing decided by it")]
    let began = std::time::Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let (status, ms) = (response.status().as_u16(), u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
    span.in_scope(|| {
        error_report::report(&app, asked, &response);
        if is_routine(&path) {
            tracing::debug!(status, ms, "answered");
        } else {
            tracing::info!(status, ms, "answered");
        }
    });
    if were_headers_dropped {
        // The request's cookies were dropped unread. They must not be replaced.
        response.headers_mut().remove(header::SET_COOKIE);
    }
    let framed = response.extensions().get::<AllowFraming>().is_some();
    let headers = response.headers_mut();
    if framed {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(FRAMED_CSP));
    }
    for (name, value) in HEADERS {
        let left_out = framed && name == header::X_FRAME_OPTIONS;
        if !headers.contains_key(&name) && !left_out {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if status == StatusCode::SERVICE_UNAVAILABLE.as_u16() && !headers.contains_key(header::RETRY_AFTER) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    if app.config.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

/// Whether requests for the path are only logged at debug level: health checks, static files and the gate would drown
/// the other lines. The gate logs its own denials.
fn is_routine(path: &str) -> bool {
    let beneath = |part: &str| path.strip_prefix(part).is_some_and(|name| name.starts_with('/'));
    path == "/livez" || path == "/readyz" || beneath(STATIC) || beneath(GATE)
}
