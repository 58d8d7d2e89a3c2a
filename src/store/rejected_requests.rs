//! Requests that endpoints and pages have rejected, by request id, so that an administrator can find the reason.
//! `manage::refusals` collects them. [`super::gate_record`] does the same for the gate.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{QueryOrder, QuerySelect, Set};

use super::{Result, Tx, sweep::delete_batch};
use crate::env::Timestamp;

/// The maximum number of rows in one statement. Each row takes nine parameters.
const MAX_ROWS_PER_STATEMENT: usize = 500;
const RETENTION_SECONDS: i64 = 7 * 86_400;
/// The maximum number of rows kept, however many requests are sent.
const MAX_ROWS: u64 = 100_000;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "refusal")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub request_id: String,
        pub at: i64,
        pub method: String,
        #[sea_orm(column_type = "Text")]
        pub path: String,
        pub error: String,
        #[sea_orm(column_type = "Text")]
        pub description: String,
        #[sea_orm(column_type = "Text")]
        pub cause: String,
        #[sea_orm(column_type = "Text")]
        pub client_id: String,
        #[sea_orm(column_type = "Text")]
        pub address: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// A rejected request. Unknown values are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRequest {
    pub request_id: String,
    pub at: Timestamp,
    pub method: String,
    pub path: String,
    /// The OAuth error code and the description that the caller received.
    pub error: String,
    pub description: String,
    /// Details for administrators only.
    pub cause: String,
    /// The client id in the request, whether or not such a client exists.
    pub client: String,
    pub address: String,
}

impl From<row::Model> for RejectedRequest {
    fn from(row: row::Model) -> Self {
        Self {
            request_id: row.request_id,
            at: Timestamp(row.at),
            method: row.method,
            path: row.path,
            error: row.error,
            description: row.description,
            cause: row.cause,
            client: row.client_id,
            address: row.address,
        }
    }
}

pub async fn insert(tx: &Tx, refusals: Vec<RejectedRequest>) -> Result<()> {
    for some in refusals.chunks(MAX_ROWS_PER_STATEMENT) {
        let models = some.iter().cloned().map(|refusal| row::ActiveModel {
            request_id: Set(refusal.request_id),
            at: Set(refusal.at.0),
            method: Set(refusal.method),
            path: Set(refusal.path),
            error: Set(refusal.error),
            description: Set(refusal.description),
            cause: Set(refusal.cause),
            client_id: Set(refusal.client),
            address: Set(refusal.address),
        });
        // A batch whose commit had an unknown outcome is inserted again.
        let once = OnConflict::column(row::Column::RequestId).do_nothing().to_owned();
        match row::Entity::insert_many(models).on_conflict(once).exec_without_returning(tx.conn()).await {
            Ok(_) | Err(DbErr::RecordNotInserted) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

pub async fn latest<C: ConnectionTrait>(conn: &C, most: u64) -> Result<Vec<RejectedRequest>> {
    let rows = row::Entity::find().order_by_desc(row::Column::At).limit(most).all(conn).await?;
    Ok(rows.into_iter().map(RejectedRequest::from).collect())
}

pub async fn by_request<C: ConnectionTrait>(conn: &C, request_id: &str) -> Result<Option<RejectedRequest>> {
    Ok(row::Entity::find_by_id(request_id).one(conn).await?.map(RejectedRequest::from))
}

pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    let at = row::Column::At;
    // The time of the oldest row to keep, if there are more.
    let newest = row::Entity::find().select_only().column(at).order_by_desc(at).offset(MAX_ROWS - 1).limit(1);
    let last: Option<i64> = newest.into_tuple().one(tx.conn()).await?;
    let aged = tx.now().plus_seconds(-RETENTION_SECONDS).0;
    let before = aged.max(last.unwrap_or(aged));
    delete_batch::<row::Entity>(tx, row::Column::RequestId, at.lt(before), most).await
}
