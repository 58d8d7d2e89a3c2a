//! `/admin/people/{id}`: the page of one user: disabling, enabling and deleting. Administrators cannot
//! disable or delete themselves here, and the last administrator is never removed.
//!
//! See also [`super::user_edit`], for details and groups; [`super::user_access`], for credentials and
//! sessions; and [`super::adoption`], which asks for confirmation before a self-registered account gets
//! rights.

use axum::http::StatusCode;
use axum::response::Response;

use super::user_edit::{details, present_groups};
use super::users as list;
use super::views::users::{
    ConnectedApp, DetailsForm, GroupsForm, PasskeyRow, PasswordForm, SessionRow, UsableApp, UserDetails, UserPage,
};
use super::views::{ConfirmPage, Crumb, Section};
use super::{event_rows, failed, groups, redirect_with_flash, rerender};
use crate::domain::api_key::Owner;
use crate::domain::authorization::SignInMethod;
use crate::domain::client::{Client, RegistrationKind};
use crate::domain::client_metadata::GroupName;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::passkey::Passkey;
use crate::domain::session::Session;
use crate::domain::user::User;
use crate::manage::users as manage;
use crate::manage::{ManageError, consents};
use crate::store::{StoreError, clients, events, passkeys, sessions, users};
use crate::web::api_keys::lines;
use crate::web::edit::{self, EditTarget};
use crate::web::error::{PageError, render};
use crate::web::extract::{Admin, AdminForm, PathParam, SignedIn};
use crate::web::flash::Flash;
use crate::web::pages::app_card;
use crate::web::view::visible;
use crate::web::view::{Chrome, DisplayTime, initials};
use crate::web::{device, urls};

const MAX_RECENT_EVENTS: u64 = 8;
/// The maximum number of clients that the page lists. It shows how many more there are.
const MAX_USABLE_APPS: u64 = 30;
pub(super) const INVALID: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

pub async fn show(Admin(person): Admin, PathParam(id): PathParam<UserId>) -> Result<Response, PageError> {
    let user = found(&person, id).await?;
    Ok(render(&page(&person, &user).await?))
}

pub async fn disable(PathParam(id): PathParam<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let flash = if id == person.user.id {
        Flash::bad("You can’t disable yourself.")
    } else {
        match manage::disable(&person.app().manager(), &person.by(), id).await {
            Ok(user) => Flash::ok(format!("{} is disabled and signed out everywhere.", user.display_name())),
            Err(ManageError::Conflict(conflict)) => Flash::bad(format!("{conflict}.")),
            Err(error) => return Err(failed(person, error)),
        }
    };
    Ok(redirect_with_flash(person, flash, &urls::console_user(id)))
}

pub async fn enable(PathParam(id): PathParam<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let done = manage::enable(&person.app().manager(), &person.by(), id).await;
    let user = done.map_err(|error| failed(person, error))?;
    Ok(redirect_with_flash(
        person,
        Flash::ok(format!("{} can sign in again.", user.display_name())),
        &urls::console_user(id),
    ))
}

pub async fn ask_delete(Admin(person): Admin, PathParam(id): PathParam<UserId>) -> Result<Response, PageError> {
    let user = found(&person, id).await?;
    if id == person.user.id {
        return Ok(cannot_delete_self(&person));
    }
    Ok(render(&confirm(&person, &user, "", None)))
}

pub async fn delete(PathParam(id): PathParam<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let user = found(person, id).await?;
    if id == person.user.id {
        return Ok(cannot_delete_self(person));
    }
    let typed = form.text("confirm");
    if typed.trim() != user.username.as_str() {
        return Ok(rerender(INVALID, &confirm(person, &user, typed, Some("That isn’t their username.".to_owned()))));
    }
    match manage::delete(&person.app().manager(), &person.by(), id).await {
        Ok(()) => {
            Ok(redirect_with_flash(person, Flash::ok(format!("{} is deleted.", user.display_name())), list::PATH))
        }
        Err(ManageError::Conflict(conflict)) => {
            Ok(rerender(INVALID, &confirm(person, &user, typed, Some(format!("{conflict}.")))))
        }
        Err(error) => Err(failed(person, error)),
    }
}

fn cannot_delete_self(person: &SignedIn) -> Response {
    redirect_with_flash(person, Flash::bad("You can’t delete yourself."), &urls::console_user(person.user.id))
}

pub(super) async fn found(person: &SignedIn, id: UserId) -> Result<User, PageError> {
    let found = users::by_id(person.app().store().read(), id).await.map_err(|error| person.error(error))?;
    found.ok_or_else(|| person.not_found("There is no such person."))
}

