//! Users: create, change, reset, adopt, disable and enable, delete.
//!
//! See also [`save`], the common path of every change, [`super::access`], what a reset and an adoption remove,
//! and [`super::sessions`], which ends sessions alone.

mod save;

pub(super) use save::{
    AddUsersError, SaveOptions, add_all_in, add_in, blank, is_active_admin, remove_in, requires_adoption, save_in,
    taken_username_error,
};

pub use super::sessions::{end_session, end_sessions};

use self::save::{SaveOutcome, adds_verified_contact};
use super::access::{KeepOptions, RemovalSummary};
use super::{
    AuditContext, Conflict, FieldError, ManageError, Manager, RequiredRole, Result, Revision, groups, profile,
};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::secret::Secret;
use crate::domain::user::{PasswordHash, Profile, User, Username};
use crate::store::{ChangeEvent, Stripes, Tx, users};

/// A new user.
#[derive(Debug)]
pub struct NewUser {
    pub username: String,
    pub profile: Profile,
    pub groups: Vec<String>,
    /// `None` for a user who cannot sign in with a password.
    pub password: Option<Secret>,
    pub admin: bool,
}

/// The complete new state of a user.
#[derive(Clone, Debug, PartialEq)]
pub struct UserEdit {
    pub username: String,
    pub profile: Profile,
    pub admin: bool,
}

impl UserEdit {
    /// Returns the edit that changes nothing: the present state of a user.
    #[must_use]
    pub fn present(user: &User) -> Self {
        Self { username: user.username.to_string(), profile: user.profile.clone(), admin: user.admin }
    }
}

pub async fn create(manager: &Manager, by: &AuditContext, new: NewUser) -> Result<User> {
    let (user, groups) = prepared(manager, new).await?;
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                add_in(tx, &recorder, &user, &groups).await?;
                Ok(user)
            })
        })
        .await
}

/// Validates a new user and the groups and hashes the password. It is called before the transaction, because
/// hashing is slow.
pub(super) async fn prepared(manager: &Manager, new: NewUser) -> Result<(User, Vec<String>)> {
    let problems = problems(manager, &new).await?;
    if !problems.is_empty() {
        return Err(ManageError::Invalid(problems));
    }
    let username = checked(&new.username, &new.profile)?;
    let groups = groups::checked(&new.groups)?;
    let password = match new.password {
        Some(password) => Some(hashed(manager, password).await?),
        None => None,
    };
    Ok((blank(manager.store.env(), username, new.profile, password, new.admin), groups))
}

/// Returns everything that is wrong with a new user. Whether the username or email address is taken is
/// included, but finally decided only when the user is added.
pub async fn problems(manager: &Manager, new: &NewUser) -> Result<Vec<FieldError>> {
    let invalid = |error| match error {
        ManageError::Invalid(problems) => Ok(problems),
        error => Err(error),
    };
    let mut problems = checked(&new.username, &new.profile).map_or_else(invalid, |_| Ok(Vec::new()))?;
    problems.extend(groups::checked(&new.groups).map_or_else(invalid, |_| Ok(Vec::new()))?);
    if let Some(password) = &new.password {
        problems.extend(password_problem(manager, password).await?);
    }
    if !problems.is_empty() {
        let username = Username::parse(&new.username).ok();
        problems.extend(taken(manager, None, username.as_ref(), new.profile.email.as_deref()).await?);
    }
    Ok(problems)
}

/// Returns which of these names belong to a user other than `own`.
async fn taken(
    manager: &Manager,
    own: Option<UserId>,
    username: Option<&Username>,
    email: Option<&str>,
) -> Result<Vec<FieldError>> {
    let folded = email.map(Username::folded);
    let names: Vec<&str> = username.map(Username::as_str).into_iter().chain(folded.as_deref()).collect();
    let taken = users::taken_names(manager.store.read(), &names, own).await?;
    Ok(save::taken_field_errors(&taken, username, email))
}

/// Returns what is wrong with a new password.
pub async fn password_problem(manager: &Manager, password: &Secret) -> Result<Option<FieldError>> {
    match manager.hasher.check(password).await.map_err(|error| ManageError::password("password", error)) {
        Ok(()) => Ok(None),
        Err(ManageError::Invalid(mut problems)) => Ok(problems.pop()),
        Err(error) => Err(error),
    }
}

/// The state that an administrator gives to a self-registered account; `None` keeps the present profile or groups.
#[derive(Debug, Default)]
pub struct Adoption {
    pub profile: Option<Revision<Profile>>,
    pub groups: Option<Revision<Vec<String>>>,
    pub admin: bool,
    /// `None` for a user who cannot sign in until an administrator sets a password.
    pub password: Option<Secret>,
}

/// Changes the username, the claims and whether the user is an administrator.
pub async fn update(
    manager: &Manager,
    by: &AuditContext,
    id: UserId,
    edit: impl Into<Revision<UserEdit>>,
) -> Result<User> {
    let revision: Revision<UserEdit> = edit.into();
    let username = match checked(&revision.to.username, &revision.to.profile) {
        Ok(username) => username,
        Err(ManageError::Invalid(mut problems)) => {
            let username = Username::parse(&revision.to.username).ok();
            let email = revision.to.profile.email.as_deref();
            problems.extend(taken(manager, Some(id), username.as_ref(), email).await?);
            return Err(ManageError::Invalid(problems));
        }
        Err(error) => return Err(error),
    };
    change(manager, by, id, move |user| {
        revision.check(&UserEdit::present(user))?;
        let edit = revision.to;
        user.username = username;
        // An email address that an administrator has entered counts as verified, unlike one that was entered at
        // sign-up.
        if user.profile.email != edit.profile.email {
            user.email_unconfirmed = user.self_registered && edit.profile.email.is_some();
        }
        user.profile = edit.profile;
        user.admin = edit.admin;
        Ok(())
    })
    .await
}

