//! Well-known URIs (RFC 8615) that are not part of the protocol: where to change a password, where to manage
//! passkeys, and how to report a vulnerability.
//!
//! See also `oauth::documents`, which serves the well-known URIs of the protocol.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::urls::{PASSKEYS, PASSWORD, SECURITY_TXT};
use crate::app::AppState;
use crate::config::SecurityTxt;
use crate::env::Timestamp;

/// The lifetime of `security.txt` if the settings have none. RFC 9116 §2.5.5 recommends less than a year.
const SECURITY_TXT_DAYS: i64 = 180;
const DAY_SECONDS: i64 = 86_400;

/// Redirects to the password page (W3C, A Well-Known URL for Changing Passwords §4).
pub async fn change_password() -> Redirect {
    Redirect::to(PASSWORD)
}

/// Serves the passkey endpoints (W3C, A Well-Known URL for Relying Party Passkey Endpoints §3), or 404 at an issuer
/// where browsers do not support passkeys.
pub async fn passkey_endpoints(State(app): State<AppState>) -> Response {
    if !app.passkeys.available() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let passkeys = app.config.issuer.join(PASSKEYS);
    let document = Json(json!({ "enroll": passkeys, "manage": passkeys }));
    ([(header::CACHE_CONTROL, "public, max-age=3600")], document).into_response()
}

pub async fn security_txt(State(app): State<AppState>) -> Response {
    let settings = &app.config.security_txt;
    if settings.contact.is_empty() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let text = security_text(settings, &app.config.issuer.join(SECURITY_TXT), app.env().now());
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, text).into_response()
}

/// Returns the content of `security.txt` (RFC 9116 §2.5) at the time `now`.
fn security_text(settings: &SecurityTxt, canonical: &str, now: Timestamp) -> String {
    let expires = settings.expires.map_or_else(
        || {
            let today = now.seconds() - now.seconds().rem_euclid(DAY_SECONDS);
            Timestamp::from_seconds(today).plus_seconds(SECURITY_TXT_DAYS * DAY_SECONDS).date()
        },
        |time| time.0,
    );
    let mut text = String::new();
    // Writing to a `String` does not fail.
    let mut line = |name: &str, value: &str| {
        writeln!(text, "{name}: {value}").ok();
    };
    settings.contact.iter().for_each(|uri| line("Contact", uri));
    // Formatting only fails for years that the settings cannot contain.
    line("Expires", &expires.format(&Rfc3339).unwrap_or_default());
    line("Canonical", canonical);
    settings.encryption.iter().for_each(|uri| line("Encryption", uri));
    settings.acknowledgments.iter().for_each(|uri| line("Acknowledgments", uri));
    settings.policy.iter().for_each(|uri| line("Policy", uri));
    if let Some(languages) = settings.preferred_languages.joined() {
        line("Preferred-Languages", &languages);
    }
    text
}
