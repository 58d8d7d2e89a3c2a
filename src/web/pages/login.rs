//! Signing in with a password, for an app's request (`/login/{id}`) or for oneself (`/login`).
//!
//! Next door: [`super::passkey`], which signs in from the same page.

use axum::extract::RawQuery;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::consent::signed_in as signed_in_here;
use super::views::{LoginError, LoginPage};
use super::{asking, record, waiting};
use crate::config::SignUp;
use crate::domain::interaction::{Interaction, Progress};
use crate::domain::secret::Secret;
use crate::domain::user::User;
use crate::identity::login::{self, Refused};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::store::passkeys;
use crate::web::error::{PageError, render};
use crate::web::extract::{Form, InPath, Visitor};
use crate::web::oauth::authorize::answer;
use crate::web::sign_in::{self, Proof};
use crate::web::urls;
use crate::web::view::Chrome;

pub async fn for_app(visitor: Visitor, InPath(id): InPath<String>) -> Result<Response, PageError> {
    let waiting = waiting(&visitor, &id).await?;
    Ok(render(&page(&visitor, Some(&waiting), "").await?))
}

pub async fn for_oneself(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let query = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(|error| visitor.error(error))?;
    let mut page = page(&visitor, None, "").await?;
    page.lead_on_to(local(query.one("next").ok().flatten().unwrap_or_default()));
    Ok(render(&page))
}

pub async fn submit_for_app(InPath(id): InPath<String>, form: Form) -> Result<Response, PageError> {
    let waiting = waiting(&form.visitor, &id).await?;
    if form.text("decision")? == "deny" {
        return cancelled(&form, &waiting).await;
    }
    match check(&form).await? {
        Ok(user) => signed_in(&form, Some(&waiting), &user, Proof::Password).await,
        Err(error) => again(&form, Some(&waiting), error).await,
    }
}

pub async fn submit_for_oneself(form: Form) -> Result<Response, PageError> {
    match check(&form).await? {
        Ok(user) => signed_in(&form, None, &user, Proof::Password).await,
        Err(error) => again(&form, None, error).await,
    }
}

/// The way back to the app without signing in.
pub(super) async fn cancelled(form: &Form, waiting: &Interaction) -> Result<Response, PageError> {
    let denied = OAuthError::new(ErrorCode::AccessDenied, "The person did not sign in.");
    let outcome = form.visitor.app.provider.refuse(waiting, denied).await;
    answer(&form.visitor, outcome)
}