pub(super) async fn page(person: &SignedIn, user: &User) -> Result<UserPage, PageError> {
    let groups = present_groups(person, user.id).await?;
    let picker = groups::picker(person, "groups", &groups, "").await?;
    let about = EditTarget::User(user.id);
    let form = edit::begun(person, &about, GroupsForm { groups: picker, ..GroupsForm::default() })?;
    let details = edit::begun(person, &about, details(user))?;
    let mut page = unchanged(person, user, details, form).await.map_err(|error| person.error(error))?;
    (page.usable, page.usable_count) = usable(person, user, &groups).await.map_err(|error| person.error(error))?;
    page.keys = lines(person, Owner::User(user.id)).await?;
    Ok(page)
}

async fn unchanged(
    person: &SignedIn,
    user: &User,
    details: DetailsForm,
    groups: GroupsForm,
) -> Result<UserPage, StoreError> {
    let store = person.app().store();
    let recent = events::EventFilter { user: Some(user.id), most: MAX_RECENT_EVENTS, ..events::EventFilter::default() };
    let sessions = sessions::of_user(store.read(), user.id, person.session.read_at).await?;
    Ok(UserPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        is_viewer: user.id == person.user.id,
        details,
        groups,
        password: PasswordForm::default(),
        passkeys: passkeys::of_user(store.read(), user.id).await?.iter().map(passkey_row).collect(),
        sessions: sessions.iter().map(|session| session_row(session, person.session.id)).collect(),
        apps: consents::connected(store, user.id).await?.iter().filter_map(app_row).collect(),
        usable: Vec::new(),
        usable_count: 0,
        keys: Vec::new(),
        events: event_rows::of(store, events::list(store.read(), &recent).await?).await?,
        user: UserDetails {
            id: user.id.to_string(),
            username: user.username.to_string(),
            name: visible(user.display_name()),
            initials: initials(user.display_name()),
            admin: user.admin,
            disabled: user.disabled,
            made: DisplayTime::new(user.created_at.date()),
            has_password: user.password.is_some(),
            self_registered: user.self_registered,
        },
    })
}

fn session_row(session: &Session, here: SessionId) -> SessionRow {
    SessionRow {
        id: session.id.to_string(),
        device: device::describe(&session.user_agent),
        address: Some(session.address.clone()).filter(|address| !address.is_empty()),
        signed_in: DisplayTime::new(session.auth_time.date()),
        with: match session.method {
            SignInMethod::Password => "a password",
            SignInMethod::Passkey => "a passkey",
        }
        .to_owned(),
        last_seen: DisplayTime::new(session.last_seen.date()),
        current: session.id == here,
    }
}

fn passkey_row(passkey: &Passkey) -> PasskeyRow {
    PasskeyRow {
        id: passkey.id.to_string(),
        name: visible(&passkey.name),
        added: DisplayTime::new(passkey.created_at.date()),
        last_used: passkey.last_used_at.map(|at| DisplayTime::new(at.date())),
    }
}

/// Returns `None` for a client that has no access to the account.
fn app_row(app: &consents::ConnectedClient) -> Option<ConnectedApp> {
    let since = app.since?;
    Some(ConnectedApp {
        href: (app.client.registration_kind != RegistrationKind::MetadataDocument)
            .then(|| urls::console_client(&app.client.id)),
        app: app_card(&app.client),
        scope: app.permissions.to_string(),
        since: DisplayTime::new(since.date()),
    })
}

/// Returns the clients that a user in `groups` may sign in to, and their number. A disabled user may use
/// none.
async fn usable(person: &SignedIn, user: &User, groups: &[String]) -> Result<(Vec<UsableApp>, u64), StoreError> {
    if user.disabled {
        return Ok((Vec::new(), 0));
    }
    let conn = person.app().store().read();
    let row = |client: &Client| UsableApp {
        href: urls::console_client(&client.id),
        app: app_card(client),
        groups: {
            let allowed = client.meta.allowed_groups.iter().map(GroupName::as_str);
            allowed.filter(|name| groups.iter().any(|group| group == name)).map(visible).collect()
        },
    };
    let clients = clients::usable_by(conn, user.id, MAX_USABLE_APPS).await?;
    Ok((clients.iter().map(row).collect(), clients::count_usable_by(conn, user.id).await?))
}

fn confirm(person: &SignedIn, user: &User, typed: &str, error: Option<String>) -> ConfirmPage {
    let (name, href) = (visible(user.display_name()), urls::console_user(user.id));
    ConfirmPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: None,
        section: Section::People,
        crumbs: vec![
            Crumb { label: "People".to_owned(), href: list::PATH.to_owned() },
            Crumb { label: name.clone(), href: href.clone() },
        ],
        step: "Delete".to_owned(),
        title: format!("Delete {name}?"),
        warning: "This can’t be undone.".to_owned(),
        effects: vec![
            format!("{name} is signed out everywhere and can’t sign in any more"),
            "the tokens that apps have for this account stop working".to_owned(),
            "the account, its passkeys and what it allowed are erased; the events stay".to_owned(),
        ],
        word: user.username.to_string(),
        typed: typed.to_owned(),
        error,
        action: format!("{href}/delete"),
        button: format!("Delete {name}"),
        back: href,
        instead: (!user.disabled).then(|| "Disable the account".to_owned()),
    }
}
