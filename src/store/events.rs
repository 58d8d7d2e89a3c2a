//! Audit events: writing, listing and sweeping them. Event ids begin with the time (`UUIDv7`), so that one index serves
//! the filter on a column, the order and the time range.
//!
//! [`super::event_search`] searches in them. [`super::event_counts`] counts them by day.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, Query, UnionType};
use sea_orm::{Condition, FromQueryResult as _, Order, QueryOrder, QuerySelect, QueryTrait as _, Set};

use super::quotas::{self, QuotaKind};
use super::{Result, Store, StoreError, Tx, sweep::delete_batch};
use crate::domain::event::{Actor, Event, EventKind, RequestOrigin};
use crate::domain::ids::{ClientId, EventId, UserId};
use crate::env::Timestamp;

const DAY_SECONDS: i64 = 86_400;

pub(super) mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "event")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub at: i64,
        pub kind: String,
        pub actor: String,
        pub user_id: Option<Uuid>,
        pub client_id: Option<String>,
        #[sea_orm(column_type = "Text")]
        pub address: String,
        #[sea_orm(column_type = "Text")]
        pub user_agent: String,
        pub request_id: String,
        #[sea_orm(column_type = "Text")]
        pub detail: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<row::Model> for Event {
    type Error = StoreError;

    fn try_from(row: row::Model) -> Result<Self> {
        Ok(Self {
            id: EventId(row.id),
            at: Timestamp(row.at),
            kind: EventKind::parse(&row.kind).ok_or(StoreError::Corrupt { table: "event", column: "kind" })?,
            actor: Actor::from_stored(&row.actor),
            user: row.user_id.map(UserId),
            client: row.client_id.and_then(|id| ClientId::parse(&id).ok()),
            origin: RequestOrigin { address: row.address, user_agent: row.user_agent, request_id: row.request_id },
            detail: row.detail,
        })
    }
}

/// Returns the smallest id of an event at that time or later (RFC 9562 §5.7).
pub(super) fn first_id(at: Timestamp) -> Uuid {
    Uuid::from_u128(u128::from(Ord::max(at.0, 0).unsigned_abs()) << 80)
}

pub async fn insert(tx: &Tx, event: &Event) -> Result<()> {
    insert_all(tx, std::slice::from_ref(event)).await
}

pub async fn insert_all(tx: &Tx, events: &[Event]) -> Result<()> {
    if !events.is_empty() {
        row::Entity::insert_many(events.iter().map(model)).exec_without_returning(tx.conn()).await?;
    }
    Ok(())
}

fn model(event: &Event) -> row::ActiveModel {
    row::ActiveModel {
        id: Set(event.id.0),
        at: Set(event.at.0),
        kind: Set(event.kind.name().to_owned()),
        actor: Set(event.actor.to_stored()),
        user_id: Set(event.user.map(|id| id.0)),
        client_id: Set(event.client.as_ref().map(|id| id.as_str().to_owned())),
        address: Set(event.origin.address.clone()),
        user_agent: Set(event.origin.user_agent.clone()),
        request_id: Set(event.origin.request_id.clone()),
        detail: Set(event.detail.clone()),
    }
}

/// Records an action of a self-registered client, up to the daily limit in `quotas`. Further events are only logged.
///
/// # Errors
/// Returns an error if the database does not answer.
pub async fn insert_registration_event(tx: &Tx, store: &Store, event: &Event) -> Result<()> {
    insert_with_quota(tx, store, event, &[QuotaKind::RegistrationEvent]).await
}

/// Records a failure of a known user, up to the daily limit in `quotas`. Further events are only logged.
///
/// # Errors
/// Returns an error if the database does not answer.
pub async fn insert_failure_with_quota(tx: &Tx, store: &Store, event: &Event) -> Result<()> {
    insert_with_quota(tx, store, event, &[QuotaKind::FailureEvent]).await
}

/// Records a failure of an unauthenticated caller, up to the daily limit in `quotas`. Further events are only logged.
///
/// # Errors
/// Returns an error if the database does not answer.
pub async fn record_failure(store: &Store, event: Event) -> Result<()> {
    record_with_quota(store, event, &[QuotaKind::FailureEvent]).await
}

/// Records the first refusal after a budget of attempts is exhausted. A flood of other failures does not hide it, since
/// it has a reserve of its own: a tenth of the limit for failures.
///
/// # Errors
/// Returns an error if the database does not answer.
pub async fn record_budget_exhausted(store: &Store, event: Event) -> Result<()> {
    record_with_quota(store, event, &[QuotaKind::FailureEvent, QuotaKind::BudgetEvent]).await
}

async fn record_with_quota(store: &Store, event: Event, kinds: &'static [QuotaKind]) -> Result<()> {
    let counting = store.clone();
    store.write(move |tx| Box::pin(async move { insert_with_quota(tx, &counting, &event, kinds).await })).await
}

