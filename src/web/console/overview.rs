//! `/admin`: the numbers of users and clients, a chart of the sign-ins of two weeks, and the latest events
//! and failures.

use axum::response::Response;

use super::event_rows;
use super::views::chart::{BarChart, ChartColumn, ChartLabels};
use super::views::overview::{OverviewCounts, OverviewPage};
use crate::domain::event::EventKind;
use crate::env::Timestamp;
use crate::store::events::{self, EventFilter};
use crate::store::{Store, StoreError, clients, sessions, users};
use crate::web::error::{PageError, render};
use crate::web::extract::Admin;
use crate::web::view::{Chrome, DisplayTime};

const DAYS: i64 = 14;
const DAY_SECONDS: i64 = 86_400;
const MAX_RECENT_EVENTS: u64 = 8;
const REFUSALS: u64 = 6;
const SIGN_INS: ChartLabels = ChartLabels { what: "Sign-ins a day", of: "Day", good: "Signed in", bad: "Failed" };

pub async fn show(Admin(person): Admin) -> Result<Response, PageError> {
    let store = person.app().store();
    let newest = |kinds, most| EventFilter { kinds, most, ..EventFilter::default() };
    let rows = async |filter| event_rows::of(store, events::list(store.read(), &filter).await?).await;
    let refusals = newest(EventKind::FAILURES.to_vec(), REFUSALS);
    Ok(render(&OverviewPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        counts: counts(store).await.map_err(|error| person.error(error))?,
        chart: chart(store).await.map_err(|error| person.error(error))?,
        events: rows(newest(Vec::new(), MAX_RECENT_EVENTS)).await.map_err(|error: StoreError| person.error(error))?,
        failures: rows(refusals).await.map_err(|error| person.error(error))?,
    }))
}

async fn counts(store: &Store) -> Result<OverviewCounts, StoreError> {
    let conn = store.read();
    Ok(OverviewCounts {
        apps: clients::count(conn).await?,
        apps_disabled: clients::count_disabled(conn).await?,
        users: users::count(conn).await?,
        users_disabled: users::count_disabled(conn).await?,
        sessions: sessions::count_active(conn, store.database_time().await?).await?,
    })
}

/// Returns the chart of sign-ins per day (UTC), up to today.
async fn chart(store: &Store) -> Result<BarChart, StoreError> {
    let today = store.env().now().seconds().div_euclid(DAY_SECONDS);
    let first = today - DAYS + 1;
    let start = |day: i64| Timestamp::from_seconds(day * DAY_SECONDS);
    let kinds = [EventKind::SignedIn, EventKind::SignInFailed];
    let counted = store.events_per_day(&kinds, first..=today).await?;
    let number = |of: EventKind, on: i64| counted.get(&(on, of.name())).copied().unwrap_or_default();
    let column = |day: i64| {
        let label = DisplayTime::day(start(day).date());
        let sign = label.clone();
        ChartColumn { label, sign, good: number(EventKind::SignedIn, day), bad: number(EventKind::SignInFailed, day) }
    };
    Ok(BarChart::new(SIGN_INS, &(first..=today).map(column).collect::<Vec<_>>()))
}
