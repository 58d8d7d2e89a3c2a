//! The common path of every change of a user: [`save_in`] derives the consequences from the difference. A user
//! who is disabled or gets a new password loses all sessions and grants, the last administrator cannot be
//! removed, and a self-registered account gets no rights unless it is adopted.
//!
//! See also [`crate::manage::access`], what a reset and an adoption remove.

use std::slice;

use crate::domain::event::EventKind;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::user::{PasswordHash, Profile, User, Username};
use crate::env::Env;
use crate::manage::access::{self, KeepOptions, RemovalSummary};
use crate::manage::{AuditRecorder, Conflict, FieldError, ManageError, Result, Revision, changed_members, groups};
use crate::store::advisory_locks::{self, AdvisoryLock};
use crate::store::{ChangeEvent, StoreError, Stripes, Tx, taken_usernames, users};

/// Options for the change of a user.
#[derive(Clone, Debug, Default)]
pub(in crate::manage) struct SaveOptions {
    /// The new groups of the user; `None` keeps the present ones.
    pub groups: Option<Revision<Vec<String>>>,
    /// The session that remains active after a new password.
    pub but: Option<SessionId>,
    /// What is kept if the new password is a reset.
    pub reset: Option<KeepOptions>,
    /// Adopts a self-registered account.
    pub adopt: bool,
}

/// The result of a change.
#[derive(Debug, Default)]
pub(in crate::manage) struct SaveOutcome {
    /// The names of the members that differ. If there are none, nothing was written.
    pub fields: Vec<String>,
    /// What a reset or an adoption removed.
    pub removed: Option<RemovalSummary>,
}

/// Returns a new user with default values.
pub(in crate::manage) fn blank(
    env: &Env,
    username: Username,
    profile: Profile,
    password: Option<PasswordHash>,
    admin: bool,
) -> User {
    let now = env.now();
    User {
        id: UserId(env.uuid()),
        username,
        profile,
        email_unconfirmed: false,
        password_changed_at: password.as_ref().map(|_| now),
        password,
        admin,
        disabled: false,
        self_registered: false,
        created_at: now,
        updated_at: now,
    }
}

pub(in crate::manage) async fn add_in(tx: &Tx, recorder: &AuditRecorder, user: &User, groups: &[String]) -> Result<()> {
    let added = add_all_in(tx, recorder, slice::from_ref(user), &[groups.to_vec()]).await;
    added.map_err(|AddUsersError { error, .. }| error)
}

/// Why new users were not added.
pub(in crate::manage) struct AddUsersError {
    /// The index of the user that the error is about.
    pub at: Option<usize>,
    pub error: ManageError,
}

impl<E: Into<ManageError>> From<E> for AddUsersError {
    fn from(error: E) -> Self {
        Self { at: None, error: error.into() }
    }
}

