//! The origin of a browser's request, from Fetch Metadata (`Sec-Fetch-*`) and `Origin` (RFC 6454 §7).
//!
//! A form on another site is sent without the `SameSite=Lax` cookies, so its browser looks like a new one. [`layer`]
//! keeps the response from setting cookies, since they would replace those that the browser has. See also
//! `extract::visitor`, which only accepts forms from this server's pages, and [`super::browser`], the cookie to
//! protect.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use super::browser;
use crate::app::AppState;

/// The origin of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provenance {
    /// A page of this server.
    Own,
    /// The browser does not send an origin, or hides it (`Origin: null`, from a privacy extension or a referrer
    /// policy). The form token decides, since only pages of this server have one.
    Unknown,
    /// A page of this server, opened at an address other than the issuer's.
    OtherAddress,
    Foreign,
}

pub(super) fn provenance(headers: &HeaderMap, app: &AppState) -> Provenance {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some("same-origin"), None | Some("null")) | (Some("none"), None) => Provenance::Own,
        (None, None | Some("null")) => Provenance::Unknown,
        (Some("same-origin" | "none") | None, Some(origin)) if origin == app.config.issuer.origin() => Provenance::Own,
        (Some("same-origin"), Some(_)) => Provenance::OtherAddress,
        _ => Provenance::Foreign,
    }
}

/// Whether the request comes from a page of this server or has no known origin.
pub(super) fn may_be_own(headers: &HeaderMap, app: &AppState) -> bool {
    matches!(provenance(headers, app), Provenance::Own | Provenance::Unknown)
}

/// Whether the request comes from a page of this server or from a program that is not a browser. A browser that hides
/// its origin may have left its cookies out, so it does not count.
pub(super) fn is_own(headers: &HeaderMap, app: &AppState) -> bool {
    match provenance(headers, app) {
        Provenance::Own => true,
        Provenance::Unknown => !headers.contains_key(header::ORIGIN),
        Provenance::OtherAddress | Provenance::Foreign => false,
    }
}

/// Whether the browser leaves its `SameSite=Lax` cookies out of the request (RFC 6265bis §5.6.7.1): it does for
/// cross-site requests other than top-level navigations with a safe method.
fn lacks_cookies(method: &Method, headers: &HeaderMap, app: &AppState) -> bool {
    let says = |name: &str, value: &str| headers.get(name).is_some_and(|said| said == value);
    if method.is_safe() {
        let is_navigation = says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document");
        says("sec-fetch-site", "cross-site") && !is_navigation
    } else {
        match provenance(headers, app) {
            Provenance::Own => false,
            // A hidden origin with the browser cookie present cannot be cross-site.
            Provenance::Unknown => says("origin", "null") && !browser::has_cookie(app, headers),
            // Another host of the same site sends `SameSite=Lax` cookies.
            Provenance::OtherAddress | Provenance::Foreign => !says("sec-fetch-site", "same-site"),
        }
    }
}

/// Removes `Set-Cookie` from the response to a request that came without the browser's cookies.
pub async fn layer(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let lacks_cookies = lacks_cookies(request.method(), request.headers(), &app);
    let mut response = next.run(request).await;
    if lacks_cookies {
        response.headers_mut().remove(header::SET_COOKIE);
    }
    response
}
