//! The confirmation page before a self-registered account gets administrator rights or groups. Adopting the
//! account removes every credential by which its user signs in. The page carries the submitted fields as
//! hidden fields, and its answer is posted to the form that led to it.
//!
//! See also [`super::user_edit`], whose forms lead here.

use axum::response::Response;

use super::user::{INVALID, found};
use super::views::users::AdoptPage;
use super::{form_errors, redirect_with_flash, rerender};
use crate::domain::user::User;
use crate::manage::ManageError;
use crate::manage::users::{self as manage, Adoption};
use crate::web::edit;
use crate::web::error::PageError;
use crate::web::extract::{AdminForm, SignedIn};
use crate::web::flash::Flash;
use crate::web::urls;
use crate::web::view::{Chrome, visible};

/// Asks whether to adopt `user`. The page keeps the listed `fields` of the form that was sent to `part` of
/// the user's page, and the version of that form.
pub(super) async fn ask(form: &AdminForm, user: &User, part: &str, fields: &[&str]) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let mut typed = Vec::new();
    for name in fields {
        let values = form.all(name);
        // A field that was emptied is still sent, because an incomplete form is rejected.
        let values = if values.is_empty() && form.has(name) { vec![String::new()] } else { values };
        typed.extend(values.into_iter().map(|value| ((*name).to_owned(), value)));
    }
    let edit = form.fields().pairs().filter(|(name, _)| name.starts_with(edit::PREFIX));
    typed.extend(edit.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Ok(rerender(INVALID, &question(person, user, part, typed, None)))
}

/// Adopts `user` with the confirmed removal. Returns `None` if the user was changed meanwhile.
pub(super) async fn adopt(person: &SignedIn, user: &User, adoption: Adoption) -> Result<Option<Response>, PageError> {
    match manage::adopt(&person.app().manager(), &person.by(), user.id, adoption).await {
        Ok((user, removed)) => {
            let text = format!("{} is adopted. Removed: {removed}. Set a password for them.", user.display_name());
            Ok(Some(redirect_with_flash(person, Flash::ok(text), &urls::console_user(user.id))))
        }
        Err(ManageError::Changed) => Ok(None),
        Err(error) => {
            let (status, errors) = form_errors(person, error)?;
            let text = errors.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ");
            let user = found(person, user.id).await?;
            Ok(Some(rerender(status, &question(person, &user, "", Vec::new(), Some(text)))))
        }
    }
}

fn question(
    person: &SignedIn,
    user: &User,
    part: &str,
    typed: Vec<(String, String)>,
    refused: Option<String>,
) -> AdoptPage {
    let back = urls::console_user(user.id);
    AdoptPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: None,
        name: visible(user.display_name()),
        username: user.username.to_string(),
        action: format!("{back}{part}"),
        back,
        typed,
        refused,
    }
}
