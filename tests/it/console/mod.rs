//! The administrator's console: [`access`] who gets in and what is never shown, [`clients`] and [`client_settings`], [`apis`],
//! [`late_forms`] whose sender loses rights, [`people`], [`recent_sign_in`], [`registration`], [`signature_keys`], and [`record`], what has happened and the keys.

mod access;
mod apis;
mod client_settings;
mod clients;
mod late_forms;
mod people;
mod recent_sign_in;
mod record;
mod registration;
mod signature_keys;

use signet::store::people as stored;

use crate::support::{Browser, Server};

/// A server with the administrator alice, and the browser she is signed in with.
async fn with_admin() -> (Server, Browser) {
    let server = Server::start().await;
    server.user("alice").await;
    make_admin(&server, "alice").await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    (server, browser)
}

pub async fn make_admin(server: &Server, name: &str) {
    let mut user = server.person(name).await;
    user.admin = true;
    server.app.store().write(move |tx| Box::pin(async move { stored::update(tx, &user).await })).await.unwrap();
}
