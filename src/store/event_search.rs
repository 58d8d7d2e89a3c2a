//! Search in audit events. Exact names are found by an index, however many events there are. Free text is searched in a
//! bounded number of events at a time.
//!
//! [`super::events`] writes the events.

use sea_orm::entity::prelude::*;
use sea_orm::{Condition, QueryOrder, QuerySelect};

use super::events::{Criterion, EventFilter, merged, row};
use super::{Result, contains_pattern};
use crate::domain::event::{Actor, Event};
use crate::domain::ids::{ClientId, EventId, UserId};

/// The maximum number of events that one free-text search reads.
pub const MAX_SCANNED: u64 = 15_000;

/// The exact names in a search.
#[derive(Clone, Debug, Default)]
pub struct SearchTerms {
    /// A request id, an address, or the id of an event.
    pub text: String,
    pub user: Option<UserId>,
    pub clients: Vec<ClientId>,
}

/// The result of a free-text search.
#[derive(Debug)]
pub struct ScanResult {
    pub events: Vec<Event>,
    /// The oldest event that was read, if there are older ones.
    pub until: Option<EventId>,
}

/// Returns the events with exactly that subject, actor, address, request or id.
pub async fn naming<C: ConnectionTrait>(conn: &C, filter: &EventFilter, named: &SearchTerms) -> Result<Vec<Event>> {
    let text = named.text.trim();
    let mut single = vec![row::Column::RequestId.eq(text), row::Column::Address.eq(text)];
    single.extend(text.parse::<Uuid>().ok().map(|id| row::Column::Id.eq(id)));
    let mut all = Vec::new();
    if let Some(user) = named.user {
        all.extend([row::Column::UserId.eq(user.0), row::Column::Actor.eq(Actor::User(user).to_stored())]);
    }
    for client in &named.clients {
        let actor = Actor::Client(client.clone()).to_stored();
        all.extend([row::Column::ClientId.eq(client.as_str()), row::Column::Actor.eq(actor)]);
    }
    let criterion =
        |has_kind_index: bool| move |one| Criterion { condition: Condition::all().add(one), has_kind_index };
    let criteria = single.into_iter().map(criterion(false)).chain(all.into_iter().map(criterion(true)));
    merged(conn, filter, criteria.collect()).await
}

/// Returns the events whose detail contains `text`, among the next [`MAX_SCANNED`] in the filter's time range.
pub async fn containing<C: ConnectionTrait>(conn: &C, filter: &EventFilter, text: &str) -> Result<ScanResult> {
    let newest = || row::Entity::find().filter(filter.ids()).order_by_desc(row::Column::Id);
    let last = newest().select_only().column(row::Column::Id).offset(MAX_SCANNED - 1).limit(1);
    let until: Option<Uuid> = last.into_tuple().one(conn).await?;
    let mut looked_at = newest();
    if let Some(until) = until {
        looked_at = looked_at.filter(row::Column::Id.gte(until));
    }
    if !filter.kinds.is_empty() {
        looked_at = looked_at.filter(row::Column::Kind.is_in(filter.kinds.iter().map(|kind| kind.name())));
    }
    let found = looked_at.filter(row::Column::Detail.like(contains_pattern(text))).limit(filter.most).all(conn).await?;
    let is_full = found.len() as u64 >= filter.most;
    let events = found.into_iter().map(Event::try_from).collect::<Result<_>>()?;
    Ok(ScanResult { events, until: until.filter(|_| !is_full).map(EventId) })
}
