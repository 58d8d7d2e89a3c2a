//! The pages of a sign-in. Each page records its result and returns to the authorization endpoint, which decides.
//!
//! The handlers are in [`login`], [`sign_up`], [`consent`], [`select_account`], [`not_admitted`], [`logout`],
//! [`passkey`], [`device`], [`device_qr`], [`setup`] and [`home`]. [`views`] has the structs of their templates.

pub mod consent;
pub mod device;
pub mod device_qr;
pub mod home;
pub mod login;
pub mod logout;
pub mod not_admitted;
pub mod passkey;
pub mod select_account;
pub mod setup;
pub mod sign_up;
pub mod views;

use std::sync::Arc;

use axum::response::{IntoResponse, Redirect, Response};

use super::error::{PageError, PageLink, render};
use super::extract::Visitor;
use super::oauth::authorize::with_client_link;
use super::urls;
use super::view::{AppCard, Chrome, initials, visible};
use crate::domain::client::Client;
use crate::domain::ids::InteractionId;
use crate::domain::interaction::{Interaction, InteractionProgress};
use crate::domain::user::User;
use crate::protocol::authorize::{EndedInteraction, InteractionState};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::store::interactions;
use views::{SignedInPage, UserCard};

/// The notice for a form that was sent from a page of another session.
pub const SESSION_CHANGED_NOTICE: &str =
    "Who is signed in here has changed since this page was opened, so nothing was done yet.";

/// The form field and query parameter with the client of an interaction, for the link back after the interaction was
/// deleted.
pub const CARRIED_APP: &str = "app";

/// The title if a client's request cannot continue because the client was changed.
pub const APP_CHANGED_TITLE: &str = "The app was changed meanwhile";

/// The purpose of a sign-in.
pub enum SignInTarget {
    Oneself,
    /// A client's pending request.
    App(Box<Interaction>),
    /// A client's request that has ended.
    TooLate(EndedInteraction),
}

impl SignInTarget {
    pub const fn interaction(&self) -> Option<InteractionId> {
        match self {
            Self::Oneself => None,
            Self::App(waiting) => Some(waiting.id),
            Self::TooLate(over) => Some(over.id),
        }
    }

    /// Returns the value of [`CARRIED_APP`], or an empty string without a client's request.
    pub fn carried_app(&self, visitor: &Visitor, client: Option<&Client>) -> String {
        let carried = client.filter(|_| self.interaction().is_some());
        carried.map(|client| carried_app(visitor, client)).unwrap_or_default()
    }

    pub fn waiting(&self) -> Option<&Interaction> {
        match self {
            Self::App(waiting) => Some(waiting),
            Self::Oneself | Self::TooLate(_) => None,
        }
    }
}

impl From<Option<InteractionState>> for SignInTarget {
    fn from(found: Option<InteractionState>) -> Self {
        match found {
            Some(InteractionState::Waiting(waiting)) => Self::App(waiting),
            Some(InteractionState::Ended(over)) => Self::TooLate(over),
            None => Self::Oneself,
        }
    }
}

/// Returns the value of [`CARRIED_APP`] for a page of this client.
pub fn carried_app(visitor: &Visitor, client: &Client) -> String {
    visitor.app.provider.carried_app(&client.id, client.version, &visitor.browser.digest(&visitor.app))
}

/// Returns the interaction with that id, if this browser began it. If it has been deleted, returns the client that
/// the page carried along in [`CARRIED_APP`], or `None` without one.
///
/// # Errors
/// An error page for an invalid id, an interaction of another browser, a browser without cookies, or a client that
/// was changed meanwhile.
pub async fn find(visitor: &Visitor, id: &str, carried: &str) -> Result<Option<InteractionState>, PageError> {
    let id = id.parse().map_err(|_| unknown_interaction(visitor))?;
    let (provider, browser) = (&visitor.app.provider, visitor.browser.digest(&visitor.app));
    let whose = async || provider.client_and_browser(id).await.map_err(|error| visitor.error(error));
    let found = match provider.find_interaction_or_app(id, &browser, carried).await {
        Ok(found) => found,
        Err(error) => {
            let page = request_error_page(visitor, error);
            let client = whose().await?.filter(|(_, of)| *of == browser).map(|(client, _)| client);
            return Err(with_client_link(visitor, client.as_ref(), page).await);
        }
    };
    match &found {
        None if visitor.browser.is_new || whose().await?.is_some() => return Err(unknown_interaction(visitor)),
        None => {}
        Some(InteractionState::Waiting(waiting)) => visitor.named.set(&waiting.request.client),
        Some(InteractionState::Ended(over)) => over.client.iter().for_each(|client| visitor.named.set(&client.id)),
    }
    Ok(found)
}

