//! Self-registration of users. See also [`super::users`], whose rules apply here too, and
//! `web::pages::sign_up`, the page.
//!
//! What an anonymous visitor enters is not verified. The email address is stored as unproven (`domain::user`):
//! the user who already has it keeps it and signs in with it as before, its existence is not disclosed, and its
//! real owner can still be given it. A username cannot look like an email address, because users sign in with
//! either; `domain::username_policy` has the other rules. The account is marked as self-registered, so that no
//! administrator gives it rights unknowingly ([`super::access`]).

use super::users::{self, NewUser};
use super::{FieldError, ManageError, Manager, Result};
use crate::domain::event::{Actor, RequestOrigin};
use crate::domain::secret::{Digest, Secret};
use crate::domain::user::{Profile, User};
use crate::domain::username_policy::sign_up_problem;
use crate::identity::login;
use crate::store::{replay, taken_usernames, users as rows};

/// The input of the form.
#[derive(Debug)]
pub struct SignUpRequest {
    pub username: String,
    pub name: Option<String>,
    pub email: Option<String>,
    pub password: Secret,
}

/// Creates the account, and claims `creation` for [`login::just_created`]. The error inevitably discloses that
/// a username is taken, so the caller limits how often this is asked.
pub async fn sign_up(manager: &Manager, origin: RequestOrigin, typed: SignUpRequest, creation: Digest) -> Result<User> {
    let profile = Profile { name: typed.name, email: typed.email, ..Profile::default() };
    let (username, mut problems) = match users::checked(&typed.username, &profile) {
        Ok(username) => {
            let problem = sign_up_problem(&username).map(|problem| FieldError::new("username", problem));
            (Some(username), problem.into_iter().collect())
        }
        Err(ManageError::Invalid(problems)) => (None, problems),
        Err(error) => return Err(error),
    };
    problems.extend(users::password_problem(manager, &typed.password).await?);
    let most = manager.store.quotas().self_registered_users;
    // Checked before the expensive hashing; the check in the transaction is the decisive one.
    if rows::has_self_registered_at_least(manager.store.read(), most).await? {
        return Err(ManageError::Full);
    }
    if let Some(username) = username
        && taken_usernames::is_taken(manager.store.read(), &username).await?
    {
        if problems.is_empty() {
            return Err(ManageError::Taken(vec![users::taken_username_error(&username)]));
        }
        if problems.iter().all(|problem| problem.field != "username") {
            let taken = FieldError::new("username", "That one is taken, or looks like one that is. Choose another.");
            problems.insert(0, taken);
        }
    }
    if !problems.is_empty() {
        return Err(ManageError::Invalid(problems));
    }
    let new =
        NewUser { username: typed.username, profile, groups: Vec::new(), password: Some(typed.password), admin: false };
    let (mut user, groups) = users::prepared(manager, new).await?;
    user.email_unconfirmed = user.profile.email.is_some();
    user.self_registered = true;
    manager
        .transact_as(Actor::User(user.id), origin, move |tx, recorder| {
            Box::pin(async move {
                if rows::has_self_registered_at_least(tx.conn(), most).await? {
                    return Err(ManageError::Full);
                }
                // Former usernames count as taken, too: clients may still identify the earlier user by them.
                if !taken_usernames::take(tx, &user.username).await? {
                    return Err(ManageError::Taken(vec![users::taken_username_error(&user.username)]));
                }
                users::add_in(tx, &recorder, &user, &groups).await?;
                replay::claim(tx, &creation, tx.now().plus_seconds(login::RESUBMIT_WINDOW_SECONDS)).await?;
                Ok(user)
            })
        })
        .await
}
