//! What an administrator does, one function an operation: validate, write, record the event, in one transaction.
//!
//! The console, the command line and `apply` call these and nothing else. [`people`], [`groups`], [`clients`], [`apis`],
//! [`access`], [`sessions`], [`passkeys`], [`api_keys`], [`consents`], [`keys`], [`registration`], [`setup`] and [`sign_up`] have the operations, [`document`] (with
//! [`signature_keys`]) the file that [`apply`] reads and [`export`] prints, [`place`] where in it something stands.
//! The functions named `*_in` work inside a transaction somebody else has begun; `apply` puts many of them into one.
//! Each transaction begins in [`acting`], which checks there that the actor still may do it.

pub mod access;
mod acting;
pub mod api_keys;
pub mod apis;
pub mod apply;
pub mod client_addresses;
mod client_certificates;
mod client_references;
mod client_rows;
pub mod clients;
pub mod consents;
pub mod document;
pub mod export;
pub mod groups;
pub mod keys;
pub mod passkeys;
pub mod people;
pub mod place;
mod profile;
pub mod registration;
pub mod sessions;
pub mod setup;
mod sieve;
pub mod sign_up;
pub mod signature_keys;

use serde::Serialize;

pub use acting::By;
use acting::{Needs, Recorder};

use crate::domain::client_metadata;
use crate::identity::password::{Hasher, PasswordError};
use crate::keys::{KeyError, MasterKey};
use crate::store::{Store, StoreError};

/// What operations need; cheap to clone.
#[derive(Clone)]
pub struct Manager {
    pub store: Store,
    pub master: MasterKey,
    pub hasher: Hasher,
}

/// A field that is wrong, and the sentence that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    pub field: String,
    pub message: String,
}

impl FieldError {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// As it is read beside the field itself: "is too long" becomes "It is too long."
    pub fn sentence(&self) -> String {
        let problem = &self.message;
        let begun = match problem.split(' ').next().unwrap_or_default() {
            "is" | "has" | "must" | "may" | "needs" => format!("It {problem}"),
            // The name of a parameter stays as it is written.
            name if name.contains('_') => problem.clone(),
            _ => {
                let mut letters = problem.chars();
                letters.next().map(|letter| letter.to_uppercase().chain(letters).collect()).unwrap_or_default()
            }
        };
        if begun.ends_with(['.', '!', '?']) { begun } else { format!("{begun}.") }
    }
}

impl From<client_metadata::FieldError> for FieldError {
    fn from(error: client_metadata::FieldError) -> Self {
        Self::new(error.field, error.message)
    }
}

/// Why an operation was not done; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    /// What there is none of, such as `user alice`.
    #[error("there is no {0}")]
    NotFound(String),
    #[error("{}", listed(.0))]
    Invalid(Vec<FieldError>),
    /// It disagrees with what is there; begins with the field where one is at fault.
    #[error("{0}")]
    Conflict(String),
    /// The session in which it was asked for has ended, or its user is disabled or gone.
    #[error("your session has ended, and nothing was changed: sign in again")]
    SessionEnded,
    /// Who asked for it is no administrator, or is one no longer.
    #[error("you are not an administrator any more, and nothing was changed: ask an administrator to do it")]
    NotAdministrator,
    /// The account was made by signing up, and the change would give it rights or groups.
    #[error(
        "{}{username} was created by signing up. It gets no rights, no groups and, by a document, no password and no verified \
         address unless you adopt it, which removes everything that its creator signs in with",
        row.map(|row| format!("users[{row}].adopt: ")).unwrap_or_default()
    )]
    NeedsAdoption {
        username: String,
        /// Its place in a document.
        row: Option<usize>,
    },
    /// Of `quotas.self_registered_users` there are as many as there may be.
    #[error("no more accounts can be made by signing up here")]
    Full,
    #[error("many passwords are being checked right now: try again in a moment")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Keys(#[from] KeyError),
}

impl ManageError {
    fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(field, message)])
    }

    fn password(field: &str, error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Busy,
            error => Self::invalid(field, error.to_string()),
        }
    }
}

fn listed(errors: &[FieldError]) -> String {
    let all: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
    all.join("; ")
}

pub type Result<T> = std::result::Result<T, ManageError>;

/// The names of the members in which two documents differ.
fn differing<T: Serialize>(before: &T, after: &T) -> Vec<String> {
    let members = |value: &T| match serde_json::to_value(value) {
        Ok(serde_json::Value::Object(members)) => members,
        _ => serde_json::Map::new(),
    };
    let (before, after) = (members(before), members(after));
    let mut names: Vec<String> =
        before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name)).cloned().collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::FieldError;

    #[test]
    fn problems_become_sentences() {
        for (problem, words) in [
            ("is longer than 100 characters", "It is longer than 100 characters."),
            ("at least one address is needed", "At least one address is needed."),
            ("refresh_token needs authorization_code beside it", "refresh_token needs authorization_code beside it."),
            ("Use at least 8 characters.", "Use at least 8 characters."),
        ] {
            assert_eq!(FieldError::new("field", problem).sentence(), words);
        }
    }
}
