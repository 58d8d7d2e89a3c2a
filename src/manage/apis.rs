//! APIs: the resources that tokens are issued for (RFC 8707), and the rules of the gate in front of each of
//! them.

use super::{
    AuditContext, AuditRecorder, ManageError, Manager, RequiredRole, Result, Revision, changed_members, clients,
};
use crate::domain::api::{Api, ApiId};
use crate::domain::event::EventKind;
use crate::domain::uri::normalized;
use crate::store::{ChangeEvent, Tx, api_keys, apis};

/// Returns all APIs, ordered by identifier.
pub async fn all(manager: &Manager) -> Result<Vec<Api>> {
    Ok(apis::all(manager.store.read()).await?)
}

pub async fn one(manager: &Manager, id: &ApiId) -> Result<Api> {
    let found = all(manager).await?.into_iter().find(|known| known.identifier == *id);
    found.ok_or_else(|| missing(id))
}

/// Creates an API. The identifier must not exist yet.
pub async fn create(manager: &Manager, by: &AuditContext, api: Api) -> Result<()> {
    check(&api)?;
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                apis::lock(tx).await?;
                if find(tx, &api.identifier).await?.is_some() {
                    let text = format!("there is an API {} already", api.identifier.as_str());
                    return Err(ManageError::taken("identifier", text));
                }
                save_in(tx, &recorder, None, &api).await?;
                Ok(())
            })
        })
        .await
}

/// Changes an existing API with `edit` and returns its new state.
pub async fn update(
    manager: &Manager,
    by: &AuditContext,
    id: &ApiId,
    edit: impl FnOnce(&mut Api) + Send + 'static,
) -> Result<Api> {
    let id = id.clone();
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                apis::lock(tx).await?;
                let before = found(tx, &id).await?;
                let mut after = before.clone();
                edit(&mut after);
                check(&after)?;
                save_in(tx, &recorder, Some(&before), &after).await?;
                Ok(after)
            })
        })
        .await
}

/// Replaces an API if it is still in the state that the author of the revision saw.
pub async fn replace(manager: &Manager, by: &AuditContext, revision: Revision<Api>) -> Result<()> {
    check(&revision.to)?;
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                apis::lock(tx).await?;
                let before = found(tx, &revision.to.identifier).await?;
                revision.check(&before)?;
                save_in(tx, &recorder, Some(&before), &revision.to).await.map(drop)
            })
        })
        .await
}

/// Creates or replaces an API.
pub async fn put(manager: &Manager, by: &AuditContext, api: Api) -> Result<()> {
    check(&api)?;
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                apis::lock(tx).await?;
                let before = find(tx, &api.identifier).await?;
                save_in(tx, &recorder, before.as_ref(), &api).await?;
                Ok(())
            })
        })
        .await
}

pub async fn delete(manager: &Manager, by: &AuditContext, id: ApiId) -> Result<()> {
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                apis::lock(tx).await?;
                found(tx, &id).await?;
                remove_in(tx, &recorder, &id).await
            })
        })
        .await
}

fn check(api: &Api) -> Result<()> {
    let problems = api.problems();
    if problems.is_empty() { Ok(()) } else { Err(ManageError::Invalid(problems.into_iter().map(Into::into).collect())) }
}

async fn find(tx: &Tx, id: &ApiId) -> Result<Option<Api>> {
    Ok(apis::all(tx.conn()).await?.into_iter().find(|known| known.identifier == *id))
}

async fn found(tx: &Tx, id: &ApiId) -> Result<Api> {
    find(tx, id).await?.ok_or_else(|| missing(id))
}

fn missing(id: &ApiId) -> ManageError {
    ManageError::NotFound(format!("API {}", id.as_str()))
}

/// Saves an API and returns the names of the changed members. Writes nothing if nothing changed. The caller
/// holds [`apis::lock`], so that no two APIs get the same gate.
pub(super) async fn save_in(tx: &Tx, recorder: &AuditRecorder, before: Option<&Api>, api: &Api) -> Result<Vec<String>> {
    let (kind, fields) = match before {
        Some(before) => (EventKind::ApiUpdated, changed_members(before, api)),
        None => (EventKind::ApiCreated, vec!["identifier".to_owned()]),
    };
    if api.gate.is_some() {
        let all = apis::all(tx.conn()).await?;
        if let Some(other) = all.iter().find(|other| other.identifier != api.identifier && other.gate == api.gate) {
            return Err(ManageError::taken("gate", format!("{} has that one", other.identifier.as_str())));
        }
    }
    if before.is_none() {
        check_no_equivalent(tx, &api.identifier).await?;
    }
    if !fields.is_empty() {
        apis::put(tx, api).await?;
        if before.is_some_and(|before| !before.scopes.is_subset(&api.scopes)) {
            clients::remove_api_scopes(tx, recorder, &api.identifier, &api.scopes).await?;
        }
        let new = api.scopes.filtered(|scope| before.is_none_or(|before| !before.scopes.contains(scope)));
        clients::resolve_new_scopes(tx, recorder, &new).await?;
        tx.publish(ChangeEvent::Apis).await?;
        recorder.other(tx, kind, api.identifier.as_str()).await?;
    }
    Ok(fields)
}

/// Rejects an identifier that is equivalent to that of another API, because `resource` could not tell them
/// apart (RFC 3986 §6.2).
async fn check_no_equivalent(tx: &Tx, id: &ApiId) -> Result<()> {
    let normal = normalized(id.as_str());
    let all = apis::all(tx.conn()).await?;
    match all.iter().find(|other| normal.is_some() && normalized(other.identifier.as_str()) == normal) {
        Some(other) => {
            let text = format!("is equivalent to that of the API {}", other.identifier.as_str());
            Err(ManageError::taken("identifier", text))
        }
        None => Ok(()),
    }
}

pub(super) async fn remove_in(tx: &Tx, recorder: &AuditRecorder, id: &ApiId) -> Result<()> {
    api_keys::delete_of_api(tx, id).await?;
    clients::remove_api(tx, recorder, id).await?;
    apis::delete(tx, id).await?;
    tx.publish(ChangeEvent::Apis).await?;
    recorder.other(tx, EventKind::ApiDeleted, id.as_str()).await
}
