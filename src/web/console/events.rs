//! `/admin/events`: the audit record, newest first.
//!
//! A search returns all events that refer exactly to its term: a user, a client, an address or a request. If
//! there are none, it searches the text of the events of the last days. A time range (`days` before now, and
//! the days `from` and `until` in UTC) applies to both.

use axum::extract::RawQuery;
use axum::response::Response;
use time::Date;
use time::macros::format_description;

use super::listing::{FETCH_LIMIT, ListParams};
use super::views::Pager;
use super::views::events::EventsPage;
use super::{event_rows, refusals};
use crate::domain::event::{Event, EventKind};
use crate::domain::ids::ClientId;
use crate::env::Timestamp;
use crate::store::event_search::{self, SearchTerms};
use crate::store::events::{self, EventFilter};
use crate::store::{Store, StoreError, clients, users};
use crate::web::error::{PageError, render};
use crate::web::extract::Admin;
use crate::web::view::Chrome;

const PATH: &str = "/admin/events";
const DAY_SECONDS: i64 = 86_400;
const DEFAULT_DAYS: i64 = 7;
/// The label for no time range: all events are listed, but a text search covers only the last days.
const ANY_TIME: &str = "Any time (text: the last 7 days)";
const DAYS: [(&str, &str); 4] =
    [("1", "The last day"), ("7", "The last 7 days"), ("30", "The last 30 days"), ("all", "Any time, text too")];

pub async fn list(Admin(person): Admin, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let asked = ListParams::parse(&person, PATH, query)?;
    let (q, store) = (asked.q(), person.app().store());
    let range = TimeRange::of(&asked, store.env().now())?;
    let filter = EventFilter {
        kinds: asked.filter("kind", EventKind::parse)?.into_iter().collect(),
        since: range.since,
        until: range.until,
        before: asked.after()?,
        most: FETCH_LIMIT,
        ..EventFilter::default()
    };
    let found = find(store, &asked, &filter, &q, range.is_set).await.map_err(|error| person.error(error))?;
    Ok(render(&EventsPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        kinds: asked.choices("kind", "Everything", EventKind::ALL.iter().map(|kind| (kind.name(), kind.words()))),
        days: asked.choices("days", ANY_TIME, DAYS),
        from: asked.text("from").to_owned(),
        until: asked.text("until").to_owned(),
        refusal: refusals::url_for_request(person.app(), &q).await.map_err(|error| person.error(error))?,
        q,
        filtered: asked.is_filtered(),
        is_by_text: found.is_by_text,
        has_more: found.has_more,
        events: event_rows::of(store, found.events).await.map_err(|error| person.error(error))?,
        pager: found.pager,
    }))
}

/// The requested time range.
struct TimeRange {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    is_set: bool,
}

impl TimeRange {
    fn of(asked: &ListParams<'_>, now: Timestamp) -> Result<Self, PageError> {
        let days =
            asked.filter("days", |text| DAYS.iter().find(|(known, _)| *known == text).map(|(known, _)| *known))?;
        let (from, until) = (asked.filter("from", midnight)?, asked.filter("until", midnight)?);
        let back = days.and_then(|days| days.parse().ok()).map(|days: i64| now.plus_seconds(-days * DAY_SECONDS));
        Ok(Self {
            // Both limits apply.
            since: from.max(back),
            until: until.map(|day| day.plus_seconds(DAY_SECONDS)),
            is_set: days.is_some() || from.is_some() || until.is_some(),
        })
    }
}

/// Returns the beginning of a day (`2027-01-31`) in UTC.
fn midnight(text: &str) -> Option<Timestamp> {
    let day = Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
    Some(Timestamp::from_seconds(day.midnight().assume_utc().unix_timestamp()))
}

struct EventSearchResult {
    events: Vec<Event>,
    pager: Pager,
    /// Whether the search term was searched as text, in the events of a limited number of days.
    is_by_text: bool,
    /// Whether the text search stopped early. It continues on the next page.
    has_more: bool,
}

async fn find(
    store: &Store,
    asked: &ListParams<'_>,
    filter: &EventFilter,
    q: &str,
    has_range: bool,
) -> Result<EventSearchResult, StoreError> {
    let mut events = if q.is_empty() {
        events::list(store.read(), filter).await?
    } else {
        event_search::naming(store.read(), filter, &named(store, q).await?).await?
    };
    let is_by_text = !q.is_empty() && events.is_empty();
    if !is_by_text {
        let pager = asked.page(&mut events, |event: &Event| event.id);
        return Ok(EventSearchResult { events, pager, is_by_text, has_more: false });
    }
    let usual = (!has_range).then(|| store.env().now().plus_seconds(-DEFAULT_DAYS * DAY_SECONDS));
    let filter = EventFilter { since: filter.since.or(usual), ..filter.clone() };
    let scanned = event_search::containing(store.read(), &filter, q).await?;
    events = scanned.events;
    let mut pager = asked.page(&mut events, |event: &Event| event.id);
    if let Some(until) = &scanned.until {
        pager.next = asked.link_after(until);
    }
    Ok(EventSearchResult { events, pager, is_by_text, has_more: scanned.until.is_some() })
}

/// Returns what a search term may refer to: a username or email address, a client's name, or the id of a user
/// or client, which may be deleted.
async fn named(store: &Store, q: &str) -> Result<SearchTerms, StoreError> {
    let user = match q.parse() {
        Ok(id) => Some(id),
        Err(_) => users::by_login(store.read(), q).await?.map(|user| user.id),
    };
    let mut clients = clients::by_name(store.read(), q).await?;
    clients.extend(ClientId::parse(q).ok());
    Ok(SearchTerms { text: q.to_owned(), user, clients })
}
