//! `/admin/clients/{id}/api-keys`: creates and revokes API keys of a client. Also revokes keys of a user,
//! from the user's page. A new key is passed to the list in the sealed cookie of [`crate::web::flash`] and is
//! shown once.

use axum::response::Response;

use super::client::found;
use super::views::api_keys::{ClientKeysPage, NewClientKeyPage};
use super::{failed, redirect_with_flash, rerender};
use crate::domain::api::Api;
use crate::domain::api_key::Owner;
use crate::domain::client::Client;
use crate::domain::gate::GateName;
use crate::domain::ids::{ApiKeyId, ClientId, UserId};
use crate::manage::{ManageError, api_keys as manage};
use crate::web::api_keys::{FIELDS, KeyForm, KeyFormOutcome, api_for_gate, apis, choices, lines, submit};
use crate::web::error::{PageError, render};
use crate::web::extract::{Admin, AdminForm, PathParam, SignedIn};
use crate::web::flash::Flash;
use crate::web::urls;
use crate::web::view::Chrome;
use crate::web::view::visible;

fn page_path(id: &ClientId) -> String {
    format!("{}/api-keys", urls::console_client(id))
}

pub async fn show(Admin(person): Admin, PathParam(id): PathParam<ClientId>) -> Result<Response, PageError> {
    let client = found(&person, &id).await?;
    Ok(render(&ClientKeysPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        app: visible(client.display_name()),
        href: urls::console_client(&id),
        key: person.flash.as_ref().and_then(|flash| flash.secret.clone()),
        keys: lines(&person, Owner::Client(id)).await?,
        apis: choices(&apis(&person).await?),
    }))
}

pub async fn show_new(
    Admin(person): Admin,
    PathParam((id, gate)): PathParam<(ClientId, GateName)>,
) -> Result<Response, PageError> {
    let (client, api) = (found(&person, &id).await?, api_for_gate(&person, &gate).await?);
    let blank = KeyForm::blank(&api, |scope| client.meta.api_scopes.contains(&api.identifier, scope));
    Ok(render(&form(&person, &client, &gate, &api, blank)))
}

pub async fn create(
    PathParam((id, gate)): PathParam<(ClientId, GateName)>,
    sent: AdminForm,
) -> Result<Response, PageError> {
    let person = &sent.signed_in;
    sent.complete(&FIELDS)?;
    let (client, api) = (found(person, &id).await?, api_for_gate(person, &gate).await?);
    let may_have = |scope: &str| client.meta.api_scopes.contains(&api.identifier, scope);
    match submit(person, sent.fields(), Owner::Client(id.clone()), &api, may_have).await? {
        KeyFormOutcome::Key(secret) => {
            let flash = Flash::ok("The key is made.").with_secret(secret.expose().to_owned());
            Ok(redirect_with_flash(person, flash, &page_path(&id)))
        }
        KeyFormOutcome::Invalid(status, refused) => Ok(rerender(status, &form(person, &client, &gate, &api, refused))),
    }
}

pub async fn revoke(
    PathParam((id, key)): PathParam<(ClientId, ApiKeyId)>,
    form: AdminForm,
) -> Result<Response, PageError> {
    let to = page_path(&id);
    end(&form.signed_in, key, Owner::Client(id), &to).await
}

pub async fn revoke_for_user(PathParam(id): PathParam<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let (person, to) = (&form.signed_in, urls::console_user(id));
    match form.text("key").parse::<ApiKeyId>() {
        Ok(key) => end(person, key, Owner::User(id), &to).await,
        Err(_) => Ok(redirect_with_flash(person, not_found_flash(), &to)),
    }
}

fn not_found_flash() -> Flash {
    Flash::bad("There is no such key any more.")
}

async fn end(person: &SignedIn, key: ApiKeyId, owner: Owner, to: &str) -> Result<Response, PageError> {
    let flash = match manage::revoke(&person.app().manager(), &person.by(), key, Some(owner)).await {
        Ok(key) => Flash::ok(format!("The key {} is revoked. It opens nothing any more.", key.name)),
        Err(ManageError::NotFound(_)) => not_found_flash(),
        Err(error) => return Err(failed(person, error)),
    };
    Ok(redirect_with_flash(person, flash, to))
}

fn form(person: &SignedIn, client: &Client, gate: &GateName, api: &Api, form: KeyForm) -> NewClientKeyPage {
    NewClientKeyPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        app: visible(client.display_name()),
        href: urls::console_client(&client.id),
        gate: gate.as_str().to_owned(),
        api: visible(api.display_name()),
        form,
    }
}