/// Returns the interaction if it is pending. If it has ended or does not exist any more, returns the response that
/// continues.
pub async fn waiting(
    visitor: &Visitor,
    id: &str,
    carried: &str,
) -> Result<Result<Box<Interaction>, Response>, PageError> {
    Ok(match find(visitor, id, carried).await? {
        Some(InteractionState::Waiting(waiting)) => Ok(waiting),
        Some(InteractionState::Ended(over)) if carried.is_empty() => Err(resumed(over.id)),
        Some(InteractionState::Ended(over)) => {
            Err(Redirect::to(&urls::resume_with_app(over.id, carried)).into_response())
        }
        None => Err(interaction_gone(visitor).await?),
    })
}

/// Returns the response for a request that was deleted: a page for a signed-in user, otherwise a redirect to the
/// sign-in page.
pub async fn interaction_gone(visitor: &Visitor) -> Result<Response, PageError> {
    match consent::signed_in(visitor).await? {
        Some(user) => Ok(signed_in_page(visitor, &user, None)),
        None => Ok(Redirect::to(urls::LOGIN).into_response()),
    }
}

/// Returns the error page for a pending request that cannot continue. Errors with a status other than 400 keep their
/// own title.
pub fn request_error_page(visitor: &Visitor, error: OAuthError) -> PageError {
    let is_of_request = error.code.status() == 400;
    let page = visitor.error(error);
    if is_of_request { page.titled(APP_CHANGED_TITLE) } else { page }
}

/// Returns the current client of a pending request.
///
/// # Errors
/// An error page with a link back to the client, if the client was changed or disabled meanwhile.
pub async fn waiting_client(visitor: &Visitor, waiting: &Interaction) -> Result<Arc<Client>, PageError> {
    match visitor.app.provider.waiting_client(waiting).await {
        Ok(client) => Ok(client),
        Err(error) => {
            let page = request_error_page(visitor, error);
            Err(with_client_link(visitor, Some(&waiting.request.client), page).await)
        }
    }
}

/// Redirects to the authorization endpoint, which decides on the next step.
pub fn resumed(id: InteractionId) -> Response {
    Redirect::to(&urls::resume(id)).into_response()
}

fn unknown_interaction(visitor: &Visitor) -> PageError {
    let (title, text) = if visitor.browser.is_new {
        (
            "This browser sent no cookie",
            "The sign-in began in another browser, or this one blocks cookies. Allow cookies for this site, then go back to \
             the app and begin again.",
        )
    } else {
        (
            "This sign-in is over",
            "It took too long, was finished before, or began in another browser. Go back to the app and begin again.",
        )
    };
    visitor.error(OAuthError::new(ErrorCode::InvalidRequest, text)).titled(title)
}

/// Returns the page for a client's request that has ended. It shows the signed-in user and a link back to the client.
/// Without a session, the user is sent to the sign-in page first.
pub async fn too_late(visitor: &Visitor, over: &EndedInteraction) -> Result<Response, PageError> {
    let Some(user) = consent::signed_in(visitor).await? else {
        return Ok(Redirect::to(&urls::login(over.id)).into_response());
    };
    Ok(signed_in_page(visitor, &user, over.client.as_deref()))
}

fn signed_in_page(visitor: &Visitor, user: &User, client: Option<&Client>) -> Response {
    render(&SignedInPage {
        chrome: Chrome::of(&visitor.app),
        user: user_card(user),
        app: client.map(app_card),
        back: client.and_then(|client| PageLink::to_app(client, &visitor.app.config.issuer)),
        switch_account: urls::switch_account("/"),
    })
}

/// Records the progress of an interaction. If it has ended meanwhile, nothing is recorded and the authorization
/// endpoint handles it.
pub async fn record(visitor: &Visitor, waiting: &Interaction, progress: InteractionProgress) -> Result<(), PageError> {
    let id = waiting.id;
    let write =
        visitor.app.store().write(move |tx| Box::pin(async move { interactions::record(tx, id, &progress).await }));
    write.await.map(drop).map_err(|error| visitor.error(error))
}

/// Returns a client as users see it. The logo is served by this server: pages load nothing from other hosts.
pub fn app_card(client: &Client) -> AppCard {
    AppCard {
        name: visible(client.display_name()),
        logo: client.meta.logo_uri.as_ref().map(|_| urls::logo(&client.id)),
        policy: client.meta.policy_uri.as_ref().map(|page| page.as_str().to_owned()),
        tos: client.meta.tos_uri.as_ref().map(|page| page.as_str().to_owned()),
        unverified: client.unverified_host(None),
    }
}

/// Returns the client of a request as users see it.
pub fn requesting_app_card(client: &Client, waiting: &Interaction) -> AppCard {
    AppCard { unverified: client.unverified_host(Some(&waiting.request.reply_to.redirect_uri)), ..app_card(client) }
}

pub fn user_card(user: &User) -> UserCard {
    UserCard {
        name: visible(user.display_name()),
        detail: visible(user.email_or_username()),
        initials: initials(user.display_name()),
    }
}
