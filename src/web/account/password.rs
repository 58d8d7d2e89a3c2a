//! `/account/password`: changes the password, which requires the current one. Everything that was signed in
//! with the old password is signed out, except for this browser, whose cookie is replaced (NIST SP 800-63B-4
//! §5.1, OWASP ASVS 7.4.3).

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::redirect_with_flash;
use super::views::PasswordPage;
use crate::domain::secret::Secret;
use crate::identity::login::{self, LoginError};
use crate::manage::{ManageError, users};
use crate::web::error::{PageError, render};
use crate::web::extract::{RecentForm, SignedIn};
use crate::web::flash::Flash;
use crate::web::sign_in;
use crate::web::urls::ACCOUNT;
use crate::web::view::Chrome;

type PasswordErrors = Vec<(&'static str, String)>;

pub async fn show(person: SignedIn) -> Response {
    render(&page(&person, Vec::new()))
}

pub async fn submit(form: RecentForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let (status, errors) = match change(&form).await? {
        Ok(()) => {
            let flash = if sign_in::renew(&person.visitor).await? {
                Flash::ok("Your password is changed, and you’re signed out everywhere else.")
            } else {
                Flash::ok("Your password was changed, and your session was ended meanwhile.")
            };
            return Ok(redirect_with_flash(person, flash, ACCOUNT));
        }
        Err(refused) => refused,
    };
    Ok((status, render(&page(person, errors))).into_response())
}

async fn change(form: &RecentForm) -> Result<Result<(), (StatusCode, PasswordErrors)>, PageError> {
    let (person, app) = (&form.signed_in, form.signed_in.app());
    let new = Secret::new(form.text("password").to_owned());
    let problem = match users::password_problem(&app.manager(), &new).await {
        Ok(problem) => problem.map(|problem| ("password", problem.message)),
        Err(ManageError::Busy) => return Ok(Err(busy())),
        Err(error) => return Err(person.error(error)),
    };
    let knows = |user| person.visitor.browser.is_known_user(app, user);
    let current = Secret::new(form.text("current").to_owned());
    let typed = person.visitor.typed(person.user.username.as_str(), current, &knows);
    let mut errors: PasswordErrors = match login::confirm(app.store(), &app.hasher, &person.user, typed).await {
        Ok(()) => Vec::new(),
        Err(LoginError::NoMatch) => vec![("current", "That isn’t your present password.".to_owned())],
        Err(LoginError::TooMany(too_many)) => {
            let text = format!("Too many tries. Wait {}, then try again.", too_many.wait(app.env().now()));
            return Ok(Err((StatusCode::TOO_MANY_REQUESTS, vec![("form", text)])));
        }
        Err(LoginError::Busy) => return Ok(Err(busy())),
        Err(LoginError::Store(error)) => return Err(person.error(error)),
    };
    errors.extend(problem);
    if !errors.is_empty() {
        return Ok(Err((StatusCode::UNPROCESSABLE_ENTITY, errors)));
    }
    let (user, keep) = (person.user.id, Some(person.session.id));
    match users::set_password(&app.manager(), &person.by(), user, new, keep).await {
        Ok(_) => Ok(Ok(())),
        Err(ManageError::Busy) => Ok(Err(busy())),
        Err(ManageError::Invalid(problems)) => {
            let words = problems.into_iter().map(|problem| ("password", problem.message)).collect();
            Ok(Err((StatusCode::UNPROCESSABLE_ENTITY, words)))
        }
        Err(error) => Err(person.error(error)),
    }
}

fn busy() -> (StatusCode, PasswordErrors) {
    let text = "Many people are signing in right now. Try again in a moment.";
    (StatusCode::SERVICE_UNAVAILABLE, vec![("form", text.to_owned())])
}

fn page(person: &SignedIn, errors: PasswordErrors) -> PasswordPage {
    PasswordPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        username: person.user.username.to_string(),
        errors,
    }
}
