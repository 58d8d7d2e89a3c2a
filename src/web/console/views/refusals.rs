//! `/admin/refusals`: the template values of the explanation of one rejected request, and of the latest
//! rejected requests at this server's endpoints and at the gates. The record of one gate is shown on its
//! API's page.

use askama::Template;

use super::chart::BarChart;
use super::events::{EventRow, LinkedName};
use super::grouped;
use crate::web::view::{Chrome, DisplayTime, Notice, Viewer};

#[derive(Template)]
#[template(path = "console/refusals.html")]
pub struct RefusalsPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    /// The requested request id.
    pub id: String,
    pub found: Option<GateRefusal>,
    /// The explanation, if one of this server's endpoints or pages rejected the request.
    pub found_here: Option<EndpointRefusal>,
    /// The audit events of that request.
    pub events: Vec<EventRow>,
    /// The latest requests rejected by this server's endpoints and pages. `latest` has those of all gates.
    /// Both are empty if a request id was given.
    pub latest_here: Vec<EndpointRefusalRow>,
    pub latest: Vec<GateRefusalRow>,
}

/// A request that one of this server's endpoints or pages rejected.
pub struct EndpointRefusal {
    pub at: DisplayTime,
    pub error: String,
    /// The error description in the response. `cause` is shown only to administrators.
    pub description: String,
    pub cause: String,
    pub request: String,
    pub client: Option<LinkedName>,
    pub address: String,
}

pub struct EndpointRefusalRow {
    pub href: String,
    pub at: DisplayTime,
    pub error: String,
    /// The cause, or the description if there is none.
    pub why: String,
    pub request: String,
    pub client: String,
    pub address: String,
}

/// A request that a gate rejected, with an explanation and a remedy.
pub struct GateRefusal {
    pub at: DisplayTime,
    pub status: u16,
    pub reason: String,
    pub what: &'static str,
    pub remedy: &'static str,
    pub request: String,
    /// The API, with a link to its page, if the API still exists.
    pub api: Option<LinkedName>,
    /// The URL at which the same request is tried on the current rules.
    pub trial: Option<String>,
    pub credential_kind: String,
    pub client: Option<LinkedName>,
    pub subject: Option<LinkedName>,
    pub address: String,
}

pub struct GateRefusalRow {
    pub href: String,
    pub at: DisplayTime,
    pub what: &'static str,
    pub reason: String,
    pub request: String,
    pub gate: String,
    pub address: String,
}

/// The record of one gate.
pub struct GateRecord {
    /// The chart of the last 24 hours.
    pub chart: BarChart,
    pub credential_kinds: Vec<CredentialKindRow>,
    pub reasons: Vec<ReasonRow>,
    pub latest: Vec<GateRefusalRow>,
}

/// The numbers of the last day and the last seven days.
#[derive(Clone, Copy, Default)]
pub struct DayWeekCount {
    pub day: u64,
    pub week: u64,
}

impl DayWeekCount {
    pub(super) fn day(&self) -> String {
        grouped(self.day)
    }

    pub(super) fn week(&self) -> String {
        grouped(self.week)
    }
}

pub struct CredentialKindRow {
    pub credential_kind: String,
    pub let_in: DayWeekCount,
    pub refused: DayWeekCount,
}

pub struct ReasonRow {
    pub what: &'static str,
    pub reason: String,
    pub refused: DayWeekCount,
}

super::in_section!(Events: RefusalsPage);
