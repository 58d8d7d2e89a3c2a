//! The counters behind [`Versioned`]: incremented by the transaction that revokes, compared by the one that issues.
//!
//! A counter is made with what it is about and is never set back. Those of a client and an API outlive them, so that a
//! namesake starts above; those of a user go with the user, whose id never comes back. A missing one is 0.
//!
//! Next door: [`super::authorizations`], which compares them; [`super::revocations`], what a node remembers of them.

use std::collections::HashMap;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait as _, OnConflict};
use sea_orm::{QuerySelect, Set};

use super::{Change, Result, Tx};
use crate::domain::ids::{ClientId, UserId};
use crate::domain::version::{Fingerprint, Versioned};

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
const GONE: i64 = i64::MAX;

async fn increment(tx: &Tx, of: &Versioned) -> Result<i64> {
    let model =
        row::ActiveModel { subject: Set(of.key()), version: Set(1), user_id: Set(of.user().map(|user| user.0)) };
    let again = OnConflict::column(row::Column::Subject)
        .value(row::Column::Version, Expr::col((row::Entity, row::Column::Version)).add(1))
        .to_owned();
    let row = row::Entity::insert(model).on_conflict(again).exec_with_returning(tx.conn()).await?;
    Ok(row.version)
}

/// Begins a new incarnation: version 1, or one more than a namesake before it had.
pub(super) async fn begin(tx: &Tx, of: &Versioned) -> Result<()> {
    let version = increment(tx, of).await?;
    if version > 1 {
        tx.tell(Change::Version(of.into(), version)).await?;
    }
    Ok(())
}

/// Ends everything that was issued under the version so far: for this transaction's successors at once, and in the memory
/// of other nodes with the change feed.
pub async fn revoke(tx: &Tx, of: &Versioned) -> Result<()> {
    let version = increment(tx, of).await?;
    tx.tell(Change::Version(of.into(), version)).await
}

/// Notes that a client's settings have changed, so that a node that authenticates it by old ones reads them again; their new
/// version.
pub(super) async fn settings_changed(tx: &Tx, client: &ClientId) -> Result<i64> {
    increment(tx, &Versioned::ClientSettings(client.clone())).await
}

/// Ends everything of a user that is being deleted, and deletes the user's counters.
pub(super) async fn end_user(tx: &Tx, user: UserId) -> Result<()> {
    row::Entity::delete_many().filter(row::Column::UserId.eq(user.0)).exec(tx.conn()).await?;
    tx.tell(Change::Version(Fingerprint::from(&Versioned::User(user)), GONE)).await
}

/// Locks a user's counter: whatever is being issued for the user comes to its end first, or waits.
pub async fn lock_user(tx: &Tx, user: UserId) -> Result<()> {
    row::Entity::find_by_id(Versioned::User(user).key()).lock_exclusive().one(tx.conn()).await?;
    Ok(())
}

/// Locks a client's counter against a revocation until the transaction ends. For what is rare alone: a revocation waits.
pub async fn lock_client(tx: &Tx, client: &ClientId) -> Result<()> {
    row::Entity::find_by_id(Versioned::Client(client.clone()).key()).lock_shared().one(tx.conn()).await?;
    Ok(())
}

/// The versions of these, as one statement sees them.
pub async fn read<C: ConnectionTrait>(conn: &C, of: &[Versioned]) -> Result<Vec<i64>> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<String> = of.iter().map(Versioned::key).collect();
    let rows =
        row::Entity::find().filter(row::Column::Subject.is_in(keys.iter().map(String::as_str))).all(conn).await?;
    let versions: HashMap<String, i64> = rows.into_iter().map(|row| (row.subject, row.version)).collect();
    Ok(keys.iter().map(|key| versions.get(key).copied().unwrap_or_default()).collect())
}

pub async fn one<C: ConnectionTrait>(conn: &C, of: &Versioned) -> Result<i64> {
    let found = row::Entity::find_by_id(of.key()).one(conn).await?;
    Ok(found.map(|row| row.version).unwrap_or_default())
}
