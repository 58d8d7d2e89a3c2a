//! The pages of a sign-in. Each records what was done and goes back to the authorization endpoint, which decides.
//!
//! [`login`], [`sign_up`], [`consent`], [`select_account`], [`logout`], [`passkey`], [`device`], [`device_qr`], [`setup`],
//! [`home`]; [`views`] what their templates show.

pub mod consent;
pub mod device;
pub mod device_qr;
pub mod home;
pub mod login;
pub mod logout;
pub mod passkey;
pub mod select_account;
pub mod setup;
pub mod sign_up;
pub mod views;

use super::error::PageError;
use super::extract::Visitor;
use super::urls;
use super::view::{AppCard, initials};
use crate::domain::client::Client;
use crate::domain::interaction::{Interaction, Progress};
use crate::domain::user::User;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::store::interactions;
use crate::web::view::visible;
use views::Person;

/// The interaction of a page's address, for the browser that began it.
pub async fn waiting(visitor: &Visitor, id: &str) -> Result<Interaction, PageError> {
    let unknown = || {
        visitor.error(OAuthError::new(
            ErrorCode::InvalidRequest,
            "There is no such sign-in. Go back to the app and begin again.",
        ))
    };
    let id = id.parse().map_err(|_| unknown())?;
    let browser = visitor.browser.digest(&visitor.app);
    visitor.app.provider.interaction(id, &browser).await.map_err(|error| visitor.error(error))
}

/// Writes down what was done for an interaction.
pub async fn record(visitor: &Visitor, waiting: &Interaction, progress: Progress) -> Result<(), PageError> {
    let id = waiting.id;
    let write =
        visitor.app.store().write(move |tx| Box::pin(async move { interactions::record(tx, id, &progress).await }));
    match write.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(visitor.error(OAuthError::new(
            ErrorCode::InvalidRequest,
            "This sign-in has ended. Go back to the app and begin again.",
        ))),
        Err(error) => Err(visitor.error(error)),
    }
}

/// An app as people see it. Its logo is at an address of ours: a page loads nothing from elsewhere.
pub fn card(client: &Client) -> AppCard {
    AppCard {
        name: visible(client.shown_name()),
        logo: client.meta.logo_uri.as_ref().map(|_| urls::logo(&client.id)),
        policy: client.meta.policy_uri.as_ref().map(|page| page.as_str().to_owned()),
        tos: client.meta.tos_uri.as_ref().map(|page| page.as_str().to_owned()),
        unverified: client.unverified_place(None),
    }
}

/// The app of a request.
pub fn asking(client: &Client, waiting: &Interaction) -> AppCard {
    AppCard { unverified: client.unverified_place(Some(&waiting.request.reply_to.redirect_uri)), ..card(client) }
}

pub fn person(user: &User) -> Person {
    Person {
        name: visible(user.shown_name()),
        detail: visible(user.shown_detail()),
        initials: initials(user.shown_name()),
    }
}
