//! `/admin/clients/{id}`: the page of one client: its settings, its secret, disabling, enabling and deleting
//! it.
//!
//! A new secret is passed to this page in the sealed cookie of [`crate::web::flash`] and is shown once.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;

use super::views::clients::{AllowedGroup, ClientForm, ClientPage, ClientUsers, GroupMember};
use super::views::{ConfirmPage, Crumb, Section};
use super::{client_form, client_members, failed, form_errors, groups, redirect_with_flash, rerender};
use crate::domain::api::Api;
use crate::domain::client::Client;
use crate::domain::ids::ClientId;
use crate::domain::secret::Secret;
use crate::domain::user::User;
use crate::manage::{Conflict, ManageError, Revision, clients as manage};
use crate::store::{StoreError, clients, users};
use crate::web::edit::{self, EditTarget, SubmittedForm};
use crate::web::error::{PageError, render};
use crate::web::extract::{Admin, AdminForm, PathParam, SignedIn};
use crate::web::flash::Flash;
use crate::web::pages::app_card;
use crate::web::urls;
use crate::web::view::{Chrome, DisplayTime, visible};

const LIST: &str = "/admin/clients";
/// The maximum number of users that the page lists. It shows how many more there are.
const MAX_LISTED_MEMBERS: u64 = 8;

pub async fn show(Admin(person): Admin, PathParam(id): PathParam<ClientId>) -> Result<Response, PageError> {
    let client = found(&person, &id).await?;
    let form = stored(&person, &client, &apis(&person).await?).await?;
    let form = edit::begun(&person, &EditTarget::Client(id), form)?;
    Ok(render(&page(&person, &client, form).await?))
}

/// Returns the form with the stored settings.
async fn stored(person: &SignedIn, client: &Client, apis: &[Api]) -> Result<ClientForm, PageError> {
    let allowed: Vec<String> = client.meta.allowed_groups.iter().map(ToString::to_string).collect();
    let allowed_groups = groups::picker(person, client_form::ALLOWED_GROUPS, &allowed, "").await?;
    Ok(ClientForm { allowed_groups, ..client_form::shown(client, apis) })
}

pub(super) async fn apis(person: &SignedIn) -> Result<Arc<Vec<Api>>, PageError> {
    let store = person.app().store();
    store.authority().apis(store).await.map_err(|error| person.error(error))
}

pub async fn save(PathParam(id): PathParam<ClientId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    form.complete(&client_form::FIELDS)?;
    form.complete(&client_members::fields())?;
    let about = EditTarget::Client(id.clone());
    let sent = SubmittedForm::read(person, form.fields(), &about, &urls::console_client(&id))?;
    edit::save(person, || try_save(&form, &id, &about, &sent)).await
}

/// Returns `None` if the client was changed while the form was being saved.
async fn try_save(
    form: &AdminForm,
    id: &ClientId,
    about: &EditTarget,
    sent: &SubmittedForm<'_>,
) -> Result<Option<Response>, PageError> {
    let person = &form.signed_in;
    let (client, apis) = (found(person, id).await?, apis(person).await?);
    let (stored, typed) = (stored(person, &client, &apis).await?, client_form::typed(form).await?);
    let typed = edit::merge(person, sent, about, &stored, typed).await?;
    let again = async |status, form| Ok(Some(rerender(status, &page(person, &client, form).await?)));
    if groups::is_search(form) {
        return again(StatusCode::OK, typed).await;
    }
    if typed.edit.is_conflict() {
        return again(StatusCode::CONFLICT, typed).await;
    }
    let meta = match client_form::metadata(&typed, client.meta.clone(), &apis) {
        Ok(meta) => Revision::of(client.meta.clone(), meta),
        Err(errors) => return again(StatusCode::UNPROCESSABLE_ENTITY, ClientForm { errors, ..typed }).await,
    };
    match manage::revise(&person.app().manager(), &person.by(), id, meta).await {
        Ok((_, None)) => {
            Ok(Some(redirect_with_flash(person, Flash::ok(typed.edit.saved()), &urls::console_client(id))))
        }
        Ok((_, Some(secret))) => {
            Ok(Some(with_secret(person, &format!("{} It has a secret now.", typed.edit.saved()), id, &secret)))
        }
        Err(ManageError::Changed) => Ok(None),
        Err(error) => {
            let (status, errors) = form_errors(person, error)?;
            again(status, ClientForm { errors, ..typed }).await
        }
    }
}

