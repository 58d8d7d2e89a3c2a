//! A person's own pages, below `/account`: who am I, how do I sign in, where am I signed in, which apps may do what.
//!
//! One file a page: [`home`], [`passkeys`], [`password`], [`sessions`], [`apps`], [`api_keys`]; [`views`] what their templates show.

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

/// Back to a page of one's own, which says what was done.
fn redirect_with_flash(person: &SignedIn, flash: Flash, to: &str) -> Response {
    flash.redirect(person.app(), &person.visitor.browser, to)
}
