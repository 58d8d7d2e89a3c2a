//! The cookie with the session state (OpenID Connect Session Management 1.0 §3.2). The script of the check-session
//! page reads it in a frame on the client's page. It grants no access.
//!
//! See also `oauth::check_session`, the page in the frame, and `protocol::session_management`, which computes the
//! state.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use super::browser;
use super::sessions::{SESSION_KEY, SessionData};
use crate::app::AppState;

pub fn cookie_name(app: &AppState) -> String {
    browser::cookie_name(app, "session-state")
}

/// Sets the session state cookie, and removes it once the session has ended.
pub async fn layer(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let tower = request.extensions().get::<tower_sessions::Session>().cloned();
    let present = browser::value(request.headers(), &cookie_name(&app)).map(ToOwned::to_owned);
    // A request from another site comes without the session cookie, even if there is a session. The browser cookie is
    // sent under the same rules, and every browser with a session has one. If it is missing, the request does not
    // show whether there is a session, and the cookie is kept.
    let tells_of_sessions = browser::value(request.headers(), &browser::cookie_name(&app, "browser")).is_some();
    let mut response = next.run(request).await;
    let carried = match &tower {
        Some(tower) => tower.get::<SessionData>(SESSION_KEY).await,
        None => return response,
    };
    let change = match (carried, present) {
        (Ok(Some(carried)), present) => {
            let state = app.provider.browser_state(carried.id);
            let seconds = carried.remembered.then(|| carried.expires_at.since(carried.read_at) / 1000);
            (present.as_ref() != Some(&state)).then(|| cookie(&app, &state, seconds))
        }
        (Ok(None), Some(_)) if tells_of_sessions => Some(cookie(&app, "", Some(0))),
        // If the session cannot be read, a handler has reported the error.
        (Ok(None) | Err(_), _) => None,
    };
    response.headers_mut().extend(change.flatten().map(|cookie| (header::SET_COOKIE, cookie)));
    response
}

/// Returns the cookie. It is readable by scripts and in frames on other sites, for which browsers require `Secure`.
/// Over plain HTTP it only works in frames on the same site. `seconds` is the lifetime of the session cookie; `None`
/// means until the browser is closed.
fn cookie(app: &AppState, state: &str, seconds: Option<i64>) -> Option<HeaderValue> {
    let name = cookie_name(app);
    let site = if app.config.is_https() { "SameSite=None; Secure" } else { "SameSite=Lax" };
    let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    HeaderValue::from_str(&format!("{name}={state}; Path=/; {site}{age}")).ok()
}
