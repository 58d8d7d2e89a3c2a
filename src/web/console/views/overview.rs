//! `/admin`: the template values of the overview: numbers, the chart of sign-ins of the last 14 days, the
//! latest events and failures. See `chart::BarChart` and `events::EventRow`.

use askama::Template;

use super::chart::BarChart;
use super::events::EventRow;
use super::grouped;
use crate::web::view::{Chrome, Notice, Viewer};

#[derive(Template)]
#[template(path = "console/overview.html")]
pub struct OverviewPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub counts: OverviewCounts,
    pub chart: BarChart,
    /// The latest events, newest first.
    pub events: Vec<EventRow>,
    /// The latest failures, newest first.
    pub failures: Vec<EventRow>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct OverviewCounts {
    pub apps: u64,
    pub apps_disabled: u64,
    pub users: u64,
    pub users_disabled: u64,
    pub sessions: u64,
}

impl OverviewCounts {
    fn apps(&self) -> String {
        grouped(self.apps)
    }

    fn users(&self) -> String {
        grouped(self.users)
    }

    fn sessions(&self) -> String {
        grouped(self.sessions)
    }
}

super::in_section!(Overview: OverviewPage);
