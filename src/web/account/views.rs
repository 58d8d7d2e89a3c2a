//! The template values of the user's own pages: one struct per page, with its template in
//! `templates/account/`. The handlers of this folder fill them. The parts that all pages share are in
//! `web/view.rs`.

use askama::Template;

use crate::web::api_keys::{KeyApi, KeyForm, KeyLine};
use crate::web::edit::EditState;
use crate::web::view::{AppCard, Chrome, DisplayTime, Notice, Viewer};

/// `/account`: profile, credentials and recent activity.
#[derive(Template)]
#[template(path = "account/home.html")]
pub struct AccountHome {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub facts: Facts,
    pub last_sign_in: Option<LastSignIn>,
    pub passkey_count: usize,
    pub password_changed: Option<DisplayTime>,
    pub recent: Vec<ActivityLine>,
}

/// The user's profile.
pub struct Facts {
    pub name: String,
    pub username: String,
    pub email: Option<String>,
    pub email_verified: bool,
}

/// The time and the method of the sign-in before the current one.
pub struct LastSignIn {
    pub when: DisplayTime,
    /// The end of a sentence: "with a passkey".
    pub how: &'static str,
}

/// One line of "Recent activity".
pub struct ActivityLine {
    /// The name of a symbol in `icons.svg`.
    pub icon: &'static str,
    /// `bad` for events that deserve attention, otherwise empty.
    pub tone: &'static str,
    pub title: String,
    pub detail: String,
    pub when: DisplayTime,
}

/// `/account/passkeys`.
#[derive(Template)]
#[template(path = "account/passkeys.html")]
pub struct PasskeysPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub passkeys: Vec<PasskeyLine>,
    /// Whether passkeys work at this server's address.
    pub available: bool,
    /// Whether the user has the maximum number of passkeys.
    pub full: bool,
    /// The URL for signing in again, if the last sign-in is too old to add a passkey.
    pub again: String,
}

pub struct PasskeyLine {
    /// Safe to use unencoded in URLs.
    pub id: String,
    pub name: String,
    pub created: DisplayTime,
    pub last_used: Option<DisplayTime>,
    /// Whether this browser's session was signed in with this passkey.
    pub here: bool,
    pub form: PasskeyForm,
}

/// The form that renames a passkey.
#[derive(Clone, Default)]
pub struct PasskeyForm {
    pub name: String,
    pub edit: EditState,
}

/// `/account/password`.
#[derive(Template)]
#[template(path = "account/password.html")]
pub struct PasswordPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    /// Lets password managers update the right entry.
    pub username: String,
    /// The errors: the field (`current` or `password`) and the message.
    pub errors: Vec<(&'static str, String)>,
}

/// `/account/sessions`: the user's sessions.
#[derive(Template)]
#[template(path = "account/sessions.html")]
pub struct SessionsPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub sessions: Vec<SessionLine>,
}

pub struct SessionLine {
    /// Safe to use unencoded in URLs. This is not the session's secret.
    pub id: String,
    /// "Firefox on Linux".
    pub device: String,
    pub address: String,
    pub started: DisplayTime,
    pub last_seen: DisplayTime,
    pub current: bool,
}

/// `/account/apps`: the clients that the user has allowed.
#[derive(Template)]
#[template(path = "account/apps.html")]
pub struct AppsPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub apps: Vec<AppLine>,
}

pub struct AppLine {
    /// The `client_id`, percent-encoded as one path segment.
    pub client_path: String,
    pub app: AppCard,
    /// Descriptions of the scopes, not their names.
    pub scopes: Vec<String>,
    /// `None` if the client has no access that could be revoked.
    pub since: Option<DisplayTime>,
    /// The URL at which the client starts a sign-in (`initiate_login_uri`), if it has one.
    pub open: Option<String>,
}

/// `/account/api-keys`.
#[derive(Template)]
#[template(path = "account/api_keys.html")]
pub struct ApiKeysPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    /// The new key. It is shown in one response only.
    pub key: Option<String>,
    pub keys: Vec<KeyLine>,
    pub apis: Vec<KeyApi>,
}

/// `/account/api-keys/new/{gate}`.
#[derive(Template)]
#[template(path = "account/api_key_new.html")]
pub struct NewApiKeyPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    /// The name of the API's gate; `api` is the name of the API.
    pub gate: String,
    pub api: String,
    pub form: KeyForm,
}

// `SECTION` is the entry of the side navigation that a page highlights.

impl AccountHome {
    const SECTION: &str = "home";
}

impl PasskeysPage {
    const SECTION: &str = "passkeys";
}

impl PasswordPage {
    const SECTION: &str = "password";

    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|(name, _)| *name == field).map(|(_, text)| text.as_str())
    }
}

impl SessionsPage {
    const SECTION: &str = "sessions";

    /// Returns the number of sessions that "sign out everywhere else" would end.
    pub fn others(&self) -> usize {
        self.sessions.iter().filter(|session| !session.current).count()
    }
}

impl AppsPage {
    const SECTION: &str = "apps";
}

impl ApiKeysPage {
    const SECTION: &str = "api_keys";
}

impl NewApiKeyPage {
    const SECTION: &str = "api_keys";

    fn action(&self) -> String {
        format!("/account/api-keys/new/{}", self.gate)
    }
}
