//! `/admin/refusals`: explains why a request was rejected, by the request id from the error page or the
//! gate's response, and lists the latest rejected requests. [`record`] returns the record of one gate for its
//! API's page.
//!
//! The records that this node keeps in memory are written to the database before each query, so that the
//! latest rejected requests are found.

use std::collections::BTreeMap;

use axum::extract::RawQuery;
use axum::response::Response;

use super::views::chart::{BarChart, ChartColumn, ChartLabels};
use super::views::events::LinkedName;
use super::views::refusals::{
    CredentialKindRow, DayWeekCount, EndpointRefusal, EndpointRefusalRow, GateRecord, GateRefusal, GateRefusalRow,
    ReasonRow, RefusalsPage,
};
use super::{event_rows, reason_texts};
use crate::app::AppState;
use crate::domain::api::Api;
use crate::domain::ids::{ClientId, UserId};
use crate::env::Timestamp;
use crate::gate::decision::Reason;
use crate::protocol::parameters::Parameters;
use crate::store::event_search::{self, SearchTerms};
use crate::store::events::EventFilter;
use crate::store::gate_record::{self, DeniedRequest, GateCount};
use crate::store::{StoreError, clients, rejected_requests, users};
use crate::web::error::{PageError, render};
use crate::web::extract::{Admin, SignedIn};
use crate::web::urls;
use crate::web::view::visible;
use crate::web::view::{Chrome, DisplayTime};

const MAX_LATEST: u64 = 50;
const MAX_LATEST_PER_GATE: u64 = 10;
const MAX_EVENTS: u64 = 20;
const DAY_HOURS: i64 = 24;
const REQUESTS: ChartLabels = ChartLabels { what: "Requests an hour", of: "Hour", good: "Let in", bad: "Refused" };

pub async fn show(Admin(person): Admin, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let query = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(|error| person.error(error))?;
    let id = query.one("id").map_err(|error| person.error(error))?.unwrap_or_default().trim().to_owned();
    let page = page(&person, id).await.map_err(|error| person.error(error))?;
    Ok(render(&page))
}

async fn page(person: &SignedIn, id: String) -> Result<RefusalsPage, StoreError> {
    let app = person.app();
    let store = app.store();
    flush_records(app).await;
    let (mut found, mut found_here, mut events) = (None, None, Vec::new());
    let (mut latest, mut latest_here) = (Vec::new(), Vec::new());
    if id.is_empty() {
        latest_here =
            rejected_requests::latest(store.read(), MAX_LATEST).await?.into_iter().map(endpoint_row).collect();
        latest = gate_record::latest(store.read(), None, MAX_LATEST).await?.into_iter().map(row).collect();
    } else {
        if let Some(refused) = rejected_requests::by_request(store.read(), &id).await? {
            found_here = Some(endpoint_refusal(app, refused).await?);
        }
        if let Some(refused) = gate_record::by_request(store.read(), &id).await? {
            found = Some(gate_refusal(app, refused).await?);
        }
        let filter = EventFilter { most: MAX_EVENTS, ..EventFilter::default() };
        let named = SearchTerms { text: id.clone(), ..SearchTerms::default() };
        events = event_rows::of(store, event_search::naming(store.read(), &filter, &named).await?).await?;
    }
    Ok(RefusalsPage {
        chrome: Chrome::of(app),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        id,
        found,
        found_here,
        events,
        latest_here,
        latest,
    })
}

/// Returns the URL of the page that explains why a request was rejected, if it was.
pub(super) async fn url_for_request(app: &AppState, id: &str) -> Result<Option<String>, StoreError> {
    // Request ids have exactly 32 hexadecimal digits. Other search terms need no query.
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(None);
    }
    flush_records(app).await;
    let store = app.store();
    let found = gate_record::by_request(store.read(), id).await?.map(|refused| refused.request_id);
    let found = match found {
        None => rejected_requests::by_request(store.read(), id).await?.map(|refused| refused.request_id),
        found => found,
    };
    Ok(found.map(|id| urls::refusal(&id)))
}

/// Returns the record of an API's gate for the last day and week.
pub(super) async fn record(app: &AppState, gate: &str) -> Result<GateRecord, StoreError> {
    flush_records(app).await;
    let store = app.store();
    let now = app.env().now().seconds().div_euclid(3600);
    let counts = gate_record::counts_since(store.read(), gate, now - 7 * DAY_HOURS + 1).await?;
    let since = now - DAY_HOURS + 1;
    let latest = gate_record::latest(store.read(), Some(gate), MAX_LATEST_PER_GATE).await?;
    Ok(GateRecord {
        chart: chart(&counts, since, now),
        credential_kinds: counts_by_credential_kind(&counts, since),
        reasons: reasons(&counts, since),
        latest: latest.into_iter().map(row).collect(),
    })
}

async fn flush_records(app: &AppState) {
    if let Err(error) = app.gate.metrics.flush(app.store()).await {
        tracing::warn!(%error, "what came to the gates cannot be written yet");
    }
    if let Err(error) = app.refusals.flush(app.store()).await {
        tracing::warn!(%error, "what was refused cannot be written yet");
    }
}

fn endpoint_row(refused: rejected_requests::RejectedRequest) -> EndpointRefusalRow {
    let why = if refused.cause.is_empty() { &refused.description } else { &refused.cause };
    EndpointRefusalRow {
        href: urls::refusal(&refused.request_id),
        at: DisplayTime::new(refused.at.date()),
        why: visible(why),
        request: visible(&format!("{} {}", refused.method, refused.path)),
        client: visible(&refused.client),
        address: refused.address,
        error: refused.error,
    }
}