/// Adds new users, each to the groups at the same index.
pub(in crate::manage) async fn add_all_in(
    tx: &Tx,
    recorder: &AuditRecorder,
    users: &[User],
    groups: &[Vec<String>],
) -> std::result::Result<(), AddUsersError> {
    users::insert(tx, users).await.map_err(|error| {
        let StoreError::SignInNamesTaken(names) = &error else { return error.into() };
        // If two new users want the same name, the error is about the second one.
        let wants = |user: &User| user.sign_in_names().any(|own| names.first() == Some(&own));
        match users.iter().enumerate().rfind(|(_, user)| wants(user)) {
            Some((at, user)) => AddUsersError { at: Some(at), error: names_taken(error, user) },
            None => error.into(),
        }
    })?;
    groups::create_missing_in(tx, recorder, &groups.concat()).await?;
    let of_user =
        |(user, names): (&User, &'_ Vec<String>)| names.iter().map(|name| (user.id, name.clone())).collect::<Vec<_>>();
    let members: Vec<(UserId, String)> = users.iter().zip(groups).flat_map(of_user).collect();
    users::join(tx, &members).await?;
    Ok(recorder.record_users_created(tx, users).await?)
}

/// Changes a user to the state `after`, and to the groups of `saving`.
pub(in crate::manage) async fn save_in(
    tx: &Tx,
    recorder: &AuditRecorder,
    before: &User,
    after: &mut User,
    saving: &SaveOptions,
) -> Result<SaveOutcome> {
    let id = before.id;
    let mut fields = changed_members(&before.profile, &after.profile);
    let new_name = before.username != after.username;
    let flags = [
        ("username", new_name),
        ("email_unproven", before.email_unconfirmed != after.email_unconfirmed),
        ("admin", before.admin != after.admin),
    ];
    fields.extend(flags.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()));
    let present = present_groups(tx, id).await?;
    if let Some(groups) = &saving.groups {
        groups.check(&present)?;
    }
    let groups = saving.groups.as_ref().map(|groups| groups.to.as_slice()).filter(|groups| present != *groups);
    let gained = groups.is_some_and(|groups| groups.iter().any(|name| !present.contains(name)));
    let adopted = saving.adopt && before.self_registered;
    if before.self_registered && !adopted && (gained || (after.admin && !before.admin)) {
        return Err(ManageError::NeedsAdoption { username: before.username.to_string(), row: None });
    }
    let new_password = before.password != after.password;
    let turned = before.disabled != after.disabled;
    if fields.is_empty() && groups.is_none() && !new_password && !turned && !adopted {
        return Ok(SaveOutcome::default());
    }
    check_unchanged(tx, before, &present).await?;
    let removed = end_access_in(tx, recorder, before, after, saving).await?;
    if let Some(groups) = groups {
        users::set_groups(tx, id, groups).await?;
        groups::create_missing_in(tx, recorder, groups).await?;
        fields.push("groups".to_owned());
    }
    if is_active_admin(before) && !is_active_admin(after) {
        check_other_admin_exists(tx, before).await?;
    }
    write(tx, before, after, new_password).await?;
    if !fields.is_empty() {
        recorder.user(tx, EventKind::UserUpdated, id, fields.join(", ")).await?;
    }
    if new_password {
        let detail = removed.as_ref().filter(|_| saving.reset.is_some()).map(|removed| format!("removed: {removed}"));
        recorder.user(tx, EventKind::PasswordChanged, id, detail.unwrap_or_default()).await?;
        fields.push("password".to_owned());
    }
    if turned {
        let kind = if after.disabled { EventKind::UserDisabled } else { EventKind::UserEnabled };
        recorder.user(tx, kind, id, "").await?;
        fields.push("disabled".to_owned());
    }
    if adopted {
        fields.push("self_registered".to_owned());
    }
    Ok(SaveOutcome { fields, removed: removed.filter(|_| adopted || saving.reset.is_some()) })
}

/// Returns whether a document gives a self-registered account more than its user entered at sign-up: a password
/// in addition to the user's own credentials, or an email address or phone number that clients take for
/// verified.
pub(in crate::manage) fn requires_adoption(before: &User, after: &User) -> bool {
    adds_verified_contact(before, after) || before.password != after.password
}

/// Returns whether clients take an email address or phone number for verified that was not before.
pub(super) fn adds_verified_contact(before: &User, after: &User) -> bool {
    let proven = |user: &User| {
        let profile = &user.profile;
        let email = profile.email.clone().filter(|_| profile.email_verified);
        let phone = profile.phone_number.clone().filter(|_| profile.phone_number_verified);
        [email, phone, user.sign_in_email().map(ToOwned::to_owned)]
    };
    proven(before).into_iter().zip(proven(after)).any(|(before, after)| after.is_some() && before != after)
}

