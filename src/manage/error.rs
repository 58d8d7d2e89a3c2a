//! The errors of operations. See also `web::console` and `cli`, which show them.

use crate::domain::client_metadata;
use crate::domain::ids::ClientId;
use crate::domain::user::Username;
use crate::identity::password::PasswordError;
use crate::keys::KeyError;
use crate::store::{StoreError, TransactionError};

/// An invalid field, and the sentence that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    pub field: String,
    pub message: String,
}

impl FieldError {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// Returns the problem as a sentence beside the field itself: "is too long" becomes "It is too long."
    pub fn sentence(&self) -> String {
        let problem = &self.message;
        let begun = match problem.split(' ').next().unwrap_or_default() {
            "is" | "has" | "must" | "may" | "needs" => format!("It {problem}"),
            // The name of a parameter is not capitalized.
            name if name.contains('_') => problem.clone(),
            _ => {
                let mut letters = problem.chars();
                letters.next().map(|letter| letter.to_uppercase().chain(letters).collect()).unwrap_or_default()
            }
        };
        if begun.ends_with(['.', '!', '?']) { begun } else { format!("{begun}.") }
    }
}

impl From<client_metadata::MemberError> for FieldError {
    fn from(error: client_metadata::MemberError) -> Self {
        Self::new(error.field, error.message)
    }
}

/// A conflict of an operation with something other than its own fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    #[error("{0} is the last administrator: make another user one first")]
    LastAdministrator(Username),
    #[error("{0} did not sign up, so there is nothing to adopt")]
    NothingToAdopt(Username),
    /// A user or client was changed between reading and writing.
    #[error("{0} is being changed at the same time: try again")]
    ChangedMeanwhile(String),
    #[error("{0} is disabled")]
    Disabled(String),
    #[error("{0} authenticates without a secret: it has none")]
    NoSecret(ClientId),
    /// The limit of request signing keys or API keys is reached.
    #[error("there are {0} keys already: remove one that is no longer needed")]
    TooManyKeys(usize),
}

/// The error of an operation. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    /// The missing object, such as `user alice`.
    #[error("there is no {0}")]
    NotFound(String),
    #[error("{}", listed(.0))]
    Invalid(Vec<FieldError>),
    /// Fields whose value belongs to another user, client, API or group.
    #[error("{}", listed(.0))]
    Taken(Vec<FieldError>),
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The object is not in the state that the author of a [`Revision`] saw.
    #[error("it was changed meanwhile, and nothing was saved: look at it again")]
    Changed,
    /// The actor's session has ended, or its user is disabled or deleted.
    #[error("your session has ended, and nothing was changed: sign in again")]
    SessionEnded,
    /// The actor is not an administrator, or no longer one.
    #[error("you are not an administrator any more, and nothing was changed: ask an administrator to do it")]
    NotAdministrator,
    /// The account is self-registered, and the change would give it rights or groups.
    #[error(
        "{}{username} was created by signing up. It gets no rights, no groups and, by a document, no password and no verified \
         address unless you adopt it, which removes everything that its creator signs in with",
        row.map(|row| format!("users[{row}].adopt: ")).unwrap_or_default()
    )]
    NeedsAdoption {
        username: String,
        /// The index of the row in a document.
        row: Option<usize>,
    },
    /// The limit `quotas.self_registered_users` is reached.
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
    pub(super) fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(field, message)])
    }

    pub(super) fn taken(field: &str, message: impl Into<String>) -> Self {
        Self::Taken(vec![FieldError::new(field, message)])
    }

    pub(super) fn password(field: &str, error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Busy,
            error => Self::invalid(field, error.to_string()),
        }
    }
}

impl TransactionError for ManageError {
    fn as_store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

fn listed(errors: &[FieldError]) -> String {
    let all: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
    all.join("; ")
}

pub type Result<T> = std::result::Result<T, ManageError>;

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
