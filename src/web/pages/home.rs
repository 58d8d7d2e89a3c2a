//! The home page: describes the server and shows the signed-in user.

use axum::response::Response;

use super::consent::signed_in;
use super::views::HomePage;
use crate::web::error::{PageError, render};
use crate::web::extract::Visitor;
use crate::web::view::visible;
use crate::web::view::{Chrome, Viewer, initials};

pub async fn show(visitor: Visitor) -> Result<Response, PageError> {
    let viewer = signed_in(&visitor).await?.map(|user| Viewer {
        name: visible(user.display_name()),
        initials: initials(user.display_name()),
        admin: user.admin,
        api_keys: false,
    });
    Ok(render(&HomePage { chrome: Chrome::of(&visitor.app), viewer }))
}
