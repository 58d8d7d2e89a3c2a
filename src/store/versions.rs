//! The counters behind [`VersionedEntity`]. The transaction that revokes increments them, and the transaction that
//! issues compares them.
//!
//! A counter is created together with its entity and is never decreased. The counters of a client and an API outlive
//! them, so that a later entity with the same name starts with a higher version. The counters of a user are deleted
//! with the user, whose id is never reused. A missing counter is 0.
//!
//! The next version is the current one plus one, or the time of the database's clock in seconds if that is more.
//! Counting alone would give the order. The time is for a database that is restored to an older state: the counter then
//! assigns no number a second time, so what was issued under a lost version is not valid under a new one.
//!
//! [`super::authorizations`] compares the versions. [`super::revocations`] has them in a node's memory.

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

/// The version of a deleted user, which is newer than every version under which something was issued.
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

/// Creates the counters of new users, whose ids are never reused.
pub(super) async fn begin_users(tx: &Tx, users: &[UserId]) -> Result<()> {
    tx.conn().execute(&increment_statement(tx, users.iter().copied().map(VersionedEntity::User))).await?;
    Ok(())
}

/// Begins a new incarnation with a version above that of any earlier entity with the same name. Returns its first
/// version.
pub(super) async fn begin(tx: &Tx, of: &VersionedEntity) -> Result<i64> {
    let before = one(tx.conn(), of).await?;
    let version = increment(tx, of).await?;
    if before > 0 {
        tx.publish(ChangeEvent::Version(of.into(), version)).await?;
    }
    Ok(version)
}

/// Revokes everything that was issued under the current version: at once for later transactions, and through the change
/// feed in the memory of other nodes.
pub async fn revoke(tx: &Tx, of: &VersionedEntity) -> Result<()> {
    let version = increment(tx, of).await?;
    tx.publish(ChangeEvent::Version(of.into(), version)).await
}

/// Increments a client's settings version, so that a node that authenticates it by cached settings reads them again.
pub(super) async fn increment_settings(tx: &Tx, client: &ClientId) -> Result<()> {
    increment(tx, &VersionedEntity::ClientSettings(client.clone())).await.map(drop)
}

/// Increments a client's settings version if it is still `read`. Returns false if it is not.
pub(super) async fn increment_settings_if_current(tx: &Tx, client: &ClientId, read: i64) -> Result<bool> {
    let key = VersionedEntity::ClientSettings(client.clone()).counter_key();
    // Locks the row, and counts the rows that still have that version.
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

/// Revokes everything of a user who is being deleted, and deletes the user's counters.
pub(super) async fn end_user(tx: &Tx, user: UserId) -> Result<()> {
    row::Entity::delete_many().filter(row::Column::UserId.eq(user.0)).exec(tx.conn()).await?;
    tx.publish(ChangeEvent::Version(RevocationKey::from(&VersionedEntity::User(user)), DELETED_USER_VERSION)).await
}

/// Locks a user's counter: a concurrent transaction that issues for the user either completes first or waits.
pub async fn lock_user_for_update(tx: &Tx, user: UserId) -> Result<()> {
    row::Entity::find_by_id(VersionedEntity::User(user).counter_key()).lock_exclusive().one(tx.conn()).await?;
    Ok(())
}

/// Locks a client's counter shared until the transaction ends. Only for rare operations, because a revocation has to
/// wait.
pub async fn lock_client_shared(tx: &Tx, client: &ClientId) -> Result<()> {
    row::Entity::find_by_id(VersionedEntity::Client(client.clone()).counter_key()).lock_shared().one(tx.conn()).await?;
    Ok(())
}

/// Returns the versions of these entities, read by one statement.
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
