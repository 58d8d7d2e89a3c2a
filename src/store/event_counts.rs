//! The number of events of each kind per day (UTC), for the console's overview. Past days do not change, so their
//! counts are cached in memory. Only the last two days are counted each time.
//!
//! [`super::events`] writes the events.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

use sea_orm::ConnectionTrait as _;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, Query, UnionType};

use super::events::{first_id, row};
use super::{Result, Store};
use crate::domain::event::EventKind;
use crate::env::Timestamp;

const DAY_SECONDS: i64 = 86_400;
/// Nodes' clocks differ by less, so no further event of an earlier day can arrive.
const UNSETTLED_DAYS: i64 = 2;
const MAX_CACHED_COUNTS: usize = 200;

type EventCounts = BTreeMap<(i64, &'static str), u64>;

/// The counts of past days.
#[derive(Debug, Default)]
pub(super) struct DayCounts(Mutex<EventCounts>);

impl Store {
    /// Counts the events of each of `kinds` on each of `days`, which are days since 1970.
    ///
    /// # Errors
    /// Returns an error if the database does not answer.
    pub async fn events_per_day(
        &self,
        kinds: &[EventKind],
        days: RangeInclusive<i64>,
    ) -> Result<BTreeMap<(i64, &'static str), u64>> {
        let known = self.inner.day_counts.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let wanted = days.flat_map(|day| kinds.iter().map(move |kind| (day, kind.name())));
        let (mut counts, mut missing) = (EventCounts::new(), Vec::new());
        for key in wanted {
            match known.get(&key) {
                Some(count) => drop(counts.insert(key, *count)),
                None => missing.push(key),
            }
        }
        let counted = self.count(&missing).await?;
        let last_over = self.env().now().seconds().div_euclid(DAY_SECONDS) - UNSETTLED_DAYS;
        let mut kept = self.inner.day_counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(counted.iter().filter(|((day, _), _)| *day <= last_over).map(|(key, count)| (*key, *count)));
        while kept.len() > MAX_CACHED_COUNTS {
            kept.pop_first();
        }
        counts.extend(counted);
        Ok(counts)
    }

    /// Counts by one statement, each part of which reads one range of an index.
    async fn count(&self, keys: &[(i64, &'static str)]) -> Result<EventCounts> {
        let start = |day: i64| first_id(Timestamp::from_seconds(day * DAY_SECONDS));
        let mut parts = keys.iter().enumerate().map(|(at, (day, kind))| {
            // The part number is a literal: as a parameter it would have no type on PostgreSQL.
            Query::select()
                .expr(Expr::cust(format!("CAST({at} AS BIGINT)")))
                .expr(row::Column::Id.count())
                .from(row::Entity)
                .and_where(row::Column::Kind.eq(*kind))
                .and_where(row::Column::Id.gte(start(*day)))
                .and_where(row::Column::Id.lt(start(day + 1)))
                .to_owned()
        });
        let Some(mut all) = parts.next() else { return Ok(EventCounts::new()) };
        for part in parts {
            all.union(UnionType::All, part);
        }
        let mut counts = EventCounts::new();
        for found in self.read().query_all(&all).await? {
            let (at, count): (i64, i64) = (found.try_get_by_index(0)?, found.try_get_by_index(1)?);
            if let Some(key) = usize::try_from(at).ok().and_then(|at| keys.get(at)) {
                counts.insert(*key, count.unsigned_abs());
            }
        }
        Ok(counts)
    }
}
