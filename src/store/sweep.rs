//! Cleaning up what has expired, in small transactions, so that no request waits long behind one.

use sea_orm::sea_query::IntoCondition;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait};

use super::{
    Result, Store, Tx, access_tokens, answered_interactions, api_keys, codes, device_codes, events, feed, gate_buckets,
    gate_record, grants, initial_access, interactions, pushed_requests, quotas, refusals, revoked_tokens, session_end,
    throttle, used_once,
};

/// Rows of one table in one transaction.
const BATCH: u64 = 200;
/// The feed serves nodes that were away; one that starts reads back a day.
const FEED_SECONDS: i64 = 2 * 86_400;

/// Deletes at most so many rows of those that are `old`.
pub(super) async fn delete_some<E: EntityTrait>(
    tx: &Tx,
    key: E::Column,
    old: impl IntoCondition,
    most: u64,
) -> Result<u64> {
    let some = E::find().select_only().column(key).filter(old).limit(most).into_query();
    Ok(E::delete_many().filter(key.in_subquery(some)).exec(tx.conn()).await?.rows_affected)
}

/// Deletes one batch of each kind; how many rows went. The caller goes on while there are some.
///
/// # Errors
/// Where the database does not answer.
pub async fn once(store: &Store, event_seconds: i64) -> Result<u64> {
    store
        .write(move |tx| {
            Box::pin(async move {
                Ok(session_end::expired(tx, BATCH).await?
                    + interactions::sweep(tx, BATCH).await?
                    + answered_interactions::sweep(tx, BATCH).await?
                    + pushed_requests::sweep(tx, BATCH).await?
                    + initial_access::sweep(tx, BATCH).await?
                    + codes::sweep(tx, BATCH).await?
                    + device_codes::sweep(tx, BATCH).await?
                    + grants::sweep(tx, BATCH).await?
                    + access_tokens::sweep(tx, BATCH).await?
                    + revoked_tokens::sweep(tx, BATCH).await?
                    + api_keys::sweep(tx, BATCH).await?
                    + quotas::sweep(tx, BATCH).await?
                    + throttle::sweep(tx, BATCH).await?
                    + used_once::sweep(tx, BATCH).await?
                    + events::sweep(tx, tx.now().plus_seconds(-event_seconds), BATCH).await?
                    + gate_record::sweep(tx, BATCH).await?
                    + refusals::sweep(tx, BATCH).await?
                    + gate_buckets::sweep(tx, BATCH).await?
                    + feed::forget_before(tx.conn(), tx.now().plus_seconds(-FEED_SECONDS), BATCH).await?)
            })
        })
        .await
}
