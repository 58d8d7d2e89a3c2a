//! Initial access tokens (RFC 7591 §3): who has one may register clients, so often and so long as it says.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::ExprTrait as _;
use sea_orm::{Condition, QuerySelect, Set};

use super::{Result, Tx};
use crate::domain::secret::Digest;
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "initial_access")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        pub uses_left: Option<i32>,
        pub created_at: i64,
        pub expires_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// One with that digest; without `uses` it may be used until it expires.
pub async fn insert(tx: &Tx, digest: &Digest, uses: Option<i32>, expires_at: Timestamp) -> Result<()> {
    let model = row::ActiveModel {
        digest: Set(digest.0.to_vec()),
        uses_left: Set(uses),
        created_at: Set(tx.now().0),
        expires_at: Set(expires_at.0),
    };
    row::Entity::insert(model).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Uses it once, by one statement that can lose a race; whether it was good.
pub async fn spend(tx: &Tx, digest: &Digest) -> Result<bool> {
    let left = || Expr::col(row::Column::UsesLeft);
    let done = row::Entity::update_many()
        .col_expr(row::Column::UsesLeft, left().sub(1))
        .filter(row::Column::Digest.eq(digest.0.to_vec()))
        .filter(row::Column::ExpiresAt.gt(tx.now().0))
        .filter(Condition::any().add(row::Column::UsesLeft.is_null()).add(row::Column::UsesLeft.gt(0)))
        .exec(tx.conn())
        .await?;
    Ok(done.rows_affected > 0)
}

pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    let old: Vec<Vec<u8>> = row::Entity::find()
        .select_only()
        .column(row::Column::Digest)
        .filter(row::Column::ExpiresAt.lt(tx.now().0))
        .limit(most)
        .into_tuple()
        .all(tx.conn())
        .await?;
    Ok(row::Entity::delete_many().filter(row::Column::Digest.is_in(old)).exec(tx.conn()).await?.rows_affected)
}
