//! `/account/passkeys`: adds, renames and removes passkeys (WebAuthn Level 3 §7.1). Adding and removing
//! require a recent sign-in, with a passkey if the user has one. Otherwise a stolen password would be enough
//! to replace the passkey.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::redirect_with_flash;
use super::views::{PasskeyForm, PasskeyLine, PasskeysPage};
use crate::domain::ids::PasskeyId;
use crate::domain::passkey::Passkey;
use crate::identity::passkey::{CeremonyResponse, MAX_PASSKEYS, PasskeyError};
use crate::manage::ManageError;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::store::{passkeys, users};
use crate::web::edit::{self, EditState, EditTarget, Editable, FormField, SubmittedForm};
use crate::web::error::{ApiError, PageError, render};
use crate::web::extract::{PathParam, RecentForm, ScriptRequest, SignedIn, SignedInForm, is_recent};
use crate::web::flash::Flash;
use crate::web::pages::passkey;
use crate::web::view::{Chrome, DisplayTime, visible};
use crate::web::{sign_in, urls};

const PATH: &str = "/account/passkeys";

pub async fn show(person: SignedIn) -> Result<Response, PageError> {
    Ok(render(&page(&person, None).await?))
}

/// Returns the page. If `typed` is given, the form of that passkey shows the submitted values.
async fn page(person: &SignedIn, typed: Option<(PasskeyId, PasskeyForm)>) -> Result<PasskeysPage, PageError> {
    let mut lines = Vec::new();
    for passkey in own(person).await? {
        let form = match &typed {
            Some((id, form)) if *id == passkey.id => form.clone(),
            _ => edit::begun(person, &EditTarget::Passkey(passkey.id), stored(&passkey))?,
        };
        lines.push(line(&passkey, person, form));
    }
    Ok(PasskeysPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        full: lines.len() >= MAX_PASSKEYS,
        passkeys: lines,
        available: person.app().passkeys.available(),
        again: urls::login_with_next(PATH),
    })
}

async fn own(person: &SignedIn) -> Result<Vec<Passkey>, PageError> {
    let found = passkeys::of_user(person.app().store().read(), person.user.id).await;
    found.map_err(|error| person.error(error))
}

fn stored(passkey: &Passkey) -> PasskeyForm {
    PasskeyForm { name: passkey.name.clone(), edit: EditState::default() }
}

impl Editable for PasskeyForm {
    fn fields(&self) -> Vec<FormField> {
        vec![FormField::text("name", "Name", &self.name)]
    }

    fn take(&mut self, _: &str, other: &Self) {
        self.name.clone_from(&other.name);
    }

    fn edit_mut(&mut self) -> &mut EditState {
        &mut self.edit
    }
}

fn line(passkey: &Passkey, person: &SignedIn, form: PasskeyForm) -> PasskeyLine {
    PasskeyLine {
        id: passkey.id.to_string(),
        name: visible(&passkey.name),
        created: DisplayTime::new(passkey.created_at.date()),
        last_used: passkey.last_used_at.map(|at| DisplayTime::new(at.date())),
        here: person.session.passkey == Some(passkey.id),
        form,
    }
}

/// Returns the WebAuthn creation options. 403 tells the script that the user has to sign in again.
pub async fn options(ask: ScriptRequest) -> Result<Response, ApiError> {
    let (visitor, app) = (&ask.visitor, &ask.visitor.app);
    let sign_in = || ApiError::with_status(StatusCode::FORBIDDEN, "A sign-in of the last minutes is needed.");
    if !ask.is_current() {
        return Err(OAuthError::new(ErrorCode::InvalidRequest, "The page was open too long.").into());
    }
    let session = visitor.session.as_ref().ok_or_else(sign_in)?;
    if !is_recent(app, session) {
        return Err(sign_in());
    }
    let user = users::by_id(app.store().read(), session.user).await.map_err(PasskeyError::from);
    let user = user.map_err(passkey::api_error)?.filter(|user| !user.disabled).ok_or_else(sign_in)?;
    let browser = visitor.browser.digest(app);
    let challenge = app.passkeys.begin_registration(app.store(), &user, browser).await.map_err(passkey::api_error)?;
    Ok(Json(challenge).into_response())
}

