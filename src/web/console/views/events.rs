//! `/admin/events`: the template values of the audit record. The overview and the pages of users show the
//! same rows.

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
    /// The search term (`q`).
    pub q: String,
    /// The options of the filter `kind`. The first means all kinds.
    pub kinds: Vec<Choice>,
    /// The options of the time range `days`.
    pub days: Vec<Choice>,
    /// The first and the last day of the range in UTC (`from`, `until`), such as `2027-01-31`. Empty if not
    /// set.
    pub from: String,
    pub until: String,
    /// Whether the search term matched no user, client, address or request and was searched as text.
    pub is_by_text: bool,
    /// Whether older events have not been searched for the text yet.
    pub has_more: bool,
    /// Whether a filter is set. An empty table then says so.
    pub filtered: bool,
    /// The URL of the explanation, if the search term is the id of a rejected request.
    pub refusal: Option<String>,
    pub events: Vec<EventRow>,
    pub pager: Pager,
}

/// One row of the audit record.
#[derive(Clone, Debug)]
pub struct EventRow {
    pub id: String,
    pub at: DisplayTime,
    /// The description: "Signed in with a passkey".
    pub what: String,
    /// The name of the kind in the record: `session.started`.
    pub kind: String,
    pub failed: bool,
    /// The actor. Shown as text if it has no page.
    pub actor: Option<LinkedName>,
    /// The object of the action.
    pub about: Option<LinkedName>,
    /// The network address of the request.
    pub address: Option<String>,
    pub request_id: Option<String>,
    /// Further recorded values: name and value.
    pub details: Vec<(String, String)>,
}

/// The name of a user, a client or another object, and the URL of its page if it has one.
#[derive(Clone, Debug)]
pub struct LinkedName {
    pub name: String,
    pub href: Option<String>,
}

super::in_section!(Events: EventsPage);
