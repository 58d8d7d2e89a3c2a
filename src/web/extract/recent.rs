//! Requires a recent sign-in before sensitive changes (setting `lifetimes.recent_sign_in`), with a passkey if the
//! account has one. The interrupted form is not lost: the sign-in page carries it, sealed for the session, the user
//! and the path. It comes back to the same path together with the password or passkey, and is then handled as if it
//! had just been sent.
//!
//! See also [`super::signed_in`], whose forms require it, and [`crate::web::sign_in`], which begins the new session.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::signed_in::SignedIn;
use super::stale;
use super::visitor::MAX_FIELDS;
use crate::app::AppState;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::secret::Secret;
use crate::domain::session::Session;
use crate::domain::user::Username;
use crate::env::Timestamp;
use crate::identity::login::{self, LoginError};
use crate::identity::passkey::{CeremonyResponse, PasskeyError};
use crate::keys::seal;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::store::{StoreError, passkeys};
use crate::web::error::{PageError, render};
use crate::web::sign_in::{self, Proof};
use crate::web::view::{Chrome, visible};

const USAGE: &str = "interrupted-form";
/// The field with the sealed form.
pub(super) const CONTINUE: &str = "continue";
/// How long an interrupted form may wait for the sign-in.
const FORM_TTL_SECONDS: i64 = 15 * 60;
/// The maximum size of a form that can be interrupted. Sealing makes it half as long again.
pub const MAX_FORM_BYTES: usize = 64 * 1024;

/// A form that waits for a recent sign-in. It may hold a password, so it has no `Debug`.
#[derive(Serialize, Deserialize)]
struct InterruptedForm {
    session: SessionId,
    user: UserId,
    /// The path and query of the request.
    to: String,
    /// `application/x-www-form-urlencoded`
    fields: String,
    /// By the database's clock.
    until: Timestamp,
}

#[derive(Template)]
#[template(path = "pages/confirm_sign_in.html")]
struct ConfirmSignInPage<'a> {
    chrome: Chrome,
    csrf: String,
    action: &'a str,
    sealed: &'a str,
    name: &'a str,
    username: &'a str,
    /// Whether a passkey is asked for instead of the password.
    passkey: bool,
    problem: Option<SignInProblem>,
}

impl ConfirmSignInPage<'_> {
    fn fields_are_wrong(&self) -> bool {
        self.problem.as_ref().is_some_and(|problem| problem.at_fields)
    }
}

/// The reason why the sign-in was rejected.
struct SignInProblem {
    status: StatusCode,
    lead: &'static str,
    text: String,
    at_fields: bool,
}

impl SignInProblem {
    fn new(lead: &'static str, text: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, lead, text: text.into(), at_fields: false }
    }
}

/// Returns whether the session's sign-in is recent and used the strongest method that the account has. A passkey that
/// was added in this session is required at the next sign-in only.
pub fn is_recent(app: &AppState, session: &Session) -> bool {
    session.has_recent_sign_in(app.config.lifetimes.recent_sign_in)
        && (session.used_strongest_method || !app.passkeys.available())
}

/// Whether the user has a passkey that works at the issuer's address.
async fn has_passkey(app: &AppState, user: UserId) -> Result<bool, StoreError> {
    Ok(app.passkeys.available() && passkeys::count(app.store().read(), user).await? > 0)
}

/// Returns the form that was sent to `to`, and its user with a recent sign-in.
///
/// # Errors
/// A page that asks for the sign-in, or an error page.
pub(super) async fn settle(
    mut person: SignedIn,
    form: Parameters,
    to: &str,
) -> Result<(SignedIn, Parameters), Response> {
    let failed = |error: StoreError| person.error(error).into_response();
    let sealed = form.one(CONTINUE).ok().flatten();
    let Some(sealed) = sealed else {
        let fields = form.without(&["csrf"]).encoded();
        if fields.len() > MAX_FORM_BYTES {
            return Err(invalid(&person, "The form is too large."));
        }
        if is_recent(person.app(), &person.session) {
            return Ok((person, form));
        }
        let sealed = interrupt(&person, fields, to).map_err(IntoResponse::into_response)?;
        let passkey = has_passkey(person.app(), person.user.id).await.map_err(failed)?;
        return Err(page(&person, to, &sealed, passkey, None));
    };
    let fields = match resume(&person, sealed, to) {
        Some(ResumedForm::Waiting(fields)) => fields,
        // The page shows the fields again. Sending them requires the sign-in once more.
        Some(ResumedForm::Late(fields)) => return Err(stale::page(&person, &fields, to)),
        None => {
            let text = "The page is another account’s. Nothing was changed: go back and start again.";
            return Err(invalid(&person, text));
        }
    };
    let passkey = has_passkey(person.app(), person.user.id).await.map_err(failed)?;
    let proved = if passkey { by_passkey(&person, &form).await } else { verify_password(&person, &form).await };
    let proof = match proved.map_err(IntoResponse::into_response)? {
        Ok(proof) => proof,
        Err(problem) => return Err(page(&person, to, sealed, passkey, problem)),
    };
    let begun = sign_in::begin(&person.visitor, &person.user, proof, person.session.remembered).await;
    // If the old session has ended meanwhile, this is a new one.
    person.session = begun.map_err(IntoResponse::into_response)?;
    person.visitor.session = Some(person.session.clone());
    Ok((person, fields))
}

fn invalid(person: &SignedIn, text: &'static str) -> Response {
    person.error(OAuthError::new(ErrorCode::InvalidRequest, text)).into_response()
}

