//! Groups: names that users are members of. Relying parties read them in the claim `groups`, and a client may
//! be open to some groups only (`allowed_groups`).
//!
//! The members of a group are set with the user, in [`super::users`].

use super::{AuditContext, AuditRecorder, ManageError, Manager, RequiredRole, Result};
use crate::domain::client_metadata::ClientMetadata;
use crate::domain::event::EventKind;
use crate::domain::user::group_name;
use crate::store::{StoreError, Tx, users};

pub async fn create(manager: &Manager, by: &AuditContext, name: &str) -> Result<String> {
    let name = group_name(name).map_err(|problem| ManageError::invalid("name", problem))?;
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                add_in(tx, &recorder, &name).await?;
                Ok(name)
            })
        })
        .await
}

/// Deletes a group and removes all its members from it.
pub async fn delete(manager: &Manager, by: &AuditContext, name: &str) -> Result<()> {
    let name = name.to_owned();
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move { remove_in(tx, &recorder, &name).await })
        })
        .await
}

/// Returns the names in their stored form, sorted and without duplicates.
pub(super) fn checked(names: &[String]) -> Result<Vec<String>> {
    let mut checked = names
        .iter()
        .map(|name| group_name(name).map_err(|problem| ManageError::invalid("groups", problem)))
        .collect::<Result<Vec<_>>>()?;
    checked.sort();
    checked.dedup();
    Ok(checked)
}

pub(super) async fn add_in(tx: &Tx, recorder: &AuditRecorder, name: &str) -> Result<()> {
    users::insert_group(tx, name).await.map_err(|error| match error {
        StoreError::UniqueViolation => ManageError::taken("name", format!("there is a group {name} already")),
        error => error.into(),
    })?;
    recorder.other(tx, EventKind::GroupCreated, name).await
}

pub(super) async fn create_missing_in(tx: &Tx, recorder: &AuditRecorder, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let mut known = users::all_groups(tx.conn()).await?;
    for name in names {
        if !known.contains(name) {
            add_in(tx, recorder, name).await?;
            known.push(name.clone());
        }
    }
    Ok(())
}

/// Creates the groups that a client names and that do not exist yet.
pub(super) async fn create_allowed_groups_in(
    tx: &Tx,
    recorder: &AuditRecorder,
    before: Option<&ClientMetadata>,
    after: &ClientMetadata,
) -> Result<()> {
    let known = before.map(|before| before.allowed_groups.as_slice()).unwrap_or_default();
    let new = after.allowed_groups.iter().filter(|name| !known.contains(name));
    create_missing_in(tx, recorder, &new.map(ToString::to_string).collect::<Vec<_>>()).await
}

/// Deletes a group. Clients that name it remain closed to all other users (`store::client_groups`).
pub(super) async fn remove_in(tx: &Tx, recorder: &AuditRecorder, name: &str) -> Result<()> {
    if !users::delete_group(tx, name).await? {
        return Err(ManageError::NotFound(format!("group {name}")));
    }
    recorder.other(tx, EventKind::GroupDeleted, name).await
}
