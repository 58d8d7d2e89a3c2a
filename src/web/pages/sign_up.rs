//! Account creation, for a client's request (`/signup/{id}`, Initiating User Registration via OpenID Connect §4) or
//! without one (`/signup`), if the setting `sign_up` is `open`. See also `manage::sign_up`, which creates the
//! account, and [`super::login`], which continues afterwards.

use axum::extract::RawQuery;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::login::{cancel, client_of, form_rejection, just_created, local, sign_in_target, signed_in};
use super::views::SignUpPage;
use super::{CARRIED_APP, SignInTarget, find};
use crate::config::SignUpMode;
use crate::domain::secret::Secret;
use crate::domain::user::User;
use crate::identity::throttle;
use crate::manage::sign_up::{SignUpRequest, sign_up};
use crate::manage::{FieldError, ManageError};
use crate::protocol::parameters::Parameters;
use crate::web::error::{PageError, render};
use crate::web::extract::{Form, PathParam, Visitor};
use crate::web::sign_in::Proof;
use crate::web::urls;
use crate::web::view::Chrome;

/// The status of the page that is shown again, and its errors.
type SignUpRejection = (StatusCode, Vec<FieldError>);

pub async fn for_app(visitor: Visitor, PathParam(id): PathParam<String>) -> Result<Response, PageError> {
    check_open(&visitor)?;
    let target = match sign_in_target(&visitor, &id).await? {
        Ok(target) => target,
        Err(goes_on) => return Ok(goes_on),
    };
    Ok(render(&page(&visitor, &target, "").await?))
}

pub async fn for_oneself(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    check_open(&visitor)?;
    let query = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(|error| visitor.error(error))?;
    let next = local(query.one("next").ok().flatten().unwrap_or_default());
    Ok(render(&page(&visitor, &SignInTarget::Oneself, next).await?))
}

pub async fn submit_for_app(PathParam(id): PathParam<String>, form: Form) -> Result<Response, PageError> {
    check_open(&form.visitor)?;
    let target: SignInTarget = find(&form.visitor, &id, form.text(CARRIED_APP)?).await?.into();
    if form.text("decision")? == "deny" {
        return cancel(&form, &target).await;
    }
    submit(&form, &target).await
}

pub async fn submit_for_oneself(form: Form) -> Result<Response, PageError> {
    check_open(&form.visitor)?;
    submit(&form, &SignInTarget::Oneself).await
}

/// Returns a 404 page if sign-up is disabled.
fn check_open(visitor: &Visitor) -> Result<(), PageError> {
    match visitor.app.config.sign_up {
        SignUpMode::Open => Ok(()),
        SignUpMode::Off => {
            Err(PageError::not_found(&visitor.app, &visitor.origin, "Nobody can make an account of their own here."))
        }
    }
}

async fn submit(form: &Form, target: &SignInTarget) -> Result<Response, PageError> {
    if !form.is_of_browser() {
        let (status, error) = form_rejection(form);
        let text = format!("{} {}", error.lead, error.text);
        return rerender(form, target, (status, vec![FieldError::new("form", text)])).await;
    }
    match made(form).await? {
        Ok(user) => signed_in(form, target, &user, Proof::Password).await,
        Err(refusal) => rerender(form, target, refusal).await,
    }
}

async fn made(form: &Form) -> Result<Result<User, SignUpRejection>, PageError> {
    let visitor = &form.visitor;
    let creation = visitor.browser.creation(&visitor.app, urls::SIGN_UP, form.text("username")?);
    if let Some(user) = just_created(form, &creation).await? {
        return Ok(Ok(user));
    }
    let counted = throttle::count_sign_up(visitor.app.store(), &visitor.origin.address).await;
    if let Err(too_many) = counted.map_err(|error| visitor.error(error))? {
        let wait = format!("Too many tries. Wait {}, then try again.", too_many.wait(visitor.app.env().now()));
        return Ok(Err((StatusCode::TOO_MANY_REQUESTS, vec![FieldError::new("form", wait)])));
    }
    let filled = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let typed = SignUpRequest {
        username: form.text("username")?.to_owned(),
        name: filled(form.text("name")?),
        email: filled(form.text("email")?),
        password: Secret::new(form.text("password")?.to_owned()),
    };
    match sign_up(&visitor.app.manager(), visitor.origin.clone(), typed, creation).await {
        Ok(user) => Ok(Ok(user)),
        Err(error @ (ManageError::Invalid(_) | ManageError::Taken(_))) => {
            if let Some(user) = just_created(form, &creation).await? {
                return Ok(Ok(user));
            }
            if let ManageError::Invalid(problems) = error {
                return Ok(Err((StatusCode::UNPROCESSABLE_ENTITY, problems)));
            }
            let taken = FieldError::new("username", "That one is taken, or looks like one that is. Choose another.");
            Ok(Err((StatusCode::UNPROCESSABLE_ENTITY, vec![taken])))
        }
        Err(ManageError::Full) => {
            let full = FieldError::new("form", "No more accounts can be made here for the moment. Try again later.");
            Ok(Err((StatusCode::TOO_MANY_REQUESTS, vec![full])))
        }
        Err(ManageError::Busy) => {
            let busy = FieldError::new("form", "Many people are signing in right now. Try again in a moment.");
            Ok(Err((StatusCode::SERVICE_UNAVAILABLE, vec![busy])))
        }
        Err(error) => Err(visitor.error(error)),
    }
}

/// Shows the page again with the entered values, except the password.
async fn rerender(form: &Form, target: &SignInTarget, refusal: SignUpRejection) -> Result<Response, PageError> {
    let (status, problems) = refusal;
    let mut page = page(&form.visitor, target, local(form.text("next")?)).await?;
    (page.name, page.email, page.username) =
        (form.text("name")?.to_owned(), form.text("email")?.to_owned(), form.text("username")?.to_owned());
    page.errors = problems.into_iter().map(|error| (error.field.clone(), error.sentence())).collect();
    let mut response = (status, render(&page)).into_response();
    if status != StatusCode::UNPROCESSABLE_ENTITY {
        tracing::warn!(status = status.as_u16(), "a sign-up was not looked at");
    }
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    }
    Ok(response)
}

async fn page(visitor: &Visitor, target: &SignInTarget, next: &str) -> Result<SignUpPage, PageError> {
    let (client, app) = client_of(visitor, target).await?;
    let id = target.interaction();
    Ok(SignUpPage {
        chrome: Chrome::of(&visitor.app),
        csrf: visitor.form_token(),
        action: id.map_or_else(|| urls::SIGN_UP.to_owned(), urls::sign_up),
        can_cancel: target.waiting().is_some(),
        carried_app: target.carried_app(visitor, client.as_deref()),
        app,
        name: String::new(),
        email: String::new(),
        username: String::new(),
        errors: Vec::new(),
        next: next.to_owned(),
        login: id.map_or_else(|| urls::login_with_next(next), urls::login),
    })
}
