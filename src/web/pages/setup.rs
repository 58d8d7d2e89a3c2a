//! The first administrator, by the one-time link that the first start prints. The link is used up by the statement that
//! makes the administrator, so that of two browsers with it one wins.

use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::chrome;
use super::views::SetupPage;
use crate::app::App;
use crate::domain::authorization::SignInMethod;
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::ids::{EventId, UserId};
use crate::domain::secret::{Secret, SecretKind, base64url};
use crate::domain::user::{Profile, User, Username};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::store::{StoreError, events, people, settings};
use crate::web::error::{PageError, render};
use crate::web::extract::{Form, Visitor};
use crate::web::sign_in;
use crate::web::urls;

const SETTING: &str = "setup";

/// A new link, while there is no administrator; older ones stop working.
pub async fn link(app: &App) -> Result<Option<Secret>, StoreError> {
    if people::any_admin(app.store().read()).await? {
        return Ok(None);
    }
    let token = SecretKind::Setup.mint(app.env().random());
    let digest = kept(token.expose());
    app.store().write(move |tx| Box::pin(async move { settings::put(tx, SETTING, &digest).await })).await?;
    Ok(Some(Secret::new(app.config.issuer.join(&format!("{}?token={}", urls::SETUP, token.expose())))))
}

fn kept(token: &str) -> String {
    base64url(&SecretKind::Setup.digest(token).0)
}

pub async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let query = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(|error| visitor.error(error))?;
    let token = query.one("token").map_err(|error| visitor.error(error))?.unwrap_or_default();
    check(&visitor, token).await?;
    Ok(render(&page(&visitor, token)))
}

pub async fn submit(form: Form) -> Result<Response, PageError> {
    let (visitor, token) = (&form.visitor, form.text("token")?.to_owned());
    check(visitor, &token).await?;
    let mut page = page(visitor, &token);
    (page.name, page.email, page.username) =
        (form.text("name")?.to_owned(), form.text("email")?.to_owned(), form.text("username")?.to_owned());
    let Some(user) = new_admin(&form, &mut page).await? else {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, render(&page)).into_response());
    };
    let event = Event {
        id: EventId(visitor.app.env().uuid()),
        at: visitor.app.env().now(),
        kind: EventKind::UserCreated,
        actor: Actor::User(user.id),
        user: Some(user.id),
        client: None,
        origin: visitor.origin.clone(),
        detail: "first administrator".to_owned(),
    };
    let (made, digest) = (user.clone(), kept(&token));
    let write = visitor.app.store().write(move |tx| {
        Box::pin(async move {
            if !settings::take(tx, SETTING, &digest).await? || people::any_admin(tx.conn()).await? {
                return Ok(false);
            }
            people::insert(tx, &made).await?;
            events::insert(tx, &event).await?;
            Ok(true)
        })
    });
    match write.await {
        Ok(true) => {
            sign_in::begin(visitor, &user, SignInMethod::Password, false).await?;
            Ok(Redirect::to("/").into_response())
        }
        Ok(false) => Err(visitor.error(gone())),
        Err(StoreError::Taken) => {
            page.errors.push(("username", "That username or email address is taken.".to_owned()));
            Ok((StatusCode::UNPROCESSABLE_ENTITY, render(&page)).into_response())
        }
        Err(error) => Err(visitor.error(error)),
    }
}

fn gone() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidRequest,
        "This set-up link has been used or replaced. The newest one stands in the server's log.",
    )
}

async fn check(visitor: &Visitor, token: &str) -> Result<(), PageError> {
    let value = settings::value(visitor.app.store().read(), SETTING).await.map_err(|error| visitor.error(error))?;
    if value.is_some_and(|value| value == kept(token)) { Ok(()) } else { Err(visitor.error(gone())) }
}

fn page(visitor: &Visitor, token: &str) -> SetupPage {
    SetupPage {
        chrome: chrome(&visitor.app),
        csrf: visitor.form_token(),
        action: urls::SETUP.to_owned(),
        token: token.to_owned(),
        name: String::new(),
        email: String::new(),
        username: String::new(),
        errors: Vec::new(),
        address: visitor.app.config.issuer.as_str().to_owned(),
        data: visitor.app.config.database().shown(),
        expires: None,
    }
}

async fn new_admin(form: &Form, page: &mut SetupPage) -> Result<Option<User>, PageError> {
    let now = form.visitor.app.env().now();
    let username = Username::parse(&page.username)
        .map_err(|problem| page.errors.push(("username", format!("The username {problem}."))));
    if !page.email.is_empty() && (!page.email.contains('@') || page.email.len() > 254) {
        page.errors.push(("email", "That is no email address.".to_owned()));
    }
    let password = form.visitor.app.hasher.hash(Secret::new(form.text("password")?.to_owned())).await;
    let password = password.map_err(|error| page.errors.push(("password", error.to_string())));
    let (Ok(username), Ok(password), true) = (username, password, page.errors.is_empty()) else { return Ok(None) };
    let filled = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    Ok(Some(User {
        id: UserId(form.visitor.app.env().uuid()),
        username,
        profile: Profile { name: filled(&page.name), email: filled(&page.email), ..Profile::default() },
        password: Some(password),
        password_changed_at: Some(now),
        admin: true,
        disabled: false,
        created_at: now,
        updated_at: now,
    }))
}
