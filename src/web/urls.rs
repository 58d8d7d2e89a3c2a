//! The paths of pages, for links and routes. `protocol::discovery` has the paths of the protocol endpoints, and
//! publishes them.

use crate::domain::api::ApiId;
use crate::domain::ids::{ClientId, InteractionId, UserId};

pub use crate::protocol::discovery::ENDPOINTS;

/// RFC 9728 §3.
pub const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";
pub const LOGIN: &str = "/login";
pub const SIGN_UP: &str = "/signup";
pub const SETUP: &str = "/setup";
pub const DEVICE: &str = "/device";
pub const DEVICE_QR: &str = "/device/qr";
pub const ACCOUNT: &str = "/account";
pub const PASSWORD: &str = "/account/password";
pub const PASSKEYS: &str = "/account/passkeys";
/// RFC 9116 §3.
pub const SECURITY_TXT: &str = "/.well-known/security.txt";
pub const CONSOLE: &str = "/admin";
/// The page for the first administrator after set-up.
pub const START: &str = "/admin/start";
/// The console's list of APIs.
pub const APIS: &str = "/admin/apis";
/// The endpoint for proxies, followed by the name of a gate.
pub const GATE: &str = "/gate/verify";
/// The sign-in page for browsers of other hosts, followed by the name of a gate.
pub const GATE_SIGN_IN: &str = "/gate/sign-in";
/// The target of `/.signet/` on a client's host, whose proxy forwards it here, followed by the name of a gate.
pub const GATE_SESSION: &str = "/gate/session";

/// Style sheet, icons and scripts.
pub const STATIC: &str = "/static";
/// The same files on a client's host (`gate::app_urls`), whose proxy forwards the path to [`GATE_SESSION`].
pub const STATIC_ON_APP_HOST: &str = "/.signet/static";

/// Returns the path at which an interaction continues after a page has recorded its result.
pub fn resume(id: InteractionId) -> String {
    format!("{}/{id}", ENDPOINTS.authorization)
}

/// Returns [`resume`] for a page that carries the client along (`pages::CARRIED_APP`).
pub fn resume_with_app(id: InteractionId, app: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("app", app).finish();
    format!("{}?{query}", resume(id))
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

/// Returns the page for a user who may not use the client.
pub fn not_admitted(id: InteractionId) -> String {
    format!("/not-allowed/{id}")
}

pub fn select_account(id: InteractionId) -> String {
    format!("/select-account/{id}")
}

/// Returns the page on which a user decides on a device whose code they have entered.
pub fn device(ticket: &str) -> String {
    format!("{DEVICE}/{ticket}")
}

/// Returns the console's page of a client. The id is percent-encoded into one path segment. A client called `new` is
/// encoded so that it does not collide with the page for new clients.
pub fn console_client(id: &ClientId) -> String {
    let segment: String = match id.as_str() {
        "new" => "%6Eew".to_owned(),
        id => url::form_urlencoded::byte_serialize(id.as_bytes()).collect(),
    };
    format!("{CONSOLE}/clients/{segment}")
}

/// Returns the console's page of an API. The identifier is percent-encoded into one path segment.
pub fn console_api(id: &ApiId) -> String {
    format!("{APIS}/{}", url::form_urlencoded::byte_serialize(id.as_str().as_bytes()).collect::<String>())
}

/// Returns the console's page of an API with a test request for its rules.
pub fn api_trial(id: &ApiId, method: &str, path: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let query = query.append_pair("method", method).append_pair("path", path).finish();
    format!("{}?{query}#trial", console_api(id))
}

/// Returns the console's page that explains why the gate denied a request.
pub fn refusal(request_id: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("id", request_id).finish();
    format!("{CONSOLE}/refusals?{query}")
}

/// Returns the URL of a client's logo on this server.
pub fn logo(id: &ClientId) -> String {
    format!("/logo/{}", url::form_urlencoded::byte_serialize(id.as_str().as_bytes()).collect::<String>())
}

pub fn console_user(id: UserId) -> String {
    format!("{CONSOLE}/people/{id}")
}

/// Returns the sign-in page that continues to `next`, a path of this server.
pub fn login_with_next(next: &str) -> String {
    before(LOGIN, next)
}

/// Returns the sign-in page for switching to another account, which continues to `next`, a path of this server.
pub fn switch_account(next: &str) -> String {
    format!("{}&another=1", before(LOGIN, next))
}

/// Returns the sign-up page that continues to `next`, a path of this server.
pub fn sign_up_with_next(next: &str) -> String {
    before(SIGN_UP, next)
}

fn before(page: &str, next: &str) -> String {
    let next = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("{page}?{next}")
}
