//! The template values of the console's pages. A handler fills one of these structs, and the template of the
//! same name in `templates/console/` renders it.
//!
//! This module holds the parts that several pages share: pager, breadcrumbs and the page that confirms a
//! dangerous action. The pages are in `overview`, `start`, `clients` (with `client_form`, `api_keys` and
//! `signature_keys`), `registration`, `apis`, `refusals`, `users`, `groups`, `events` and `keys`. Charts are
//! in `chart`. The frame of all pages (navigation, viewer, notice, dates) is `crate::web::view`.

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

/// The line below a table. Cursors only lead forwards, so the only way back is to the first page.
#[derive(Clone, Debug, Default)]
pub struct Pager {
    /// The number of rows shown, as text: "50 on this page".
    pub shown: String,
    /// The URL of the first page, if this is a later one.
    pub first: Option<String>,
    /// The URL of the next page, with the filters and the opaque cursor `after`.
    pub next: Option<String>,
}

/// A breadcrumb above the heading.
#[derive(Clone, Debug)]
pub struct Crumb {
    pub label: String,
    pub href: String,
}

/// The page that confirms a dangerous action. It lists the effects and asks to type a word.
#[derive(Template)]
#[template(path = "console/confirm.html")]
pub struct ConfirmPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub section: Section,
    pub crumbs: Vec<Crumb>,
    /// The last breadcrumb: "Delete".
    pub step: String,
    /// The question: "Delete Lantern?".
    pub title: String,
    /// The first sentence: "This can’t be undone.".
    pub warning: String,
    /// The immediate effects, one per line.
    pub effects: Vec<String>,
    /// The word that has to be typed into the field `confirm`.
    pub word: String,
    /// The submitted text, if it was wrong.
    pub typed: String,
    pub error: Option<String>,
    /// The URL to which the form is posted.
    pub action: String,
    /// The label of the button: "Delete Lantern".
    pub button: String,
    /// The URL of the link "Keep it".
    pub back: String,
    /// The text of the link after "Only want a pause?", if the page at `back` offers a less drastic action.
    pub instead: Option<String>,
}

impl ConfirmPage {
    fn section(&self) -> Section {
        self.section
    }
}

/// The entry of the side navigation that a page highlights.
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

/// Implements `section` for pages, which `templates/console/base.html` calls.
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

/// Returns all messages for a field. The empty field name stands for the form as a whole.
fn errors_of(errors: &[(String, String)], field: &str) -> Option<String> {
    let messages: Vec<&str> =
        errors.iter().filter(|(name, _)| name == field).map(|(_, message)| message.as_str()).collect();
    (!messages.is_empty()).then(|| messages.join(" "))
}

/// Formats a number with thousands separators: 31,686.
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