/// Begins the session and goes on: back to the app's request where one waits, in a browser that knows `user` from now on.
pub(super) async fn signed_in(
    form: &Form,
    waiting: Option<&Interaction>,
    user: &User,
    proof: Proof,
) -> Result<Response, PageError> {
    let visitor = &form.visitor;
    let to = match waiting {
        Some(waiting) => {
            // Like the session's `auth_time`, by the database's clock.
            let now = visitor.app.store().database_time().await.map_err(|error| visitor.error(error))?;
            let progress = Progress { signed_in_at: Some(now), ..waiting.progress.clone() };
            record(visitor, waiting, progress).await?;
            urls::resume(waiting.id)
        }
        None => local(form.text("next")?).to_owned(),
    };
    sign_in::begin(visitor, user, proof, form.text("remember")? == "1").await?;
    let mut response = Redirect::to(&to).into_response();
    if let Some(cookie) = visitor.browser.remember(&visitor.app, user.id) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// A path of ours, byte for byte safe in a Location header: one slash, then nothing that a browser reads as a host.
pub(super) fn local(next: &str) -> &str {
    let safe = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.~?=&%".contains(&b));
    if safe { next } else { "/" }
}

async fn check(form: &Form) -> Result<Result<User, (StatusCode, LoginError)>, PageError> {
    let visitor = &form.visitor;
    let (username, password) = (form.text("username")?, form.text("password")?);
    if username.is_empty() || password.is_empty() {
        return Ok(Err((StatusCode::OK, LoginError::no_match())));
    }
    let knows = |user| visitor.browser.knows(&visitor.app, user);
    let typed = visitor.typed(username, Secret::new(password.to_owned()), &knows);
    match login::with_password(visitor.app.store(), &visitor.app.hasher, typed).await {
        Ok(user) => Ok(Ok(user)),
        Err(Refused::NoMatch) => Ok(Err((StatusCode::OK, LoginError::no_match()))),
        Err(Refused::TooMany(too_many)) => {
            let wait = too_many.wait(visitor.app.env().now());
            Ok(Err((StatusCode::TOO_MANY_REQUESTS, LoginError::too_many(&wait))))
        }
        Err(Refused::Busy) => Ok(Err((StatusCode::SERVICE_UNAVAILABLE, LoginError::too_many("a moment")))),
        Err(Refused::Store(error)) => Err(visitor.error(error)),
    }
}

/// The page again, with what was typed but the password.
pub(super) async fn again(
    form: &Form,
    waiting: Option<&Interaction>,
    error: (StatusCode, LoginError),
) -> Result<Response, PageError> {
    let mut page = page(&form.visitor, waiting, form.text("username")?).await?;
    page.remember = form.text("remember")? == "1";
    if waiting.is_none() {
        page.lead_on_to(local(form.text("next")?));
    }
    page.error = Some(error.1);
    let mut response = (error.0, render(&page)).into_response();
    if error.0 != StatusCode::OK {
        tracing::warn!(status = error.0.as_u16(), "a sign-in was not looked at");
        response.headers_mut().insert(header::RETRY_AFTER, axum::http::HeaderValue::from_static("60"));
    }
    Ok(response)
}

async fn page(visitor: &Visitor, waiting: Option<&Interaction>, username: &str) -> Result<LoginPage, PageError> {
    let app = match waiting {
        Some(waiting) => {
            let client = visitor.app.provider.waiting_client(waiting).await.map_err(|error| visitor.error(error))?;
            Some(asking(&client, waiting))
        }
        None => None,
    };
    let hint = waiting.and_then(|waiting| waiting.request.login_hint.as_deref()).filter(|_| username.is_empty());
    let again = asked_again(visitor, waiting).await?;
    let strongest_is_passkey = match &again {
        Some(user) if waiting.is_none() && visitor.app.passkeys.available() => {
            passkeys::count(visitor.app.store().read(), user.id).await.map_err(|error| visitor.error(error))? > 0
        }
        _ => false,
    };
    let known = again.as_ref().filter(|_| username.is_empty()).map(|user| user.username.as_str());
    Ok(LoginPage {
        chrome: Chrome::of(&visitor.app),
        csrf: visitor.form_token(),
        action: waiting.map_or_else(|| urls::LOGIN.to_owned(), |waiting| urls::login(waiting.id)),
        flow: waiting.map(|waiting| waiting.id.to_string()).unwrap_or_default(),
        app,
        heading_line: again.as_ref().map(|user| {
            let how = if strongest_is_passkey { " with a passkey" } else { "" };
            let name = user.shown_name();
            format!("You’re signed in as {name}. Sign in once more{how}, so that it’s certain that it’s you.")
        }),
        username: hint.or(known).unwrap_or(username).to_owned(),
        remember: false,
        error: None,
        passkeys: visitor.app.passkeys.available(),
        next: String::new(),
        sign_up: (visitor.app.config.sign_up == SignUp::Open)
            .then(|| waiting.map_or_else(|| urls::SIGN_UP.to_owned(), |waiting| urls::sign_up(waiting.id))),
    })
}

/// Who is signed in and asked to prove it again; nobody where it is somebody else that is looked for.
async fn asked_again(visitor: &Visitor, waiting: Option<&Interaction>) -> Result<Option<User>, PageError> {
    let another = waiting.is_some_and(|waiting| {
        let hinted =
            waiting.request.hinted.is_some_and(|hinted| Some(hinted) != visitor.session.as_ref().map(|s| s.user));
        hinted || waiting.progress.use_another_account
    });
    if another { Ok(None) } else { signed_in_here(visitor).await }
}
