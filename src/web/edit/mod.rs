//! Forms that edit what others may have changed since the form was opened: no save undoes a change that its author has not
//! seen.
//!
//! Such a form carries the [`version`] of what it was rendered from. A save [`merge`]s field by field what the form began
//! with, what is there now and what was typed: a field that was not touched stays as it is there; one that was changed on
//! both sides is asked about, with both values beside each other, and nothing is saved before the choice. What is
//! saved then is a `manage::Revision` of the state that it was merged with, so that of two saves at once one begins again.
//!
//! A form's struct is [`Editable`] and has an [`EditState`], which `templates/edit.html` draws; [`EditTarget`] says what it edits, and
//! who has changed that.

mod edit_target;
mod merge;
mod version;

pub use edit_target::EditTarget;
pub use merge::{SubmittedForm, begun, merge};
pub use version::PREFIX;

use axum::response::Response;

use super::error::PageError;
use super::extract::SignedIn;
use super::view::DisplayTime;
use crate::protocol::error::{ErrorCode, OAuthError};

/// How often a save is tried while others change the same thing in between.
const MAX_ATTEMPTS: usize = 5;

/// A form as it is shown, or as it was typed.
pub trait Editable {
    /// All that it edits, in the order of the page.
    fn fields(&self) -> Vec<FormField>;

    /// Makes one of the fields be as it is in `other`.
    fn take(&mut self, field: &str, other: &Self);

    fn edit_mut(&mut self) -> &mut EditState;
}

/// What is decided as one: mostly one control of the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormField {
    pub name: &'static str,
    /// What people read beside it.
    pub label: &'static str,
    /// Its value as people read it; the same value always in the same words.
    pub value: String,
    /// The names under which events tell of its change.
    recorded: &'static [&'static str],
}

impl FormField {
    /// A text. Line ends and spaces around it are no difference: a browser changes them.
    pub fn text(name: &'static str, label: &'static str, value: &str) -> Self {
        let lines: Vec<&str> = value.lines().map(str::trim_end).collect();
        Self { name, label, value: lines.join("\n").trim().to_owned(), recorded: &[] }
    }

    /// Words with spaces between them.
    pub fn words(name: &'static str, label: &'static str, value: &str) -> Self {
        Self::text(name, label, &value.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Items in any order, one a line.
    pub fn set<T: AsRef<str>>(name: &'static str, label: &'static str, items: &[T]) -> Self {
        let mut items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
        items.sort_unstable();
        items.dedup();
        Self::text(name, label, &items.join("\n"))
    }

    /// A box that is ticked or not.
    pub fn flag(name: &'static str, label: &'static str, ticked: bool) -> Self {
        Self::text(name, label, if ticked { "Yes" } else { "No" })
    }

    /// The same, of which events tell by other names than its own.
    #[must_use]
    pub fn recorded(self, names: &'static [&'static str]) -> Self {
        Self { recorded: names, ..self }
    }

    fn is_named_in(&self, detail: &str) -> bool {
        let mut names = detail.split(", ");
        names.any(|name| self.recorded.contains(&name) || (self.recorded.is_empty() && name == self.name))
    }
}

/// What a form carries beside its fields.
#[derive(Clone, Debug, Default)]
pub struct EditState {
    /// What the form was rendered from, sealed.
    pub version: String,
    /// What has to be decided before anything is saved.
    pub conflicts: Vec<FieldConflict>,
    /// The labels of the fields that others have changed and this form has not.
    pub taken: Vec<&'static str>,
    /// The last change that is on record, where there is a conflict.
    pub last: Option<LastChange>,
}

impl EditState {
    pub fn is_conflict(&self) -> bool {
        !self.conflicts.is_empty()
    }

    /// What is said when it is saved.
    pub fn saved(&self) -> String {
        if self.taken.is_empty() {
            return "Saved.".to_owned();
        }
        format!("Saved. What was changed meanwhile stays as it is: {}.", self.taken_over())
    }

    pub fn taken_over(&self) -> String {
        self.taken.join(", ")
    }
}

/// A field that was changed on both sides.
#[derive(Clone, Debug)]
pub struct FieldConflict {
    pub label: &'static str,
    /// The name of the buttons that decide.
    pub decision: String,
    /// Both values, a line each; none where there is nothing.
    pub stored: Vec<String>,
    pub typed: Vec<String>,
    /// Who has changed it, where an event tells.
    pub changed: Option<LastChange>,
    /// Whether the form came back undecided.
    pub was_left_open: bool,
}

/// Who has changed something, and when.
#[derive(Clone, Debug)]
pub struct LastChange {
    pub actor: Option<String>,
    pub at: DisplayTime,
}

/// Saves a form by `attempt`, which returns `None` if the object was changed while the form was being saved.
///
/// # Errors
/// What `attempt` fails with, or a page if the object was changed during each attempt.
pub async fn save<F>(person: &SignedIn, attempt: impl Fn() -> F + Sync) -> Result<Response, PageError>
where
    F: Future<Output = Result<Option<Response>, PageError>> + Send,
{
    for _ in 0..MAX_ATTEMPTS {
        if let Some(response) = Box::pin(attempt()).await? {
            return Ok(response);
        }
    }
    let text = "Others are changing this right now, and nothing was saved. Try again in a moment.";
    Err(person.error(OAuthError::new(ErrorCode::TemporarilyUnavailable, text)))
}

/// Checks that `form` becomes `other` by taking its fields, of which none is the same before.
#[cfg(test)]
pub(in crate::web) fn assert_takes_every_field<F: Editable + Clone>(form: &F, other: &F) {
    let mut taken = form.clone();
    for (before, field) in form.fields().iter().zip(other.fields()) {
        assert_ne!(*before, field, "the test tells them apart");
        taken.take(field.name, other);
    }
    assert_eq!(taken.fields(), other.fields());
}
