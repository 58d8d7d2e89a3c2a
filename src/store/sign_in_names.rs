//! The names that users sign in with: the username and the email address of each user, case-folded in the same way. No
//! name belongs to two users. The primary key decides between concurrent transactions.
//!
//! [`super::users`] writes a user's names with every change. [`super::taken_usernames`] has the usernames that cannot
//! be chosen by signing up, including former ones.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{OnConflict, SelectStatement};
use sea_orm::{QueryOrder, QuerySelect, QueryTrait, Set};

use super::{Result, StoreError, Tx, rows_inserted};
use crate::domain::ids::UserId;
use crate::domain::user::{User, Username};

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "sign_in_name")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub user_id: Uuid,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Replaces the names of a user.
///
/// # Errors
/// Returns [`StoreError::SignInNamesTaken`] if another user signs in with one of them.
pub(super) async fn set(tx: &Tx, user: &User) -> Result<()> {
    let names: BTreeSet<String> = user.sign_in_names().collect();
    let present: Vec<String> = row::Entity::find()
        .select_only()
        .column(row::Column::Name)
        .filter(row::Column::UserId.eq(user.id.0))
        .into_tuple()
        .all(tx.conn())
        .await?;
    let gone: Vec<&str> = present.iter().filter(|name| !names.contains(*name)).map(String::as_str).collect();
    if !gone.is_empty() {
        row::Entity::delete_many().filter(row::Column::Name.is_in(gone)).exec(tx.conn()).await?;
    }
    let new = names.into_iter().filter(|name| !present.contains(name));
    take(tx, new.map(|name| (name, user.id)).collect()).await
}

/// Inserts the names of new users.
///
/// # Errors
/// Returns [`StoreError::SignInNamesTaken`] if another user, or another one of `users`, signs in with one of them.
pub(super) async fn add(tx: &Tx, users: &[User]) -> Result<()> {
    let mut owners = BTreeMap::new();
    for user in users {
        for name in user.sign_in_names() {
            if owners.insert(name.clone(), user.id).is_some_and(|other| other != user.id) {
                return Err(StoreError::SignInNamesTaken(vec![name]));
            }
        }
    }
    take(tx, owners).await
}

/// Inserts in the order of the names, so that concurrent transactions with the same names do not deadlock.
async fn take(tx: &Tx, owners: BTreeMap<String, UserId>) -> Result<()> {
    if owners.is_empty() {
        return Ok(());
    }
    let rows = owners.iter().map(|(name, id)| row::ActiveModel { name: Set(name.clone()), user_id: Set(id.0) });
    let free = OnConflict::column(row::Column::Name).do_nothing().to_owned();
    let taken =
        rows_inserted(row::Entity::insert_many(rows).on_conflict(free).exec_without_returning(tx.conn()).await)?;
    if usize::try_from(taken).is_ok_and(|taken| taken == owners.len()) {
        return Ok(());
    }
    let names: Vec<&str> = owners.keys().map(String::as_str).collect();
    let found = found(tx.conn(), &names).await?;
    let others = found.into_iter().filter(|row| owners.get(&row.name).is_some_and(|id| id.0 != row.user_id));
    let taken: Vec<String> = others.map(|row| row.name).collect();
    if taken.is_empty() {
        return Err(StoreError::Unavailable("a sign-in name was taken and is free again".to_owned()));
    }
    Err(StoreError::SignInNamesTaken(taken))
}

async fn found<C: ConnectionTrait>(conn: &C, names: &[&str]) -> Result<Vec<row::Model>> {
    let named = row::Column::Name.is_in(names.iter().copied());
    Ok(row::Entity::find().filter(named).order_by_asc(row::Column::Name).all(conn).await?)
}

/// Returns those of `names` that a user other than `own` signs in with.
pub(super) async fn taken<C: ConnectionTrait>(conn: &C, names: &[&str], own: Option<UserId>) -> Result<Vec<String>> {
    let others = found(conn, names).await?.into_iter().filter(|row| own.is_none_or(|own| own.0 != row.user_id));
    Ok(others.map(|row| row.name).collect())
}

/// Deletes a name of a user, so that another user can get it in the same transaction.
pub(super) async fn free(tx: &Tx, id: UserId, name: &str) -> Result<()> {
    let owned = row::Entity::delete_many().filter(row::Column::Name.eq(name)).filter(row::Column::UserId.eq(id.0));
    owned.exec(tx.conn()).await?;
    Ok(())
}

pub(super) async fn delete_of_user(tx: &Tx, id: UserId) -> Result<()> {
    row::Entity::delete_many().filter(row::Column::UserId.eq(id.0)).exec(tx.conn()).await?;
    Ok(())
}

/// Selects the id of the user who signs in with the entered name.
pub(super) fn owner(typed: &str) -> SelectStatement {
    row::Entity::find()
        .select_only()
        .column(row::Column::UserId)
        .filter(row::Column::Name.eq(Username::folded(typed)))
        .into_query()
}
