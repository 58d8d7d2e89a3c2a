//! A form from a page that was shown in another session of this browser: the user has signed out, signed in again or
//! switched accounts since the page was opened. The form is not processed. A page shows its fields again, except
//! passwords and responses of authenticators, with a token of the current session. The signed-in user decides whether
//! to send it.
//!
//! See also [`super::signed_in`], whose forms these are, and [`super::recent`], for forms that wait for a sign-in.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::recent::{self, CONTINUE};
use super::signed_in::SignedIn;
use super::visitor::Visitor;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::web::edit;
use crate::web::error::render;
use crate::web::urls;
use crate::web::view::{Chrome, visible};

/// Fields that the user has not entered and that cannot be used twice.
const OMITTED_FIELDS: [&str; 3] = ["csrf", "ticket", "credential"];
/// The name of the search button.
const FIND_GROUPS: &str = "find_groups";
/// Fields that the user must enter again.
const PASSWORDS: [&str; 2] = ["password", "current"];
/// A longer value is shown in a multi-line field.
const MAX_LINE_LENGTH: usize = 60;

#[derive(Template)]
#[template(path = "pages/stale_form.html")]
struct StaleFormPage<'a> {
    chrome: Chrome,
    csrf: String,
    action: &'a str,
    /// The name of the signed-in user.
    user: Option<&'a str>,
    sign_in: String,
    fields: Vec<StaleField<'a>>,
}

struct StaleField<'a> {
    name: &'a str,
    label: String,
    value: &'a str,
    kind: StaleFieldKind,
}

#[derive(PartialEq, Eq)]
enum StaleFieldKind {
    Line,
    Lines,
    Password,
    /// Not entered by the user, and not shown.
    Hidden,
}

impl StaleField<'_> {
    fn is_password(&self) -> bool {
        self.kind == StaleFieldKind::Password
    }

    fn has_lines(&self) -> bool {
        self.kind == StaleFieldKind::Lines
    }

    fn is_hidden(&self) -> bool {
        self.kind == StaleFieldKind::Hidden
    }
}

/// Returns the page that shows the fields of `form` again. The form was sent to `to`.
pub(super) fn page(person: &SignedIn, form: &Parameters, to: &str) -> Response {
    let interrupted = match form.one(CONTINUE).ok().flatten() {
        Some(sealed) => {
            let Some(fields) = recent::interrupted_fields(person.app(), sealed, person.user.id, to) else {
                let text = "Another account sent the form of this page. Nothing was done: go back and start again.";
                let error = person.error(OAuthError::new(ErrorCode::InvalidRequest, text));
                return error.titled("This page is out of date").into_response();
            };
            Some(fields)
        }
        None => None,
    };
    let form = interrupted.as_ref().unwrap_or(form);
    tracing::warn!("a form of another session was shown again");
    let name = visible(person.user.display_name());
    (StatusCode::CONFLICT, render(&shown(&person.visitor, Some(&name), form, to, ""))).into_response()
}

/// Returns the same page for a browser whose session has ended, or `None` if the form has no field that would have to
/// be entered again. `next` is where the user continues after signing in.
pub(super) fn signed_out(visitor: &Visitor, form: &Parameters, to: &str, next: &str) -> Option<Response> {
    let page = shown(visitor, None, form, to, next);
    let is_typed = |field: &StaleField<'_>| !field.is_hidden() && !field.value.is_empty();
    if form.has(CONTINUE) || !page.fields.iter().any(is_typed) {
        return None;
    }
    tracing::warn!("a form of a session that has ended was shown again");
    Some((StatusCode::FORBIDDEN, render(&page)).into_response())
}

fn shown<'a>(
    visitor: &Visitor,
    person: Option<&'a str>,
    form: &'a Parameters,
    to: &'a str,
    next: &str,
) -> StaleFormPage<'a> {
    let fields = form.pairs().filter(|(name, _)| !OMITTED_FIELDS.contains(name));
    StaleFormPage {
        chrome: Chrome::of(&visitor.app),
        csrf: visitor.form_token(),
        action: to,
        user: person,
        sign_in: urls::login_with_next(next),
        fields: fields.map(|(name, value)| field(name, value)).collect(),
    }
}

/// Returns the error page for a form with an unknown token.
pub(super) fn unknown_form(person: &SignedIn) -> Response {
    let text = if person.visitor.browser.is_new {
        "Your browser sent a part of our cookies only. Allow cookies for this site, then open the page again."
    } else {
        "The form was made by no page that this browser was shown. Open the page again and send it from there."
    };
    let error = person.error(OAuthError::new(ErrorCode::InvalidRequest, text));
    error.titled("The form wasn’t accepted").into_response()
}

fn field<'a>(name: &'a str, value: &'a str) -> StaleField<'a> {
    let is_password = PASSWORDS.contains(&name);
    let kind = match value {
        _ if is_password => StaleFieldKind::Password,
        _ if name.starts_with(edit::PREFIX) || name == FIND_GROUPS => StaleFieldKind::Hidden,
        value if value.contains('\n') || value.chars().count() > MAX_LINE_LENGTH => StaleFieldKind::Lines,
        _ => StaleFieldKind::Line,
    };
    let mut label = name.replace(['_', '-'], " ");
    if let Some(first) = label.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    StaleField { name, label, value: if is_password { "" } else { value }, kind }
}
