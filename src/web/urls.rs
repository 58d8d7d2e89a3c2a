//! The paths that CONTRACT fixes, in one place: the router mounts them and discovery publishes them.

use crate::domain::ids::InteractionId;
use crate::protocol::discovery::Endpoints;

pub const ENDPOINTS: Endpoints = Endpoints {
    authorization: "/oauth2/authorize",
    token: "/oauth2/token",
    userinfo: "/oauth2/userinfo",
    jwks: "/.well-known/jwks.json",
    introspection: "/oauth2/introspect",
    revocation: "/oauth2/revoke",
    end_session: "/oauth2/logout",
};

pub const LOGIN: &str = "/login";
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

pub fn consent(id: InteractionId) -> String {
    format!("/consent/{id}")
}

pub fn select_account(id: InteractionId) -> String {
    format!("/select-account/{id}")
}

/// The sign-in page that leads on to `next`, a path of ours.
pub fn login_before(next: &str) -> String {
    let next = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("{LOGIN}?{next}")
}
