//! Deletes expired rows in small transactions, so that no request waits long behind one.

use sea_orm::sea_query::IntoCondition;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait};

use super::{
    Result, Store, Tx, access_tokens, answered_interactions, api_keys, codes, device_codes, events, feed, gate_buckets,
    gate_record, grants, initial_access, interactions, pushed_requests, quotas, rejected_requests, replay,
    revoked_tokens, session_end, throttle,
};

/// The maximum number of rows of one table in one transaction.
const MAX_BATCH_ROWS: u64 = 200;
/// A node that was disconnected reads the feed from its last position. A node that starts reads back a day.
const FEED_RETENTION_SECONDS: i64 = 2 * 86_400;

/// Deletes at most that many of the rows that match `old`.
pub(super) async fn delete_batch<E: EntityTrait>(
    tx: &Tx,
    key: E::Column,
    old: impl IntoCondition,
    most: u64,
) -> Result<u64> {
    let some = E::find().select_only().column(key).filter(old).limit(most).into_query();
    Ok(E::delete_many().filter(key.in_subquery(some)).exec(tx.conn()).await?.rows_affected)
}

/// Deletes one batch of each kind. Returns the number of deleted rows. The caller repeats this until it is 0.
///
/// # Errors
/// Returns an error if the database does not answer.
pub async fn once(store: &Store, event_seconds: i64) -> Result<u64> {
    store
        .write(move |tx| {
            Box::pin(async move {
                Ok(session_end::expired(tx, MAX_BATCH_ROWS).await?
                    + interactions::sweep(tx, MAX_BATCH_ROWS).await?
                    + answered_interactions::sweep(tx, MAX_BATCH_ROWS).await?
                    + pushed_requests::sweep(tx, MAX_BATCH_ROWS).await?
                    + initial_access::sweep(tx, MAX_BATCH_ROWS).await?
                    + codes::sweep(tx, MAX_BATCH_ROWS).await?
                    + device_codes::sweep(tx, MAX_BATCH_ROWS).await?
                    + grants::sweep(tx, MAX_BATCH_ROWS).await?
                    + access_tokens::sweep(tx, MAX_BATCH_ROWS).await?
                    + revoked_tokens::sweep(tx, MAX_BATCH_ROWS).await?
                    + api_keys::sweep(tx, MAX_BATCH_ROWS).await?
                    + quotas::sweep(tx, MAX_BATCH_ROWS).await?
                    + throttle::sweep(tx, MAX_BATCH_ROWS).await?
                    + replay::sweep(tx, MAX_BATCH_ROWS).await?
                    + events::sweep(tx, tx.now().plus_seconds(-event_seconds), MAX_BATCH_ROWS).await?
                    + gate_record::sweep(tx, MAX_BATCH_ROWS).await?
                    + rejected_requests::sweep(tx, MAX_BATCH_ROWS).await?
                    + gate_buckets::sweep(tx, MAX_BATCH_ROWS).await?
                    + feed::delete_before(tx.conn(), tx.now().plus_seconds(-FEED_RETENTION_SECONDS), MAX_BATCH_ROWS)
                        .await?)
            })
        })
        .await
}
