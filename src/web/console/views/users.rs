//! `/admin/people`: the template values of the table of users, of the form for a new user and of the page of
//! one user.
//!
//! A submitted password is never sent back in a form (NIST SP 800-63B-4 §3.1.1 leaves storing it to the
//! browser), so no struct here contains one. Recent events are `events::EventRow`.

use askama::Template;

use super::events::EventRow;
use super::groups::GroupPicker;
use super::{Choice, Pager, errors_of};
use crate::web::api_keys::KeyLine;
use crate::web::edit::EditState;
use crate::web::view::{AppCard, Chrome, DisplayTime, Notice, Viewer};

#[derive(Template)]
#[template(path = "console/people.html")]
pub struct UsersPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    /// The search term (`q`).
    pub q: String,
    /// The options of the filter `state`. The first means all users.
    pub states: Vec<Choice>,
    /// Whether a filter is set. An empty table then says so.
    pub filtered: bool,
    pub users: Vec<UserListRow>,
    pub pager: Pager,
}

#[derive(Clone, Debug)]
pub struct UserListRow {
    pub id: String,
    pub username: String,
    /// The full name, or the username if there is none.
    pub name: String,
    pub initials: String,
    pub email: Option<String>,
    pub groups: Vec<String>,
    pub made: DisplayTime,
    pub admin: bool,
    pub disabled: bool,
    /// Whether the user signed up and no administrator has adopted the account.
    pub self_registered: bool,
}

/// The page `/admin/people/new`.
#[derive(Template)]
#[template(path = "console/person_new.html")]
pub struct NewUserPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub form: NewUserForm,
}

#[derive(Clone, Debug, Default)]
pub struct NewUserForm {
    pub username: String,
    pub name: String,
    pub email: String,
    pub email_verified: bool,
    pub groups: GroupPicker,
    /// The names of groups to create with the user, separated by commas.
    pub new_groups: String,
    pub admin: bool,
    /// Field (empty for the form as a whole) and message.
    pub errors: Vec<(String, String)>,
}

impl NewUserForm {
    pub fn error(&self, field: &str) -> Option<String> {
        errors_of(&self.errors, field)
    }
}

/// The page `/admin/people/{id}`.
#[derive(Template)]
#[template(path = "console/person.html")]
pub struct UserPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub user: UserDetails,
    /// Whether the administrator views their own page, which does not offer disabling and deleting.
    pub is_viewer: bool,
    pub details: DetailsForm,
    pub groups: GroupsForm,
    pub password: PasswordForm,
    pub passkeys: Vec<PasskeyRow>,
    pub sessions: Vec<SessionRow>,
    pub apps: Vec<ConnectedApp>,
    /// The first clients by name that the user may sign in to; `usable_count` is the number of all.
    pub usable: Vec<UsableApp>,
    pub usable_count: u64,
    pub keys: Vec<KeyLine>,
    pub events: Vec<EventRow>,
}

impl UserPage {
    /// Returns how many more clients the user may sign in to than are listed.
    fn more_usable(&self) -> u64 {
        self.usable_count.saturating_sub(self.usable.len() as u64)
    }

    fn refused(&self) -> bool {
        let errors = [&self.details.errors, &self.groups.errors, &self.password.errors];
        let edits = [&self.details.edit, &self.groups.edit];
        errors.iter().any(|errors| !errors.is_empty()) || edits.iter().any(|edit| edit.is_conflict())
    }
}

/// The user's properties that no form on this page edits.
#[derive(Clone, Debug)]
pub struct UserDetails {
    pub id: String,
    pub username: String,
    /// The full name, or the username if there is none.
    pub name: String,
    pub initials: String,
    pub admin: bool,
    pub disabled: bool,
    pub made: DisplayTime,
    pub has_password: bool,
    /// Whether the user signed up and no administrator has adopted the account.
    pub self_registered: bool,
}

/// The form for POST `/admin/people/{id}`.
#[derive(Clone, Debug, Default)]
pub struct DetailsForm {
    pub name: String,
    pub email: String,
    pub email_verified: bool,
    pub admin: bool,
    pub edit: EditState,
    /// Field (empty for the form as a whole) and message.
    pub errors: Vec<(String, String)>,
}

impl DetailsForm {
    pub fn error(&self, field: &str) -> Option<String> {
        errors_of(&self.errors, field)
    }
}

/// The form for POST `/admin/people/{id}/groups`.
#[derive(Clone, Debug, Default)]
pub struct GroupsForm {
    pub groups: GroupPicker,
    pub new_groups: String,
    pub edit: EditState,
    /// Field (empty for the form as a whole) and message.
    pub errors: Vec<(String, String)>,
}

impl GroupsForm {
    pub fn error(&self, field: &str) -> Option<String> {
        errors_of(&self.errors, field)
    }
}

/// The form for POST `/admin/people/{id}/password`.
#[derive(Clone, Debug, Default)]
pub struct PasswordForm {
    pub keep_passkeys: bool,
    pub keep_api_keys: bool,
    /// Field (empty for the form as a whole) and message.
    pub errors: Vec<(String, String)>,
}

impl PasswordForm {
    pub fn error(&self, field: &str) -> Option<String> {
        errors_of(&self.errors, field)
    }
}

/// One of the user's passkeys.
#[derive(Clone, Debug)]
pub struct PasskeyRow {
    /// The value of `passkey` in the form that removes it.
    pub id: String,
    pub name: String,
    pub added: DisplayTime,
    pub last_used: Option<DisplayTime>,
}

/// The confirmation page before a self-registered account gets rights.
#[derive(Template)]
#[template(path = "console/adopt.html")]
pub struct AdoptPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub name: String,
    pub username: String,
    pub action: String,
    pub back: String,
    /// The fields of the form that led to this page. They are posted with the answer.
    pub typed: Vec<(String, String)>,
    pub refused: Option<String>,
}

/// A session of the user.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// The value of `session` in the form that ends it. This is not the secret in the cookie.
    pub id: String,
    /// The browser and system: "Firefox on Linux".
    pub device: String,
    pub address: Option<String>,
    pub signed_in: DisplayTime,
    /// The sign-in method: "a passkey", "a password".
    pub with: String,
    pub last_seen: DisplayTime,
    /// Whether this is the session of the current request.
    pub current: bool,
}

pub struct ConnectedApp {
    /// The URL of the client's page, if the client is registered here.
    pub href: Option<String>,
    pub app: AppCard,
    pub scope: String,
    pub since: DisplayTime,
}

/// A client that a user may sign in to.
pub struct UsableApp {
    pub href: String,
    pub app: AppCard,
    /// The groups through which the user may sign in. Empty if all users may.
    pub groups: Vec<String>,
}

super::in_section!(People: UsersPage, NewUserPage, UserPage, AdoptPage);
