//! `/account/apps`: the clients that may use the account, with links to open them and to revoke their access.

use axum::response::Response;

use super::redirect_with_flash;
use super::views::{AppLine, AppsPage};
use crate::app::AppState;
use crate::domain::api::Api;
use crate::domain::ids::ClientId;
use crate::manage::ManageError;
use crate::manage::consents::{self, ConnectedClient};
use crate::web::error::{PageError, render};
use crate::web::extract::{PathParam, SignedIn, SignedInForm};
use crate::web::flash::Flash;
use crate::web::pages::{app_card, consent};
use crate::web::view::{Chrome, DisplayTime};

const PATH: &str = "/account/apps";

pub async fn show(person: SignedIn) -> Result<Response, PageError> {
    let apps = consents::connected(person.app().store(), person.user.id).await.map_err(|error| person.error(error))?;
    let store = person.app().store();
    let apis = store.authority().apis(store).await.map_err(|error| person.error(error))?;
    Ok(render(&AppsPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        apps: apps.iter().map(|app| line(person.app(), app, &apis)).collect(),
    }))
}

fn line(here: &AppState, app: &ConnectedClient, apis: &[Api]) -> AppLine {
    AppLine {
        client_path: url::form_urlencoded::byte_serialize(app.client.id.as_str().as_bytes()).collect(),
        app: app_card(&app.client),
        scopes: consent::describe_permissions(&app.permissions, apis),
        since: app.since.map(|since| DisplayTime::new(since.date())),
        // OpenID Connect Core §4: the client starts the sign-in, and this server finds the user's session.
        open: app
            .client
            .meta
            .initiate_login_uri
            .as_ref()
            .filter(|_| !app.client.disabled)
            .map(|uri| uri.with_query_parameters(&[("iss", here.provider.issuer.as_str())])),
    }
}

pub async fn revoke(PathParam(client): PathParam<String>, form: SignedInForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let gone = Flash::bad("That app doesn’t use your account any more.");
    let flash = match ClientId::parse(&client) {
        Err(_) => gone,
        Ok(client) => match consents::revoke(&person.app().manager(), &person.by(), person.user.id, client).await {
            Ok(()) => Flash::ok("The app is removed. It has to ask you again."),
            Err(ManageError::NotFound(_)) => gone,
            Err(error) => return Err(person.error(error)),
        },
    };
    Ok(redirect_with_flash(person, flash, PATH))
}
