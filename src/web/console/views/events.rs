//! `/admin/events`: what happened, who did it, to what. The rows also stand on the overview and on a person's page.

use askama::Template;

use super::{Choice, Pager};
use crate::web::view::{Chrome, DisplayTime, Notice, Viewer};

#[derive(Template)]
#[template(path = "console/events.html")]
pub struct EventsPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    /// What was searched for (`q`).
    pub q: String,
    /// The filter `kind`; the first choice is the one for all of them.
    pub kinds: Vec<Choice>,
    /// How far back events are shown (`days`).
    pub days: Vec<Choice>,
    /// The first and the last day that are shown (`from`, `until`), such as `2027-01-31`, in UTC; empty where not set.
    pub from: String,
    pub until: String,
    /// The search named nothing, and its text was looked for.
    pub is_by_text: bool,
    /// Older events are still to be searched for the text.
    pub has_more: bool,
    /// Whether a filter is set, so that an empty table can say why it is empty.
    pub filtered: bool,
    /// Where it is told why the request that was searched for was refused.
    pub refusal: Option<String>,
    pub events: Vec<EventRow>,
    pub pager: Pager,
}

/// One line of the audit record.
#[derive(Clone, Debug)]
pub struct EventRow {
    pub id: String,
    pub at: DisplayTime,
    /// In plain words: "Signed in with a passkey".
    pub what: String,
    /// As the record names it: `session.started`.
    pub kind: String,
    pub failed: bool,
    /// Who did it; without an address of its own page it is shown as text.
    pub actor: Option<LinkedName>,
    /// What it was done to.
    pub about: Option<LinkedName>,
    /// Network address it came from.
    pub address: Option<String>,
    pub request_id: Option<String>,
    /// What else was recorded, name and value.
    pub details: Vec<(String, String)>,
}

/// A person, an app, a key: its name, and its page where it has one.
#[derive(Clone, Debug)]
pub struct LinkedName {
    pub name: String,
    pub href: Option<String>,
}

super::in_section!(Events: EventsPage);
