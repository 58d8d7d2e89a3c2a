//! `/admin/clients/{id}/api-keys`: the template values of a client's API keys and of the form for a new one.
//! A new key is shown in one response only and must not be logged, so these structs have no `Debug`. Their
//! parts are defined in `crate::web::api_keys`.

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
    /// The name of the client.
    pub app: String,
    /// The URL of the client's page, below which this page is.
    pub href: String,
    /// The new key. It is shown in one response only.
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
    /// The name of the API's gate; `api` is the name of the API.
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
