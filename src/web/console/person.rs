//! `/admin/people/{id}`: one user. Details, groups, disabling, enabling, deleting. Nobody disables or deletes themself
//! here, and the last administrator is never lost. Next door: [`super::person_access`], the user's credentials and
//! sessions; [`super::adoption`], which asks before an account that a stranger made gets rights.

use axum::http::StatusCode;
use axum::response::Response;

use super::people::{self as list, group_choices, groups_of};
use super::views::people::{
    ConnectedApp, DetailsForm, GroupsForm, PasskeyRow, PasswordForm, Person, PersonPage, SessionRow,
};
use super::views::{ConfirmPage, Crumb, Section};
use super::{adoption, again, event_rows, failed, refused, then};
use crate::domain::api_key::Owner;
use crate::domain::authorization::SignInMethod;
use crate::domain::client::Registered;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::passkey::Passkey;
use crate::domain::session::Session;
use crate::domain::user::User;
use crate::manage::people::{self as manage, Adoption, PersonEdit};
use crate::manage::{ManageError, consents};
use crate::store::{StoreError, events, passkeys, people, sessions};
use crate::web::api_keys::lines;
use crate::web::error::{PageError, render};
use crate::web::extract::{Admin, AdminForm, InPath, SignedIn};
use crate::web::flash::Flash;
use crate::web::pages::card;
use crate::web::view::visible;
use crate::web::view::{Chrome, When, initials};
use crate::web::{device, urls};

const RECENT: u64 = 8;
pub(super) const INVALID: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

pub async fn show(Admin(person): Admin, InPath(id): InPath<UserId>) -> Result<Response, PageError> {
    let user = found(&person, id).await?;
    Ok(render(&page(&person, &user).await?))
}

pub async fn save(InPath(id): InPath<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.person;
    form.complete(&["name", "email"])?;
    let user = found(person, id).await?;
    let profile = list::details(&form, user.profile.clone());
    let admin = form.ticked("admin");
    if form.ticked("adopt") && user.self_registered {
        let adoption = Adoption { profile: Some(profile), admin, ..Adoption::default() };
        return adoption::adopt(person, &user, adoption).await;
    }
    let edit = PersonEdit { username: user.username.to_string(), profile, admin };
    match manage::update(&person.app().manager(), &person.by(), id, edit).await {
        // Who gives the rights away has no page to come back to here.
        Ok(_) if id == person.user.id && !admin => {
            Ok(then(person, Flash::ok("You’re no administrator any more."), urls::ACCOUNT))
        }
        Ok(_) => Ok(then(person, Flash::ok("Saved."), &urls::console_person(id))),
        Err(ManageError::NeedsAdoption { .. }) => {
            adoption::ask(&form, &user, "", &["name", "email", "email_verified", "admin"]).await
        }
        Err(error) => {
            let last_one = matches!(&error, ManageError::Conflict(text) if !text.starts_with("email"));
            let (status, mut errors) = refused(person, error)?;
            if last_one {
                errors = errors.into_iter().map(|(_, text)| ("admin".to_owned(), text)).collect();
            }
            let mut page = page(person, &user).await?;
            page.details = DetailsForm {
                name: form.text("name").to_owned(),
                email: form.text("email").to_owned(),
                email_verified: form.ticked("email_verified"),
                admin,
                errors,
            };
            Ok(again(status, &page))
        }
    }
}

pub async fn set_groups(InPath(id): InPath<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.person;
    form.complete(&["new_groups"])?;
    let user = found(person, id).await?;
    let (status, errors) = match groups_of(&form) {
        Err(errors) => (INVALID, errors),
        Ok(groups) if form.ticked("adopt") && user.self_registered => {
            let adoption = Adoption { groups: Some(groups), ..Adoption::default() };
            return adoption::adopt(person, &user, adoption).await;
        }
        Ok(groups) => match manage::set_groups(&person.app().manager(), &person.by(), id, &groups).await {
            Ok(_) => return Ok(then(person, Flash::ok("The groups are saved."), &urls::console_person(id))),
            Err(ManageError::NeedsAdoption { .. }) => {
                return adoption::ask(&form, &user, "/groups", &["groups", "new_groups"]).await;
            }
            Err(error) => refused(person, error)?,
        },
    };
    let mut page = page(person, &user).await?;
    page.groups = GroupsForm {
        groups: group_choices(person, &form.all("groups")).await?,
        new_groups: form.text("new_groups").to_owned(),
        errors,
    };
    Ok(again(status, &page))
}

pub async fn disable(InPath(id): InPath<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.person;
    let flash = if id == person.user.id {
        Flash::bad("You can’t disable yourself.")
    } else {
        match manage::disable(&person.app().manager(), &person.by(), id).await {
            Ok(user) => Flash::ok(format!("{} is disabled and signed out everywhere.", user.shown_name())),
            Err(ManageError::Conflict(text)) => Flash::bad(format!("{text}.")),
            Err(error) => return Err(failed(person, error)),
        }
    };
    Ok(then(person, flash, &urls::console_person(id)))
}

pub async fn enable(InPath(id): InPath<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.person;
    let done = manage::enable(&person.app().manager(), &person.by(), id).await;
    let user = done.map_err(|error| failed(person, error))?;
    Ok(then(person, Flash::ok(format!("{} can sign in again.", user.shown_name())), &urls::console_person(id)))
}