pub async fn rotate_secret(PathParam(id): PathParam<ClientId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    match manage::rotate_secret(&person.app().manager(), &person.by(), &id, None).await {
        Ok(secret) => Ok(with_secret(person, "The old secret doesn’t work any more.", &id, &secret)),
        Err(ManageError::Conflict(Conflict::NoSecret(_))) => {
            let flash = Flash::bad("This app is public: it has no secret.");
            Ok(redirect_with_flash(person, flash, &urls::console_client(&id)))
        }
        Err(error) => Err(failed(person, error)),
    }
}

fn with_secret(person: &SignedIn, text: &str, id: &ClientId, secret: &Secret) -> Response {
    redirect_with_flash(person, Flash::ok(text).with_secret(secret.expose().to_owned()), &urls::console_client(id))
}

pub async fn disable(PathParam(id): PathParam<ClientId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let done = manage::disable(&person.app().manager(), &person.by(), &id).await;
    let client = done.map_err(|error| failed(person, error))?;
    let flash = Flash::ok(format!("{} is off. Its tokens don’t work any more.", client.display_name()));
    Ok(redirect_with_flash(person, flash, &urls::console_client(&id)))
}

pub async fn enable(PathParam(id): PathParam<ClientId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let done = manage::enable(&person.app().manager(), &person.by(), &id).await;
    let client = done.map_err(|error| failed(person, error))?;
    Ok(redirect_with_flash(
        person,
        Flash::ok(format!("{} is on again.", client.display_name())),
        &urls::console_client(&id),
    ))
}

pub async fn ask_delete(Admin(person): Admin, PathParam(id): PathParam<ClientId>) -> Result<Response, PageError> {
    let client = found(&person, &id).await?;
    Ok(render(&confirm(&person, &client, "", None)))
}

pub async fn delete(PathParam(id): PathParam<ClientId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let client = found(person, &id).await?;
    let typed = form.text("confirm");
    if typed.trim() != id.as_str() {
        let page = confirm(person, &client, typed, Some("That isn’t the app’s client ID."));
        return Ok(rerender(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    let done = manage::delete(&person.app().manager(), &person.by(), &id).await;
    done.map_err(|error| failed(person, error))?;
    Ok(redirect_with_flash(person, Flash::ok(format!("{} is deleted.", client.display_name())), LIST))
}

pub(super) async fn found(person: &SignedIn, id: &ClientId) -> Result<Client, PageError> {
    let found = clients::by_id(person.app().store().read(), id).await.map_err(|error| person.error(error))?;
    found.ok_or_else(|| person.not_found("There is no such app."))
}

async fn page(person: &SignedIn, client: &Client, form: ClientForm) -> Result<ClientPage, PageError> {
    let users = users(person, client).await.map_err(|error| person.error(error))?;
    Ok(ClientPage {
        users,
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        client_id: client.id.to_string(),
        href: urls::console_client(&client.id),
        app: app_card(client),
        kind: client.kind(),
        made: DisplayTime::new(client.created_at.date()),
        came: if client.is_verified() { "connected" } else { "registered itself, not verified," },
        on: !client.disabled,
        has_secret: client.secret.is_some(),
        has_short_secret: client.has_short_secret(),
        secret: person.flash.as_ref().and_then(|flash| flash.secret.clone()),
        issuer: person.app().config.issuer.as_str().to_owned(),
        takes_keys: person.viewer().api_keys,
        form,
    })
}

/// Returns the users that may use a client, according to the current groups.
async fn users(person: &SignedIn, client: &Client) -> Result<ClientUsers, StoreError> {
    let conn = person.app().store().read();
    let names: Vec<String> = client.meta.allowed_groups.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        let count = users::count(conn).await?.saturating_sub(users::count_disabled(conn).await?);
        return Ok(ClientUsers { groups: Vec::new(), members: Vec::new(), count });
    }
    let (all, members) = (users::all_groups(conn).await?, users::member_counts(conn, &names).await?);
    let (users, count) = users::in_groups(conn, &names, MAX_LISTED_MEMBERS).await?;
    let group = |name: &String| AllowedGroup {
        name: visible(name),
        is_there: all.contains(name),
        members: members.get(name).copied().unwrap_or_default(),
    };
    let member = |user: &User| GroupMember { name: visible(user.display_name()), href: urls::console_user(user.id) };
    Ok(ClientUsers { groups: names.iter().map(group).collect(), members: users.iter().map(member).collect(), count })
}

fn confirm(person: &SignedIn, client: &Client, typed: &str, error: Option<&str>) -> ConfirmPage {
    let (name, href) = (visible(client.display_name()), urls::console_client(&client.id));
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
