//! `/admin/people`: the table, the form for a new person and the page of one person.
//!
//! A password that was typed is never put back into a form (NIST SP 800-63B-4 section 3.1.1 leaves it to the
//! browser to keep it), so no struct here holds one. Recent events are `events::EventRow`.

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
    /// What was searched for (`q`).
    pub q: String,
    /// The filter `state`; the first choice is the one for all of them.
    pub states: Vec<Choice>,
    /// Whether a filter is set, so that an empty table can say why it is empty.
    pub filtered: bool,
    pub users: Vec<UserListRow>,
    pub pager: Pager,
}

#[derive(Clone, Debug)]
pub struct UserListRow {
    pub id: String,
    pub username: String,
    /// The full name, or the username where there is none.
    pub name: String,
    pub initials: String,
    pub email: Option<String>,
    pub groups: Vec<String>,
    pub made: DisplayTime,
    pub admin: bool,
    pub disabled: bool,
    /// Whether the user signed up and nobody has adopted the account.
    pub self_registered: bool,
}

/// `/admin/people/new`
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
    /// Names of further groups, made with the person; separated by commas.
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

/// `/admin/people/{id}`
#[derive(Template)]
#[template(path = "console/person.html")]
pub struct UserPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub user: UserDetails,
    /// The administrator looks at their own page: disabling and deleting oneself is not offered.
    pub is_viewer: bool,
    pub details: DetailsForm,
    pub groups: GroupsForm,
    pub password: PasswordForm,
    pub passkeys: Vec<PasskeyRow>,
    pub sessions: Vec<SessionRow>,
    pub apps: Vec<ConnectedApp>,
    /// Apps that they may sign in to, the first ones by name, and how many there are.
    pub usable: Vec<UsableApp>,
    pub usable_count: u64,
    pub keys: Vec<KeyLine>,
    pub events: Vec<EventRow>,
}

impl UserPage {
    /// How many apps they may use beyond those that are listed.
    fn more_usable(&self) -> u64 {
        self.usable_count.saturating_sub(self.usable.len() as u64)
    }

    fn refused(&self) -> bool {
        let errors = [&self.details.errors, &self.groups.errors, &self.password.errors];
        let edits = [&self.details.edit, &self.groups.edit];
        errors.iter().any(|errors| !errors.is_empty()) || edits.iter().any(|edit| edit.is_conflict())
    }
}

/// What is known and not changed by typing.
#[derive(Clone, Debug)]
pub struct UserDetails {
    pub id: String,
    pub username: String,
    /// The full name, or the username where there is none.
    pub name: String,
    pub initials: String,
    pub admin: bool,
    pub disabled: bool,
    pub made: DisplayTime,
    pub has_password: bool,
    /// Whether the user signed up and nobody has adopted the account.
    pub self_registered: bool,
}

/// POST `/admin/people/{id}`
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

/// POST `/admin/people/{id}/groups`
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

/// POST `/admin/people/{id}/password`
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
    /// What removes it: the value of `passkey` in the form.
    pub id: String,
    pub name: String,
    pub added: DisplayTime,
    pub last_used: Option<DisplayTime>,
}

/// The question before an account that a stranger made gets rights.
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
    /// Fields of the form that led here, which go on with the answer.
    pub typed: Vec<(String, String)>,
    pub refused: Option<String>,
}

/// A browser in which the person is signed in.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// What ends it: the value of `session` in the form. Not the cookie's.
    pub id: String,
    /// "Firefox on Linux"
    pub device: String,
    pub address: Option<String>,
    pub signed_in: DisplayTime,
    /// "a passkey", "a password"
    pub with: String,
    pub last_seen: DisplayTime,
    /// The session in which this page is looked at.
    pub current: bool,
}

pub struct ConnectedApp {
    /// The app's page, where it is kept here.
    pub href: Option<String>,
    pub app: AppCard,
    pub scope: String,
    pub since: DisplayTime,
}

/// An app that a user may sign in to.
pub struct UsableApp {
    pub href: String,
    pub app: AppCard,
    /// The groups by which they may; none where everybody may.
    pub groups: Vec<String>,
}

super::in_section!(People: UsersPage, NewUserPage, UserPage, AdoptPage);
