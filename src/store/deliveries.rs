//! The durable queue of what is sent out: a row is written in the transaction that causes it, claimed by one node at a
//! time, and gone when it has arrived. A node that dies with it loses its claim, so that something may arrive twice and
//! nothing never.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{ExprTrait as _, QueryOrder, QuerySelect, Set};

use super::{Change, Result, Tx, from_json, json};
use crate::domain::delivery::{Claimed, Delivery};
use crate::domain::ids::DeliveryId;
use crate::env::Timestamp;

/// After this the node that has claimed a delivery is taken to be gone, and another one sends it. A try takes less time
/// ([`crate::domain::delivery::TRY_TIMEOUT`]).
const CLAIM_SECONDS: i64 = 8;
/// In one statement: a sweep ends many sessions at once, and a statement has some ten thousand parameters at most.
const MOST_ROWS: usize = 1000;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "delivery")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        #[sea_orm(column_type = "Text")]
        pub what: String,
        pub attempts: i32,
        /// When to try next, by the database's clock; a claim puts it off.
        pub due_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Puts them into the queue, due at once; every node hears that something waits.
pub async fn enqueue(tx: &Tx, all: impl IntoIterator<Item = Delivery> + Send) -> Result<()> {
    let mut rows = Vec::new();
    let now = tx.database_time().await?;
    for what in all {
        rows.push(row::ActiveModel {
            id: Set(tx.env.uuid()),
            what: Set(json(&what, "delivery", "what")?),
            attempts: Set(0),
            due_at: Set(now.0),
        });
    }
    if rows.is_empty() {
        return Ok(());
    }
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(MOST_ROWS));
        row::Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
        rows = rest;
    }
    tx.tell(Change::Deliveries).await
}

/// When the next one is due by the database's clock, if any waits.
pub async fn next_due<C: ConnectionTrait>(conn: &C) -> Result<Option<Timestamp>> {
    let next = row::Entity::find().order_by_asc(row::Column::DueAt).limit(1).one(conn).await?;
    Ok(next.map(|row| Timestamp(row.due_at)))
}

/// Claims those that are due: what was never tried before what has failed, then the longest. What another node is claiming at this moment is passed over.
pub async fn claim(tx: &Tx, most: u64) -> Result<Vec<Claimed>> {
    let now = tx.database_time().await?;
    let due: Vec<Uuid> = row::Entity::find()
        .select_only()
        .column(row::Column::Id)
        .filter(row::Column::DueAt.lte(now.0))
        .order_by_asc(row::Column::Attempts)
        .order_by_asc(row::Column::DueAt)
        .limit(most)
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
    Ok(claimed.iter().filter_map(readable).collect())
}

/// What a row says. One of a kind that only a newer version knows is left for a node of that version, and keeps nothing
/// else waiting: the claim has put it off.
fn readable(row: &row::Model) -> Option<Claimed> {
    match from_json(&row.what, "delivery", "what") {
        Ok(what) => Some(Claimed { id: DeliveryId(row.id), what, attempt: row.attempts }),
        Err(error) => {
            tracing::error!(delivery = %row.id, %error, "what waits to be sent cannot be read");
            None
        }
    }
}

/// It has arrived, or is given up.
pub async fn remove(tx: &Tx, claimed: &Claimed) -> Result<()> {
    row::Entity::delete_by_id(claimed.id.0).exec(tx.conn()).await?;
    Ok(())
}

/// To be tried again at that time of the database's clock, unless another node has done so since.
pub async fn put_off(tx: &Tx, claimed: &Claimed, until: Timestamp) -> Result<()> {
    row::Entity::update_many()
        .col_expr(row::Column::DueAt, Expr::value(until.0))
        .filter(row::Column::Id.eq(claimed.id.0))
        .filter(row::Column::Attempts.eq(claimed.attempt))
        .exec(tx.conn())
        .await?;
    Ok(())
}
