//! A change of an object that others may change, too: its new state, and the state that the author of the
//! change saw. The transaction that writes compares the latter with the locked row, so that no change
//! overwrites another one that its author has not seen.
//!
//! See also `web::edit`, whose forms are merged with the present state before they come here.

use super::{ManageError, Result};

/// A change of an object.
#[derive(Clone, Debug)]
pub struct Revision<T> {
    /// The new state.
    pub to: T,
    /// The state that the author saw; `None` if the change replaces whatever is there.
    pub(super) seen: Option<T>,
}

impl<T: PartialEq> Revision<T> {
    /// A change from `seen` to `to`.
    #[must_use]
    pub const fn of(seen: T, to: T) -> Self {
        Self { to, seen: Some(seen) }
    }

    /// Returns an error if `present`, the state of the locked row, is not what the author saw.
    pub(super) fn check(&self, present: &T) -> Result<()> {
        if self.seen.as_ref().is_none_or(|seen| seen == present) { Ok(()) } else { Err(ManageError::Changed) }
    }
}

impl<T> From<T> for Revision<T> {
    /// A change that replaces whatever is there.
    fn from(to: T) -> Self {
        Self { to, seen: None }
    }
}
