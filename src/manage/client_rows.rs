//! What is written with a client: its row, the indexes of its keys and certificates, events, and the end of its
//! access when a secret or key is removed.
//!
//! See also [`super::clients`], the operations, and [`super::client_references`], the references between
//! clients and APIs.

use super::client_certificates;
use super::signature_keys;
use super::{AuditRecorder, Conflict, ManageError, Result, changed_members};
use crate::domain::api_key::Owner;
use crate::domain::client::Client;
use crate::domain::event::EventKind;
use crate::domain::ids::ClientId;
use crate::domain::version::VersionedEntity;
use crate::store::{
    ChangeEvent, StoreError, Tx, api_keys, clients, codes, consents, deliveries, device_codes, grants, session_clients,
    versions,
};

pub(super) async fn add_in(tx: &Tx, recorder: &AuditRecorder, client: &Client) -> Result<()> {
    clients::insert(tx, client).await.map_err(|error| match error {
        StoreError::UniqueViolation => {
            ManageError::taken("client_id", format!("there is a client {} already", client.id))
        }
        error => error.into(),
    })?;
    if client.id.is_web_address() {
        // The identifier may have belonged to a client with a metadata document before.
        consents::delete_of_client(tx, &client.id).await?;
        versions::revoke(tx, &VersionedEntity::Client(client.id.clone())).await?;
    }
    signature_keys::name_in(tx, &client.id, &[], &client.signature_keys).await?;
    client_certificates::name_in(tx, None, Some(client)).await?;
    tx.publish(ChangeEvent::Client(client.id.clone())).await?;
    recorder.client(tx, EventKind::ClientCreated, &client.id, client.display_name()).await
}

/// Changes a client to the state `after` and returns the names of the changed members. Writes nothing if
/// nothing changed.
pub(super) async fn save_in(tx: &Tx, recorder: &AuditRecorder, before: &Client, after: &Client) -> Result<Vec<String>> {
    let id = &before.id;
    let mut fields = changed_members(&before.meta, &after.meta);
    let new_secret = before.secret != after.secret;
    let turned = before.disabled != after.disabled;
    if before.signature_keys != after.signature_keys {
        fields.push("signature_keys".to_owned());
        signature_keys::name_in(tx, id, &before.signature_keys, &after.signature_keys).await?;
    }
    if fields.is_empty() && !new_secret && !turned {
        return Ok(fields);
    }
    let mut row = after.clone();
    row.updated_at = tx.now();
    clients::update(tx, &row).await.map_err(|error| match error {
        StoreError::Conflict => ManageError::Conflict(Conflict::ChangedMeanwhile(id.to_string())),
        error => error.into(),
    })?;
    client_certificates::name_in(tx, Some(before), Some(after)).await?;
    tx.publish(ChangeEvent::Client(id.clone())).await?;
    if new_secret || (turned && after.disabled) || before.meta.withdraws_trust(&after.meta) {
        // An intruder may have used the old secret or key, and users may have skipped a consent that is needed
        // now.
        end_access(tx, id).await?;
    }
    if !fields.is_empty() {
        recorder.client(tx, EventKind::ClientUpdated, id, fields.join(", ")).await?;
    }
    if new_secret {
        recorder.client(tx, EventKind::ClientSecretRotated, id, "").await?;
        fields.push("client_secret".to_owned());
    }
    if turned {
        let kind = if after.disabled { EventKind::ClientDisabled } else { EventKind::ClientEnabled };
        recorder.client(tx, kind, id, "").await?;
        fields.push("disabled".to_owned());
    }
    Ok(fields)
}

pub(super) async fn delete_in(tx: &Tx, recorder: &AuditRecorder, client: &Client) -> Result<()> {
    end_access(tx, &client.id).await?;
    consents::delete_of_client(tx, &client.id).await?;
    codes::delete_of_client(tx, client.id.as_str()).await?;
    session_clients::delete_of_client(tx, &client.id).await?;
    // After the sessions: a session that ends concurrently has queued its deliveries before.
    deliveries::delete_of_client(tx, &client.id).await?;
    device_codes::delete_of_client(tx, &client.id).await?;
    signature_keys::name_in(tx, &client.id, &client.signature_keys, &[]).await?;
    client_certificates::name_in(tx, Some(client), None).await?;
    clients::delete(tx, &client.id).await?;
    api_keys::delete_of_owner(tx, &Owner::Client(client.id.clone())).await?;
    tx.publish(ChangeEvent::Client(client.id.clone())).await?;
    recorder.client(tx, EventKind::ClientDeleted, &client.id, client.display_name()).await
}

async fn end_access(tx: &Tx, id: &ClientId) -> Result<()> {
    versions::revoke(tx, &VersionedEntity::Client(id.clone())).await?;
    grants::revoke(tx, grants::GrantSelector::Client(id)).await?;
    Ok(())
}
