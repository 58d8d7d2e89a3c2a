//! Where a browser's request comes from, by Fetch Metadata (`Sec-Fetch-*`) and `Origin` (RFC 6454 §7).
//!
//! A form of another site reaches us without our `SameSite=Lax` cookies, so to us its browser looks like a new one.
//! [`layer`] keeps the answer from setting cookies: they would replace those that the browser has.
//! Next door: `extract::visitor`, which takes forms from our own pages alone; [`super::browser`], the cookie at stake.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use super::browser;
use crate::app::AppState;

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provenance {
    /// One of our own pages.
    Own,
    /// The browser does not say, or hides it (`Origin: null`: a privacy extension, a referrer policy): the form's token,
    /// which only our own pages have, decides.
    Unknown,
    /// A page of this server, opened at another address than the issuer's.
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

/// Whether the request may come from one of our own pages: it does, or does not say.
pub(super) fn may_be_own(headers: &HeaderMap, app: &AppState) -> bool {
    matches!(provenance(headers, app), Provenance::Own | Provenance::Unknown)
}

/// Whether the request comes from one of our own pages, or from a program that is no browser. A browser that hides where it
/// comes from may have left its cookies out.
pub(super) fn is_own(headers: &HeaderMap, app: &AppState) -> bool {
    match provenance(headers, app) {
        Provenance::Own => true,
        Provenance::Unknown => !headers.contains_key(header::ORIGIN),
        Provenance::OtherAddress | Provenance::Foreign => false,
    }
}

/// Whether the browser leaves its `SameSite=Lax` cookies out of the request (RFC 6265bis §5.6.7.1): one that another site
/// has caused, unless it is a top-level navigation by a safe method.
fn lacks_cookies(method: &Method, headers: &HeaderMap, app: &AppState) -> bool {
    let says = |name: &str, value: &str| headers.get(name).is_some_and(|said| said == value);
    if method.is_safe() {
        let is_navigation = says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document");
        says("sec-fetch-site", "cross-site") && !is_navigation
    } else {
        match provenance(headers, app) {
            Provenance::Own => false,
            // A browser that hides where it comes from, and has our cookie with it, was not sent by another site.
            Provenance::Unknown => says("origin", "null") && !browser::has_cookie(app, headers),
            // Another host of the same site has those cookies with it.
            Provenance::OtherAddress | Provenance::Foreign => !says("sec-fetch-site", "same-site"),
        }
    }
}

/// Takes `Set-Cookie` out of the answer to a request that came without the browser's cookies.
pub async fn layer(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let lacks_cookies = lacks_cookies(request.method(), request.headers(), &app);
    let mut response = next.run(request).await;
    if lacks_cookies {
        response.headers_mut().remove(header::SET_COOKIE);
    }
    response
}
