//! `/admin/start`: the first administrator's page after set-up, with the next steps: a client, users, a
//! passkey and a public address.

use axum::response::Response;

use super::views::start::StartPage;
use crate::store::{StoreError, clients, users};
use crate::web::error::{PageError, render};
use crate::web::extract::Admin;
use crate::web::view::Chrome;

pub async fn show(Admin(person): Admin) -> Result<Response, PageError> {
    let (conn, issuer) = (person.app().store().read(), &person.app().config.issuer);
    let failed = |error: StoreError| person.error(error);
    Ok(render(&StartPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        issuer: issuer.as_str().to_owned(),
        discovery: issuer.join("/.well-known/openid-configuration"),
        is_public: issuer.is_https(),
        apps: clients::count(conn).await.map_err(failed)?,
        users: users::count(conn).await.map_err(failed)?,
    }))
}
