//! The paths of pages, one place for links and routes. Those of the protocol are `protocol::discovery`'s, which publishes
//! them.

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
/// Where the first administrator lands after set-up.
pub const START: &str = "/admin/start";
/// The console's table of APIs.
pub const APIS: &str = "/admin/apis";
/// Where proxies ask, with the name of a gate behind it.
pub const GATE: &str = "/gate/verify";
/// Where browsers of other hosts come to sign in, with the name of a gate behind it.
pub const GATE_SIGN_IN: &str = "/gate/sign-in";
/// What the proxy of an app's host passes on of `/.signet/`, with the name of a gate behind it.
pub const GATE_SESSION: &str = "/gate/session";

/// Style sheet, icons and scripts.
pub const STATIC: &str = "/static";
/// The same on an app's host (`gate::app_urls`), whose proxy passes it on to [`GATE_SESSION`].
pub const STATIC_ON_APP_HOST: &str = "/.signet/static";

/// Where an interaction goes on after a page has recorded what was done.
pub fn resume(id: InteractionId) -> String {
    format!("{}/{id}", ENDPOINTS.authorization)
}

/// The same for a page that carries its app along (`pages::CARRIED_APP`).
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

/// Where a user is told that they may not use the app.
pub fn not_admitted(id: InteractionId) -> String {
    format!("/not-allowed/{id}")
}

pub fn select_account(id: InteractionId) -> String {
    format!("/select-account/{id}")
}

/// Where a person decides on a device whose code they have typed.
pub fn device(ticket: &str) -> String {
    format!("{DEVICE}/{ticket}")
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

/// The console's page of an API, whose identifier is one segment of it.
pub fn console_api(id: &ApiId) -> String {
    format!("{APIS}/{}", url::form_urlencoded::byte_serialize(id.as_str().as_bytes()).collect::<String>())
}

/// The same with a request to try on its rules.
pub fn api_trial(id: &ApiId, method: &str, path: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let query = query.append_pair("method", method).append_pair("path", path).finish();
    format!("{}?{query}#trial", console_api(id))
}

/// Where the console says why the gate refused a request.
pub fn refusal(request_id: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("id", request_id).finish();
    format!("{CONSOLE}/refusals?{query}")
}

/// The app's logo, as we serve it.
pub fn logo(id: &ClientId) -> String {
    format!("/logo/{}", url::form_urlencoded::byte_serialize(id.as_str().as_bytes()).collect::<String>())
}

pub fn console_user(id: UserId) -> String {
    format!("{CONSOLE}/people/{id}")
}

/// The sign-in page that leads on to `next`, a path of ours.
pub fn login_with_next(next: &str) -> String {
    before(LOGIN, next)
}

/// The sign-in page for another account than the one that is signed in, which leads on to `next`, a path of ours.
pub fn switch_account(next: &str) -> String {
    format!("{}&another=1", before(LOGIN, next))
}

/// The sign-up page that leads on to `next`, a path of ours.
pub fn sign_up_with_next(next: &str) -> String {
    before(SIGN_UP, next)
}

fn before(page: &str, next: &str) -> String {
    let next = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("{page}?{next}")
}
