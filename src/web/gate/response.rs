//! The response to a proxy: identity headers, or a denial as a problem document (RFC 9457) with a status that the
//! proxy understands.
//!
//! See also [`super`], which parses the request.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app::AppState;
use crate::domain::api::Api;
use crate::domain::ids::ClientId;
use crate::gate::decision::{Denial, Identity};
use crate::gate::forwarded_request::ProxyKind;
use crate::gate::rate_limits::RateLimitStatus;

/// The headers that describe the caller to an API. Every allowing response has all of them, empty if there is no
/// value. So a header of that name from the caller never reaches the API, whether the proxy clears or overwrites it.
const IDENTITY_HEADERS: [&str; 9] = [
    "x-gate-subject",
    "x-gate-client",
    "x-gate-scope",
    "x-gate-way",
    "x-gate-token",
    "remote-user",
    "remote-groups",
    "remote-email",
    "remote-name",
];

pub fn allow(app: &AppState, id: &str, gate: &str, api: &Api, who: Option<&Identity>) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    for name in IDENTITY_HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(""));
    }
    let Some(who) = who else {
        set(headers, "x-gate-way", "anonymous");
        tracing::debug!(gate, way = "anonymous", "let in");
        return response;
    };
    set(headers, "x-gate-subject", &who.subject);
    set(headers, "x-gate-client", who.client.as_ref().map(ClientId::as_str).unwrap_or_default());
    set(headers, "x-gate-scope", &who.scopes.to_string());
    set(headers, "x-gate-way", who.credential_kind.as_str());
    if let Some(person) = &who.user_summary {
        set(headers, "remote-user", person.username.as_str());
        set(headers, "remote-groups", &person.groups.join(","));
        set(headers, "remote-email", person.email.as_deref().unwrap_or_default());
        set(headers, "remote-name", person.name.as_deref().unwrap_or_default());
    }
    if api.upstream_token {
        match app.gate.upstream_token(api, who) {
            Ok(token) => set(headers, "x-gate-token", &token),
            Err(error) => {
                tracing::error!(
                    cause = error.cause.as_deref().unwrap_or_default(),
                    gate,
                    "no token can be made for the API, and nobody is let in"
                );
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
        }
    }
    tracing::debug!(request_id = id, gate, way = who.credential_kind.as_str(), subject = %who.subject, "let in");
    response
}

/// Adds the rate limit headers of draft-ietf-httpapi-ratelimit-headers: the policy and the remaining quota.
pub fn limited(headers: &mut HeaderMap, allowance: Option<RateLimitStatus>) {
    let Some(RateLimitStatus { quota: (burst, window), remaining, reset, retry_after }) = allowance else { return };
    set(headers, "ratelimit-policy", &format!("\"gate\";q={burst};w={window}"));
    set(headers, "ratelimit", &format!("\"gate\";r={remaining};t={reset}"));
    if let Some(seconds) = retry_after {
        set(headers, "retry-after", &seconds.to_string());
    }
}

/// Sets a header to UTF-8 text without control characters.
fn set(headers: &mut HeaderMap, name: &'static str, text: &str) {
    let kept: String = text.chars().filter(|c| !c.is_control()).collect();
    if let Ok(value) = HeaderValue::from_bytes(kept.as_bytes()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

pub fn deny(id: &str, gate: &str, proxy: Option<ProxyKind>, refusal: &Denial) -> Response {
    let (status, reason) = (refusal.reason.status(), refusal.reason.as_str());
    tracing::info!(gate, reason, status, "refused");
    let body = json!({
        "type": "about:blank",
        "title": StatusCode::from_u16(status).ok().and_then(|it| it.canonical_reason()).unwrap_or_default(),
        "status": status,
        "detail": refusal.text,
        "reason": reason,
        "request_id": id,
    });
    if let Some(to) = refusal.sign_in.as_deref().filter(|_| proxy != Some(ProxyKind::Nginx)) {
        let mut response = (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
        set(response.headers_mut(), "x-gate-reason", reason);
        return response;
    }
    // nginx turns statuses that it does not expect into 500.
    let spoken = if proxy == Some(ProxyKind::Nginx) && status != 401 { 403 } else { status };
    let code = StatusCode::from_u16(spoken).unwrap_or(StatusCode::FORBIDDEN);
    let mut response = (code, Json(body)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    set(response.headers_mut(), "x-gate-reason", reason);
    if spoken != status {
        set(response.headers_mut(), "x-gate-status", &status.to_string());
    }
    if proxy == Some(ProxyKind::Nginx) {
        // nginx discards the body and puts this value between quotation marks.
        let text = refusal.text.chars().filter(|c| c.is_ascii() && !matches!(c, '"' | '\\'));
        set(response.headers_mut(), "x-gate-detail", &text.collect::<String>());
    }
    if let Some(to) = &refusal.sign_in {
        set(response.headers_mut(), "x-gate-sign-in", to);
    }
    if let Some(seconds) = refusal.retry_after {
        set(response.headers_mut(), "retry-after", &seconds.to_string());
    }
    if let Some(challenge) = &refusal.challenge {
        set(response.headers_mut(), "www-authenticate", challenge);
    }
    response
}
