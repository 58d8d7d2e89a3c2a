//! `/admin/clients/{id}`: one app. Its settings, its secret, turning it off and on, deleting it.
//!
//! A new secret comes to this page sealed in the cookie of [`crate::web::flash`] and is shown once.

use axum::http::StatusCode;
use axum::response::Response;

use super::views::clients::{ClientForm, ClientPage};
use super::views::{ConfirmPage, Crumb, Section};
use super::{FieldErrors, again, client_form, client_members, failed, refused, then};
use crate::domain::client::Client;
use crate::domain::ids::ClientId;
use crate::domain::secret::Secret;
use crate::manage::{ManageError, clients as manage};
use crate::store::clients;
use crate::web::error::{PageError, render};
use crate::web::extract::{Admin, AdminForm, InPath, SignedIn};
use crate::web::flash::Flash;
use crate::web::pages::card;
use crate::web::urls;
use crate::web::view::{Chrome, When, visible};

const LIST: &str = "/admin/clients";

pub async fn show(Admin(person): Admin, InPath(id): InPath<ClientId>) -> Result<Response, PageError> {
    let client = found(&person, &id).await?;
    let store = person.app().store();
    let apis = store.authority().apis(store).await.map_err(|error| person.error(error))?;
    Ok(render(&page(&person, &client, client_form::shown(&client, &apis))))
}

pub async fn save(InPath(id): InPath<ClientId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.person;
    form.complete(&client_form::FIELDS)?;
    form.complete(&client_members::fields())?;
    let client = found(person, &id).await?;
    let typed = client_form::typed(&form);
    let refuse =
        |status, errors: FieldErrors| again(status, &page(person, &client, ClientForm { errors, ..typed.clone() }));
    let meta = match client_form::metadata(&typed, client.meta.clone()) {
        Ok(meta) => meta,
        Err(errors) => return Ok(refuse(StatusCode::UNPROCESSABLE_ENTITY, errors)),
    };
    match manage::update(&person.app().manager(), &person.by(), &id, meta).await {
        Ok((_, None)) => Ok(then(person, Flash::ok("Saved."), &urls::console_client(&id))),
        Ok((_, Some(secret))) => Ok(with_secret(person, "Saved. It has a secret now.", &id, &secret)),
        Err(error) => {
            let (status, errors) = refused(person, error)?;
            Ok(refuse(status, errors))
        }
    }
}

pub async fn rotate_secret(InPath(id): InPath<ClientId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.person;
    match manage::rotate_secret(&person.app().manager(), &person.by(), &id, None).await {
        Ok(secret) => Ok(with_secret(person, "The old secret doesn’t work any more.", &id, &secret)),
        Err(ManageError::Conflict(_)) => {
            let flash = Flash::bad("This app is public: it has no secret.");
            Ok(then(person, flash, &urls::console_client(&id)))
        }
        Err(error) => Err(failed(person, error)),
    }
}

fn with_secret(person: &SignedIn, text: &str, id: &ClientId, secret: &Secret) -> Response {
    then(person, Flash::ok(text).with_secret(secret.expose().to_owned()), &urls::console_client(id))
}

pub async fn disable(InPath(id): InPath<ClientId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.person;
    let done = manage::disable(&person.app().manager(), &person.by(), &id).await;
    let client = done.map_err(|error| failed(person, error))?;
    let flash = Flash::ok(format!("{} is off. Its tokens don’t work any more.", client.shown_name()));
    Ok(then(person, flash, &urls::console_client(&id)))
}

pub async fn enable(InPath(id): InPath<ClientId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.person;
    let done = manage::enable(&person.app().manager(), &person.by(), &id).await;
    let client = done.map_err(|error| failed(person, error))?;
    Ok(then(person, Flash::ok(format!("{} is on again.", client.shown_name())), &urls::console_client(&id)))
}

pub async fn ask_delete(Admin(person): Admin, InPath(id): InPath<ClientId>) -> Result<Response, PageError> {
    let client = found(&person, &id).await?;
    Ok(render(&confirm(&person, &client, "", None)))
}

pub async fn delete(InPath(id): InPath<ClientId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.person;
    let client = found(person, &id).await?;
    let typed = form.text("confirm");
    if typed.trim() != id.as_str() {
        let page = confirm(person, &client, typed, Some("That isn’t the app’s client ID."));
        return Ok(again(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    let done = manage::delete(&person.app().manager(), &person.by(), &id).await;
    done.map_err(|error| failed(person, error))?;
    Ok(then(person, Flash::ok(format!("{} is deleted.", client.shown_name())), LIST))
}

pub(super) async fn found(person: &SignedIn, id: &ClientId) -> Result<Client, PageError> {
    let found = clients::by_id(person.app().store().read(), id).await.map_err(|error| person.error(error))?;
    found.ok_or_else(|| person.not_found("There is no such app."))
}

fn page(person: &SignedIn, client: &Client, form: ClientForm) -> ClientPage {
    ClientPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        client_id: client.id.to_string(),
        href: urls::console_client(&client.id),
        app: card(client),
        kind: client.kind(),
        made: When::new(client.created_at.date()),
        came: if client.is_verified() { "connected" } else { "registered itself, not verified," },
        on: !client.disabled,
        has_secret: client.secret.is_some(),
        secret: person.flash.as_ref().and_then(|flash| flash.secret.clone()),
        issuer: person.app().config.issuer.as_str().to_owned(),
        takes_keys: person.viewer().api_keys,
        form,
    }
}

fn confirm(person: &SignedIn, client: &Client, typed: &str, error: Option<&str>) -> ConfirmPage {
    let (name, href) = (visible(client.shown_name()), urls::console_client(&client.id));
    ConfirmPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: None,
        section: Section::Apps,
        crumbs: vec![
            Crumb { label: "Apps".to_owned(), href: LIST.to_owned() },
            Crumb { label: name.clone(), href: href.clone() },
        ],
        step: "Delete".to_owned(),
        title: format!("Delete {name}?"),
        warning: "This can’t be undone.".to_owned(),
        effects: vec![
            format!("nobody can sign in to {name} any more"),
            "all its tokens stop working".to_owned(),
            "its settings and what people allowed it are erased; the events stay".to_owned(),
        ],
        word: client.id.to_string(),
        typed: typed.to_owned(),
        error: error.map(ToOwned::to_owned),
        action: format!("{href}/delete"),
        button: format!("Delete {name}"),
        back: href,
        instead: (!client.disabled).then(|| "Turn it off".to_owned()),
    }
}
