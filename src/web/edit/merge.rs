//! The merge of a form: what it began with, what is there now and what was typed, field by field.

use super::about::About;
use super::version::{PREFIX, Version};
use super::{Conflict, Edit, Editable, Field};
use crate::keys::KeyError;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::web::error::{PageError, Way};
use crate::web::extract::{Fields, SignedIn};
use crate::web::view::visible;

/// What a form says beside its fields.
pub struct Sent<'a> {
    version: Version,
    form: &'a Fields,
}

impl<'a> Sent<'a> {
    /// Reads the version of a form that edits what is shown at `page`.
    ///
    /// # Errors
    /// Where there is none, or none that was made here for `about`.
    pub fn read(person: &SignedIn, form: &'a Fields, about: &About, page: &str) -> Result<Self, PageError> {
        let version = Version::open(&person.app().provider.master, &about.key(), form.text(PREFIX));
        let version = version.ok_or_else(|| {
            let text = "The form doesn’t say which version of the settings it was made from, so nothing was saved. \
                        Open the page again and make your change there.";
            let error = person.error(OAuthError::new(ErrorCode::InvalidRequest, text));
            error.titled("The form wasn’t accepted").with_ways(vec![Way::new("Open the page again", page)])
        })?;
        Ok(Self { version, form })
    }

    fn decision(&self, field: &Field) -> Option<Decision> {
        match self.form.text(&decision_name(field)) {
            "stored" => Some(Decision::Stored),
            "typed" => Some(Decision::Typed),
            _ => None,
        }
    }
}

fn decision_name(field: &Field) -> String {
    format!("{PREFIX}_{}", field.name)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Stored,
    Typed,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Stored,
    Typed,
    Undecided,
}

fn outcome(begun: &Version, stored: &Field, typed: &Field, decision: Option<Decision>) -> Outcome {
    let others_changed_it = !begun.has(stored);
    match decision.filter(|_| begun.asks_about(stored)) {
        _ if stored.value == typed.value => Outcome::Typed,
        Some(Decision::Stored) => Outcome::Stored,
        None if begun.asks_about(stored) => Outcome::Undecided,
        // The value that was decided against is another one by now.
        _ if !others_changed_it => Outcome::Typed,
        None if begun.has(typed) => Outcome::Stored,
        _ => Outcome::Undecided,
    }
}

/// A form that has not been sent yet, with the version of what it shows.
pub fn begun<F: Editable>(person: &SignedIn, about: &About, mut form: F) -> Result<F, PageError> {
    let version = Version::new(&about.key(), &form.fields(), &[]);
    form.edit_mut().version = version.seal(&person.app().provider.master).map_err(|error| unsealed(person, error))?;
    Ok(form)
}

fn unsealed(person: &SignedIn, error: KeyError) -> PageError {
    person.error(OAuthError::from(error))
}

/// What was typed, merged with what is `stored`; or what was typed with what has to be decided first
/// ([`Edit::is_conflict`]). It has the version of `stored`, whether it is saved or shown once more.
pub async fn merge<F: Editable>(
    person: &SignedIn,
    sent: &Sent<'_>,
    about: &About,
    stored: &F,
    mut typed: F,
) -> Result<F, PageError> {
    let (present, mine) = (stored.fields(), typed.fields());
    let (mut edit, mut undecided) = (Edit::default(), Vec::new());
    for (now, typed_field) in present.iter().zip(&mine) {
        match outcome(&sent.version, now, typed_field, sent.decision(now)) {
            Outcome::Typed => {}
            Outcome::Stored => {
                typed.take(now.name, stored);
                edit.taken.push(now.label);
            }
            Outcome::Undecided => {
                edit.conflicts.push(conflict(now, typed_field, sent.version.asks_about(now)));
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
    let version = Version::new(&about.key(), &present, &undecided);
    edit.version = version.seal(&person.app().provider.master).map_err(|error| unsealed(person, error))?;
    *typed.edit_mut() = edit;
    Ok(typed)
}

fn conflict(stored: &Field, typed: &Field, was_left_open: bool) -> Conflict {
    let lines = |field: &Field| field.value.lines().map(visible).collect();
    Conflict {
        label: stored.label,
        decision: decision_name(stored),
        stored: lines(stored),
        typed: lines(typed),
        changed: None,
        was_left_open,
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, Outcome, outcome};
    use crate::web::edit::Field;
    use crate::web::edit::version::Version;

    fn field(value: &str) -> Field {
        Field::text("name", "Name", value)
    }

    #[test]
    fn each_field_is_merged_by_what_both_sides_did() {
        let begun = Version::new("client:web", &[field("old")], &[]);
        for (stored, typed, expected) in [
            ("old", "old", Outcome::Typed),
            ("old", "mine", Outcome::Typed),
            ("theirs", "old", Outcome::Stored),
            ("theirs", "mine", Outcome::Undecided),
            ("same", "same", Outcome::Typed),
            ("", "mine", Outcome::Undecided),
            ("theirs", "", Outcome::Undecided),
        ] {
            assert_eq!(outcome(&begun, &field(stored), &field(typed), None), expected, "{stored} {typed}");
            // What the form did not ask cannot be answered.
            let answered = outcome(&begun, &field(stored), &field(typed), Some(Decision::Typed));
            assert_eq!(answered, expected, "{stored} {typed}");
        }
    }

    #[test]
    fn a_question_stays_one_until_it_is_answered() {
        let asked = Version::new("client:web", &[field("theirs")], &["name"]);
        for (stored, typed, decision, expected) in [
            ("theirs", "mine", None, Outcome::Undecided),
            ("theirs", "mine", Some(Decision::Typed), Outcome::Typed),
            ("theirs", "mine", Some(Decision::Stored), Outcome::Stored),
            ("third", "mine", Some(Decision::Typed), Outcome::Undecided),
            ("third", "mine", Some(Decision::Stored), Outcome::Stored),
            ("theirs", "theirs", None, Outcome::Typed),
        ] {
            assert_eq!(outcome(&asked, &field(stored), &field(typed), decision), expected, "{stored} {decision:?}");
        }
    }

    #[test]
    fn a_field_that_the_version_does_not_know_is_asked_about() {
        let begun = Version::new("client:web", &[], &[]);
        assert_eq!(outcome(&begun, &field("theirs"), &field("mine"), None), Outcome::Undecided);
    }

    #[test]
    fn a_browser_does_not_change_a_value() {
        assert_eq!(field("a\r\nb \r\n").value, field("a\nb").value);
        assert_eq!(Field::set("groups", "Groups", &["b", "a"]), Field::set("groups", "Groups", &["a", "b", "a"]));
    }
}
