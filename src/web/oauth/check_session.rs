//! The page that clients embed to learn whether the browser's session has changed (OpenID Connect Session Management
//! 1.0 §3.2). The server reads no cookie for it: its script reads the cookie in the browser and answers the messages
//! of the client's page.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::app::AppState;
use crate::web::error::render;
use crate::web::layers::AllowFraming;
use crate::web::{session_state, statics};

#[derive(Template)]
#[template(path = "pages/check_session.html")]
struct CheckSessionPage {
    /// The name of the session state cookie.
    cookie: String,
    version: &'static str,
}

pub async fn show(State(app): State<AppState>) -> Response {
    let page = CheckSessionPage { cookie: session_state::cookie_name(&app), version: statics::version() };
    (axum::Extension(AllowFraming), render(&page)).into_response()
}
