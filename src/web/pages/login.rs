//! Sign-in with a password, for a client's request (`/login/{id}`) or without one (`/login`). If the request has
//! ended meanwhile, the user is signed in nevertheless and gets a link back to the client.
//!
//! See also [`super::passkey`], which handles passkeys on the same page.

use std::sync::Arc;

use axum::extract::RawQuery;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::consent::signed_in as signed_in_here;
use super::views::{LoginMessage, LoginPage};
use super::{
    CARRIED_APP, SignInTarget, app_card, find, interaction_gone, requesting_app_card, resumed, waiting_client,
};
use crate::config::SignUpMode;
use crate::domain::client::Client;
use crate::domain::interaction::Interaction;
use crate::domain::secret::{Digest, Secret};
use crate::domain::user::User;
use crate::identity::login::{self, LoginError};
use crate::protocol::authorize::InteractionState;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::store::passkeys;
use crate::web::error::{PageError, render};
use crate::web::extract::{Form, PathParam, Visitor};
use crate::web::oauth::authorize::render_outcome;
use crate::web::sign_in::{self, Proof};
use crate::web::urls;
use crate::web::view::{AppCard, Chrome, visible};

const REQUEST_EXPIRED: &str =
    "The app’s request took too long, or was answered in another tab. Sign in, then go back to the app.";

pub async fn for_app(visitor: Visitor, PathParam(id): PathParam<String>) -> Result<Response, PageError> {
    let target = match sign_in_target(&visitor, &id).await? {
        Ok(target) => target,
        Err(goes_on) => return Ok(goes_on),
    };
    Ok(render(&page(&visitor, &target, "").await?))
}

/// Returns what the user signs in for on the page of an interaction. If no sign-in is needed any more, for example
/// after one in another tab, returns the response that continues.
pub(super) async fn sign_in_target(visitor: &Visitor, id: &str) -> Result<Result<SignInTarget, Response>, PageError> {
    let found = find(visitor, id, "").await?;
    let (id, asks) = match &found {
        None if signed_in_here(visitor).await?.is_some() => return Ok(Err(interaction_gone(visitor).await?)),
        None => return Ok(Ok(SignInTarget::Oneself)),
        Some(InteractionState::Waiting(waiting)) => {
            let asks = visitor.app.provider.needs_sign_in(waiting, visitor.session.as_ref()).await;
            (waiting.id, asks.map_err(|error| visitor.error(error))?)
        }
        Some(InteractionState::Ended(over)) => (over.id, signed_in_here(visitor).await?.is_none()),
    };
    Ok(if asks { Ok(found.into()) } else { Err(resumed(id)) })
}

pub async fn for_oneself(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let query = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(|error| visitor.error(error))?;
    let mut page = page(&visitor, &SignInTarget::Oneself, "").await?;
    page.set_next(local(query.one("next").ok().flatten().unwrap_or_default()));
    if query.one("another").ok().flatten().is_some() {
        page.clear_user();
    }
    Ok(render(&page))
}

pub async fn submit_for_app(PathParam(id): PathParam<String>, form: Form) -> Result<Response, PageError> {
    let target: SignInTarget = find(&form.visitor, &id, form.text(CARRIED_APP)?).await?.into();
    if form.text("decision")? == "deny" {
        return cancel(&form, &target).await;
    }
    submit(&form, &target).await
}

pub async fn submit_for_oneself(form: Form) -> Result<Response, PageError> {
    submit(&form, &SignInTarget::Oneself).await
}

async fn submit(form: &Form, target: &SignInTarget) -> Result<Response, PageError> {
    if !form.is_of_browser() {
        return rerender(form, target, form_rejection(form)).await;
    }
    match check(form).await? {
        Ok(user) => signed_in(form, target, &user, Proof::Password).await,
        Err(error) => rerender(form, target, error).await,
    }
}

/// Returns the status and message for a form whose token was not issued to this browser.
pub(super) fn form_rejection(form: &Form) -> (StatusCode, LoginMessage) {
    let visitor = &form.visitor;
    let host = visitor.app.config.issuer.host();
    let error = if visitor.browser.is_new { LoginMessage::no_cookie(&host) } else { LoginMessage::stale() };
    (StatusCode::BAD_REQUEST, error)
}