/// Sets the groups of a user to `names`. Missing groups are created.
pub async fn set_groups(
    manager: &Manager,
    by: &AuditContext,
    id: UserId,
    names: impl Into<Revision<Vec<String>>>,
) -> Result<User> {
    let saving = SaveOptions { groups: Some(normalize_groups(names.into())?), ..SaveOptions::default() };
    Ok(save(manager, by, RequiredRole::AdministratorFor(id), id, saving, |_| Ok(())).await?.0)
}

fn normalize_groups(names: Revision<Vec<String>>) -> Result<Revision<Vec<String>>> {
    Ok(Revision { to: groups::checked(&names.to)?, ..names })
}

/// Adopts a self-registered account: removes every credential, session and grant of it and gives it rights.
pub async fn adopt(
    manager: &Manager,
    by: &AuditContext,
    id: UserId,
    adoption: Adoption,
) -> Result<(User, RemovalSummary)> {
    if let Some(claims) = &adoption.profile {
        let problems = profile::problems(&claims.to);
        if !problems.is_empty() {
            return Err(ManageError::Invalid(problems));
        }
    }
    let groups = adoption.groups.map(normalize_groups).transpose()?;
    let password = match adoption.password {
        Some(password) => Some(hashed(manager, password).await?),
        None => None,
    };
    let saving = SaveOptions { groups, adopt: true, ..SaveOptions::default() };
    let (user, saved) = save(manager, by, RequiredRole::AdministratorFor(id), id, saving, move |user| {
        if let Some(claims) = adoption.profile {
            claims.check(&user.profile)?;
            user.email_unconfirmed &= user.profile.email == claims.to.email;
            user.profile = claims.to;
        }
        user.admin = adoption.admin;
        user.password = password;
        Ok(())
    })
    .await?;
    Ok((user, saved.removed.unwrap_or_default()))
}

/// Gives a user a new password and removes passkeys, API keys, sessions and grants, except what `keep` names
/// and the session `but`.
pub async fn reset(
    manager: &Manager,
    by: &AuditContext,
    id: UserId,
    password: Secret,
    keep: KeepOptions,
    but: Option<SessionId>,
) -> Result<(User, RemovalSummary)> {
    let hash = hashed(manager, password).await?;
    let saving = SaveOptions { but, reset: Some(keep), ..SaveOptions::default() };
    let needs = RequiredRole::AdministratorFor(id);
    let (user, saved) = save(manager, by, needs, id, saving, move |user| {
        user.password = Some(hash);
        Ok(())
    })
    .await?;
    Ok((user, saved.removed.unwrap_or_default()))
}

/// Gives a user a new password and ends the user's sessions, except the session `keep`.
pub async fn set_password(
    manager: &Manager,
    by: &AuditContext,
    id: UserId,
    password: Secret,
    keep: Option<SessionId>,
) -> Result<User> {
    let hash = hashed(manager, password).await?;
    let saving = SaveOptions { but: keep, ..SaveOptions::default() };
    let needs = RequiredRole::UserOrAdministrator(id);
    let edit = move |user: &mut User| {
        user.password = Some(hash);
        Ok(())
    };
    Ok(save(manager, by, needs, id, saving, edit).await?.0)
}

pub async fn disable(manager: &Manager, by: &AuditContext, id: UserId) -> Result<User> {
    turn(manager, by, id, true).await
}

pub async fn enable(manager: &Manager, by: &AuditContext, id: UserId) -> Result<User> {
    turn(manager, by, id, false).await
}

pub async fn delete(manager: &Manager, by: &AuditContext, id: UserId) -> Result<()> {
    manager
        .transact(by, RequiredRole::AdministratorFor(id), move |tx, recorder| {
            Box::pin(async move {
                let user = locked(tx, id).await?;
                remove_in(tx, &recorder, &user).await
            })
        })
        .await
}

async fn turn(manager: &Manager, by: &AuditContext, id: UserId, off: bool) -> Result<User> {
    change(manager, by, id, move |user| {
        user.disabled = off;
        Ok(())
    })
    .await
}

async fn change(
    manager: &Manager,
    by: &AuditContext,
    id: UserId,
    edit: impl FnOnce(&mut User) -> Result<()> + Send + 'static,
) -> Result<User> {
    Ok(save(manager, by, RequiredRole::AdministratorFor(id), id, SaveOptions::default(), edit).await?.0)
}

async fn save(
    manager: &Manager,
    by: &AuditContext,
    needs: RequiredRole,
    id: UserId,
    saving: SaveOptions,
    edit: impl FnOnce(&mut User) -> Result<()> + Send + 'static,
) -> Result<(User, SaveOutcome)> {
    manager
        .transact(by, needs, move |tx, recorder| {
            Box::pin(async move {
                tx.publish(ChangeEvent::People(Stripes::from_iter(&[id]))).await?;
                let before = locked(tx, id).await?;
                if saving.adopt && !before.self_registered {
                    return Err(Conflict::NothingToAdopt(before.username).into());
                }
                let mut after = before.clone();
                edit(&mut after)?;
                if before.self_registered && !saving.adopt && adds_verified_contact(&before, &after) {
                    return Err(ManageError::NeedsAdoption { username: before.username.to_string(), row: None });
                }
                let saved = save_in(tx, &recorder, &before, &mut after, &saving).await?;
                Ok((after, saved))
            })
        })
        .await
}

/// Returns the username if it and the claims are valid.
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

async fn locked(tx: &Tx, id: UserId) -> Result<User> {
    users::lock_for_update(tx, id).await?.ok_or_else(|| ManageError::NotFound(format!("user {id}")))
}
