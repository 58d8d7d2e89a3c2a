//! `/admin/registration`: the template values of dynamic client registration and its initial access tokens
//! (RFC 7591 §3). A new token is shown in one response only and must not be logged, so the page has no
//! `Debug`.

use askama::Template;

use super::{Choice, errors_of};
use crate::web::view::{Chrome, DisplayTime, Notice, Viewer};

#[derive(Template)]
#[template(path = "console/registration.html")]
pub struct RegistrationPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub access: RegistrationAccess,
    /// The absolute URL of the registration endpoint.
    pub endpoint: String,
    /// The scopes that a self-registered client may have, separated by spaces.
    pub scope: String,
    pub grant_types: String,
    pub documents: bool,
    /// The new token. It is shown in one response only.
    pub token: Option<String>,
    pub tokens: Vec<TokenRow>,
    pub form: TokenForm,
}

/// The setting `registration`: who may register clients.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RegistrationAccess {
    Disabled,
    WithToken,
    Open,
}

pub struct TokenRow {
    pub id: String,
    /// The remaining uses: "3", or "Any number".
    pub uses_left: String,
    pub made: DisplayTime,
    pub until: DisplayTime,
    pub expired: bool,
}

#[derive(Clone, Default)]
pub struct TokenForm {
    /// Empty: any number of uses.
    pub uses: String,
    pub expires_in: Vec<Choice>,
    /// Field (empty for the form as a whole) and message.
    pub errors: Vec<(String, String)>,
}

impl TokenForm {
    pub fn error(&self, field: &str) -> Option<String> {
        errors_of(&self.errors, field)
    }
}

super::in_section!(Apps: RegistrationPage);
