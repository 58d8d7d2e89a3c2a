//! Users: create, change, reset, adopt, disable and enable, delete.
//!
//! Next door: [`save`], what every change goes through; [`super::access`], what a reset and an adoption remove;
//! [`super::sessions`], ending sessions alone, which is called as one of these.

mod save;

pub(super) use save::{Saving, add_in, administers, blank, remove_in, save_in, username_taken, vouches};

pub use super::sessions::{end_session, end_sessions};

use self::save::Saved;
use super::access::{Keep, Removed};
use super::{By, FieldError, ManageError, Manager, Needs, Result, groups, profile};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::secret::Secret;
use crate::domain::user::{PasswordHash, Profile, User, Username};
use crate::store::{Change, Stripes, Tx, people};

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
    manager
        .transact(by, Needs::Administrator, move |tx, recorder| {
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

/// What an administrator makes of an account that a stranger made by signing up; the present state where there is nothing.
#[derive(Debug, Default)]
pub struct Adoption {
    pub profile: Option<Profile>,
    pub groups: Option<Vec<String>>,
    pub admin: bool,
    /// Without one the user cannot sign in until an administrator sets one.
    pub password: Option<Secret>,
}

/// Changes the username, the claims and whether they administer.
pub async fn update(manager: &Manager, by: &By, id: UserId, edit: PersonEdit) -> Result<User> {
    let username = checked(&edit.username, &edit.profile)?;
    change(manager, by, id, move |user| {
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
    let saving = Saving { groups: Some(groups::checked(names)?), ..Saving::default() };
    Ok(save(manager, by, Needs::AdministratorFor(id), id, saving, |_| {}).await?.0)
}

/// Adopts an account that a stranger made: removes every credential, session and grant of theirs and gives it rights.
pub async fn adopt(manager: &Manager, by: &By, id: UserId, adoption: Adoption) -> Result<(User, Removed)> {
    if let Some(claims) = &adoption.profile {
        let problems = profile::problems(claims);
        if !problems.is_empty() {
            return Err(ManageError::Invalid(problems));
        }
    }
    let groups = adoption.groups.map(|names| groups::checked(&names)).transpose()?;
    let password = match adoption.password {
        Some(password) => Some(hashed(manager, password).await?),
        None => None,
    };
    let saving = Saving { groups, adopt: true, ..Saving::default() };
    let (user, saved) = save(manager, by, Needs::AdministratorFor(id), id, saving, move |user| {
        if let Some(claims) = adoption.profile {
            user.email_unproven &= user.profile.email == claims.email;
            user.profile = claims;
        }
        user.admin = adoption.admin;
        user.password = password;
    })
    .await?;
    Ok((user, saved.removed.unwrap_or_default()))
}

/// Gives a user a new password and removes passkeys, API keys, sessions and grants, but for what `keep` names and the
/// session `but`.
pub async fn reset(
    manager: &Manager,
    by: &By,
    id: UserId,
    password: Secret,
    keep: Keep,
    but: Option<SessionId>,
) -> Result<(User, Removed)> {
    let hash = hashed(manager, password).await?;
    let saving = Saving { but, reset: Some(keep), ..Saving::default() };
    let needs = Needs::AdministratorFor(id);
    let (user, saved) = save(manager, by, needs, id, saving, move |user| user.password = Some(hash)).await?;
    Ok((user, saved.removed.unwrap_or_default()))
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
    let saving = Saving { but: keep, ..Saving::default() };
    let needs = Needs::UserOrAdministrator(id);
    Ok(save(manager, by, needs, id, saving, move |user| user.password = Some(hash)).await?.0)
}

pub async fn disable(manager: &Manager, by: &By, id: UserId) -> Result<User> {
    change(manager, by, id, |user| user.disabled = true).await
}

pub async fn enable(manager: &Manager, by: &By, id: UserId) -> Result<User> {
    change(manager, by, id, |user| user.disabled = false).await
}

pub async fn delete(manager: &Manager, by: &By, id: UserId) -> Result<()> {
    manager
        .transact(by, Needs::AdministratorFor(id), move |tx, recorder| {
            Box::pin(async move {
                let user = locked(tx, id).await?;
                remove_in(tx, &recorder, &user).await
            })
        })
        .await
}

async fn change(manager: &Manager, by: &By, id: UserId, edit: impl FnOnce(&mut User) + Send + 'static) -> Result<User> {
    Ok(save(manager, by, Needs::AdministratorFor(id), id, Saving::default(), edit).await?.0)
}

async fn save(
    manager: &Manager,
    by: &By,
    needs: Needs,
    id: UserId,
    saving: Saving,
    edit: impl FnOnce(&mut User) + Send + 'static,
) -> Result<(User, Saved)> {
    manager
        .transact(by, needs, move |tx, recorder| {
            Box::pin(async move {
                tx.tell(Change::People(Stripes::from_iter(&[id]))).await?;
                let before = locked(tx, id).await?;
                if saving.adopt && !before.self_registered {
                    let text = format!("{} did not sign up, so there is nothing to adopt", before.username);
                    return Err(ManageError::Conflict(text));
                }
                let mut after = before.clone();
                edit(&mut after);
                let saved = save_in(tx, &recorder, &before, &mut after, &saving).await?;
                Ok((after, saved))
            })
        })
        .await
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

async fn locked(tx: &Tx, id: UserId) -> Result<User> {
    people::lock_for_update(tx, id).await?.ok_or_else(|| ManageError::NotFound(format!("user {id}")))
}
