//! `/admin/people/{id}`: a user's credentials and sessions: a new password, passkeys, and where the user is
//! signed in. See also [`super::user`], for the page and its other actions.

use axum::response::Response;

use super::user::{found, page};
use super::views::users::PasswordForm;
use super::{failed, form_errors, redirect_with_flash, rerender};
use crate::domain::ids::{PasskeyId, SessionId, UserId};
use crate::domain::secret::Secret;
use crate::manage::access::KeepOptions;
use crate::manage::{ManageError, passkeys, users as manage};
use crate::web::error::PageError;
use crate::web::extract::{AdminForm, PathParam};
use crate::web::flash::Flash;
use crate::web::{sign_in, urls};

pub async fn set_password(PathParam(id): PathParam<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let user = found(person, id).await?;
    let own = id == person.user.id;
    let password = Secret::new(form.text("password").to_owned());
    let but = own.then_some(person.session.id);
    let keep = KeepOptions {
        passkeys: form.ticked("keep_passkeys"),
        api_keys: form.ticked("keep_api_keys"),
        ..KeepOptions::default()
    };
    match manage::reset(&person.app().manager(), &person.by(), id, password, keep, but).await {
        Ok((_, removed)) => {
            // If the session has ended, with its passkey or because another administrator ended it, the next
            // page asks to sign in.
            if own {
                sign_in::renew(&person.visitor).await?;
            }
            let flash = Flash::ok(format!("The password is set. Removed: {removed}."));
            Ok(redirect_with_flash(person, flash, &urls::console_user(id)))
        }
        Err(error) => {
            let (status, errors) = form_errors(person, error)?;
            let mut page = page(person, &user).await?;
            page.password = PasswordForm { keep_passkeys: keep.passkeys, keep_api_keys: keep.api_keys, errors };
            Ok(rerender(status, &page))
        }
    }
}

pub async fn end_session(PathParam(id): PathParam<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let gone = Flash::bad("That session has ended already.");
    let flash = match form.text("session").parse::<SessionId>() {
        Err(_) => gone,
        Ok(session) => match manage::end_session(&person.app().manager(), &person.by(), id, session).await {
            Ok(()) => Flash::ok("Signed out there."),
            Err(ManageError::NotFound(_)) => gone,
            Err(error) => return Err(person.error(error)),
        },
    };
    Ok(redirect_with_flash(person, flash, &urls::console_user(id)))
}

pub async fn end_sessions(PathParam(id): PathParam<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let ended = manage::end_sessions(&person.app().manager(), &person.by(), id, None).await;
    ended.map_err(|error| failed(person, error))?;
    Ok(redirect_with_flash(person, Flash::ok("Signed out everywhere."), &urls::console_user(id)))
}

pub async fn remove_passkey(PathParam(id): PathParam<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    form.complete(&["passkey"])?;
    found(person, id).await?;
    let gone = Flash::bad("That passkey is gone already.");
    let flash = match form.text("passkey").parse::<PasskeyId>() {
        Err(_) => gone,
        Ok(passkey) => match passkeys::remove(&person.app().manager(), &person.by(), id, passkey).await {
            Ok(ended) => {
                Flash::ok(format!("The passkey is removed. It no longer signs anybody in. Ended with it: {ended}."))
            }
            Err(ManageError::NotFound(_)) => gone,
            Err(error) => return Err(failed(person, error)),
        },
    };
    Ok(redirect_with_flash(person, flash, &urls::console_user(id)))
}
