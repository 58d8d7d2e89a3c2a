//! Somebody makes an account for themself. Next door: [`super::people`], whose rules hold here too; `web::pages::sign_up`,
//! the page.
//!
//! What a stranger types proves nothing. Their address is kept unproven (`domain::user`): whoever has it already is not
//! told of, keeps it, and signs in with it as before; whoever it belongs to can still be given it. A username cannot look
//! like an address, since people sign in with either, and what else it may be says `domain::username_policy`. The account is
//! marked as self-registered, so that no administrator gives it rights without knowing ([`super::access`]).

use super::people::{self, NewPerson};
use super::{FieldError, ManageError, Manager, Result};
use crate::domain::event::{Actor, Origin};
use crate::domain::secret::Secret;
use crate::domain::user::{Profile, User};
use crate::domain::username_policy::sign_up_problem;
use crate::store::{people as rows, usernames};

/// What they typed.
#[derive(Debug)]
pub struct Typed {
    pub username: String,
    pub name: Option<String>,
    pub email: Option<String>,
    pub password: Secret,
}

/// Makes the account. That a username is taken is said, as it has to be: a caller counts how often that is asked.
pub async fn sign_up(manager: &Manager, origin: Origin, typed: Typed) -> Result<User> {
    let profile = Profile { name: typed.name, email: typed.email, ..Profile::default() };
    let username = people::checked(&typed.username, &profile)?;
    if let Some(problem) = sign_up_problem(&username) {
        return Err(ManageError::Invalid(vec![FieldError::new("username", problem)]));
    }
    let most = manager.store.quotas().self_registered_users;
    // Before the work of hashing; what counts is the transaction.
    if rows::are_self_registered(manager.store.read(), most).await? {
        return Err(ManageError::Full);
    }
    if usernames::is_taken(manager.store.read(), &username).await? {
        return Err(people::username_taken(&username));
    }
    let new = NewPerson {
        username: typed.username,
        profile,
        groups: Vec::new(),
        password: Some(typed.password),
        admin: false,
    };
    let (mut user, groups) = people::prepared(manager, new).await?;
    user.email_unproven = user.profile.email.is_some();
    user.self_registered = true;
    manager
        .transact_as(Actor::User(user.id), origin, move |tx, recorder| {
            Box::pin(async move {
                if rows::are_self_registered(tx.conn(), most).await? {
                    return Err(ManageError::Full);
                }
                // Names that somebody had, too: apps may still know that person by it.
                if !usernames::take(tx, &user.username).await? {
                    return Err(people::username_taken(&user.username));
                }
                people::add_in(tx, &recorder, &user, &groups).await?;
                Ok(user)
            })
        })
        .await
}
