//! Requests at the gates: counts by hour, and the denied requests. `gate::metrics` collects both, and every node adds
//! to the same rows.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{QueryOrder, QuerySelect, Set};

use super::{Result, Tx, sweep::delete_batch};
use crate::env::Timestamp;

/// The maximum number of rows in one statement. Each row takes up to ten parameters.
const MAX_ROWS_PER_STATEMENT: usize = 500;
const COUNT_RETENTION_HOURS: i64 = 90 * 24;
const DENIAL_RETENTION_SECONDS: i64 = 7 * 86_400;
/// The maximum number of denied requests kept, however many are sent.
const MAX_DENIALS: u64 = 100_000;

mod count {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "gate_count")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub gate: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub hour: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub way: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub reason: String,
        pub count: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

mod denial {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "gate_refusal")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub request_id: String,
        pub at: i64,
        pub gate: String,
        pub method: String,
        #[sea_orm(column_type = "Text")]
        pub path: String,
        pub way: String,
        pub reason: String,
        #[sea_orm(column_type = "Text")]
        pub subject: String,
        #[sea_orm(column_type = "Text")]
        pub client_id: String,
        #[sea_orm(column_type = "Text")]
        pub address: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// The number of requests in one hour. The reason is empty if they were allowed. The credential kind is empty if none
/// was presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateCount {
    pub gate: String,
    /// Hours since 1970.
    pub hour: i64,
    pub credential_kind: String,
    pub reason: String,
    pub number: u64,
}

/// A denied request. Unknown values are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedRequest {
    pub request_id: String,
    pub at: Timestamp,
    pub gate: String,
    pub method: String,
    pub path: String,
    pub credential_kind: String,
    pub reason: String,
    pub subject: String,
    pub client: String,
    /// The caller's address, not the proxy's.
    pub address: String,
}

impl From<denial::Model> for DeniedRequest {
    fn from(row: denial::Model) -> Self {
        Self {
            request_id: row.request_id,
            at: Timestamp(row.at),
            gate: row.gate,
            method: row.method,
            path: row.path,
            credential_kind: row.way,
            reason: row.reason,
            subject: row.subject,
            client: row.client_id,
            address: row.address,
        }
    }
}

/// Adds to the stored counts, and stores the denied requests.
pub async fn add(tx: &Tx, mut counts: Vec<GateCount>, refusals: Vec<DeniedRequest>) -> Result<()> {
    // The same order on every node prevents deadlocks on PostgreSQL.
    counts.sort_unstable_by(|a, b| {
        (&a.gate, a.hour, &a.credential_kind, &a.reason).cmp(&(&b.gate, b.hour, &b.credential_kind, &b.reason))
    });
    for counts in counts.chunks(MAX_ROWS_PER_STATEMENT) {
        let models = counts.iter().map(|counted| count::ActiveModel {
            gate: Set(counted.gate.clone()),
            hour: Set(counted.hour),
            way: Set(counted.credential_kind.clone()),
            reason: Set(counted.reason.clone()),
            count: Set(i64::try_from(counted.number).unwrap_or(i64::MAX)),
        });
        let both = Expr::col((count::Entity, count::Column::Count)).add(Expr::col(("excluded", count::Column::Count)));
        let key = [count::Column::Gate, count::Column::Hour, count::Column::Way, count::Column::Reason];
        let add = OnConflict::columns(key).value(count::Column::Count, both).to_owned();
        count::Entity::insert_many(models).on_conflict(add).exec_without_returning(tx.conn()).await?;
    }
    for refusals in refusals.chunks(MAX_ROWS_PER_STATEMENT) {
        let models = refusals.iter().cloned().map(|refused| denial::ActiveModel {
            request_id: Set(refused.request_id),
            at: Set(refused.at.0),
            gate: Set(refused.gate),
            method: Set(refused.method),
            path: Set(refused.path),
            way: Set(refused.credential_kind),
            reason: Set(refused.reason),
            subject: Set(refused.subject),
            client_id: Set(refused.client),
            address: Set(refused.address),
        });
        denial::Entity::insert_many(models).exec_without_returning(tx.conn()).await?;
    }
    Ok(())
}

/// Returns the counts of a gate since that hour.
pub async fn counts_since<C: ConnectionTrait>(conn: &C, gate: &str, hour: i64) -> Result<Vec<GateCount>> {
    let rows = count::Entity::find()
        .filter(count::Column::Gate.eq(gate))
        .filter(count::Column::Hour.gte(hour))
        .all(conn)
        .await?;
    let counted = |row: count::Model| GateCount {
        gate: row.gate,
        hour: row.hour,
        credential_kind: row.way,
        reason: row.reason,
        number: row.count.unsigned_abs(),
    };
    Ok(rows.into_iter().map(counted).collect())
}

/// Returns the latest denied requests, of one gate or of all.
pub async fn latest<C: ConnectionTrait>(conn: &C, gate: Option<&str>, most: u64) -> Result<Vec<DeniedRequest>> {
    let mut query = denial::Entity::find().order_by_desc(denial::Column::At).limit(most);
    if let Some(gate) = gate {
        query = query.filter(denial::Column::Gate.eq(gate));
    }
    Ok(query.all(conn).await?.into_iter().map(DeniedRequest::from).collect())
}

pub async fn by_request<C: ConnectionTrait>(conn: &C, request_id: &str) -> Result<Option<DeniedRequest>> {
    Ok(denial::Entity::find_by_id(request_id).one(conn).await?.map(DeniedRequest::from))
}

pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    let old = tx.now().seconds().div_euclid(3600) - COUNT_RETENTION_HOURS;
    let key = || [count::Column::Gate, count::Column::Hour, count::Column::Way, count::Column::Reason];
    let some = Query::select()
        .columns(key())
        .from(count::Entity)
        .and_where(count::Column::Hour.lt(old))
        .limit(most)
        .to_owned();
    let whole = Expr::tuple(key().map(Expr::col));
    let counts = count::Entity::delete_many().filter(whole.in_subquery(some)).exec(tx.conn()).await?.rows_affected;
    let aged = tx.now().plus_seconds(-DENIAL_RETENTION_SECONDS).0;
    let before = Ord::max(aged, too_many(tx).await?.unwrap_or(aged));
    let id = denial::Column::RequestId;
    Ok(counts + delete_batch::<denial::Entity>(tx, id, denial::Column::At.lt(before), most).await?)
}

/// Returns the time of the oldest denied request to keep, if there are more than [`MAX_DENIALS`].
async fn too_many(tx: &Tx) -> Result<Option<i64>> {
    let at = denial::Column::At;
    let query = denial::Entity::find().select_only().column(at).order_by_desc(at).offset(MAX_DENIALS - 1).limit(1);
    Ok(query.into_tuple().one(tx.conn()).await?)
}
