//! The rate-limit buckets of callers at the gates, when several nodes share them. Each caller has one row, changed by
//! one statement, so that no two nodes spend the same token. `SQLite` serves a single node and does not use this table.
//!
//! A row holds one number: the time at which the bucket will be full again (GCRA). `gate::rate_limits` applies the
//! limits.

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

/// Returns whether nodes share the buckets.
#[must_use]
pub fn are_shared(store: &Store) -> bool {
    store.read().get_database_backend() == DbBackend::Postgres
}

/// Takes a token from a bucket. A token takes `cost` microseconds to refill and the whole bucket `depth` microseconds.
/// Returns whether there was a token, and when the bucket will be full again, in microseconds since 1970.
///
/// # Errors
/// Returns an error if the database does not answer.
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

/// Deletes buckets that are full by every node's clock: a full bucket equals a missing row.
pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    let full = row::Column::FullAt.lt(tx.now().plus_seconds(-CLOCK_MARGIN_SECONDS).0.saturating_mul(1000));
    delete_batch::<row::Entity>(tx, row::Column::Digest, full, most).await
}
