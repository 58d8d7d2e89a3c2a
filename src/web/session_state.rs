//! The cookie by which an app's page sees whether the browser's session is still the same (OpenID Connect Session
//! Management 1.0 §3.2): readable by our own script in a frame of the app's, and worth nothing.
//!
//! Next door: `oauth::check_session`, the page in the frame; `protocol::session_management`, the state itself.

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

/// Gives the browser the state of its session, and takes it back when the session has ended.
pub async fn layer(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let tower = request.extensions().get::<tower_sessions::Session>().cloned();
    let present = browser::value(request.headers(), &cookie_name(&app)).map(ToOwned::to_owned);
    // A request from another site comes without the session's cookie, whether there is one or not; the browser's own
    // travels in the same way, and every browser with a session has it.
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
        // Where it cannot be read, a handler has said so.
        (Ok(None) | Err(_), _) => None,
    };
    response.headers_mut().extend(change.flatten().map(|cookie| (header::SET_COOKIE, cookie)));
    response
}

/// For scripts, and for frames on other sites, which a browser allows with `Secure` alone; on plain http it reaches pages
/// of the same site. `seconds` as the session's own cookie has them: none until the browser is closed.
fn cookie(app: &AppState, state: &str, seconds: Option<i64>) -> Option<HeaderValue> {
    let name = cookie_name(app);
    let site = if app.config.is_https() { "SameSite=None; Secure" } else { "SameSite=Lax" };
    let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    HeaderValue::from_str(&format!("{name}={state}; Path=/; {site}{age}")).ok()
}
