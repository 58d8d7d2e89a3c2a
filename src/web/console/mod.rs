//! The administrator's pages, below `/admin`. They change state only through `manage`. Every handler takes
//! the extractor `Admin` or `AdminForm`, which rejects users who are not administrators.
//!
//! - [`overview`] and [`start`]: the overview, and the first steps after set-up.
//! - [`clients`], [`new_client`] and [`client`]: the table, a new client and one client. [`api_keys`] and
//!   [`signature_keys`] manage a client's keys. [`client_form`] converts the forms to metadata,
//!   [`client_edit`] merges edits, and [`client_members`] and [`metadata_fields`] define the rarely used
//!   settings.
//! - [`registration`]: dynamic client registration.
//! - [`apis`] and [`api`]: the table with the form for a new API, and one API. [`api_form`] and [`api_rules`]
//!   convert the form, and [`api_edit`] merges edits.
//! - [`refusals`] and [`reason_texts`]: rejected requests, and explanations of the reasons.
//! - [`users`] and [`user`]: the table with the form for a new user, and one user. [`user_access`] manages
//!   credentials and sessions, [`user_edit`] saves and merges edits, and [`adoption`] asks for confirmation
//!   before a self-registered account gets rights.
//! - [`groups`]: the group pickers of the forms.
//! - [`keys`]: the server's keys.
//! - [`events`] and [`event_rows`]: the audit record.
//! - [`listing`]: the parts that all tables share.
//! - [`views`]: the template values.

mod adoption;
pub mod api;
mod api_edit;
mod api_form;
pub mod api_keys;
mod api_rules;
pub mod apis;
pub mod client;
mod client_edit;
mod client_form;
mod client_members;
pub mod clients;
pub mod event_rows;
pub mod events;
mod groups;
pub mod keys;
mod listing;
mod metadata_fields;
pub mod new_client;
pub mod overview;
mod reason_texts;
pub mod refusals;
pub mod registration;
pub mod signature_keys;
pub mod start;
pub mod user;
pub mod user_access;
mod user_edit;
pub mod users;
pub mod views;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::app::AppState;
use crate::manage::{Conflict, ManageError};
use crate::web::error::{PageError, render};
use crate::web::extract::SignedIn;
use crate::web::flash::Flash;
use crate::web::urls::{APIS, CONSOLE, START};

pub fn routes() -> Router<AppState> {
    Router::new()
        .route(CONSOLE, get(overview::show))
        .route(START, get(start::show))
        .route("/admin/clients", get(clients::list))
        .route("/admin/clients/new", get(new_client::kinds))
        .route("/admin/clients/new/{kind}", get(new_client::show).post(new_client::submit))
        .route("/admin/clients/{id}", get(client::show).post(client::save))
        .route("/admin/clients/{id}/disable", post(client::disable))
        .route("/admin/clients/{id}/enable", post(client::enable))
        .route("/admin/clients/{id}/rotate-secret", post(client::rotate_secret))
        .route("/admin/clients/{id}/delete", get(client::ask_delete).post(client::delete))
        .route("/admin/clients/{id}/api-keys", get(api_keys::show))
        .route("/admin/clients/{id}/api-keys/new/{gate}", get(api_keys::show_new).post(api_keys::create))
        .route("/admin/clients/{id}/api-keys/{key}/revoke", post(api_keys::revoke))
        .route("/admin/clients/{id}/signature-keys", get(signature_keys::show).post(signature_keys::add))
        .route("/admin/clients/{id}/signature-keys/remove", post(signature_keys::remove))
        .route("/admin/registration", get(registration::show).post(registration::create))
        .route("/admin/registration/tokens/{id}/revoke", post(registration::revoke))
        .route(APIS, get(apis::list))
        .route("/admin/apis/new", get(apis::show_new).post(apis::submit_new))
        .route("/admin/apis/{id}", get(api::show).post(api::save))
        .route("/admin/apis/{id}/delete", get(api::ask_delete).post(api::delete))
        .route("/admin/people", get(users::list))
        .route("/admin/people/new", get(users::show_new).post(users::submit_new))
        .route("/admin/people/{id}", get(user::show).post(user_edit::save))
        .route("/admin/people/{id}/groups", post(user_edit::set_groups))
        .route("/admin/people/{id}/password", post(user_access::set_password))
        .route("/admin/people/{id}/api-keys/revoke", post(api_keys::revoke_for_user))
        .route("/admin/people/{id}/passkeys/remove", post(user_access::remove_passkey))
        .route("/admin/people/{id}/sessions/end", post(user_access::end_session))
        .route("/admin/people/{id}/sessions/end-all", post(user_access::end_sessions))
        .route("/admin/people/{id}/disable", post(user::disable))
        .route("/admin/people/{id}/enable", post(user::enable))
        .route("/admin/people/{id}/delete", get(user::ask_delete).post(user::delete))
        .route("/admin/refusals", get(refusals::show))
        .route("/admin/events", get(events::list))
        .route("/admin/keys", get(keys::show))
        .route("/admin/keys/{alg}/rotate", post(keys::rotate))
        .route("/admin/keys/{kid}/retire", get(keys::ask_retire).post(keys::retire))
}

/// Redirects to a page, which shows the message.
fn redirect_with_flash(user: &SignedIn, flash: Flash, to: &str) -> Response {
    flash.redirect(user.app(), &user.visitor.browser, to)
}

/// Renders a form again, with the submitted values and their errors.
fn rerender(status: StatusCode, page: &impl askama::Template) -> Response {
    (status, render(page)).into_response()
}

/// The errors of a form: field (empty for the form as a whole) and message.
pub(super) type FieldErrors = Vec<(String, String)>;

fn at(field: &str, text: &str) -> FieldErrors {
    vec![(field.to_owned(), text.to_owned())]
}

/// Returns the status and the messages for the form. Errors that no change of the form can resolve become an
/// error page.
pub(super) fn form_errors(user: &SignedIn, error: ManageError) -> Result<(StatusCode, FieldErrors), PageError> {
    let errors = match error {
        ManageError::Invalid(problems) | ManageError::Taken(problems) => {
            problems.into_iter().map(|problem| (problem.field.clone(), problem.sentence())).collect()
        }
        ManageError::Conflict(conflict @ Conflict::LastAdministrator(_)) => at("admin", &format!("{conflict}.")),
        // The text begins with a name, so its first letter is not capitalised.
        ManageError::Conflict(conflict) => at("", &format!("{conflict}.")),
        ManageError::Busy => {
            let text = "Many people are signing in right now. Try again in a moment.";
            return Ok((StatusCode::SERVICE_UNAVAILABLE, at("", text)));
        }
        other => return Err(failed(user, other)),
    };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, errors))
}

/// Returns the error page for an error that the form did not cause.
fn failed(user: &SignedIn, error: ManageError) -> PageError {
    match error {
        ManageError::NotFound(_) => user.not_found("This page no longer exists: what it showed was deleted."),
        other => user.error(other),
    }
}
