//! The three-way merge of a form, field by field: the values it was rendered from, the stored values and the
//! submitted values.

use super::edit_target::EditTarget;
use super::version::{FormVersion, PREFIX};
use super::{EditState, Editable, FieldConflict, FormField};
use crate::keys::KeyError;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::web::error::{PageError, PageLink};
use crate::web::extract::{FormFields, SignedIn};
use crate::web::view::visible;

/// The parts of a submitted form that are not fields: its version and the choices made for conflicts.
pub struct SubmittedForm<'a> {
    version: FormVersion,
    form: &'a FormFields,
}

impl<'a> SubmittedForm<'a> {
    /// Reads the version of the form for `about`. The error page links to `page`.
    ///
    /// # Errors
    /// An error page if the version is missing, was not sealed by this server or belongs to another object.
    pub fn read(person: &SignedIn, form: &'a FormFields, about: &EditTarget, page: &str) -> Result<Self, PageError> {
        let version = FormVersion::open(&person.app().provider.master, &about.key(), form.text(PREFIX));
        let version = version.ok_or_else(|| {
            let text = "The form doesn’t say which version of the settings it was made from, so nothing was saved. \
                        Open the page again and make your change there.";
            let error = person.error(OAuthError::new(ErrorCode::InvalidRequest, text));
            error.titled("The form wasn’t accepted").with_links(vec![PageLink::new("Open the page again", page)])
        })?;
        Ok(Self { version, form })
    }

    fn decision(&self, field: &FormField) -> Option<FieldChoice> {
        match self.form.text(&choice_name(field)) {
            "stored" => Some(FieldChoice::Stored),
            "typed" => Some(FieldChoice::Typed),
            _ => None,
        }
    }
}

fn choice_name(field: &FormField) -> String {
    format!("{PREFIX}_{}", field.name)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldChoice {
    Stored,
    Typed,
}

/// Which value a field gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MergeOutcome {
    Stored,
    Typed,
    Undecided,
}

fn outcome(begun: &FormVersion, stored: &FormField, typed: &FormField, decision: Option<FieldChoice>) -> MergeOutcome {
    let others_changed_it = !begun.has(stored);
    match decision.filter(|_| begun.is_undecided(stored)) {
        _ if stored.value == typed.value => MergeOutcome::Typed,
        Some(FieldChoice::Stored) => MergeOutcome::Stored,
        None if begun.is_undecided(stored) => MergeOutcome::Undecided,
        // The stored value has changed again since the user chose, so the choice does not apply to it.
        _ if !others_changed_it => MergeOutcome::Typed,
        None if begun.has(typed) => MergeOutcome::Stored,
        _ => MergeOutcome::Undecided,
    }
}

/// Returns a form for its first display, with the version of the values it shows.
pub fn begun<F: Editable>(person: &SignedIn, about: &EditTarget, mut form: F) -> Result<F, PageError> {
    let version = FormVersion::new(&about.key(), &form.fields(), &[]);
    form.edit_mut().version = version.seal(&person.app().provider.master).map_err(|error| unsealed(person, error))?;
    Ok(form)
}

fn unsealed(person: &SignedIn, error: KeyError) -> PageError {
    person.error(OAuthError::from(error))
}

