//! Searching audit events. What names something exactly is found by an index, however many events there are; free text is
//! looked for in a bounded number of events at a time.
//!
//! Next door: [`super::events`], which writes them.

use sea_orm::entity::prelude::*;
use sea_orm::{Condition, QueryOrder, QuerySelect};

use super::events::{Criterion, EventFilter, merged, row};
use super::{Result, contains_pattern};
use crate::domain::event::{Actor, Event};
use crate::domain::ids::{ClientId, EventId, UserId};

/// Free text is looked for in so many events at a time.
pub const MAX_SCANNED: u64 = 15_000;

/// Whom and what a search names.
#[derive(Clone, Debug, Default)]
pub struct SearchTerms {
    /// A request id, an address, or the id of an event.
    pub text: String,
    pub user: Option<UserId>,
    pub clients: Vec<ClientId>,
}

/// What a search for free text found.
#[derive(Debug)]
pub struct ScanResult {
    pub events: Vec<Event>,
    /// The oldest event that was looked at, where there are older ones to look at.
    pub until: Option<EventId>,
}

/// The events that name exactly that: about it, by it, from that address or in that request.
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

/// The events whose detail has `text` in it, among the next [`MAX_SCANNED`] of the filter's time.
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
