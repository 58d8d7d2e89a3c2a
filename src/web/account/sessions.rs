//! `/account/sessions`: lists the user's sessions and signs out of them.

use axum::response::Response;

use super::redirect_with_flash;
use super::views::{SessionLine, SessionsPage};
use crate::domain::ids::SessionId;
use crate::manage::{ManageError, users};
use crate::store::sessions;
use crate::web::device;
use crate::web::error::{PageError, render};
use crate::web::extract::{PathParam, SignedIn, SignedInForm};
use crate::web::flash::Flash;
use crate::web::view::{Chrome, DisplayTime};

const PATH: &str = "/account/sessions";

pub async fn show(person: SignedIn) -> Result<Response, PageError> {
    let (app, here) = (person.app(), person.session.id);
    let found = sessions::of_user(app.store().read(), person.user.id, person.session.read_at).await;
    let mut found = found.map_err(|error| person.error(error))?;
    found.sort_by_key(|session| session.id != here);
    let line = |session: &crate::domain::session::Session| SessionLine {
        id: session.id.to_string(),
        device: device::describe(&session.user_agent),
        address: session.address.clone(),
        started: DisplayTime::new(session.created_at.date()),
        last_seen: DisplayTime::new(session.last_seen.date()),
        current: session.id == here,
    };
    Ok(render(&SessionsPage {
        chrome: Chrome::of(app),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        sessions: found.iter().map(line).collect(),
    }))
}

pub async fn end(PathParam(id): PathParam<String>, form: SignedInForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let gone = Flash::bad("That device is signed out already.");
    let flash = match id.parse::<SessionId>() {
        Err(_) => gone,
        Ok(id) if id == person.session.id => Flash::bad("To sign out here, use your menu above."),
        Ok(id) => match users::end_session(&person.app().manager(), &person.by(), person.user.id, id).await {
            Ok(()) => Flash::ok("That device is signed out."),
            Err(ManageError::NotFound(_)) => gone,
            Err(error) => return Err(person.error(error)),
        },
    };
    Ok(redirect_with_flash(person, flash, PATH))
}

pub async fn end_others(form: SignedInForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let keep = Some(person.session.id);
    let ended = users::end_sessions(&person.app().manager(), &person.by(), person.user.id, keep).await;
    let flash = match ended.map_err(|error| person.error(error))? {
        0 => Flash::ok("You weren’t signed in anywhere else."),
        1 => Flash::ok("The other device is signed out."),
        many => Flash::ok(format!("{many} other devices are signed out.")),
    };
    Ok(redirect_with_flash(person, flash, PATH))
}