async fn endpoint_refusal(
    app: &AppState,
    refused: rejected_requests::RejectedRequest,
) -> Result<EndpointRefusal, StoreError> {
    Ok(EndpointRefusal {
        at: DisplayTime::new(refused.at.date()),
        description: visible(&refused.description),
        cause: visible(&refused.cause),
        request: visible(&format!("{} {}", refused.method, refused.path)),
        client: client(app, &refused.client).await?,
        address: refused.address,
        error: refused.error,
    })
}

fn chart(counts: &[GateCount], since: i64, now: i64) -> BarChart {
    let column = |hour: i64| {
        let of_hour = || counts.iter().filter(|counted| counted.hour == hour);
        let sum = |let_in: bool| of_hour().filter(|it| it.reason.is_empty() == let_in).map(|it| it.number).sum();
        let at = Timestamp::from_seconds(hour * 3600).date();
        let label = format!("{}, {:02}:00", DisplayTime::day(at), at.hour());
        // There are five signs, including the first and the last column.
        let has_sign = (hour - since) % 6 == 0 || hour == now;
        let sign = if has_sign { format!("{:02}:00", at.hour()) } else { String::new() };
        ChartColumn { label, sign, good: sum(true), bad: sum(false) }
    };
    BarChart::new(REQUESTS, &(since..=now).map(column).collect::<Vec<_>>())
}

fn counts_by_credential_kind(counts: &[GateCount], since: i64) -> Vec<CredentialKindRow> {
    let mut rows: BTreeMap<&str, (DayWeekCount, DayWeekCount)> = BTreeMap::new();
    for counted in counts {
        let (let_in, refused) = rows.entry(&counted.credential_kind).or_default();
        add(if counted.reason.is_empty() { let_in } else { refused }, counted, since);
    }
    let row = |(way, (let_in, refused)): (&str, (DayWeekCount, DayWeekCount))| CredentialKindRow {
        credential_kind: way.to_owned(),
        let_in,
        refused,
    };
    rows.into_iter().map(row).collect()
}

fn reasons(counts: &[GateCount], since: i64) -> Vec<ReasonRow> {
    let mut rows: BTreeMap<&str, DayWeekCount> = BTreeMap::new();
    for counted in counts.iter().filter(|counted| !counted.reason.is_empty()) {
        add(rows.entry(&counted.reason).or_default(), counted, since);
    }
    let row = |(reason, refused): (&str, DayWeekCount)| ReasonRow {
        what: reason_texts::named(reason).0,
        reason: reason.to_owned(),
        refused,
    };
    let mut rows: Vec<ReasonRow> = rows.into_iter().map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.refused.week));
    rows
}

fn add(number: &mut DayWeekCount, counted: &GateCount, since: i64) {
    number.week += counted.number;
    if counted.hour >= since {
        number.day += counted.number;
    }
}

fn row(refused: DeniedRequest) -> GateRefusalRow {
    GateRefusalRow {
        href: urls::refusal(&refused.request_id),
        at: DisplayTime::new(refused.at.date()),
        what: reason_texts::named(&refused.reason).0,
        request: visible(&format!("{} {}", refused.method, refused.path)),
        reason: refused.reason,
        gate: refused.gate,
        address: visible(&refused.address),
    }
}

async fn gate_refusal(app: &AppState, refused: DeniedRequest) -> Result<GateRefusal, StoreError> {
    let (what, mend) = reason_texts::named(&refused.reason);
    let apis = app.store().authority().apis(app.store()).await?;
    let is_named = |api: &&Api| api.gate.as_ref().is_some_and(|gate| gate.as_str() == refused.gate);
    let api = apis.iter().find(is_named);
    let tried = |api: &Api| urls::api_trial(&api.identifier, &refused.method, &refused.path);
    Ok(GateRefusal {
        at: DisplayTime::new(refused.at.date()),
        status: Reason::parse(&refused.reason).map_or(503, Reason::status),
        what,
        remedy: mend,
        request: visible(&format!("{} {}", refused.method, refused.path)),
        trial: api.filter(|_| !refused.path.is_empty()).map(tried),
        api: api.map(|api| LinkedName {
            name: visible(api.display_name()),
            href: Some(urls::console_api(&api.identifier)),
        }),
        client: client(app, &refused.client).await?,
        subject: subject(app, &refused).await?,
        reason: refused.reason,
        credential_kind: refused.credential_kind,
        address: visible(&refused.address),
    })
}

async fn client(app: &AppState, id: &str) -> Result<Option<LinkedName>, StoreError> {
    let Ok(id) = ClientId::parse(id) else { return Ok(None) };
    let found = clients::by_id(app.store().read(), &id).await?;
    let href = found.as_ref().map(|_| urls::console_client(&id));
    let name = found.map_or_else(|| id.to_string(), |client| visible(client.display_name()));
    Ok(Some(LinkedName { name, href }))
}

/// Returns the link for the subject of a request. A user is found by id. An identifier that is not a user's
/// id, such as a pairwise subject, is shown as text. Returns `None` if the client acted for itself, because
/// the client is shown anyway.
async fn subject(app: &AppState, refused: &DeniedRequest) -> Result<Option<LinkedName>, StoreError> {
    if refused.subject.is_empty() || refused.subject == refused.client {
        return Ok(None);
    }
    let found = match refused.subject.parse::<UserId>() {
        Ok(id) => users::by_id(app.store().read(), id).await?,
        Err(_) => None,
    };
    Ok(Some(match found {
        Some(user) => LinkedName { name: visible(user.display_name()), href: Some(urls::console_user(user.id)) },
        None => LinkedName { name: visible(&refused.subject), href: None },
    }))
}