fn interrupt(person: &SignedIn, fields: String, to: &str) -> Result<String, PageError> {
    let until = person.session.read_at.plus_seconds(FORM_TTL_SECONDS);
    let interrupted =
        InterruptedForm { session: person.session.id, user: person.user.id, to: to.to_owned(), fields, until };
    let plain = serde_json::to_vec(&interrupted).ok();
    let sealed = plain.and_then(|plain| seal::seal(&person.app().provider.master, USAGE, &plain).ok());
    sealed.ok_or_else(|| person.error(OAuthError::new(ErrorCode::ServerError, "Something went wrong here.")))
}

/// An interrupted form of the current user, for the current path.
enum ResumedForm {
    /// In its own session, before it expired.
    Waiting(Parameters),
    /// In another session, or after [`FORM_TTL_SECONDS`].
    Late(Parameters),
}

fn resume(person: &SignedIn, sealed: &str, to: &str) -> Option<ResumedForm> {
    let form = open_sealed(person.app(), sealed)?;
    if form.user != person.user.id || form.to != to {
        return None;
    }
    let fields = Parameters::parse_at_most(MAX_FIELDS, form.fields.as_bytes()).ok()?;
    let is_waiting = form.session == person.session.id && form.until > person.session.read_at;
    Some(if is_waiting { ResumedForm::Waiting(fields) } else { ResumedForm::Late(fields) })
}

fn open_sealed(app: &AppState, sealed: &str) -> Option<InterruptedForm> {
    let plain = seal::open(&app.provider.master, USAGE, sealed).ok()?;
    serde_json::from_slice(&plain).ok()
}

/// Returns the fields of an interrupted form that `user` sent to `to`, in any session.
pub(super) fn interrupted_fields(app: &AppState, sealed: &str, user: UserId, to: &str) -> Option<Parameters> {
    let form = open_sealed(app, sealed).filter(|form| form.user == user && form.to == to)?;
    Parameters::parse_at_most(MAX_FIELDS, form.fields.as_bytes()).ok()
}

type ProofResult = Result<Result<Proof, Option<SignInProblem>>, PageError>;

async fn by_passkey(person: &SignedIn, form: &Parameters) -> ProofResult {
    let (Some(ticket), Some(credential)) = (text(form, "ticket"), text(form, "credential")) else {
        return Ok(Err(None));
    };
    let visitor = &person.visitor;
    let (app, browser) = (&visitor.app, visitor.browser.digest(&visitor.app));
    let reply = CeremonyResponse { ticket, credential, name: "" };
    Ok(match app.passkeys.finish_sign_in(app.store(), &browser, reply, &visitor.origin).await {
        Ok((user, id)) if user.id == person.user.id => Ok(Proof::Passkey(id)),
        Ok(_) => Err(Some(SignInProblem::new("That passkey is another account’s.", "Use one of your own."))),
        Err(PasskeyError::Store(error)) => return Err(person.error(error)),
        Err(PasskeyError::Stale) => Err(Some(SignInProblem::new("This page was open too long.", "Try once more."))),
        Err(error) => {
            tracing::warn!(%error, "a passkey was refused");
            Err(Some(SignInProblem::new("That passkey didn’t work.", "Try again, or use another device.")))
        }
    })
}

async fn verify_password(person: &SignedIn, form: &Parameters) -> ProofResult {
    let Some(password) = text(form, "password") else { return Ok(Err(None)) };
    let wrong = || SignInProblem {
        at_fields: true,
        ..SignInProblem::new("That didn’t match.", "Check the password, then try again.")
    };
    let typed = Username::folded(text(form, "username").unwrap_or_default());
    let own_email = person.user.sign_in_email().map(Username::folded);
    if !typed.is_empty() && typed != person.user.username.as_str() && Some(&typed) != own_email.as_ref() {
        let text = "To use another account, sign out first.";
        return Ok(Err(Some(SignInProblem::new("You’re signed in with another account.", text))));
    }
    let app = person.app();
    let knows = |user| person.visitor.browser.is_known_user(app, user);
    let typed = person.visitor.typed(person.user.username.as_str(), Secret::new(password.to_owned()), &knows);
    Ok(match login::confirm(app.store(), &app.hasher, &person.user, typed).await {
        Ok(()) => Ok(Proof::Password),
        Err(LoginError::NoMatch) => Err(Some(wrong())),
        Err(LoginError::TooMany(too_many)) => {
            let text = format!("Wait {}, then try again.", too_many.wait(app.env().now()));
            let status = StatusCode::TOO_MANY_REQUESTS;
            Err(Some(SignInProblem { status, ..SignInProblem::new("Too many tries.", text) }))
        }
        Err(LoginError::Busy) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(Some(SignInProblem {
                status,
                ..SignInProblem::new("Many people are signing in right now.", "Try again in a moment.")
            }))
        }
        Err(LoginError::Store(error)) => return Err(person.error(error)),
    })
}

fn text<'a>(form: &'a Parameters, name: &str) -> Option<&'a str> {
    form.one(name).ok().flatten()
}

fn page(person: &SignedIn, to: &str, sealed: &str, passkey: bool, problem: Option<SignInProblem>) -> Response {
    let status = problem.as_ref().map_or(StatusCode::FORBIDDEN, |problem| problem.status);
    let name = visible(person.user.display_name());
    let page = ConfirmSignInPage {
        chrome: Chrome::of(person.app()),
        csrf: person.visitor.form_token(),
        action: to,
        sealed,
        name: &name,
        username: person.user.username.as_str(),
        passkey,
        problem,
    };
    let mut response = (status, render(&page)).into_response();
    if status != StatusCode::FORBIDDEN {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    }
    response
}