/// Inserts the event if the quota of one of `kinds` admits it.
async fn insert_with_quota(tx: &Tx, store: &Store, event: &Event, kinds: &[QuotaKind]) -> Result<()> {
    let until = event.at.plus_seconds(DAY_SECONDS);
    for kind in kinds {
        if quotas::admit(tx, &store.quota_entry(*kind, event.id.0, &event.origin.address, until)).await? {
            return insert(tx, event).await;
        }
    }
    tracing::warn!(
        kind = event.kind.name(),
        address = %event.origin.address,
        user = event.user.map(tracing::field::display),
        client = event.client.as_ref().map(tracing::field::display),
        detail = event.detail,
        "too many such events today: this one is not kept"
    );
    Ok(())
}

#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only these kinds, or every kind if empty.
    pub kinds: Vec<EventKind>,
    /// The user and the client that the events are about.
    pub user: Option<UserId>,
    pub client: Option<ClientId>,
    /// Only events at that time or later.
    pub since: Option<Timestamp>,
    /// Only events before that time.
    pub until: Option<Timestamp>,
    /// Only events older than this one, the last of the previous page.
    pub before: Option<EventId>,
    pub most: u64,
}

impl EventFilter {
    /// Returns the range of ids that covers the filter's time range. It has a single upper bound, because `SQLite` uses
    /// only one for an index lookup.
    pub(super) fn ids(&self) -> Condition {
        let end = self.until.map(first_id).into_iter().chain(self.before.map(|before| before.0)).min();
        Condition::all()
            .add_option(self.since.map(|since| row::Column::Id.gte(first_id(since))))
            .add_option(end.map(|end| row::Column::Id.lt(end)))
    }
}

/// Returns the matching events, newest first. An index finds them, however many events there are.
pub async fn list<C: ConnectionTrait>(conn: &C, filter: &EventFilter) -> Result<Vec<Event>> {
    let user = filter.user.map(|user| row::Column::UserId.eq(user.0));
    let client = filter.client.as_ref().map(|client| row::Column::ClientId.eq(client.as_str()));
    let all = user.into_iter().chain(client).fold(Condition::all(), Condition::add);
    merged(conn, filter, vec![Criterion { condition: all, has_kind_index: true }]).await
}

/// A condition, and whether the index for its column also contains the event kind. If it does not, the engine must not
/// use the index on the kind alone: it would read every event of that kind.
pub(super) struct Criterion {
    pub condition: Condition,
    pub has_kind_index: bool,
}

/// Returns the newest events that meet any of `criteria`, in one statement.
pub(super) async fn merged<C: ConnectionTrait>(
    conn: &C,
    filter: &EventFilter,
    criteria: Vec<Criterion>,
) -> Result<Vec<Event>> {
    let kinds: Vec<Option<&str>> = match filter.kinds.as_slice() {
        [] => vec![None],
        kinds => kinds.iter().map(|kind| Some(kind.name())).collect(),
    };
    let mut parts = Vec::new();
    for Criterion { condition, has_kind_index } in &criteria {
        for kind in &kinds {
            let part = row::Entity::find().filter(condition.clone()).filter(filter.ids());
            let mut part = part.order_by_desc(row::Column::Id);
            if let Some(kind) = kind {
                let column = Expr::col((row::Entity, row::Column::Kind));
                let column = if *has_kind_index { column } else { Expr::expr(Func::lower(column)) };
                part = part.filter(ExprTrait::eq(column, *kind));
            }
            if criteria.len() * kinds.len() == 1 {
                return part.limit(filter.most).all(conn).await?.into_iter().map(Event::try_from).collect();
            }
            // A subquery, because only a subquery may have an order and a limit inside a union (`SQLite`).
            let part = part.limit(filter.most).into_query();
            parts.push(Query::select().expr(Expr::cust("*")).from_subquery(part, Alias::new("part")).to_owned());
        }
    }
    let mut parts = parts.into_iter();
    let Some(mut all) = parts.next() else { return Ok(Vec::new()) };
    for part in parts {
        // `Distinct`, so that an event that meets two criteria is returned once.
        all.union(UnionType::Distinct, part);
    }
    all.order_by(Alias::new("id"), Order::Desc).limit(filter.most);
    let rows = conn.query_all(&all).await?;
    rows.iter().map(|found| Event::try_from(row::Model::from_query_result(found, "")?)).collect()
}

/// Returns the time of the `most`-th newest sign-in of a user, if it was after `since`.
pub async fn nth_newest_sign_in(tx: &Tx, user: UserId, most: u32, since: Timestamp) -> Result<Option<Timestamp>> {
    let found: Option<i64> = row::Entity::find()
        .select_only()
        .column(row::Column::At)
        .filter(row::Column::UserId.eq(user.0))
        .filter(row::Column::Id.gte(first_id(since)))
        .filter(row::Column::At.gt(since.0))
        .filter(row::Column::Kind.eq(EventKind::SignedIn.name()))
        .order_by_desc(row::Column::Id)
        .offset(u64::from(most.saturating_sub(1)))
        .limit(1)
        .into_tuple()
        .one(tx.conn())
        .await?;
    Ok(found.map(Timestamp))
}

pub(super) async fn sweep(tx: &Tx, before: Timestamp, most: u64) -> Result<u64> {
    delete_batch::<row::Entity>(tx, row::Column::Id, row::Column::Id.lt(first_id(before)), most).await
}