pub async fn ask_delete(Admin(person): Admin, InPath(id): InPath<UserId>) -> Result<Response, PageError> {
    let user = found(&person, id).await?;
    if id == person.user.id {
        return Ok(not_oneself(&person));
    }
    Ok(render(&confirm(&person, &user, "", None)))
}

pub async fn delete(InPath(id): InPath<UserId>, form: AdminForm) -> Result<Response, PageError> {
    let person = &form.person;
    let user = found(person, id).await?;
    if id == person.user.id {
        return Ok(not_oneself(person));
    }
    let typed = form.text("confirm");
    if typed.trim() != user.username.as_str() {
        return Ok(again(INVALID, &confirm(person, &user, typed, Some("That isn’t their username.".to_owned()))));
    }
    match manage::delete(&person.app().manager(), &person.by(), id).await {
        Ok(()) => Ok(then(person, Flash::ok(format!("{} is deleted.", user.shown_name())), list::HERE)),
        Err(ManageError::Conflict(text)) => {
            Ok(again(INVALID, &confirm(person, &user, typed, Some(format!("{text}.")))))
        }
        Err(error) => Err(failed(person, error)),
    }
}

fn not_oneself(person: &SignedIn) -> Response {
    then(person, Flash::bad("You can’t delete yourself."), &urls::console_person(person.user.id))
}

pub(super) async fn found(person: &SignedIn, id: UserId) -> Result<User, PageError> {
    let found = people::by_id(person.app().store().read(), id).await.map_err(|error| person.error(error))?;
    found.ok_or_else(|| person.not_found("There is no such person."))
}

pub(super) async fn page(person: &SignedIn, user: &User) -> Result<PersonPage, PageError> {
    let groups = people::groups_of(person.app().store().read(), user.id).await.map_err(|error| person.error(error))?;
    let groups = GroupsForm { groups: group_choices(person, &groups).await?, ..GroupsForm::default() };
    let mut page = unchanged(person, user, groups).await.map_err(|error| person.error(error))?;
    page.keys = lines(person, Owner::User(user.id)).await?;
    Ok(page)
}

async fn unchanged(person: &SignedIn, user: &User, groups: GroupsForm) -> Result<PersonPage, StoreError> {
    let store = person.app().store();
    let recent = events::Filter { user: Some(user.id), most: RECENT, ..events::Filter::default() };
    let sessions = sessions::of_user(store.read(), user.id, person.session.read_at).await?;
    Ok(PersonPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        is_viewer: user.id == person.user.id,
        details: DetailsForm {
            name: user.profile.name.clone().unwrap_or_default(),
            email: user.profile.email.clone().unwrap_or_default(),
            email_verified: user.profile.email_verified,
            admin: user.admin,
            errors: Vec::new(),
        },
        groups,
        password: PasswordForm::default(),
        passkeys: passkeys::of_user(store.read(), user.id).await?.iter().map(passkey_row).collect(),
        sessions: sessions.iter().map(|session| session_row(session, person.session.id)).collect(),
        apps: consents::connected(store, user.id).await?.iter().filter_map(app_row).collect(),
        keys: Vec::new(),
        events: event_rows::of(store, events::list(store.read(), &recent).await?).await?,
        person: Person {
            id: user.id.to_string(),
            username: user.username.to_string(),
            name: visible(user.shown_name()),
            initials: initials(user.shown_name()),
            admin: user.admin,
            disabled: user.disabled,
            made: When::new(user.created_at.date()),
            has_password: user.password.is_some(),
            self_registered: user.self_registered,
        },
    })
}

fn session_row(session: &Session, here: SessionId) -> SessionRow {
    SessionRow {
        id: session.id.to_string(),
        device: device::in_words(&session.user_agent),
        address: Some(session.address.clone()).filter(|address| !address.is_empty()),
        signed_in: When::new(session.auth_time.date()),
        with: match session.method {
            SignInMethod::Password => "a password",
            SignInMethod::Passkey => "a passkey",
        }
        .to_owned(),
        last_seen: When::new(session.last_seen.date()),
        current: session.id == here,
    }
}

fn passkey_row(passkey: &Passkey) -> PasskeyRow {
    PasskeyRow {
        id: passkey.id.to_string(),
        name: visible(&passkey.name),
        added: When::new(passkey.created_at.date()),
        last_used: passkey.last_used_at.map(|at| When::new(at.date())),
    }
}

/// Nothing of an app that has nothing of theirs.
fn app_row(app: &consents::Connected) -> Option<ConnectedApp> {
    let since = app.since?;
    Some(ConnectedApp {
        href: (app.client.registered != Registered::ByDocument).then(|| urls::console_client(&app.client.id)),
        app: card(&app.client),
        scope: app.permissions.to_string(),
        since: When::new(since.date()),
    })
}

fn confirm(person: &SignedIn, user: &User, typed: &str, error: Option<String>) -> ConfirmPage {
    let (name, href) = (visible(user.shown_name()), urls::console_person(user.id));
    ConfirmPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: None,
        section: Section::People,
        crumbs: vec![
            Crumb { label: "People".to_owned(), href: list::HERE.to_owned() },
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
