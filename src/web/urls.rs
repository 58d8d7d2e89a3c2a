//! The paths that CONTRACT fixes, in one place: the router mounts them and discovery publishes them.

use crate::domain::ids::{ClientId, InteractionId, UserId};
use crate::protocol::discovery::Endpoints;

pub const ENDPOINTS: Endpoints = Endpoints {
    authorization: "/oauth2/authorize",
    token: "/oauth2/token",
    userinfo: "/oauth2/userinfo",
    jwks: "/.well-known/jwks.json",
    introspection: "/oauth2/introspect",
    revocation: "/oauth2/revoke",
    end_session: "/oauth2/logout",
    pushed_authorization: "/oauth2/par",
    device_authorization: "/oauth2/device_authorization",
    registration: "/oauth2/register",
    check_session: "/oauth2/check_session",
};

pub const LOGIN: &str = "/login";
pub const SIGN_UP: &str = "/signup";
pub const SETUP: &str = "/setup";
pub const ACCOUNT: &str = "/account";
pub const CONSOLE: &str = "/admin";

/// Where an interaction goes on after a page has recorded what was done.
pub fn resume(id: InteractionId) -> String {
    format!("{}/{id}", ENDPOINTS.authorization)
}

pub fn login(id: InteractionId) -> String {
    format!("{LOGIN}/{id}")
}

pub fn sign_up(id: InteractionId) -> String {
    format!("{SIGN_UP}/{id}")
}

pub fn consent(id: InteractionId) -> String {
    format!("/consent/{id}")
}

pub fn select_account(id: InteractionId) -> String {
    format!("/select-account/{id}")
}

/// The console's page of a client: one segment, whatever signs are in the id. An app called `new` is not the page for
/// new apps.
pub fn console_client(id: &ClientId) -> String {
    let segment: String = match id.as_str() {
        "new" => "%6Eew".to_owned(),
        id => url::form_urlencoded::byte_serialize(id.as_bytes()).collect(),
    };
    format!("{CONSOLE}/clients/{segment}")
}

pub fn console_person(id: UserId) -> String {
    format!("{CONSOLE}/people/{id}")
}

/// The sign-in page that leads on to `next`, a path of ours.
pub fn login_before(next: &str) -> String {
    before(LOGIN, next)
}

/// The sign-up page that leads on to `next`, a path of ours.
pub fn sign_up_before(next: &str) -> String {
    before(SIGN_UP, next)
}

fn before(page: &str, next: &str) -> String {
    let next = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("{page}?{next}")
}
