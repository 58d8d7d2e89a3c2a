//! What is left of callers' rates at the gates, where several nodes share it: one row for each caller, changed in one
//! statement, so that no two nodes hand out the same token. On SQLite there is one node, and none of this.
//!
//! A row has one number: the time at which the bucket will be full again (GCRA). Next door: `gate::limits`, which counts.

use sea_orm::entity::prelude::*;
use sea_orm::{DbBackend, Statement};

use super::database_clock::CLOCK_MARGIN_SECONDS;
use super::sweep::delete_batch;
use super::{Result, Store, Tx};
use crate::domain::secret::Digest;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "gate_bucket")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        /// Microseconds since 1970.
        pub full_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

const TAKE_TOKEN_SQL: &str = "INSERT INTO gate_bucket (digest, full_at) VALUES ($1, $2 + $3) \
    ON CONFLICT (digest) DO UPDATE SET full_at = GREATEST(gate_bucket.full_at, $2) + $3 \
    WHERE GREATEST(gate_bucket.full_at, $2) + $3 <= $2 + $4 RETURNING full_at";

/// Whether nodes share the buckets.
#[must_use]
pub fn are_shared(store: &Store) -> bool {
    store.read().get_database_backend() == DbBackend::Postgres
}

/// Takes a token that fills again in `cost` from a bucket that fills in `depth`, all in microseconds. When it will be full
/// again, and whether there was one.
///
/// # Errors
/// Where the database does not answer.
pub async fn take(store: &Store, bucket: Digest, now: i64, cost: i64, depth: i64) -> Result<(bool, i64)> {
    store
        .write(move |tx| {
            Box::pin(async move {
                let values = [bucket.0.to_vec().into(), now.into(), cost.into(), depth.into()];
                let take = Statement::from_sql_and_values(DbBackend::Postgres, TAKE_TOKEN_SQL, values);
                if let Some(taken) = tx.conn().query_one_raw(take).await? {
                    return Ok((true, taken.try_get("", "full_at")?));
                }
                let row = row::Entity::find_by_id(bucket.0.to_vec()).one(tx.conn()).await?;
                Ok((false, row.map_or(now.saturating_add(depth), |row| row.full_at)))
            })
        })
        .await
}

/// Buckets that are full by every node's clock are as good as none.
pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    let full = row::Column::FullAt.lt(tx.now().plus_seconds(-CLOCK_MARGIN_SECONDS).0.saturating_mul(1000));
    delete_batch::<row::Entity>(tx, row::Column::Digest, full, most).await
}
