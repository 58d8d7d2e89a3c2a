//! References from clients to other objects: the APIs of their scopes, and the clients whose tokens they
//! exchange. The deletion of an API or client removes all references to it, so that a later one with the same
//! identifier inherits nothing.
//!
//! See also [`super::client_rows`], what every change of a client writes, and `store::advisory_locks`, the
//! order of locks.

use super::client_rows::{delete_in, save_in};
use super::{AuditRecorder, ManageError, Result};
use crate::domain::client::Client;
use crate::domain::client_metadata::ClientMetadata;
use crate::domain::ids::{ApiId, ClientId};
use crate::domain::scope::Scopes;
use crate::store::advisory_locks::{self, AdvisoryLock};
use crate::store::{Tx, apis, clients};

/// Locks the APIs and clients that the metadata references until the transaction ends. Call it before the
/// client is locked.
pub(super) async fn lock_referenced(tx: &Tx, meta: &ClientMetadata) -> Result<()> {
    apis::lock_shared(tx).await?;
    if !meta.token_exchange.is_empty() {
        advisory_locks::lock_shared(tx, AdvisoryLock::Clients).await?;
    }
    Ok(())
}

/// Resolves which API each scope of the metadata belongs to. The caller holds [`lock_referenced`].
pub(super) async fn resolve_scopes(tx: &Tx, meta: &mut ClientMetadata) -> Result<()> {
    let problems = meta.resolve_scopes(&apis::all(tx.conn()).await?);
    if problems.is_empty() {
        return Ok(());
    }
    Err(ManageError::Invalid(problems.into_iter().map(Into::into).collect()))
}

/// Gives the scopes of a new API to the clients that an administrator registered for these names before the API
/// existed, as if both had been created in the other order. A name that another API defines too stays
/// unresolved.
pub(super) async fn resolve_new_scopes(tx: &Tx, recorder: &AuditRecorder, new: &Scopes) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let apis = apis::all(tx.conn()).await?;
    for scope in new.iter() {
        for id in clients::with_general_scope(tx, scope).await? {
            revise(tx, recorder, &id, |client| {
                if client.is_verified() && client.meta.scope.contains(scope) {
                    client.meta.move_unambiguous_scopes(&apis);
                }
            })
            .await?;
        }
    }
    Ok(())
}

/// Changes a client in its locked row. Does nothing if the client has been deleted in the meantime.
async fn revise(tx: &Tx, recorder: &AuditRecorder, id: &ClientId, edit: impl FnOnce(&mut Client)) -> Result<()> {
    let Some(before) = clients::lock_for_update(tx, id).await? else { return Ok(()) };
    let mut after = before.clone();
    edit(&mut after);
    save_in(tx, recorder, &before, &after).await.map(drop)
}

/// Removes the scopes that an API no longer defines from all clients. Neither another API that takes the name
/// nor a new API with the same identifier is then granted to them.
pub(super) async fn remove_api_scopes(tx: &Tx, recorder: &AuditRecorder, api: &ApiId, keeps: &Scopes) -> Result<()> {
    for id in clients::with_api_scopes(tx, api).await? {
        revise(tx, recorder, &id, |client| client.meta.remove_api_scopes(api, keeps)).await?;
    }
    Ok(())
}

/// Removes an API that is deleted from every client that references it.
pub(super) async fn remove_api(tx: &Tx, recorder: &AuditRecorder, api: &ApiId) -> Result<()> {
    for id in clients::referencing_api(tx, api).await? {
        revise(tx, recorder, &id, |client| client.meta.remove_api(api)).await?;
    }
    Ok(())
}

/// Deletes the client with that id if there is one and it is `meant`, and returns whether it was deleted. Other
/// clients lose their policies for its tokens, which would otherwise apply to a later client with the same id.
pub(super) async fn remove_in(
    tx: &Tx,
    recorder: &AuditRecorder,
    id: &ClientId,
    meant: impl FnOnce(&Client) -> bool,
) -> Result<bool> {
    // Prevents other transactions from changing several clients at once or adding a policy for its tokens.
    apis::lock_shared(tx).await?;
    advisory_locks::lock(tx, AdvisoryLock::Clients).await?;
    let others = clients::with_exchange_policy_for(tx, id).await?;
    let mut all: Vec<&ClientId> = others.iter().chain([id]).collect();
    all.sort();
    all.dedup();
    let mut own = None;
    for one in all {
        let client = clients::lock_for_update(tx, one).await?;
        if one == id {
            own = client;
        }
    }
    let Some(client) = own.filter(meant) else { return Ok(false) };
    for other in others.iter().filter(|other| *other != id) {
        let lose = |client: &mut Client| client.meta.token_exchange.retain(|policy| policy.client != *id);
        revise(tx, recorder, other, lose).await?;
    }
    delete_in(tx, recorder, &client).await?;
    Ok(true)
}