/// Locks the user. Returns an error if the row or the groups have changed since they were read, because every
/// column is about to be written and unchanged groups are not.
async fn check_unchanged(tx: &Tx, before: &User, groups: &[String]) -> Result<()> {
    tx.publish(ChangeEvent::People(Stripes::from_iter(&[before.id]))).await?;
    let row = users::lock_for_update(tx, before.id).await?;
    if row.as_ref() == Some(before) && present_groups(tx, before.id).await? == groups {
        return Ok(());
    }
    Err(Conflict::ChangedMeanwhile(before.username.to_string()).into())
}

/// Returns the names of a user's groups, sorted here because the database engines sort differently.
async fn present_groups(tx: &Tx, id: UserId) -> Result<Vec<String>> {
    let mut names = users::groups_of(tx.conn(), id).await?;
    names.sort();
    Ok(names)
}

/// Ends the access that a change revokes: that of a disabled user or one with a new password, and everything of
/// an adopted account.
async fn end_access_in(
    tx: &Tx,
    recorder: &AuditRecorder,
    before: &User,
    after: &mut User,
    saving: &SaveOptions,
) -> Result<Option<RemovalSummary>> {
    if saving.adopt && before.self_registered {
        return access::adopt_in(tx, recorder, before, after).await.map(Some);
    }
    let disabled = after.disabled && !before.disabled;
    if !disabled && before.password == after.password {
        return Ok(None);
    }
    let keep = saving.reset.filter(|_| !disabled).unwrap_or(KeepOptions::CREDENTIALS);
    access::remove_in(tx, before.id, keep, saving.but.filter(|_| !after.disabled)).await.map(Some)
}

async fn write(tx: &Tx, before: &User, after: &User, new_password: bool) -> Result<()> {
    if before.username != after.username {
        taken_usernames::take(tx, &after.username).await?;
    }
    let mut row = after.clone();
    row.updated_at = tx.now();
    if new_password {
        row.password_changed_at = Some(tx.now());
    }
    users::update(tx, &row).await.map_err(|error| names_taken(error, after))
}

pub(in crate::manage) async fn remove_in(tx: &Tx, recorder: &AuditRecorder, user: &User) -> Result<()> {
    access::remove_in(tx, user.id, KeepOptions::default(), None).await?;
    if is_active_admin(user) {
        check_other_admin_exists(tx, user).await?;
    }
    users::delete(tx, user.id).await?;
    recorder.user(tx, EventKind::UserDeleted, user.id, user.username.as_str()).await
}

pub(in crate::manage) const fn is_active_admin(user: &User) -> bool {
    user.admin && !user.disabled
}

async fn check_other_admin_exists(tx: &Tx, user: &User) -> Result<()> {
    // Prevents two transactions from each counting the administrator whom the other one removes.
    advisory_locks::lock(tx, AdvisoryLock::Administrators).await?;
    if users::count_other_admins(tx.conn(), user.id).await? == 0 {
        return Err(Conflict::LastAdministrator(user.username.clone()).into());
    }
    Ok(())
}

fn names_taken(error: StoreError, user: &User) -> ManageError {
    let StoreError::SignInNamesTaken(mut names) = error else { return error.into() };
    // Of the names of several new users, keep those of this one.
    names.retain(|name| user.sign_in_names().any(|own| own == *name));
    ManageError::Taken(taken_field_errors(&names, Some(&user.username), user.profile.email.as_deref()))
}

/// Returns a field error for each taken name. Usernames and email addresses share one namespace
/// (`store::sign_in_names`), so this determines which field each name belongs to.
pub(super) fn taken_field_errors(
    names: &[String],
    username: Option<&Username>,
    email: Option<&str>,
) -> Vec<FieldError> {
    let of_name = |name: &String| match username.filter(|username| username.as_str() == name) {
        Some(username) => taken_username_error(username),
        None => FieldError::new("email", format!("another user has {} already", email.unwrap_or(name))),
    };
    names.iter().map(of_name).collect()
}

pub(in crate::manage) fn taken_username_error(username: &Username) -> FieldError {
    FieldError::new("username", format!("another user signs in with {username} already"))
}
