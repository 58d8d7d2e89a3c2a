//! The page that apps embed to ask whether the browser's session is still the one they know (OpenID Connect Session
//! Management 1.0 §3.2). It looks at no cookie here: its script does in the browser, and answers the app's messages.

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
    /// The name of the cookie with the browser's state.
    cookie: String,
    version: &'static str,
}

pub async fn show(State(app): State<AppState>) -> Response {
    let page = CheckSessionPage { cookie: session_state::cookie_name(&app), version: statics::version() };
    (axum::Extension(AllowFraming), render(&page)).into_response()
}
