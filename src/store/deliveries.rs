//! The durable queue of outgoing requests. A row is written in the transaction that causes the request, claimed by one
//! node at a time, and deleted once delivered. The claim of a node that stops expires, so a request is delivered at
//! least once, possibly twice.

use std::collections::HashMap;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{DbBackend, ExprTrait as _, FromQueryResult, QueryOrder, QuerySelect, Set, Statement, Value};

use super::{ChangeEvent, Result, Store, Tx, from_json, json, quotas};
use crate::domain::delivery::{ClaimedDelivery, Delivery, DeliverySlots, Destination};
use crate::domain::ids::{ClientId, DeliveryId};
use crate::env::Timestamp;

/// After this time the node that claimed a delivery counts as stopped, and another node sends it. An attempt takes less
/// time ([`crate::domain::delivery::ATTEMPT_TIMEOUT`]).
const CLAIM_SECONDS: i64 = 8;
/// The maximum number of rows in one statement. A sweep ends many sessions at once, and a statement has a limit of some
/// ten thousand parameters.
const MAX_ROWS_PER_STATEMENT: usize = 1000;
/// The maximum number of queued rows for clients that no administrator registered: in total, and for one origin.
/// Further rows are dropped.
const MAX_SELF_REGISTERED: i64 = 20_000;
const MAX_SELF_REGISTERED_PER_ORIGIN: i64 = 2_000;
/// The maximum number of rows considered for the free slots. It exceeds the number of slots, because some rows belong
/// to origins without a free slot.
const MAX_SCANNED_ROWS: i64 = 256;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "delivery")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub client_id: String,
        pub by_admin: bool,
        pub origin: String,
        #[sea_orm(column_type = "Text")]
        pub what: String,
        pub attempts: i32,
        /// The time of the next attempt, by the database's clock. A claim postpones it.
        pub due_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Queues deliveries that are due at once, and notifies every node.
pub async fn enqueue(tx: &Tx, all: impl IntoIterator<Item = (Delivery, Destination)> + Send) -> Result<()> {
    let mut rows = Vec::new();
    let now = tx.database_time().await?;
    let mut room = QueueCapacity::default();
    for (what, to) in all {
        if !to.by_admin && !room.take(tx, &to.origin).await? {
            tracing::warn!(client = %what.client(), origin = to.origin, "too many deliveries wait: this one is not kept");
            continue;
        }
        rows.push(row::ActiveModel {
            id: Set(tx.env().uuid()),
            client_id: Set(what.client().as_str().to_owned()),
            by_admin: Set(to.by_admin),
            origin: Set(to.origin),
            what: Set(json(&what, "delivery", "what")?),
            attempts: Set(0),
            due_at: Set(now.0),
        });
    }
    if rows.is_empty() {
        return Ok(());
    }
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(MAX_ROWS_PER_STATEMENT));
        row::Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
        rows = rest;
    }
    tx.publish(ChangeEvent::Deliveries).await
}

/// The remaining capacity of the queue for clients that no administrator registered.
#[derive(Default)]
struct QueueCapacity {
    total_left: Option<i64>,
    origin_left: HashMap<String, i64>,
}

impl QueueCapacity {
    /// Takes a place for one more row of that origin. Returns whether there was one.
    async fn take(&mut self, tx: &Tx, origin: &str) -> Result<bool> {
        if self.total_left.is_none() {
            let sql = "SELECT 1 FROM delivery WHERE by_admin = $1 LIMIT $2";
            let waiting = quotas::count(tx.conn(), sql, vec![false.into(), MAX_SELF_REGISTERED.into()]).await?;
            self.total_left = Some(MAX_SELF_REGISTERED - waiting);
        }
        if !self.origin_left.contains_key(origin) {
            let sql = "SELECT 1 FROM delivery WHERE by_admin = $1 AND origin = $2 LIMIT $3";
            let values = vec![false.into(), origin.into(), MAX_SELF_REGISTERED_PER_ORIGIN.into()];
            let waiting = quotas::count(tx.conn(), sql, values).await?;
            self.origin_left.insert(origin.to_owned(), MAX_SELF_REGISTERED_PER_ORIGIN - waiting);
        }
        let (Some(in_all), Some(of_origin)) = (&mut self.total_left, self.origin_left.get_mut(origin)) else {
            return Ok(false);
        };
        if *in_all <= 0 || *of_origin <= 0 {
            return Ok(false);
        }
        *in_all -= 1;
        *of_origin -= 1;
        Ok(true)
    }
}

/// Returns when the next delivery is due by the database's clock, or `None` if the queue is empty.
pub async fn next_due<C: ConnectionTrait>(conn: &C) -> Result<Option<Timestamp>> {
    let next = row::Entity::find().order_by_asc(row::Column::DueAt).limit(1).one(conn).await?;
    Ok(next.map(|row| Timestamp(row.due_at)))
}