pub async fn finish(form: SignedInForm) -> Result<Response, PageError> {
    let (person, app) = (&form.signed_in, form.signed_in.app());
    let reply =
        CeremonyResponse { ticket: form.text("ticket"), credential: form.text("credential"), name: form.text("name") };
    let browser = person.visitor.browser.digest(app);
    let origin = person.visitor.origin.clone();
    let flash = match app.passkeys.finish_registration(app.store(), &person.session, &browser, reply, origin).await {
        Ok(()) => Flash::ok("The passkey is added. Next time, sign in with it."),
        Err(PasskeyError::Store(error)) => return Err(person.error(error)),
        Err(PasskeyError::Taken) => Flash::bad("That passkey is here already."),
        Err(PasskeyError::TooMany) => Flash::bad("There are enough passkeys. Remove one first."),
        Err(PasskeyError::Stale) => Flash::bad("That took too long. Add the passkey once more."),
        Err(error) => {
            tracing::warn!(%error, "a new passkey was refused");
            Flash::bad("That passkey didn’t work. Try again, or use another device.")
        }
    };
    Ok(redirect_with_flash(person, flash, PATH))
}

pub async fn rename(PathParam(id): PathParam<String>, form: SignedInForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let Ok(id) = id.parse::<PasskeyId>() else { return Ok(redirect_with_flash(person, result_flash(false, ""), PATH)) };
    let sent = SubmittedForm::read(person, form.fields(), &EditTarget::Passkey(id), PATH)?;
    edit::save(person, || try_rename(&form, id, &sent)).await
}

/// Returns `None` if the passkey was renamed or removed while the form was being saved.
async fn try_rename(
    form: &SignedInForm,
    id: PasskeyId,
    sent: &SubmittedForm<'_>,
) -> Result<Option<Response>, PageError> {
    let (person, app) = (&form.signed_in, form.signed_in.app());
    let Some(passkey) = own(person).await?.into_iter().find(|passkey| passkey.id == id) else {
        return Ok(Some(redirect_with_flash(person, result_flash(false, ""), PATH)));
    };
    let typed = PasskeyForm { name: form.text("name").to_owned(), edit: EditState::default() };
    let typed = edit::merge(person, sent, &EditTarget::Passkey(id), &stored(&passkey), typed).await?;
    if typed.edit.is_conflict() {
        let page = page(person, Some((id, typed))).await?;
        return Ok(Some((StatusCode::CONFLICT, render(&page)).into_response()));
    }
    let renamed = app.passkeys.rename(app.store(), &person.session, id, &passkey.name, &typed.name).await;
    let renamed = renamed.map_err(|error| failed(person, error))?;
    Ok(renamed.then(|| redirect_with_flash(person, result_flash(true, "The passkey has its new name."), PATH)))
}

/// Removes a passkey and ends all sessions that were signed in with it, including this one if it was.
pub async fn delete(PathParam(id): PathParam<String>, form: RecentForm) -> Result<Response, PageError> {
    let (person, app) = (&form.signed_in, form.signed_in.app());
    let Ok(id) = id.parse::<PasskeyId>() else { return Ok(redirect_with_flash(person, result_flash(false, ""), PATH)) };
    let removed = app.passkeys.remove(app.store(), &person.session, id, person.visitor.origin.clone()).await;
    let removed = removed.map_err(|error| failed(person, error))?;
    if removed && person.session.passkey == Some(id) {
        sign_in::forget(&person.visitor).await?;
    }
    let text = "The passkey is removed. It no longer signs you in, and what was signed in with it is signed out.";
    Ok(redirect_with_flash(person, result_flash(removed, text), PATH))
}

/// Converts the error of renaming or removing a passkey to an error page.
fn failed(person: &SignedIn, error: PasskeyError) -> PageError {
    match error {
        PasskeyError::Store(error) => person.error(error),
        _ => person.error(ManageError::SessionEnded),
    }
}

fn result_flash(done: bool, what: &str) -> Flash {
    if done { Flash::ok(what) } else { Flash::bad("There is no such passkey any more.") }
}
