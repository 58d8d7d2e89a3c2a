//! People: create, change, turn off and on, delete, and end what they are signed in to.
//!
//! Every change goes through [`save_in`], which sees from the difference what has to follow: somebody turned off or
//! with a new password loses every session and grant, and the last administrator is never lost.

use super::{By, FieldError, ManageError, Manager, Recorder, Result, differing, groups, profile};
use crate::domain::api_key::Owner;
use crate::domain::event::EventKind;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::secret::Secret;
use crate::domain::user::{PasswordHash, Profile, User, Username};
use crate::env::Env;
use crate::store::{Change, Cutoff, StoreError, Tx, api_keys, consents, grants, passkeys, people, session_end};

/// Somebody new.
#[derive(Debug)]
pub struct NewPerson {
    pub username: String,
    pub profile: Profile,
    pub groups: Vec<String>,
    /// Without one they cannot sign in by password.
    pub password: Option<Secret>,
    pub admin: bool,
}

/// What somebody is from now on, as a whole.
#[derive(Clone, Debug)]
pub struct PersonEdit {
    pub username: String,
    pub profile: Profile,
    pub admin: bool,
}

pub async fn create(manager: &Manager, by: &By, new: NewPerson) -> Result<User> {
    let (user, groups) = prepared(manager, new).await?;
    let recorder = manager.recorder(by);
    manager
        .transact(move |tx| {
            Box::pin(async move {
                add_in(tx, &recorder, &user, &groups).await?;
                Ok(user)
            })
        })
        .await
}

/// Somebody new and their groups, checked: before any transaction, because hashing the password takes its time.
pub(super) async fn prepared(manager: &Manager, new: NewPerson) -> Result<(User, Vec<String>)> {
    let username = checked(&new.username, &new.profile)?;
    let groups = groups::checked(&new.groups)?;
    let password = match new.password {
        Some(password) => Some(hashed(manager, password).await?),
        None => None,
    };
    Ok((blank(manager.store.env(), username, new.profile, password, new.admin), groups))
}

/// Changes the username, the claims and whether they administer.
pub async fn update(manager: &Manager, by: &By, id: UserId, edit: PersonEdit) -> Result<User> {
    let username = checked(&edit.username, &edit.profile)?;
    change(manager, by, id, None, move |user| {
        user.username = username;
        // An address that an administrator wrote is vouched for.
        user.email_unproven &= user.profile.email == edit.profile.email;
        user.profile = edit.profile;
        user.admin = edit.admin;
    })
    .await
}

/// Makes `names` be what somebody is in; groups that are missing are made.
pub async fn set_groups(manager: &Manager, by: &By, id: UserId, names: &[String]) -> Result<User> {
    let names = groups::checked(names)?;
    let recorder = manager.recorder(by);
    manager
        .transact(move |tx| {
            Box::pin(async move {
                let user = found(tx, id).await?;
                save_in(tx, &recorder, &user, &user, Some(&names), None).await?;
                Ok(user)
            })
        })
        .await
}

/// Gives somebody a new password and ends what they are signed in to, all but the session `keep`.
pub async fn set_password(
    manager: &Manager,
    by: &By,
    id: UserId,
    password: Secret,
    keep: Option<SessionId>,
) -> Result<User> {
    let hash = hashed(manager, password).await?;
    change(manager, by, id, keep, move |user| user.password = Some(hash)).await
}

pub async fn disable(manager: &Manager, by: &By, id: UserId) -> Result<User> {
    change(manager, by, id, None, |user| user.disabled = true).await
}

pub async fn enable(manager: &Manager, by: &By, id: UserId) -> Result<User> {
    change(manager, by, id, None, |user| user.disabled = false).await
}

pub async fn delete(manager: &Manager, by: &By, id: UserId) -> Result<()> {
    let recorder = manager.recorder(by);
    manager
        .transact(move |tx| {
            Box::pin(async move {
                let user = found(tx, id).await?;
                remove_in(tx, &recorder, &user).await
            })
        })
        .await
}

