//! The operations of administrators. Each operation is one function that validates, writes and records the
//! event in one transaction.
//!
//! The console, the command line and `apply` call these functions and nothing else. [`users`], [`groups`],
//! [`clients`], [`apis`], [`access`], [`sessions`], [`passkeys`], [`api_keys`], [`consents`], [`keys`],
//! [`registration`], [`setup`] and [`sign_up`] have the operations. [`refusals`] collects rejected requests.
//! [`document`] (with [`signature_keys`]) is the file that [`apply`] reads and [`export`] prints, and
//! [`document_position`] finds the line of a member in it. Functions named `*_in` work inside a transaction
//! that the caller has begun; `apply` combines many of them in one. Each transaction begins in [`audit`], which
//! checks there that the actor is still allowed to act. A change of an object that its author has seen is a
//! [`Revision`].

pub mod access;
pub mod api_keys;
pub mod apis;
pub mod apply;
mod audit;
pub mod client_addresses;
mod client_certificates;
mod client_references;
mod client_rows;
pub mod clients;
pub mod consents;
pub mod document;
pub mod document_position;
mod error;
pub mod export;
pub mod groups;
pub mod keys;
pub mod passkeys;
mod profile;
pub mod refusals;
pub mod registration;
mod revision;
mod row_reader;
pub mod sessions;
pub mod setup;
pub mod sign_up;
pub mod signature_keys;
pub mod users;

use serde::Serialize;

pub use audit::AuditContext;
use audit::{AuditRecorder, RequiredRole};
pub use error::{Conflict, FieldError, ManageError, Result};
pub use revision::Revision;

use crate::identity::password::Hasher;
use crate::keys::MasterKey;
use crate::store::Store;

/// The dependencies of operations. Cheap to clone.
#[derive(Clone)]
pub struct Manager {
    pub store: Store,
    pub master: MasterKey,
    pub hasher: Hasher,
}

/// Returns the names of the members in which two documents differ.
fn changed_members<T: Serialize>(before: &T, after: &T) -> Vec<String> {
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
