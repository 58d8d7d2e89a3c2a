//! `/admin/start`: what to do after set-up.

use askama::Template;

use crate::web::view::{Chrome, Notice, Viewer};

#[derive(Template)]
#[template(path = "console/start.html")]
pub struct StartPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    /// The issuer URL, as it stands in tokens.
    pub issuer: String,
    /// The address of the discovery document.
    pub discovery: String,
    /// Whether the issuer is https; otherwise it is at loopback, and no other machine reaches it.
    pub is_public: bool,
    pub apps: u64,
    /// The administrator too.
    pub users: u64,
}

super::in_section!(Overview: StartPage);