/// Ends somebody's sessions, all or all but one; how many.
pub async fn end_sessions(manager: &Manager, by: &By, id: UserId, but: Option<SessionId>) -> Result<usize> {
    let recorder = manager.recorder(by);
    manager
        .transact(move |tx| {
            Box::pin(async move {
                let ended = session_end::of_user(tx, id, but).await?;
                if !ended.is_empty() {
                    let detail = format!("{} of them", ended.len());
                    recorder.user(tx, EventKind::SessionEnded, id, detail).await?;
                }
                Ok(ended.len())
            })
        })
        .await
}

/// Ends one session, where it is `id`'s.
pub async fn end_session(manager: &Manager, by: &By, id: UserId, session: SessionId) -> Result<()> {
    let recorder = manager.recorder(by);
    manager
        .transact(move |tx| {
            Box::pin(async move {
                let ended = session_end::one(tx, session).await?;
                if ended.session.is_none_or(|gone| gone.user != id) {
                    return Err(ManageError::NotFound("such session".to_owned()));
                }
                recorder.user(tx, EventKind::SessionEnded, id, "").await
            })
        })
        .await
}

async fn change(
    manager: &Manager,
    by: &By,
    id: UserId,
    keep: Option<SessionId>,
    edit: impl FnOnce(&mut User) + Send + 'static,
) -> Result<User> {
    let recorder = manager.recorder(by);
    manager
        .transact(move |tx| {
            Box::pin(async move {
                let before = found(tx, id).await?;
                let mut after = before.clone();
                edit(&mut after);
                save_in(tx, &recorder, &before, &after, None, keep).await?;
                Ok(after)
            })
        })
        .await
}

/// A person as nobody has changed them yet.
pub(super) fn blank(
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
        email_unproven: false,
        password_changed_at: password.as_ref().map(|_| now),
        password,
        admin,
        disabled: false,
        created_at: now,
        updated_at: now,
    }
}

pub(super) async fn add_in(tx: &Tx, recorder: &Recorder, user: &User, groups: &[String]) -> Result<()> {
    if people::by_username(tx.conn(), &user.username).await?.is_some() {
        return Err(username_taken(&user.username));
    }
    people::insert(tx, user).await.map_err(|error| email_taken(error, user))?;
    groups::ensure_in(tx, recorder, groups).await?;
    people::join(tx, user.id, groups).await?;
    recorder.user(tx, EventKind::UserCreated, user.id, user.username.as_str()).await
}

/// Makes somebody be as `after` says, and in `groups` where they are given. What changed; nothing is written otherwise.
pub(super) async fn save_in(
    tx: &Tx,
    recorder: &Recorder,
    before: &User,
    after: &User,
    groups: Option<&[String]>,
    keep: Option<SessionId>,
) -> Result<Vec<String>> {
    let id = before.id;
    let mut fields = differing(&before.profile, &after.profile);
    if before.username != after.username {
        if people::by_username(tx.conn(), &after.username).await?.is_some() {
            return Err(username_taken(&after.username));
        }
        fields.push("username".to_owned());
    }
    if before.email_unproven != after.email_unproven {
        fields.push("email_unproven".to_owned());
    }
    if before.admin != after.admin {
        fields.push("admin".to_owned());
    }
    if let Some(groups) = groups {
        // Each engine sorts in its own way.
        let mut present = people::groups_of(tx.conn(), id).await?;
        present.sort();
        if present != groups {
            // In this order: the first word in the feed takes its lock, before any row is touched.
            people::set_groups(tx, id, groups).await?;
            groups::ensure_in(tx, recorder, groups).await?;
            fields.push("groups".to_owned());
        }
    }
    let new_password = before.password != after.password;
    let turned = before.disabled != after.disabled;
    if fields.is_empty() && !new_password && !turned {
        return Ok(fields);
    }
    if new_password || (turned && after.disabled) {
        end_access(tx, id, keep.filter(|_| !after.disabled)).await?;
    }
    if administers(before) && !administers(after) {
        keep_an_administrator(tx, before).await?;
    }
    let mut row = after.clone();
    row.updated_at = tx.now();
    if new_password {
        row.password_changed_at = Some(tx.now());
    }
    people::update(tx, &row).await.map_err(|error| email_taken(error, after))?;
    if !fields.is_empty() {
        recorder.user(tx, EventKind::UserUpdated, id, fields.join(", ")).await?;
    }
    if new_password {
        recorder.user(tx, EventKind::PasswordChanged, id, "").await?;
        fields.push("password".to_owned());
    }
    if turned {
        let kind = if after.disabled { EventKind::UserDisabled } else { EventKind::UserEnabled };
        recorder.user(tx, kind, id, "").await?;
        fields.push("disabled".to_owned());
    }
    Ok(fields)
}

