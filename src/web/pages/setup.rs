//! `/setup`: the page of the one-time link that the server prints on its first start. See also `manage::setup`, which
//! creates the first administrator.

use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::login::{form_rejection, just_created};
use super::views::SetupPage;
use crate::app::AppState;
use crate::domain::secret::{Digest, Secret};
use crate::domain::user::{Profile, User};
use crate::manage::users::NewUser;
use crate::manage::{FieldError, ManageError, setup};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::store::StoreError;
use crate::web::error::{PageError, render};
use crate::web::extract::{Form, Visitor};
use crate::web::sign_in::{self, Proof};
use crate::web::urls;
use crate::web::view::Chrome;

/// Returns a new link, or `None` if there is an administrator already. Earlier links become invalid.
pub async fn link(app: &AppState) -> Result<Option<Secret>, StoreError> {
    let token = setup::token(app.store()).await?;
    let address = |token: Secret| app.config.issuer.join(&format!("{}?token={}", urls::SETUP, token.expose()));
    Ok(token.map(|token| Secret::new(address(token))))
}

pub async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let query = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(|error| visitor.error(error))?;
    let token = query.one("token").map_err(|error| visitor.error(error))?.unwrap_or_default();
    check(&visitor, token).await?;
    Ok(render(&page(&visitor, token)))
}

pub async fn submit(form: Form) -> Result<Response, PageError> {
    let (visitor, token) = (&form.visitor, form.text("token")?);
    if let Err(refused) = check(visitor, token).await {
        return repeated(&form).await?.ok_or(refused);
    }
    if !form.is_of_browser() {
        let error = form_rejection(&form).1;
        return rerender(&form, vec![FieldError::new("form", format!("{} {}", error.lead, error.text))]);
    }
    let creation = creation(&form)?;
    let made = setup::finish(&visitor.app.manager(), visitor.origin.clone(), token, typed(&form)?, creation).await;
    match made {
        Ok(user) => signed_in(visitor, &user).await,
        Err(ManageError::Invalid(problems) | ManageError::Taken(problems)) => rerender(&form, problems),
        Err(ManageError::NotFound(_)) => repeated(&form).await?.ok_or_else(|| link_used(visitor)),
        Err(error) => Err(visitor.error(error)),
    }
}

async fn signed_in(visitor: &Visitor, user: &User) -> Result<Response, PageError> {
    sign_in::begin(visitor, user, Proof::Password, false).await?;
    Ok(Redirect::to(urls::START).into_response())
}

fn creation(form: &Form) -> Result<Digest, PageError> {
    Ok(form.visitor.browser.creation(&form.visitor.app, urls::SETUP, form.text("username")?))
}

/// Returns the original response for a form that is submitted a second time.
async fn repeated(form: &Form) -> Result<Option<Response>, PageError> {
    if !form.is_of_browser() {
        return Ok(None);
    }
    match just_created(form, &creation(form)?).await? {
        Some(user) => signed_in(&form.visitor, &user).await.map(Some),
        None => Ok(None),
    }
}

/// Shows the page again with the entered values, except the password.
fn rerender(form: &Form, errors: Vec<FieldError>) -> Result<Response, PageError> {
    let mut page = page(&form.visitor, form.text("token")?);
    (page.name, page.email, page.username) =
        (form.text("name")?.to_owned(), form.text("email")?.to_owned(), form.text("username")?.to_owned());
    page.errors = errors.into_iter().map(|error| (error.field.clone(), error.sentence())).collect();
    Ok((StatusCode::UNPROCESSABLE_ENTITY, render(&page)).into_response())
}

fn typed(form: &Form) -> Result<NewUser, PageError> {
    let filled = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    Ok(NewUser {
        username: form.text("username")?.to_owned(),
        profile: Profile { name: filled(form.text("name")?), email: filled(form.text("email")?), ..Profile::default() },
        groups: Vec::new(),
        password: Some(Secret::new(form.text("password")?.to_owned())),
        admin: true,
    })
}

fn link_used(visitor: &Visitor) -> PageError {
    let text = "This set-up link has been used or replaced. The newest one stands in the server's log.";
    visitor.error(OAuthError::new(ErrorCode::InvalidRequest, text)).titled("This set-up link doesn’t work any more")
}

async fn check(visitor: &Visitor, token: &str) -> Result<(), PageError> {
    match setup::stands(visitor.app.store(), token).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(link_used(visitor)),
        Err(error) => Err(visitor.error(error)),
    }
}

fn page(visitor: &Visitor, token: &str) -> SetupPage {
    SetupPage {
        chrome: Chrome::of(&visitor.app),
        csrf: visitor.form_token(),
        action: urls::SETUP.to_owned(),
        token: token.to_owned(),
        name: String::new(),
        email: String::new(),
        username: String::new(),
        errors: Vec::new(),
        address: visitor.app.config.issuer.as_str().to_owned(),
        data: visitor.app.config.database().redacted(),
    }
}
