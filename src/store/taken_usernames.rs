//! Every username that a user has or had, by its skeleton (`domain::username_policy`). Rows are never deleted: after a
//! deletion or a rename, the username and names that look like it cannot be chosen by signing up.

use std::collections::BTreeSet;

use sea_orm::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;

use super::{Result, Tx, rows_inserted};
use crate::domain::user::Username;
use crate::domain::username_policy::skeleton;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "taken_username")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub skeleton: String,
        pub taken_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Records that a username is taken. Returns whether it and all names that look like it were free. Of two concurrent
/// transactions only one gets it.
pub async fn take(tx: &Tx, name: &Username) -> Result<bool> {
    Ok(reserve_all(tx, &[name]).await? > 0)
}

/// Records that several usernames are taken. Returns how many were free.
pub async fn reserve_all(tx: &Tx, names: &[&Username]) -> Result<u64> {
    // Sorted, so that concurrent transactions with the same names do not deadlock.
    let skeletons: BTreeSet<String> = names.iter().map(|name| skeleton(name.as_str())).collect();
    let taken_at = tx.now().0;
    let rows =
        skeletons.into_iter().map(|skeleton| row::ActiveModel { skeleton: Set(skeleton), taken_at: Set(taken_at) });
    let free = OnConflict::column(row::Column::Skeleton).do_nothing().to_owned();
    rows_inserted(row::Entity::insert_many(rows).on_conflict(free).exec_without_returning(tx.conn()).await)
}

/// Returns whether a user has or had that username, or one that looks like it.
pub async fn is_taken<C: ConnectionTrait>(conn: &C, name: &Username) -> Result<bool> {
    Ok(row::Entity::find_by_id(skeleton(name.as_str())).one(conn).await?.is_some())
}