pub(super) async fn remove_in(tx: &Tx, recorder: &Recorder, user: &User) -> Result<()> {
    end_access(tx, user.id, None).await?;
    if administers(user) {
        keep_an_administrator(tx, user).await?;
    }
    passkeys::delete_of_user(tx, user.id).await?;
    consents::delete_of_user(tx, user.id).await?;
    people::delete(tx, user.id).await?;
    api_keys::delete_of(tx, &Owner::User(user.id)).await?;
    recorder.user(tx, EventKind::UserDeleted, user.id, user.username.as_str()).await
}

async fn end_access(tx: &Tx, user: UserId, keep: Option<SessionId>) -> Result<()> {
    // The first word in the feed takes its lock, so that two transactions cannot each count the other's administrator.
    tx.tell(Change::Cutoff(Cutoff::User(user))).await?;
    // Before the sessions are looked for: a sign-in on its way comes to its end first, or sees what has changed.
    people::hold(tx, user, None).await?;
    session_end::of_user(tx, user, keep).await?;
    grants::revoke(tx, grants::Of::User(user)).await?;
    Ok(())
}

pub(super) const fn administers(user: &User) -> bool {
    user.admin && !user.disabled
}

async fn keep_an_administrator(tx: &Tx, user: &User) -> Result<()> {
    if people::other_admins(tx.conn(), user.id).await? == 0 {
        return Err(ManageError::Conflict(format!(
            "{} is the last administrator: make somebody else one first",
            user.username
        )));
    }
    Ok(())
}

/// The username, where it and the claims keep the rules.
pub(super) fn checked(username: &str, claims: &Profile) -> Result<Username> {
    let mut problems = profile::problems(claims);
    match Username::parse(username) {
        Ok(username) if problems.is_empty() => Ok(username),
        Ok(_) => Err(ManageError::Invalid(problems)),
        Err(problem) => {
            problems.insert(0, FieldError::new("username", problem));
            Err(ManageError::Invalid(problems))
        }
    }
}

async fn hashed(manager: &Manager, password: Secret) -> Result<PasswordHash> {
    manager.hasher.hash(password).await.map_err(|error| ManageError::password("password", error))
}

async fn found(tx: &Tx, id: UserId) -> Result<User> {
    people::by_id(tx.conn(), id).await?.ok_or_else(|| ManageError::NotFound(format!("user {id}")))
}

pub(super) fn username_taken(username: &Username) -> ManageError {
    ManageError::Conflict(format!("username: there is a user {username} already"))
}

/// The username has been looked at before; the other unique column is the address.
fn email_taken(error: StoreError, user: &User) -> ManageError {
    match error {
        StoreError::Taken => ManageError::Conflict(format!(
            "email: another user has {} already",
            user.profile.email.as_deref().unwrap_or("that address")
        )),
        error => error.into(),
    }
}
