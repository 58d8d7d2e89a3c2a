//! The administrator's console: [`access`] who gets in and what is never shown, [`all_at_once`] what forms say, [`clients`]
//! and [`client_settings`], [`apis`], [`event_search`] among many events, [`late_forms`] whose sender loses rights,
//! [`people`], [`recent_sign_in`], [`registration`], [`signature_keys`], [`record`], what has happened and the keys,
//! [`refusals`], and [`versions`], two administrators who edit one thing.

mod access;
mod all_at_once;
mod apis;
mod client_settings;
mod clients;
mod event_search;
mod late_forms;
mod people;
mod recent_sign_in;
mod record;
mod refusals;
mod registration;
mod signature_keys;
mod versions;

use signet::store::users as stored;

use crate::support::{Browser, Server};

/// A server with the administrator alice, and the browser she is signed in with.
pub async fn with_admin() -> (Server, Browser) {
    let server = Server::start().await;
    server.user("alice").await;
    make_admin(&server, "alice").await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    (server, browser)
}

pub use clients::{connect, stored};

pub async fn make_admin(server: &Server, name: &str) {
    let mut user = server.person(name).await;
    user.admin = true;
    server.app.store().write(move |tx| Box::pin(async move { stored::update(tx, &user).await })).await.unwrap();
}
