//! `/admin/refusals`: why a request was refused, by its id, and the latest that were, here and by the gates. The numbers
//! of one gate stand on its API's page.

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
    /// The request id that was asked for.
    pub id: String,
    pub found: Option<GateRefusal>,
    /// The same for one of our own endpoints and pages.
    pub found_here: Option<EndpointRefusal>,
    /// What else the record has of that request.
    pub events: Vec<EventRow>,
    /// The latest, where no request was asked for: of our endpoints and pages, and of all gates.
    pub latest_here: Vec<EndpointRefusalRow>,
    pub latest: Vec<GateRefusalRow>,
}

/// A refusal by one of our endpoints or pages.
pub struct EndpointRefusal {
    pub at: DisplayTime,
    pub error: String,
    /// What whoever asked was told, and what only administrators are.
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
    /// The cause, or the description where there is none.
    pub why: String,
    pub request: String,
    pub client: String,
    pub address: String,
}

/// A refusal in words, and what to do about it.
pub struct GateRefusal {
    pub at: DisplayTime,
    pub status: u16,
    pub reason: String,
    pub what: &'static str,
    pub remedy: &'static str,
    pub request: String,
    /// What it was for, with its page, where there is such an API now.
    pub api: Option<LinkedName>,
    /// Where the same request is tried on the rules as they are now.
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

/// What came to one gate.
pub struct GateRecord {
    /// Of the last 24 hours.
    pub chart: BarChart,
    pub credential_kinds: Vec<CredentialKindRow>,
    pub reasons: Vec<ReasonRow>,
    pub latest: Vec<GateRefusalRow>,
}

/// Of a day, and of seven.
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
