//! Counts of failures, by the digest of their subject (an account, an address, a browser). `identity::throttle` defines
//! the limits.

use sea_orm::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{CaseStatement, ExprTrait, OnConflict};

use super::{Result, Tx, quotas, sweep::delete_batch};
use crate::domain::secret::Digest;
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "throttle")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        pub failures: i32,
        pub resets_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

#[derive(Clone, Copy, Debug)]
pub struct FailureCount {
    pub failures: i32,
    pub resets_at: Timestamp,
}

/// Counts one more failure and returns the count. The window of `seconds`, by the database's clock, begins with the
/// first failure. One statement does this, so that concurrent attempts are counted one by one.
pub async fn add(tx: &Tx, digest: &Digest, seconds: i64) -> Result<FailureCount> {
    let now = tx.database_time().await?;
    let over = || Expr::col((row::Entity, row::Column::ResetsAt)).lte(now.0);
    let ends = now.plus_seconds(seconds).0;
    let failures = CaseStatement::new().case(over(), 1).finally(Expr::col((row::Entity, row::Column::Failures)).add(1));
    let resets = CaseStatement::new().case(over(), ends).finally(Expr::col((row::Entity, row::Column::ResetsAt)));
    let model = row::ActiveModel { digest: Set(digest.0.to_vec()), failures: Set(1), resets_at: Set(ends) };
    let count = row::Entity::insert(model)
        .on_conflict(
            OnConflict::column(row::Column::Digest)
                .value(row::Column::Failures, failures)
                .value(row::Column::ResetsAt, resets)
                .to_owned(),
        )
        .exec_with_returning(tx.conn())
        .await?;
    Ok(FailureCount { failures: count.failures, resets_at: Timestamp(count.resets_at) })
}

/// The limit below which all counters are counted. Digests are random, so for higher limits a sample of neighbouring
/// digests represents all.
const MIN_SAMPLED: u32 = 64_000;

/// Returns whether at least `most` counters are active, estimated from the 64th of them near `digest`.
pub async fn is_full(tx: &Tx, digest: &Digest, most: u32) -> Result<bool> {
    let (mask, most) = if most < MIN_SAMPLED { (0, most) } else { (0xfc, most / 64) };
    let [first, ..] = digest.0;
    // 33 bytes, which sort after every digest.
    let upto = (first & mask).checked_add(!mask).and_then(|last| last.checked_add(1));
    let upto = upto.map_or_else(|| vec![u8::MAX; 33], |next| vec![next]);
    let sql = "SELECT 1 FROM throttle WHERE digest >= $1 AND digest < $2 AND resets_at > $3 LIMIT $4";
    let most = i64::from(most);
    let now = tx.database_time().await?;
    let values = vec![vec![first & mask].into(), upto.into(), now.0.into(), most.into()];
    Ok(quotas::count(tx.conn(), sql, values).await? >= most)
}

/// Subtracts one failure, because the attempt succeeded.
pub async fn take_back(tx: &Tx, digest: &Digest) -> Result<()> {
    row::Entity::update_many()
        .col_expr(row::Column::Failures, Expr::col(row::Column::Failures).sub(1))
        .filter(row::Column::Digest.eq(digest.0.to_vec()))
        .filter(row::Column::Failures.gt(0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    delete_batch::<row::Entity>(tx, row::Column::Digest, tx.is_past(row::Column::ResetsAt), most).await
}
