//! Where a browser's request comes from, by Fetch Metadata (`Sec-Fetch-*`) and `Origin` (RFC 6454 §7).
//!
//! A form of another site reaches us without our `SameSite=Lax` cookies, so to us its browser looks like a new one.
//! [`layer`] keeps the answer from setting cookies: they would replace those that the browser has.
//! Next door: `extract::visitor`, which takes forms from our own pages alone; [`super::browser`], the cookie at stake.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::app::App;

/// Whether the request comes from one of our own pages, or does not say.
pub(super) fn is_own(headers: &HeaderMap, app: &App) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let same_site = text("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    // `null` is what a browser says of a page whose referrer policy hides where it is.
    let same_origin = text("origin").is_none_or(|origin| {
        origin == app.config.issuer.origin() || (origin == "null" && text("sec-fetch-site") == Some("same-origin"))
    });
    same_site && same_origin
}

/// Whether the browser leaves its `SameSite=Lax` cookies out of the request (RFC 6265bis §5.6.7.1): one that another site
/// has caused, unless it is a top-level navigation by a safe method.
fn lacks_cookies(method: &Method, headers: &HeaderMap, app: &App) -> bool {
    let says = |name: &str, value: &str| headers.get(name).is_some_and(|said| said == value);
    if method.is_safe() {
        let is_navigation = says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document");
        says("sec-fetch-site", "cross-site") && !is_navigation
    } else {
        !is_own(headers, app)
    }
}

/// Takes `Set-Cookie` out of the answer to a request that came without the browser's cookies.
pub async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    let lacks_cookies = lacks_cookies(request.method(), request.headers(), &app);
    let mut response = next.run(request).await;
    if lacks_cookies {
        response.headers_mut().remove(header::SET_COOKIE);
    }
    response
}
