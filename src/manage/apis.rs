//! APIs: what tokens may be for (RFC 8707).

use super::{By, ManageError, Manager, Recorder, Result, differing};
use crate::domain::api::{Api, ApiId};
use crate::domain::event::EventKind;
use crate::store::{Change, Tx, api_keys, apis};

/// Makes an API be as `api` says, new or not.
pub async fn put(manager: &Manager, by: &By, api: Api) -> Result<()> {
    let problems = api.problems();
    if !problems.is_empty() {
        return Err(ManageError::Invalid(problems.into_iter().map(Into::into).collect()));
    }
    let recorder = manager.recorder(by);
    manager
        .transact(move |tx| {
            Box::pin(async move {
                let known = apis::all(tx.conn()).await?;
                let before = known.iter().find(|known| known.identifier == api.identifier);
                save_in(tx, &recorder, before, &api).await?;
                Ok(())
            })
        })
        .await
}

pub async fn delete(manager: &Manager, by: &By, id: ApiId) -> Result<()> {
    let recorder = manager.recorder(by);
    manager
        .transact(move |tx| {
            Box::pin(async move {
                if !apis::all(tx.conn()).await?.iter().any(|known| known.identifier == id) {
                    return Err(ManageError::NotFound(format!("API {}", id.as_str())));
                }
                remove_in(tx, &recorder, &id).await
            })
        })
        .await
}

/// What changed; nothing is written otherwise.
pub(super) async fn save_in(tx: &Tx, recorder: &Recorder, before: Option<&Api>, api: &Api) -> Result<Vec<String>> {
    let (kind, fields) = match before {
        Some(before) => (EventKind::ApiUpdated, differing(before, api)),
        None => (EventKind::ApiCreated, vec!["identifier".to_owned()]),
    };
    if api.gate.is_some() {
        let all = apis::all(tx.conn()).await?;
        if let Some(other) = all.iter().find(|other| other.identifier != api.identifier && other.gate == api.gate) {
            return Err(ManageError::Conflict(format!("gate: {} has that one", other.identifier.as_str())));
        }
    }
    if !fields.is_empty() {
        apis::put(tx, api).await?;
        tx.tell(Change::Apis).await?;
        recorder.other(tx, kind, api.identifier.as_str()).await?;
    }
    Ok(fields)
}

pub(super) async fn remove_in(tx: &Tx, recorder: &Recorder, id: &ApiId) -> Result<()> {
    api_keys::delete_of_api(tx, id).await?;
    apis::delete(tx, id).await?;
    tx.tell(Change::Apis).await?;
    recorder.other(tx, EventKind::ApiDeleted, id.as_str()).await
}
