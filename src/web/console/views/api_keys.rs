//! `/admin/clients/{id}/api-keys`: an app's keys, and the form for a new one. A new key is part of exactly one answer, so
//! these pages have no `Debug`. What is in them is `crate::web::api_keys`.

use askama::Template;

use crate::web::api_keys::{KeyApi, KeyForm, KeyLine};
use crate::web::view::{Chrome, Notice, Viewer};

#[derive(Template)]
#[template(path = "console/client_api_keys.html")]
pub struct ClientKeysPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    /// What the app is called.
    pub app: String,
    /// The app's page, below which this one is.
    pub href: String,
    /// The new key, in the one answer that shows it.
    pub key: Option<String>,
    pub keys: Vec<KeyLine>,
    pub apis: Vec<KeyApi>,
}

#[derive(Template)]
#[template(path = "console/client_api_key_new.html")]
pub struct NewClientKeyPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub app: String,
    pub href: String,
    /// The API's gate and name.
    pub gate: String,
    pub api: String,
    pub form: KeyForm,
}

impl ClientKeysPage {
    fn below(&self) -> String {
        format!("{}/api-keys", self.href)
    }
}

impl NewClientKeyPage {
    fn below(&self) -> String {
        format!("{}/api-keys", self.href)
    }

    fn action(&self) -> String {
        format!("{}/new/{}", self.below(), self.gate)
    }
}

super::in_section!(Apps: ClientKeysPage, NewClientKeyPage);
