//! Forms for objects that several users may edit at the same time. A save never overwrites a change that its
//! author has not seen.
//!
//! Each form carries the [`version`] of the values it was rendered from. On submission, [`merge()`] compares
//! for each field these values, the stored values and the submitted values. A field that the form left
//! untouched keeps its stored value. A field that was changed on both sides is a conflict: the form is shown
//! again with both values, and nothing is saved until the user chooses. The save is a `manage::Revision` of
//! the state that was merged, so one of two simultaneous saves has to start again.
//!
//! The struct of such a form implements [`Editable`] and contains an [`EditState`], which
//! `templates/edit.html` renders. [`EditTarget`] names the edited object and finds its last changes.

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

/// The maximum number of attempts to save while others keep changing the same object.
const MAX_ATTEMPTS: usize = 5;

/// A form with its values, stored or submitted.
pub trait Editable {
    /// Returns all editable fields, in the order of the page.
    fn fields(&self) -> Vec<FormField>;

    /// Sets one field to its value in `other`.
    fn take(&mut self, field: &str, other: &Self);

    fn edit_mut(&mut self) -> &mut EditState;
}

/// A unit of the merge, mostly one control of the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormField {
    pub name: &'static str,
    /// The label shown next to it.
    pub label: &'static str,
    /// The value as it is shown to users. Equal values have equal texts.
    pub value: String,
    /// The names of the field in change events. Empty: `name`.
    recorded: &'static [&'static str],
}

impl FormField {
    /// Creates a text field. Line endings and surrounding whitespace are ignored, because browsers change
    /// them.
    pub fn text(name: &'static str, label: &'static str, value: &str) -> Self {
        let lines: Vec<&str> = value.lines().map(str::trim_end).collect();
        Self { name, label, value: lines.join("\n").trim().to_owned(), recorded: &[] }
    }

    /// Creates a field of words separated by whitespace.
    pub fn words(name: &'static str, label: &'static str, value: &str) -> Self {
        Self::text(name, label, &value.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Creates a field of items, one per line, whose order is ignored.
    pub fn set<T: AsRef<str>>(name: &'static str, label: &'static str, items: &[T]) -> Self {
        let mut items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
        items.sort_unstable();
        items.dedup();
        Self::text(name, label, &items.join("\n"))
    }

    /// Creates a field for a check box.
    pub fn flag(name: &'static str, label: &'static str, ticked: bool) -> Self {
        Self::text(name, label, if ticked { "Yes" } else { "No" })
    }

    /// Sets the names of the field in change events, if they differ from its own name.
    #[must_use]
    pub fn recorded(self, names: &'static [&'static str]) -> Self {
        Self { recorded: names, ..self }
    }

    fn is_named_in(&self, detail: &str) -> bool {
        let mut names = detail.split(", ");
        names.any(|name| self.recorded.contains(&name) || (self.recorded.is_empty() && name == self.name))
    }
}

/// The part of a form that is not its fields: its version and the result of the merge.
#[derive(Clone, Debug, Default)]
pub struct EditState {
    /// The sealed version of the values that the form was rendered from.
    pub version: String,
    /// The fields on which the user has to decide before anything is saved.
    pub conflicts: Vec<FieldConflict>,
    /// The labels of the fields for which the stored value was kept: only others have changed them, or the
    /// user chose that value.
    pub taken: Vec<&'static str>,
    /// The last recorded change of the object. Set only if there is a conflict.
    pub last: Option<LastChange>,
}

impl EditState {
    pub fn is_conflict(&self) -> bool {
        !self.conflicts.is_empty()
    }

    /// Returns the message that is shown after saving.
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
    /// The name of the buttons that choose between the values.
    pub decision: String,
    /// Both values as lines; empty if the field is empty.
    pub stored: Vec<String>,
    pub typed: Vec<String>,
    /// The last change of the field, if an event records it.
    pub changed: Option<LastChange>,
    /// Whether the form was submitted again without a choice for this field.
    pub was_left_open: bool,
}

/// The actor and the time of a change.
#[derive(Clone, Debug)]
pub struct LastChange {
    pub actor: Option<String>,
    pub at: DisplayTime,
}

/// Runs `attempt` until it saves the form. `attempt` returns `None` if the object was changed while the form
/// was being saved.
///
/// # Errors
/// Returns the error of `attempt`, or an error page if the object was changed during each of the
/// `MAX_ATTEMPTS` attempts.
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

/// Asserts that taking every field of `other` turns `form` into `other`. All fields must differ before.
#[cfg(test)]
pub(in crate::web) fn assert_takes_every_field<F: Editable + Clone>(form: &F, other: &F) {
    let mut taken = form.clone();
    for (before, field) in form.fields().iter().zip(other.fields()) {
        assert_ne!(*before, field, "the test tells them apart");
        taken.take(field.name, other);
    }
    assert_eq!(taken.fields(), other.fields());
}
