//! What a person's own pages show: one struct a page, each with its template in `templates/account/`. The handlers
//! beside this file fill them; what is common to all pages is in `web/view.rs`.

use askama::Template;

use crate::web::api_keys::{KeyApi, KeyForm, KeyLine};
use crate::web::edit::EditState;
use crate::web::view::{AppCard, Chrome, DisplayTime, Notice, Viewer};

/// `/account`: who am I, how do I sign in, what happened lately.
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

/// What is kept about a person, in their own words.
pub struct Facts {
    pub name: String,
    pub username: String,
    pub email: Option<String>,
    pub email_verified: bool,
}

/// How and when the person came in the time before this.
pub struct LastSignIn {
    pub when: DisplayTime,
    /// Completes the sentence: "with a passkey".
    pub how: &'static str,
}

/// One line of "Recent activity".
pub struct ActivityLine {
    /// A symbol of `icons.svg`.
    pub icon: &'static str,
    /// `bad` for what deserves a second look, else empty.
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
    /// Whether passkeys work at this server’s address.
    pub available: bool,
    /// Whether there are as many as there may be.
    pub full: bool,
    /// Where to sign in once more, when the last time is too long ago to add one.
    pub again: String,
}

pub struct PasskeyLine {
    /// Stands in addresses as it is.
    pub id: String,
    pub name: String,
    pub created: DisplayTime,
    pub last_used: Option<DisplayTime>,
    /// Whether the last sign-in in this browser was with it.
    pub here: bool,
    pub form: PasskeyForm,
}

/// A passkey's new name.
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
    /// Told to password managers, so that they change the right entry.
    pub username: String,
    /// What was refused: the field (`current` or `password`) and why.
    pub errors: Vec<(&'static str, String)>,
}

/// `/account/sessions`: where the person is signed in.
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
    /// Stands in addresses as it is; never the session's secret.
    pub id: String,
    /// "Firefox on Linux".
    pub device: String,
    pub address: String,
    pub started: DisplayTime,
    pub last_seen: DisplayTime,
    pub current: bool,
}

/// `/account/apps`: what the person allowed.
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
    /// The `client_id` as one percent-encoded path segment.
    pub client_path: String,
    pub app: AppCard,
    /// Plain words, not scope names.
    pub scopes: Vec<String>,
    /// Nothing where it has nothing that could be removed.
    pub since: Option<DisplayTime>,
    /// Where the app begins to sign people in, if it says so.
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
    /// The new key, in the one answer that shows it.
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
    /// The API's gate and name.
    pub gate: String,
    pub api: String,
    pub form: KeyForm,
}

// The line of the side navigation that a page marks as the one people are on.

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

    /// How many sessions "sign out everywhere else" would end.
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
