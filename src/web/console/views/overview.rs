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
    pub counts: Counts,
    pub chart: BarChart,
    /// The newest events, newest first.
    pub events: Vec<EventRow>,
    /// The newest refusals, newest first.
    pub failures: Vec<EventRow>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub apps: u64,
    pub apps_off: u64,
    pub people: u64,
    pub people_disabled: u64,
    pub sessions: u64,
}

impl Counts {
    fn apps(&self) -> String {
        grouped(self.apps)
    }

    fn people(&self) -> String {
        grouped(self.people)
    }

    fn sessions(&self) -> String {
        grouped(self.sessions)
    }
}

super::in_section!(Overview: OverviewPage);
