//! The durable queue of what is sent out: a row is written in the transaction that causes it, claimed by one node at a
//! time, and gone when it has arrived. A node that dies with it loses its claim, so that something may arrive twice and
//! nothing never.

use std::collections::HashMap;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{DbBackend, ExprTrait as _, FromQueryResult, QueryOrder, QuerySelect, Set, Statement, Value};

use super::{ChangeEvent, Result, Store, Tx, from_json, json, quotas};
use crate::domain::delivery::{ClaimedDelivery, Delivery, DeliverySlots, Destination};
use crate::domain::ids::{ClientId, DeliveryId};
use crate::env::Timestamp;

/// After this the node that has claimed a delivery is taken to be gone, and another one sends it. A try takes less time
/// ([`crate::domain::delivery::ATTEMPT_TIMEOUT`]).
const CLAIM_SECONDS: i64 = 8;
/// In one statement: a sweep ends many sessions at once, and a statement has some ten thousand parameters at most.
const MAX_ROWS_PER_STATEMENT: usize = 1000;
/// Rows that wait for clients that no administrator registered: in all, and of one origin. More are not kept.
const MAX_SELF_REGISTERED: i64 = 20_000;
const MAX_SELF_REGISTERED_PER_ORIGIN: i64 = 2_000;
/// Rows that are looked at for places; more than there are places, since some rows are of origins that get no more.
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
        /// When to try next, by the database's clock; a claim puts it off.
        pub due_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Puts them into the queue, due at once; every node hears that something waits.
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

/// The rows that clients which no administrator registered may still add.
#[derive(Default)]
struct QueueCapacity {
    total_left: Option<i64>,
    origin_left: HashMap<String, i64>,
}

impl QueueCapacity {
    /// Whether there is room for one more of that origin.
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

/// When the next one is due by the database's clock, if any waits.
pub async fn next_due<C: ConnectionTrait>(conn: &C) -> Result<Option<Timestamp>> {
    let next = row::Entity::find().order_by_asc(row::Column::DueAt).limit(1).one(conn).await?;
    Ok(next.map(|row| Timestamp(row.due_at)))
}

/// Those that are due and for which there are places: a few of each origin, the longest due first; of these what was never
/// tried before what has failed.
///
/// The origins are found by their index, one after the other, so that many rows of one cost no more than few.
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

/// `$1` who named them, `$2` the time, `$3` rows of one origin, `$4` rows; `full` are the places of the origins left out.
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

/// Claims those of these that are due. What another node is claiming at this moment is passed over.
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

/// What a row says. One of a kind that only a newer version knows is left for a node of that version, and keeps nothing
/// else waiting: the claim has put it off.
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

/// It has arrived, or is given up.
pub async fn remove(tx: &Tx, claimed: &ClaimedDelivery) -> Result<()> {
    row::Entity::delete_by_id(claimed.id.0).exec(tx.conn()).await?;
    Ok(())
}

/// To be tried again at that time of the database's clock, unless another node has done so since.
pub async fn put_off(tx: &Tx, claimed: &ClaimedDelivery, until: Timestamp) -> Result<()> {
    row::Entity::update_many()
        .col_expr(row::Column::DueAt, Expr::value(until.0))
        .filter(row::Column::Id.eq(claimed.id.0))
        .filter(row::Column::Attempts.eq(claimed.attempt))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// There is nobody any more whom they are for.
pub async fn delete_of_client(tx: &Tx, client: &ClientId) -> Result<()> {
    row::Entity::delete_many().filter(row::Column::ClientId.eq(client.as_str())).exec(tx.conn()).await?;
    Ok(())
}
