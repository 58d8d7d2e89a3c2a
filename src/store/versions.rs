//! The counters behind [`Versioned`]: incremented by the transaction that revokes, compared by the one that issues.
//!
//! A counter is made with what it is about and is never set back. Those of a client and an API outlive them, so that a
//! namesake starts above; those of a user go with the user, whose id never comes back. A missing one is 0.
//!
//! The next version is one more, or the time of the database's clock in seconds if that is more. Order needs the counting
//! alone. The time is for a database that is restored to an older state: a counter that goes on from there gives no number
//! a second time, so that what was issued under the lost one is not good under the new one.
//!
//! Next door: [`super::authorizations`], which compares them; [`super::revocations`], what a node remembers of them.

use std::collections::HashMap;

use sea_orm::QuerySelect;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait as _, Func, InsertStatement, OnConflict, Query};

use super::{ChangeEvent, Result, StoreError, Tx};
use crate::domain::ids::{ClientId, UserId};
use crate::domain::version::{RevocationKey, VersionedEntity};

pub(super) mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "version")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub subject: String,
        pub version: i64,
        pub user_id: Option<Uuid>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// The version of a user that has been deleted: newer than any that was issued under.
const DELETED_USER_VERSION: i64 = i64::MAX;

fn increment_statement(tx: &Tx, all: impl IntoIterator<Item = VersionedEntity>) -> InsertStatement {
    let version = || Expr::col((row::Entity, row::Column::Version));
    let next = Func::greatest([version().add(1), Expr::col(("excluded", row::Column::Version))]);
    let mut insert = Query::insert();
    insert
        .into_table(row::Entity)
        .columns([row::Column::Subject, row::Column::Version, row::Column::UserId])
        .on_conflict(OnConflict::column(row::Column::Subject).value(row::Column::Version, next).to_owned());
    for of in all {
        let first = Expr::from(tx.database_now()).div(1000);
        insert.values_panic([of.counter_key().into(), first, of.user().map(|user| user.0).into()]);
    }
    insert
}

async fn increment(tx: &Tx, of: &VersionedEntity) -> Result<i64> {
    let insert = increment_statement(tx, [of.clone()]).returning_col(row::Column::Version).to_owned();
    let row = tx.conn().query_one(&insert).await?;
    let row = row.ok_or_else(|| StoreError::Unavailable("no version was returned".to_owned()))?;
    Ok(row.try_get_by_index(0)?)
}

/// Begins the versions of new users, whose ids never come back.
pub(super) async fn begin_users(tx: &Tx, users: &[UserId]) -> Result<()> {
    tx.conn().execute(&increment_statement(tx, users.iter().copied().map(VersionedEntity::User))).await?;
    Ok(())
}

/// Begins a new incarnation, above a namesake before it, and returns its first version.
pub(super) async fn begin(tx: &Tx, of: &VersionedEntity) -> Result<i64> {
    let before = one(tx.conn(), of).await?;
    let version = increment(tx, of).await?;
    if before > 0 {
        tx.publish(ChangeEvent::Version(of.into(), version)).await?;
    }
    Ok(version)
}

/// Ends everything that was issued under the version so far: for this transaction's successors at once, and in the memory
/// of other nodes with the change feed.
pub async fn revoke(tx: &Tx, of: &VersionedEntity) -> Result<()> {
    let version = increment(tx, of).await?;
    tx.publish(ChangeEvent::Version(of.into(), version)).await
}

/// Notes that a client's settings have changed, so that a node that authenticates it by old ones reads them again.
pub(super) async fn increment_settings(tx: &Tx, client: &ClientId) -> Result<()> {
    increment(tx, &VersionedEntity::ClientSettings(client.clone())).await.map(drop)
}

/// The same for settings that were changed from those of version `read`. Returns false if they are no longer the present ones.
pub(super) async fn increment_settings_if_current(tx: &Tx, client: &ClientId, read: i64) -> Result<bool> {
    let key = VersionedEntity::ClientSettings(client.clone()).counter_key();
    // Locks the row, and counts those that still have that version.
    let locked = row::Entity::update_many()
        .col_expr(row::Column::Version, Expr::value(read))
        .filter(row::Column::Subject.eq(key))
        .filter(row::Column::Version.eq(read))
        .exec(tx.conn())
        .await?;
    if locked.rows_affected == 0 {
        return Ok(false);
    }
    increment_settings(tx, client).await?;
    Ok(true)
}

/// Ends everything of a user that is being deleted, and deletes the user's counters.
pub(super) async fn end_user(tx: &Tx, user: UserId) -> Result<()> {
    row::Entity::delete_many().filter(row::Column::UserId.eq(user.0)).exec(tx.conn()).await?;
    tx.publish(ChangeEvent::Version(RevocationKey::from(&VersionedEntity::User(user)), DELETED_USER_VERSION)).await
}

/// Locks a user's counter: whatever is being issued for the user comes to its end first, or waits.
pub async fn lock_user_for_update(tx: &Tx, user: UserId) -> Result<()> {
    row::Entity::find_by_id(VersionedEntity::User(user).counter_key()).lock_exclusive().one(tx.conn()).await?;
    Ok(())
}

/// Locks a client's counter against a revocation until the transaction ends. For what is rare alone: a revocation waits.
pub async fn lock_client_shared(tx: &Tx, client: &ClientId) -> Result<()> {
    row::Entity::find_by_id(VersionedEntity::Client(client.clone()).counter_key()).lock_shared().one(tx.conn()).await?;
    Ok(())
}

/// The versions of these, as one statement sees them.
pub async fn read<C: ConnectionTrait>(conn: &C, of: &[VersionedEntity]) -> Result<Vec<i64>> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<String> = of.iter().map(VersionedEntity::counter_key).collect();
    let rows =
        row::Entity::find().filter(row::Column::Subject.is_in(keys.iter().map(String::as_str))).all(conn).await?;
    let versions: HashMap<String, i64> = rows.into_iter().map(|row| (row.subject, row.version)).collect();
    Ok(keys.iter().map(|key| versions.get(key).copied().unwrap_or_default()).collect())
}

pub async fn one<C: ConnectionTrait>(conn: &C, of: &VersionedEntity) -> Result<i64> {
    let found = row::Entity::find_by_id(of.counter_key()).one(conn).await?;
    Ok(found.map(|row| row.version).unwrap_or_default())
}
