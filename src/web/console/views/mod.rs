//! What the console's pages show, as plain values: a handler fills one of these structs, the template of the same
//! name in `templates/console/` does the rest.
//!
//! Here stand the parts that several pages share (`chart`, filters, pager, one session, the page that confirms a dangerous
//! action); the pages themselves are next door: `overview`, `clients` (with `client_form`, `api_keys` and `signature_keys`), `registration`,
//! `apis`, `refusals`, `people`, `groups`, `events`, `keys`. The frame around them (bar, viewer, notice, dates) is
//! `crate::web::view`.

pub mod api_keys;
pub mod apis;
pub mod chart;
pub mod client_form;
pub mod clients;
pub mod events;
pub mod groups;
pub mod keys;
pub mod overview;
pub mod refusals;
pub mod registration;
pub mod signature_keys;
pub mod start;
pub mod users;

use askama::Template;

pub use crate::web::view::Choice;
use crate::web::view::{Chrome, Notice, Viewer};

/// The line below a table. Cursors only lead onwards, so the way back is to the beginning.
#[derive(Clone, Debug, Default)]
pub struct Pager {
    /// What is in view, in words: "50 of 412", "Newest first".
    pub shown: String,
    /// Address of the first page, where this is a later one.
    pub first: Option<String>,
    /// Address of the next page, its filters and the opaque `after` included.
    pub next: Option<String>,
}

/// A step on the way back up, before the heading.
#[derive(Clone, Debug)]
pub struct Crumb {
    pub label: String,
    pub href: String,
}

/// The page on which a dangerous action is confirmed: what will happen, a word to type, a way out.
#[derive(Template)]
#[template(path = "console/confirm.html")]
pub struct ConfirmPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub section: Section,
    pub crumbs: Vec<Crumb>,
    /// The last crumb: "Delete".
    pub step: String,
    /// The question: "Delete Lantern?"
    pub title: String,
    /// The sentence that comes first: "This can’t be undone."
    pub warning: String,
    /// What happens at once, one line each.
    pub effects: Vec<String>,
    /// What has to be typed into the field `confirm`.
    pub word: String,
    /// What was typed, when it was refused.
    pub typed: String,
    pub error: Option<String>,
    /// Where the form is posted.
    pub action: String,
    /// The words on the button: "Delete Lantern".
    pub button: String,
    /// Where "Keep it" leads.
    pub back: String,
    /// The milder way, where `back` has one: the words of the link after "Only want a pause?".
    pub instead: Option<String>,
}

impl ConfirmPage {
    fn section(&self) -> Section {
        self.section
    }
}

/// The line of the side navigation that a page marks as the one people are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Overview,
    Apps,
    Apis,
    People,
    Events,
    Keys,
}

impl Section {
    fn label(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Apps => "Apps",
            Self::Apis => "APIs",
            Self::People => "People",
            Self::Events => "Events",
            Self::Keys => "Keys",
        }
    }
}

/// What a page of each section answers to `templates/console/base.html`.
macro_rules! in_section {
    ($section:ident: $($page:ident),+) => {$(
        impl $page {
            fn section(&self) -> $crate::web::console::views::Section {
                $crate::web::console::views::Section::$section
            }
        }
    )+};
}
use in_section;

/// Every message for a field. The empty field name stands for the form as a whole.
fn errors_of(errors: &[(String, String)], field: &str) -> Option<String> {
    let messages: Vec<&str> =
        errors.iter().filter(|(name, _)| name == field).map(|(_, message)| message.as_str()).collect();
    (!messages.is_empty()).then(|| messages.join(" "))
}

/// A count as people read it: 31,686.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{errors_of, grouped};

    #[test]
    fn counts_are_grouped_by_three() {
        for (count, words) in [(0, "0"), (999, "999"), (1000, "1,000"), (31_686, "31,686"), (1_000_000, "1,000,000")] {
            assert_eq!(grouped(count), words);
        }
    }

    #[test]
    fn every_message_of_a_field_is_shown() {
        let errors = [("email", "a"), ("name", "b"), ("name", "c")]
            .map(|(field, message)| (field.to_owned(), message.to_owned()));
        assert_eq!(errors_of(&errors, "name").as_deref(), Some("b c"));
        assert_eq!(errors_of(&errors, "scope"), None);
    }
}