/// Returns the due deliveries that have a free slot: for each origin a few, the longest due first. Deliveries that were
/// never tried come before those that have failed.
///
/// The origins are found one after the other through their index, so that many rows of one origin cost no more than
/// few.
pub async fn due(store: &Store, by_admin: bool, places: &DeliverySlots) -> Result<Vec<DeliveryId>> {
    let (conn, now) = (store.read(), store.database_time().await?);
    let per_origin = i64::try_from(DeliverySlots::MAX_PER_ORIGIN).unwrap_or(i64::MAX);
    let mut values: Vec<Value> = vec![by_admin.into(), now.0.into(), per_origin.into(), MAX_SCANNED_ROWS.into()];
    values.extend(places.full_origins().map(Value::from));
    let full: Vec<String> = (5..=values.len()).map(|at| format!("${at}")).collect();
    let engine = conn.get_database_backend();
    let found = DueRow::find_by_statement(Statement::from_sql_and_values(engine, due_sql(engine, &full), values));
    let (mut places, mut ids) = (places.clone(), Vec::new());
    for due in found.all(conn).await? {
        if places.try_acquire(&due.origin) {
            ids.push(DeliveryId(due.id));
        }
    }
    Ok(ids)
}

#[derive(FromQueryResult)]
struct DueRow {
    id: Uuid,
    origin: String,
}

/// Parameters: `$1` whether an administrator registered the client, `$2` the time, `$3` the maximum number of rows per
/// origin, `$4` the maximum number of rows. `full` has the placeholders of the origins to leave out.
fn due_sql(engine: DbBackend, full: &[String]) -> String {
    let of_origin = "SELECT one.id FROM delivery one \
         WHERE one.by_admin = $1 AND one.origin = place.origin AND one.due_at <= $2 ORDER BY one.due_at LIMIT $3";
    let joined = match engine {
        DbBackend::Postgres => {
            format!("CROSS JOIN LATERAL ({of_origin}) of_origin JOIN delivery due ON due.id = of_origin.id")
        }
        _ => format!("JOIN delivery due ON due.id IN ({of_origin})"),
    };
    let left_out =
        if full.is_empty() { String::new() } else { format!("AND place.origin NOT IN ({})", full.join(", ")) };
    format!(
        "WITH RECURSIVE place(origin) AS (SELECT MIN(origin) FROM delivery WHERE by_admin = $1 \
         UNION ALL SELECT (SELECT MIN(next.origin) FROM delivery next WHERE next.by_admin = $1 AND next.origin > place.origin) \
         FROM place WHERE place.origin IS NOT NULL) \
         SELECT due.id, due.origin FROM place {joined} WHERE place.origin IS NOT NULL {left_out} \
         ORDER BY due.attempts, due.due_at LIMIT $4"
    )
}

/// Claims those of these deliveries that are due. Rows that another node is claiming at the same time are skipped.
pub async fn claim(tx: &Tx, ids: &[DeliveryId]) -> Result<Vec<ClaimedDelivery>> {
    let now = tx.database_time().await?;
    let due: Vec<Uuid> = row::Entity::find()
        .select_only()
        .column(row::Column::Id)
        .filter(row::Column::Id.is_in(ids.iter().map(|id| id.0)))
        .filter(row::Column::DueAt.lte(now.0))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(tx.conn())
        .await?;
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let claimed = row::Entity::update_many()
        .col_expr(row::Column::Attempts, Expr::col(row::Column::Attempts).add(1))
        .col_expr(row::Column::DueAt, Expr::value(now.plus_seconds(CLAIM_SECONDS).0))
        .filter(row::Column::Id.is_in(due))
        .exec_with_returning(tx.conn())
        .await?;
    Ok(claimed.into_iter().filter_map(readable).collect())
}

/// Reads a row. A kind that only a newer version knows is left for a node of that version. It does not block other
/// rows, because the claim has postponed it.
fn readable(row: row::Model) -> Option<ClaimedDelivery> {
    match from_json(&row.what, "delivery", "what") {
        Ok(what) => {
            let to = Destination { origin: row.origin, by_admin: row.by_admin };
            Some(ClaimedDelivery { id: DeliveryId(row.id), delivery: what, destination: to, attempt: row.attempts })
        }
        Err(error) => {
            tracing::error!(delivery = %row.id, %error, "what waits to be sent cannot be read");
            None
        }
    }
}

/// Deletes a delivery that has arrived or is given up.
pub async fn remove(tx: &Tx, claimed: &ClaimedDelivery) -> Result<()> {
    row::Entity::delete_by_id(claimed.id.0).exec(tx.conn()).await?;
    Ok(())
}

/// Schedules the next attempt at that time of the database's clock, unless another node has claimed the delivery since.
pub async fn put_off(tx: &Tx, claimed: &ClaimedDelivery, until: Timestamp) -> Result<()> {
    row::Entity::update_many()
        .col_expr(row::Column::DueAt, Expr::value(until.0))
        .filter(row::Column::Id.eq(claimed.id.0))
        .filter(row::Column::Attempts.eq(claimed.attempt))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Deletes the deliveries for a client that is being deleted.
pub async fn delete_of_client(tx: &Tx, client: &ClientId) -> Result<()> {
    row::Entity::delete_many().filter(row::Column::ClientId.eq(client.as_str())).exec(tx.conn()).await?;
    Ok(())
}
