//! `/admin/start`: the template values of the page with the next steps after set-up.

use askama::Template;

use crate::web::view::{Chrome, Notice, Viewer};

#[derive(Template)]
#[template(path = "console/start.html")]
pub struct StartPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    /// The issuer URL, exactly as in tokens.
    pub issuer: String,
    /// The URL of the discovery document.
    pub discovery: String,
    /// Whether the issuer uses https. Otherwise it is a loopback address, which other machines cannot reach.
    pub is_public: bool,
    pub apps: u64,
    /// The number of users, including the administrator.
    pub users: u64,
}

super::in_section!(Overview: StartPage);
