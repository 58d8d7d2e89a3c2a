//! `/admin`: how many there are of each, sign-ins of the last 14 days as a picture, what happened last and what failed.
//! The picture is `chart::BarChart`, the rows below it are `events::EventRow`.

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
    /// The newest events, newest first.
    pub events: Vec<EventRow>,
    /// The newest refusals, newest first.
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
