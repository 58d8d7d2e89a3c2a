//! Computes the hash that each row with a password sets: the present one if the password is unchanged.

use std::collections::HashMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::domain::user::{PasswordHash, Username};
use crate::identity::hash;
use crate::manage::document::UserRow;
use crate::manage::{ManageError, Manager, Result};
use crate::store::users;

/// The number of rows whose passwords are hashed concurrently. Each of them takes one place in the hasher's
/// queue.
const MAX_CONCURRENT_HASHES: usize = 4;

pub(super) async fn hashes(manager: &Manager, users: &[(usize, UserRow)]) -> Result<HashMap<Username, PasswordHash>> {
    let has_password = |row: &UserRow| row.password.is_some() || row.password_hash.is_some();
    let rows: Vec<&(usize, UserRow)> = users.iter().filter(|(_, row)| has_password(row)).collect();
    let names: Vec<&Username> = rows.iter().map(|(_, row)| &row.username).collect();
    let known = users::by_usernames(manager.store.read(), &names).await?;
    let hashing = rows.into_iter().map(|(at, row)| {
        let present = known.get(&row.username).and_then(|user| user.password.clone());
        of_row(manager, *at, row, present)
    });
    stream::iter(hashing).buffer_unordered(MAX_CONCURRENT_HASHES).try_collect().await
}

async fn of_row(
    manager: &Manager,
    at: usize,
    row: &UserRow,
    present: Option<PasswordHash>,
) -> Result<(Username, PasswordHash)> {
    let refused = |error| ManageError::password(&format!("users[{at}].password"), error);
    let name = row.username.clone();
    let Some(password) = &row.password else {
        let given = row.password_hash.clone().unwrap_or_else(|| PasswordHash(String::new()));
        let same = present.filter(|present| hash::succeeds(present, &given));
        return Ok((name, same.unwrap_or(given)));
    };
    if let Some(present) = present
        && manager.hasher.verify(password.clone(), Some(&present)).await.map_err(refused)?
    {
        return Ok((name, present));
    }
    Ok((name, manager.hasher.hash(password.clone()).await.map_err(refused)?))
}
