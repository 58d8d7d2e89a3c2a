//! The part of a transaction that applies the users of a document: consecutive new users are added together in
//! a few statements, and the others are compared with the stored state one by one.

use std::collections::HashMap;

use super::sign_in_names::{is_email_unconfirmed, own_email};
use super::{Action, ApplyTransaction, in_row};
use crate::domain::user::{PasswordHash, User, Username};
use crate::identity::hash;
use crate::manage::document::UserRow;
use crate::manage::users::{self as user_writes, AddUsersError, SaveOptions};
use crate::manage::{ManageError, Result, groups};
use crate::store::{Tx, users};

/// Consecutive new users of a document, each with its index.
#[derive(Default)]
struct NewUserBatch {
    places: Vec<usize>,
    users: Vec<User>,
    groups: Vec<Vec<String>>,
}

impl ApplyTransaction {
    pub(super) async fn users(
        &mut self,
        tx: &Tx,
        rows: &[(usize, UserRow)],
        passwords: &HashMap<Username, PasswordHash>,
    ) -> Result<()> {
        let mut known =
            users::by_usernames(tx.conn(), &rows.iter().map(|(_, row)| &row.username).collect::<Vec<_>>()).await?;
        for row in rows.iter().map(|(_, row)| row) {
            // Two users may exchange their addresses.
            if let Some(user) = known.get(&row.username)
                && user.sign_in_email() != own_email(row, Some(user))
            {
                users::release_email(tx, user).await?;
            }
        }
        let mut new = NewUserBatch::default();
        for (at, row) in rows {
            let groups = groups::checked(&row.groups).map_err(|error| in_row("users", *at, error))?;
            let password = passwords.get(&row.username).cloned();
            if let Some(before) = known.remove(&row.username) {
                self.add_users(tx, std::mem::take(&mut new)).await?;
                let updated = self.update_user(tx, before, row.clone(), groups, password).await;
                updated.map_err(|error| in_row("users", *at, error))?;
            } else {
                new.places.push(*at);
                new.users.push(self.new_user(row.clone(), password));
                new.groups.push(groups);
            }
        }
        self.add_users(tx, new).await
    }

    async fn add_users(&mut self, tx: &Tx, new: NewUserBatch) -> Result<()> {
        self.groups(tx, &new.groups.concat()).await?;
        let added = user_writes::add_all_in(tx, &self.recorder, &new.users, &new.groups).await;
        added.map_err(|AddUsersError { at, error }| match at.and_then(|at| new.places.get(at)) {
            Some(at) => in_row("users", *at, error),
            None => error,
        })?;
        for user in &new.users {
            self.plan.note(Action::Create, "user", user.username.as_str(), Vec::new());
        }
        Ok(())
    }

    fn new_user(&self, row: UserRow, password: Option<PasswordHash>) -> User {
        let env = self.manager.store.env();
        let email_unproven = is_email_unconfirmed(&row, None);
        let user = user_writes::blank(env, row.username, row.profile, password, row.admin);
        User {
            disabled: row.disabled.unwrap_or_default(),
            email_unconfirmed: email_unproven,
            self_registered: row.self_registered == Some(true) && !row.adopt,
            ..user
        }
    }

    async fn update_user(
        &mut self,
        tx: &Tx,
        before: User,
        row: UserRow,
        groups: Vec<String>,
        password: Option<PasswordHash>,
    ) -> Result<()> {
        self.groups(tx, &groups).await?;
        let mut after = before.clone();
        after.email_unconfirmed = is_email_unconfirmed(&row, Some(&before));
        let name = row.username;
        after.profile = row.profile;
        after.admin = row.admin;
        after.disabled = row.disabled.unwrap_or(before.disabled);
        // A sign-in may have renewed the hash in the meantime.
        let renewed = |hash: &PasswordHash| before.password.clone().filter(|present| hash::succeeds(present, hash));
        let password = password.map(|hash| renewed(&hash).unwrap_or(hash));
        // An adopted account keeps nothing of its self-registration that the document does not set.
        after.password = if row.adopt && before.self_registered { password } else { password.or(after.password) };
        let named_as_is = row.adopt || row.self_registered == Some(true);
        if before.self_registered && !named_as_is && user_writes::requires_adoption(&before, &after) {
            return Err(ManageError::NeedsAdoption { username: name.to_string(), row: None });
        }
        let saving = SaveOptions { groups: Some(groups.into()), adopt: row.adopt, ..SaveOptions::default() };
        let saved = user_writes::save_in(tx, &self.recorder, &before, &mut after, &saving).await?;
        self.saved(true, "user", name.as_str(), saved.fields);
        if let (Some(removed), Some(change)) = (saved.removed, self.plan.changes.last_mut()) {
            change.removed = Some(removed);
        }
        Ok(())
    }
}