/// Returns to the client without a sign-in.
pub(super) async fn cancel(form: &Form, target: &SignInTarget) -> Result<Response, PageError> {
    let visitor = &form.visitor;
    match target {
        SignInTarget::App(waiting) if form.is_of_browser() => {
            let denied = OAuthError::new(ErrorCode::AccessDenied, "The person did not sign in.");
            let outcome = visitor.app.provider.end_with_error(waiting, visitor.session.as_ref(), denied).await;
            render_outcome(visitor, outcome).await
        }
        SignInTarget::App(waiting) => Ok(resumed(waiting.id)),
        SignInTarget::TooLate(over) => Ok(resumed(over.id)),
        SignInTarget::Oneself => Ok(Redirect::to("/").into_response()),
    }
}

/// Begins the session and continues with the client's request, if there is one. Adds `user` to the known users of the
/// browser.
pub(super) async fn signed_in(
    form: &Form,
    target: &SignInTarget,
    user: &User,
    proof: Proof,
) -> Result<Response, PageError> {
    let visitor = &form.visitor;
    let remember = form.text("remember")? == "1";
    let to = if let Some(id) = target.interaction() {
        sign_in::begin_for(visitor, user, proof, remember, id).await?;
        match (target, form.text(CARRIED_APP)?) {
            (SignInTarget::TooLate(_), carried) if !carried.is_empty() => urls::resume_with_app(id, carried),
            _ => urls::resume(id),
        }
    } else {
        let to = local(form.text("next")?).to_owned();
        sign_in::begin(visitor, user, proof, remember).await?;
        to
    };
    let mut response = Redirect::to(&to).into_response();
    if let Some(cookie) = visitor.browser.remember(&visitor.app, user.id) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Returns `next` if it is a path of this server that is safe in a `Location` header: one slash, then nothing that
/// browsers parse as a host.
pub(super) fn local(next: &str) -> &str {
    let safe = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.~?=&%".contains(&b));
    if safe { next } else { "/" }
}

async fn check(form: &Form) -> Result<Result<User, (StatusCode, LoginMessage)>, PageError> {
    let visitor = &form.visitor;
    let (username, password) = (form.text("username")?, form.text("password")?);
    if username.is_empty() || password.is_empty() {
        return Ok(Err((StatusCode::OK, LoginMessage::no_match())));
    }
    let knows = |user| visitor.browser.is_known_user(&visitor.app, user);
    let typed = visitor.typed(username, Secret::new(password.to_owned()), &knows);
    match login::authenticate(visitor.app.store(), &visitor.app.hasher, typed).await {
        Ok(user) => Ok(Ok(user)),
        Err(LoginError::NoMatch) => Ok(Err((StatusCode::OK, LoginMessage::no_match()))),
        Err(LoginError::TooMany(too_many)) => {
            let wait = too_many.wait(visitor.app.env().now());
            Ok(Err((StatusCode::TOO_MANY_REQUESTS, LoginMessage::too_many(&wait))))
        }
        Err(LoginError::Busy) => Ok(Err((StatusCode::SERVICE_UNAVAILABLE, LoginMessage::too_many("a moment")))),
        Err(LoginError::Store(error)) => Err(visitor.error(error)),
    }
}

/// Returns the user that the first submission of this form created ([`login::just_created`]).
pub(super) async fn just_created(form: &Form, creation: &Digest) -> Result<Option<User>, PageError> {
    let visitor = &form.visitor;
    let knows = |user| visitor.browser.is_known_user(&visitor.app, user);
    let typed = visitor.typed(form.text("username")?, Secret::new(form.text("password")?.to_owned()), &knows);
    match login::just_created(visitor.app.store(), &visitor.app.hasher, typed, creation).await {
        Ok(user) => Ok(user),
        Err(LoginError::Store(error)) => Err(visitor.error(error)),
        Err(LoginError::NoMatch | LoginError::TooMany(_) | LoginError::Busy) => Ok(None),
    }
}

/// Shows the page again with the entered values, except the password.
pub(super) async fn rerender(
    form: &Form,
    target: &SignInTarget,
    error: (StatusCode, LoginMessage),
) -> Result<Response, PageError> {
    let mut page = page(&form.visitor, target, form.text("username")?).await?;
    page.remember = form.text("remember")? == "1";
    if matches!(target, SignInTarget::Oneself) {
        page.set_next(local(form.text("next")?));
    }
    page.error = Some(error.1);
    let mut response = (error.0, render(&page)).into_response();
    if error.0 != StatusCode::OK {
        tracing::warn!(status = error.0.as_u16(), "a sign-in was not looked at");
    }
    if matches!(error.0, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(header::RETRY_AFTER, axum::http::HeaderValue::from_static("60"));
    }
    Ok(response)
}

async fn page(visitor: &Visitor, target: &SignInTarget, username: &str) -> Result<LoginPage, PageError> {
    let waiting = target.waiting();
    let (client, app) = client_of(visitor, target).await?;
    let hint = waiting.and_then(|waiting| waiting.request.login_hint.as_deref()).filter(|_| username.is_empty());
    let again = reauthentication_user(visitor, waiting).await?;
    let known = again.as_ref().filter(|_| username.is_empty()).map(|user| user.username.as_str());
    let id = target.interaction();
    let heading_line = match (&again, target) {
        (_, SignInTarget::TooLate(_)) => Some(REQUEST_EXPIRED.to_owned()),
        (Some(user), _) => Some(reauthentication_heading(visitor, user, waiting.is_none()).await?),
        (None, _) => None,
    };
    Ok(LoginPage {
        chrome: Chrome::of(&visitor.app),
        csrf: visitor.form_token(),
        action: id.map_or_else(|| urls::LOGIN.to_owned(), urls::login),
        flow: id.map(|id| id.to_string()).unwrap_or_default(),
        carried_app: target.carried_app(visitor, client.as_deref()),
        can_cancel: waiting.is_some(),
        app,
        heading_line,
        username: hint.or(known).unwrap_or(username).to_owned(),
        remember: false,
        error: None,
        passkeys: visitor.app.passkeys.available(),
        next: String::new(),
        sign_up: (visitor.app.config.sign_up == SignUpMode::Open)
            .then(|| id.map_or_else(|| urls::SIGN_UP.to_owned(), urls::sign_up)),
    })
}

/// Returns the client that the user signs in for, and its card for the page.
pub(super) async fn client_of(
    visitor: &Visitor,
    target: &SignInTarget,
) -> Result<(Option<Arc<Client>>, Option<AppCard>), PageError> {
    Ok(match target {
        SignInTarget::App(waiting) => {
            let client = waiting_client(visitor, waiting).await?;
            let app = requesting_app_card(&client, waiting);
            (Some(client), Some(app))
        }
        SignInTarget::TooLate(over) => (over.client.clone(), over.client.as_deref().map(app_card)),
        SignInTarget::Oneself => (None, None),
    })
}

/// Returns the line that explains to `user` why they must sign in again and, without a client's request, by which
/// method.
async fn reauthentication_heading(visitor: &Visitor, user: &User, for_oneself: bool) -> Result<String, PageError> {
    let strongest_is_passkey = for_oneself
        && visitor.app.passkeys.available()
        && passkeys::count(visitor.app.store().read(), user.id).await.map_err(|error| visitor.error(error))? > 0;
    let how = if strongest_is_passkey { " with a passkey" } else { "" };
    let name = visible(user.display_name());
    Ok(format!("You’re signed in as {name}. Sign in once more{how}, so that it’s certain that it’s you."))
}

/// Returns the signed-in user who must authenticate again, or `None` if the request is for another account.
async fn reauthentication_user(visitor: &Visitor, waiting: Option<&Interaction>) -> Result<Option<User>, PageError> {
    let another = waiting.is_some_and(|waiting| {
        let hinted =
            waiting.request.hinted.is_some_and(|hinted| Some(hinted) != visitor.session.as_ref().map(|s| s.user));
        hinted || waiting.progress.use_another_account
    });
    if another { Ok(None) } else { signed_in_here(visitor).await }
}
