//! Audit events.

use sea_orm::entity::prelude::*;
use sea_orm::{Condition, QueryOrder, QuerySelect, Set};

use super::quotas::{self, Kind};
use super::{Result, Store, StoreError, Tx, sweep::delete_some, with_part};
use crate::domain::event::{Actor, Event, EventKind, Origin};
use crate::domain::ids::{ClientId, EventId, UserId};
use crate::env::Timestamp;

const DAY_SECONDS: i64 = 86_400;

mod row {
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
            origin: Origin { address: row.address, user_agent: row.user_agent, request_id: row.request_id },
            detail: row.detail,
        })
    }
}

pub async fn insert(tx: &Tx, event: &Event) -> Result<()> {
    let model = row::ActiveModel {
        id: Set(event.id.0),
        at: Set(event.at.0),
        kind: Set(event.kind.name().to_owned()),
        actor: Set(event.actor.stored()),
        user_id: Set(event.user.map(|id| id.0)),
        client_id: Set(event.client.as_ref().map(|id| id.as_str().to_owned())),
        address: Set(event.origin.address.clone()),
        user_agent: Set(event.origin.user_agent.clone()),
        request_id: Set(event.origin.request_id.clone()),
        detail: Set(event.detail.clone()),
    };
    row::Entity::insert(model).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Records what a client that registered itself did, as often in a day as `quotas` allow; further events are logged only.
///
/// # Errors
/// Where the database does not answer.
pub async fn insert_of_stranger(tx: &Tx, store: &Store, event: &Event) -> Result<()> {
    insert_counted(tx, store, event, &[Kind::RegistrationEvent]).await
}

/// Records that a stranger was refused, as often in a day as `quotas` allow; further ones are logged only.
///
/// # Errors
/// Where the database does not answer.
pub async fn insert_failure(store: &Store, event: Event) -> Result<()> {
    write_counted(store, event, &[Kind::FailureEvent]).await
}

/// Records that a budget of tries has run out: the first refusal of its window. A flood of other failures does not hide it,
/// since it has a reserve of its own, which is a tenth of their limit.
///
/// # Errors
/// Where the database does not answer.
pub async fn insert_end_of_budget(store: &Store, event: Event) -> Result<()> {
    write_counted(store, event, &[Kind::FailureEvent, Kind::BudgetEvent]).await
}

async fn write_counted(store: &Store, event: Event, kinds: &'static [Kind]) -> Result<()> {
    let counting = store.clone();
    store.write(move |tx| Box::pin(async move { insert_counted(tx, &counting, &event, kinds).await })).await
}

/// Inserts the event where one of `kinds` has room for it.
async fn insert_counted(tx: &Tx, store: &Store, event: &Event, kinds: &[Kind]) -> Result<()> {
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
pub struct Filter {
    /// One of these; any where there is none.
    pub kinds: Vec<EventKind>,
    pub user: Option<UserId>,
    pub client: Option<ClientId>,
    /// Part of the detail, or a whole request id, address or client id, or who and what it names.
    pub text: String,
    pub named: Named,
    pub before: Option<EventId>,
    pub most: u64,
}

/// Whom and what the text of a filter names.
#[derive(Clone, Debug, Default)]
pub struct Named {
    pub user: Option<UserId>,
    pub clients: Vec<ClientId>,
}

impl Named {
    fn added_to(&self, mut condition: Condition) -> Condition {
        if let Some(user) = self.user {
            condition =
                condition.add(row::Column::UserId.eq(user.0)).add(row::Column::Actor.eq(Actor::User(user).stored()));
        }
        for client in &self.clients {
            condition = condition
                .add(row::Column::ClientId.eq(client.as_str()))
                .add(row::Column::Actor.eq(Actor::Client(client.clone()).stored()));
        }
        condition
    }
}

/// The newest first. Ids begin with the time (`UUIDv7`), so the id is the cursor too.
pub async fn list<C: ConnectionTrait>(conn: &C, filter: &Filter) -> Result<Vec<Event>> {
    let mut query = row::Entity::find().order_by_desc(row::Column::Id).limit(filter.most);
    if !filter.kinds.is_empty() {
        query = query.filter(row::Column::Kind.is_in(filter.kinds.iter().map(|kind| kind.name())));
    }
    if let Some(user) = filter.user {
        query = query.filter(row::Column::UserId.eq(user.0));
    }
    if let Some(client) = &filter.client {
        query = query.filter(row::Column::ClientId.eq(client.as_str()));
    }
    if !filter.text.is_empty() {
        let text = filter.text.trim();
        let text_itself = Condition::any()
            .add(row::Column::Detail.like(with_part(text)))
            .add(row::Column::RequestId.eq(text))
            .add(row::Column::Address.eq(text))
            .add(row::Column::ClientId.eq(text));
        query = query.filter(filter.named.added_to(text_itself));
    }
    if let Some(before) = filter.before {
        query = query.filter(row::Column::Id.lt(before.0));
    }
    query.all(conn).await?.into_iter().map(Event::try_from).collect()
}

/// Returns the time of the `most`-th newest sign-in of a user, if it was after `since`.
pub async fn sign_in_before(tx: &Tx, user: UserId, most: u32, since: Timestamp) -> Result<Option<Timestamp>> {
    let found: Option<i64> = row::Entity::find()
        .select_only()
        .column(row::Column::At)
        .filter(row::Column::UserId.eq(user.0))
        .filter(row::Column::At.gt(since.0))
        .filter(row::Column::Kind.eq(EventKind::SignedIn.name()))
        .order_by_desc(row::Column::At)
        .offset(u64::from(most.saturating_sub(1)))
        .limit(1)
        .into_tuple()
        .one(tx.conn())
        .await?;
    Ok(found.map(Timestamp))
}

/// How many events of each of `kinds` there were on each day since `since`, by days since 1970 (UTC). Days without any
/// are left out.
pub async fn per_day<C: ConnectionTrait>(
    conn: &C,
    kinds: &[EventKind],
    since: Timestamp,
) -> Result<Vec<(EventKind, i64, u64)>> {
    // Both engines divide integers to integers; a constant, because PostgreSQL takes two parameters for two expressions.
    let day = || Expr::cust("\"at\" / 86400000");
    let rows: Vec<(String, i64, i64)> = row::Entity::find()
        .select_only()
        .column(row::Column::Kind)
        .expr(day())
        .expr(row::Column::Id.count())
        .filter(row::Column::Kind.is_in(kinds.iter().map(|kind| kind.name())))
        .filter(row::Column::At.gte(since.0))
        .group_by(row::Column::Kind)
        .group_by(day())
        .into_tuple()
        .all(conn)
        .await?;
    let corrupt = || StoreError::Corrupt { table: "event", column: "kind" };
    let day = |(kind, day, number): (String, i64, i64)| {
        Ok((EventKind::parse(&kind).ok_or_else(corrupt)?, day, number.unsigned_abs()))
    };
    rows.into_iter().map(day).collect()
}

pub(super) async fn sweep(tx: &Tx, before: Timestamp, most: u64) -> Result<u64> {
    delete_some::<row::Entity>(tx, row::Column::Id, row::Column::At.lt(before.0), most).await
}
