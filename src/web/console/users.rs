//! `/admin/people`: the table of users, and the form for a new user.

use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::Response;

use super::listing::{FETCH_LIMIT, ListParams};
use super::views::groups::GroupPicker;
use super::views::users::{NewUserForm, NewUserPage, UserListRow, UsersPage};
use super::{FieldErrors, at, form_errors, groups, redirect_with_flash, rerender};
use crate::domain::ids::UserId;
use crate::domain::secret::Secret;
use crate::domain::user::{Profile, User, group_name};
use crate::manage::FieldError;
use crate::manage::users::{self as manage, NewUser};
use crate::store::users::{self, UserFilter};
use crate::web::error::{PageError, render};
use crate::web::extract::{Admin, AdminForm, SignedIn};
use crate::web::flash::Flash;
use crate::web::urls;
use crate::web::view::visible;
use crate::web::view::{Chrome, DisplayTime, initials};

pub const PATH: &str = "/admin/people";
/// The options of the filter `state`: value, label, whether the users are disabled, and whether they are
/// administrators.
const STATES: [(&str, &str, Option<bool>, Option<bool>); 3] = [
    ("on", "Active", Some(false), None),
    ("off", "Disabled", Some(true), None),
    ("admin", "Administrators", None, Some(true)),
];

pub async fn list(Admin(person): Admin, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let asked = ListParams::parse(&person, PATH, query)?;
    let state = |text: &str| STATES.into_iter().find(|(value, ..)| *value == text);
    let (disabled, admin) =
        asked.filter("state", state)?.map_or((None, None), |(.., disabled, admin)| (disabled, admin));
    let filter = UserFilter { text: asked.q(), disabled, admin, after: asked.after()?, most: FETCH_LIMIT };
    let store = person.app().store();
    let mut found = users::list(store.read(), &filter).await.map_err(|error| person.error(error))?;
    let pager = asked.page(&mut found, |user| user.username.clone());
    let ids: Vec<UserId> = found.iter().map(|user| user.id).collect();
    let mut groups = users::groups_of_all(store.read(), &ids).await.map_err(|error| person.error(error))?;
    Ok(render(&UsersPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        q: filter.text,
        states: asked.choices("state", "Everybody", STATES.map(|(value, label, ..)| (value, label))),
        filtered: asked.is_filtered(),
        users: found.iter().map(|user| row(user, &groups.remove(&user.id).unwrap_or_default())).collect(),
        pager,
    }))
}

fn row(user: &User, groups: &[String]) -> UserListRow {
    UserListRow {
        id: user.id.to_string(),
        username: user.username.to_string(),
        name: visible(user.display_name()),
        initials: initials(user.display_name()),
        email: user.profile.email.as_deref().map(visible),
        groups: groups.iter().map(|name| visible(name)).collect(),
        made: DisplayTime::new(user.created_at.date()),
        admin: user.admin,
        disabled: user.disabled,
        self_registered: user.self_registered,
    }
}

pub async fn show_new(Admin(person): Admin) -> Result<Response, PageError> {
    let groups = groups::picker(&person, "groups", &[], "").await?;
    Ok(render(&new_page(&person, NewUserForm { groups, ..NewUserForm::default() })))
}

pub async fn submit_new(form: AdminForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    form.complete(&["username", "name", "email", "password", "new_groups"])?;
    let typed = NewUserForm {
        username: form.text("username").to_owned(),
        name: form.text("name").to_owned(),
        email: form.text("email").to_owned(),
        email_verified: form.ticked("email_verified"),
        groups: groups::typed(&form, "groups").await?,
        new_groups: form.text("new_groups").to_owned(),
        admin: form.ticked("admin"),
        errors: Vec::new(),
    };
    let refuse =
        |status, errors: FieldErrors| rerender(status, &new_page(person, NewUserForm { errors, ..typed.clone() }));
    if groups::is_search(&form) {
        return Ok(refuse(StatusCode::OK, Vec::new()));
    }
    let (groups, group_errors) = match groups_of(&typed.groups, &typed.new_groups) {
        Ok(groups) => (groups, FieldErrors::new()),
        Err(errors) => (Vec::new(), errors),
    };
    let new = NewUser {
        username: typed.username.clone(),
        profile: details((&typed.name, &typed.email, typed.email_verified), Profile::default()),
        groups,
        // An empty password is rejected as too short. Otherwise a user without a way to sign in would be
        // created.
        password: Some(Secret::new(form.text("password").to_owned())),
        admin: typed.admin,
    };
    if !group_errors.is_empty() {
        let others =
            manage::problems(&person.app().manager(), &new).await.map_err(|error| super::failed(person, error))?;
        let others = others.into_iter().map(|problem| (problem.field.clone(), problem.sentence()));
        let errors = others.chain(group_errors).collect();
        return Ok(refuse(StatusCode::UNPROCESSABLE_ENTITY, errors));
    }
    match manage::create(&person.app().manager(), &person.by(), new).await {
        Ok(user) => {
            let flash = Flash::ok(format!("{} can sign in now. Tell them the password.", user.display_name()));
            Ok(redirect_with_flash(person, flash, &urls::console_user(user.id)))
        }
        Err(error) => {
            let (status, errors) = form_errors(person, error)?;
            Ok(refuse(status, errors))
        }
    }
}

fn new_page(person: &SignedIn, form: NewUserForm) -> NewUserPage {
    NewUserPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: None,
        form,
    }
}

/// Returns `profile` with the given name, email address and verification.
pub fn details((name, email, email_verified): (&str, &str, bool), profile: Profile) -> Profile {
    let filled = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let email = filled(email);
    // Without an address there is nothing to verify, even if the box is ticked.
    let email_verified = email.is_some() && email_verified;
    Profile { name: filled(name), email, email_verified, ..profile }
}

/// Returns the ticked groups and the new ones.
pub fn groups_of(picker: &GroupPicker, new: &str) -> Result<Vec<String>, FieldErrors> {
    let mut groups: Vec<String> = picker.ticked().map(ToOwned::to_owned).collect();
    for name in new.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        groups.push(
            group_name(name).map_err(|problem| at("new_groups", &FieldError::new("groups", problem).sentence()))?,
        );
    }
    Ok(groups)
}
