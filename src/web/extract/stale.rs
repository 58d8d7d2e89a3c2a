//! A form from a page that was shown in another session of this browser: the user has signed out, signed in again or as
//! another user since it was opened. Nothing is done for it. It is shown once more with what was typed, but for passwords and
//! answers of authenticators, and with a token of the current session: the signed-in user decides whether it is sent.
//!
//! Next door: [`super::signed_in`], whose forms these are; [`super::recent`], forms that wait for a sign-in.

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

/// Typed by nobody, and good for nothing a second time.
const OMITTED_FIELDS: [&str; 3] = ["csrf", "ticket", "credential"];
/// The button that searches.
const FIND_GROUPS: &str = "find_groups";
/// Typed once more.
const PASSWORDS: [&str; 2] = ["password", "current"];
/// A longer text gets a box of several lines.
const MAX_LINE_LENGTH: usize = 60;

#[derive(Template)]
#[template(path = "pages/stale_form.html")]
struct StaleFormPage<'a> {
    chrome: Chrome,
    csrf: String,
    action: &'a str,
    /// The signed-in user.
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
    /// Nobody has typed it, and nobody reads it.
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

/// The page that shows `form` again, which was sent to `to`.
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

/// The same for a browser whose session has ended; nothing where the form has nothing that would have to be typed again.
/// `next` is where the user goes after signing in.
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

/// The page for a form that no page of this browser has.
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