/// Merges the submitted form with the `stored` values.
///
/// The result is to be saved, unless [`EditState::is_conflict`] is true: then it is to be shown again, with
/// the fields on which the user has to decide. In both cases it carries the version of `stored`.
pub async fn merge<F: Editable>(
    person: &SignedIn,
    sent: &SubmittedForm<'_>,
    about: &EditTarget,
    stored: &F,
    mut typed: F,
) -> Result<F, PageError> {
    let (present, mine) = (stored.fields(), typed.fields());
    let (mut edit, mut undecided) = (EditState::default(), Vec::new());
    for (now, typed_field) in present.iter().zip(&mine) {
        match outcome(&sent.version, now, typed_field, sent.decision(now)) {
            MergeOutcome::Typed => {}
            MergeOutcome::Stored => {
                typed.take(now.name, stored);
                edit.taken.push(now.label);
            }
            MergeOutcome::Undecided => {
                edit.conflicts.push(conflict(now, typed_field, sent.version.is_undecided(now)));
                undecided.push(now);
            }
        }
    }
    if edit.is_conflict() {
        let changes = about.changes(person).await?;
        edit.last = changes.last();
        for (conflict, field) in edit.conflicts.iter_mut().zip(&undecided) {
            conflict.changed = changes.of(field);
        }
    }
    let undecided: Vec<&str> = undecided.iter().map(|field| field.name).collect();
    let version = FormVersion::new(&about.key(), &present, &undecided);
    edit.version = version.seal(&person.app().provider.master).map_err(|error| unsealed(person, error))?;
    *typed.edit_mut() = edit;
    Ok(typed)
}

fn conflict(stored: &FormField, typed: &FormField, was_left_open: bool) -> FieldConflict {
    let lines = |field: &FormField| field.value.lines().map(visible).collect();
    FieldConflict {
        label: stored.label,
        decision: choice_name(stored),
        stored: lines(stored),
        typed: lines(typed),
        changed: None,
        was_left_open,
    }
}

#[cfg(test)]
mod tests {
    use super::{FieldChoice, MergeOutcome, outcome};
    use crate::web::edit::FormField;
    use crate::web::edit::version::FormVersion;

    fn field(value: &str) -> FormField {
        FormField::text("name", "Name", value)
    }

    #[test]
    fn fields_are_merged_by_changes_of_both_sides() {
        let begun = FormVersion::new("client:web", &[field("old")], &[]);
        for (stored, typed, expected) in [
            ("old", "old", MergeOutcome::Typed),
            ("old", "mine", MergeOutcome::Typed),
            ("theirs", "old", MergeOutcome::Stored),
            ("theirs", "mine", MergeOutcome::Undecided),
            ("same", "same", MergeOutcome::Typed),
            ("", "mine", MergeOutcome::Undecided),
            ("theirs", "", MergeOutcome::Undecided),
        ] {
            assert_eq!(outcome(&begun, &field(stored), &field(typed), None), expected, "{stored} {typed}");
            // A choice is ignored if the form did not ask for one.
            let answered = outcome(&begun, &field(stored), &field(typed), Some(FieldChoice::Typed));
            assert_eq!(answered, expected, "{stored} {typed}");
        }
    }

    #[test]
    fn conflict_stays_open_until_it_is_resolved() {
        let asked = FormVersion::new("client:web", &[field("theirs")], &["name"]);
        for (stored, typed, decision, expected) in [
            ("theirs", "mine", None, MergeOutcome::Undecided),
            ("theirs", "mine", Some(FieldChoice::Typed), MergeOutcome::Typed),
            ("theirs", "mine", Some(FieldChoice::Stored), MergeOutcome::Stored),
            ("third", "mine", Some(FieldChoice::Typed), MergeOutcome::Undecided),
            ("third", "mine", Some(FieldChoice::Stored), MergeOutcome::Stored),
            ("theirs", "theirs", None, MergeOutcome::Typed),
        ] {
            assert_eq!(outcome(&asked, &field(stored), &field(typed), decision), expected, "{stored} {decision:?}");
        }
    }

    #[test]
    fn field_missing_from_version_is_a_conflict() {
        let begun = FormVersion::new("client:web", &[], &[]);
        assert_eq!(outcome(&begun, &field("theirs"), &field("mine"), None), MergeOutcome::Undecided);
    }

    #[test]
    fn line_endings_and_order_do_not_change_a_value() {
        assert_eq!(field("a\r\nb \r\n").value, field("a\nb").value);
        assert_eq!(
            FormField::set("groups", "Groups", &["b", "a"]),
            FormField::set("groups", "Groups", &["a", "b", "a"])
        );
    }
}
