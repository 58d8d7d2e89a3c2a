//! The user's own pages, below `/account`.
//!
//! Each page has its own module: [`home`], [`passkeys`], [`password`], [`sessions`], [`apps`] and
//! [`api_keys`]. [`views`] holds the values for their templates.

pub mod api_keys;
pub mod apps;
pub mod home;
pub mod passkeys;
pub mod password;
pub mod sessions;
pub mod views;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};

use crate::app::AppState;
use crate::web::extract::SignedIn;
use crate::web::flash::Flash;
use crate::web::urls::{ACCOUNT, PASSKEYS, PASSWORD};

pub fn routes() -> Router<AppState> {
    Router::new()
        .route(ACCOUNT, get(home::show))
        .route(PASSKEYS, get(passkeys::show))
        .route("/account/passkeys/options", post(passkeys::options))
        .route("/account/passkeys/finish", post(passkeys::finish))
        .route("/account/passkeys/{id}/rename", post(passkeys::rename))
        .route("/account/passkeys/{id}/delete", post(passkeys::delete))
        .route(PASSWORD, get(password::show).post(password::submit))
        .route("/account/sessions", get(sessions::show))
        .route("/account/sessions/end-others", post(sessions::end_others))
        .route("/account/sessions/{id}/end", post(sessions::end))
        .route("/account/apps", get(apps::show))
        .route("/account/apps/{client}/revoke", post(apps::revoke))
        .route("/account/api-keys", get(api_keys::show))
        .route("/account/api-keys/new/{gate}", get(api_keys::show_new).post(api_keys::create))
        .route("/account/api-keys/{id}/revoke", post(api_keys::revoke))
}

/// Redirects to a page of the account, which shows the message.
fn redirect_with_flash(person: &SignedIn, flash: Flash, to: &str) -> Response {
    flash.redirect(person.app(), &person.visitor.browser, to)
}
