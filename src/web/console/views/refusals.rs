//! `/admin/refusals`: why a request was refused, by its id, and the latest that were, here and by the gates. The numbers
//! of one gate stand on its API's page.

use askama::Template;

use super::chart::BarChart;
use super::events::{EventRow, Subject};
use super::grouped;
use crate::web::view::{Chrome, Notice, Viewer, When};

#[derive(Template)]
#[template(path = "console/refusals.html")]
pub struct RefusalsPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    /// The request id that was asked for.
    pub id: String,
    pub found: Option<Refusal>,
    /// The same for one of our own endpoints and pages.
    pub found_here: Option<RefusalHere>,
    /// What else the record has of that request.
    pub events: Vec<EventRow>,
    /// The latest, where no request was asked for: of our endpoints and pages, and of all gates.
    pub latest_here: Vec<RowHere>,
    pub latest: Vec<RefusalRow>,
}

/// A refusal by one of our endpoints or pages.
pub struct RefusalHere {
    pub at: When,
    pub error: String,
    /// What whoever asked was told, and what only administrators are.
    pub description: String,
    pub cause: String,
    pub request: String,
    pub client: Option<Subject>,
    pub address: String,
}

pub struct RowHere {
    pub href: String,
    pub at: When,
    pub error: String,
    /// The cause, or the description where there is none.
    pub why: String,
    pub request: String,
    pub client: String,
    pub address: String,
}

/// A refusal in words, and what to do about it.
pub struct Refusal {
    pub at: When,
    pub status: u16,
    pub reason: String,
    pub what: &'static str,
    pub mend: &'static str,
    pub request: String,
    /// What it was for, with its page, where there is such an API now.
    pub api: Option<Subject>,
    /// Where the same request is tried on the rules as they are now.
    pub trial: Option<String>,
    pub way: String,
    pub client: Option<Subject>,
    pub subject: Option<Subject>,
    pub address: String,
}

pub struct RefusalRow {
    pub href: String,
    pub at: When,
    pub what: &'static str,
    pub reason: String,
    pub request: String,
    pub gate: String,
    pub address: String,
}

/// What came to one gate.
pub struct Record {
    /// Of the last 24 hours.
    pub chart: BarChart,
    pub ways: Vec<WayRow>,
    pub reasons: Vec<ReasonRow>,
    pub latest: Vec<RefusalRow>,
}

/// Of a day, and of seven.
#[derive(Clone, Copy, Default)]
pub struct Number {
    pub day: u64,
    pub week: u64,
}

impl Number {
    pub(super) fn day(&self) -> String {
        grouped(self.day)
    }

    pub(super) fn week(&self) -> String {
        grouped(self.week)
    }
}

pub struct WayRow {
    pub way: String,
    pub let_in: Number,
    pub refused: Number,
}

pub struct ReasonRow {
    pub what: &'static str,
    pub reason: String,
    pub refused: Number,
}

super::in_section!(Events: RefusalsPage);
