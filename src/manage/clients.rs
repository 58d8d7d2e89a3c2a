//! Clients: create, change, replace the secret, turn off and on, delete.
//!
//! A confidential client always has a secret: one is generated where none is given, and handed out this once.

use super::client_certificates;
use super::signature_keys::{self, SignatureKeyRow};
use super::{By, FieldError, ManageError, Manager, Recorder, Result, differing};
use crate::domain::api_key::Owner;
use crate::domain::client::{Client, Registered};
use crate::domain::client_metadata::ClientMetadata;
use crate::domain::event::EventKind;
use crate::domain::ids::{ApiId, ClientId};
use crate::domain::scope::Scopes;
use crate::domain::secret::{Secret, SecretKind};
use crate::domain::signature_key::{KeyId, MOST_KEYS};
use crate::domain::version::Versioned;
use crate::env::Env;
use crate::keys::MasterKey;
use crate::store::{
    Change, StoreError, Tx, api_keys, apis, clients, codes, consents, deliveries, device_codes, grants,
    session_clients, versions,
};

/// DESIGN: shorter ones are chosen by people, and a keyed hash alone would not guard those.
const LEAST_SECRET: usize = 32;
/// Long enough for anybody's; it is hashed at every token request.
const MOST_SECRET: usize = 512;

#[derive(Debug)]
pub struct NewClient {
    /// One is generated where there is none.
    pub id: Option<String>,
    pub meta: ClientMetadata,
    pub secret: Option<Secret>,
}

/// The client, and its secret where one was generated.
pub async fn create(manager: &Manager, by: &By, new: NewClient) -> Result<(Client, Option<Secret>)> {
    let env = manager.store.env();
    let mut problems: Vec<FieldError> = new.meta.problems().into_iter().map(Into::into).collect();
    problems.extend(secret_problem(&new.meta, new.secret.as_ref()));
    let id = ClientId::parse(&new.id.unwrap_or_else(|| env.uuid().simple().to_string()));
    let id = match id {
        Ok(id) if problems.is_empty() => id,
        Ok(_) => return Err(ManageError::Invalid(problems)),
        Err(problem) => {
            problems.insert(0, FieldError::new("client_id", problem));
            return Err(ManageError::Invalid(problems));
        }
    };
    let mut client = blank(env, id, new.meta);
    let generated = match &new.secret {
        Some(given) => {
            let back = client.meta.needs_secret_back();
            client.secret = Some(manager.master.keep_client_secret(env, given, back)?);
            None
        }
        None => complete(env, &manager.master, &mut client)?,
    };
    let recorder = manager.recorder(by);
    manager
        .transact(move |tx| {
            Box::pin(async move {
                resolve_scopes(tx, &mut client.meta).await?;
                add_in(tx, &recorder, &client).await?;
                Ok((client, generated))
            })
        })
        .await
}

/// Replaces the metadata. A secret comes back where a public client has become a confidential one.
pub async fn update(
    manager: &Manager,
    by: &By,
    id: &ClientId,
    meta: ClientMetadata,
) -> Result<(Client, Option<Secret>)> {
    let problems = meta.problems();
    if !problems.is_empty() {
        return Err(ManageError::Invalid(problems.into_iter().map(Into::into).collect()));
    }
    let (env, master, recorder) = (manager.store.env().clone(), manager.master.clone(), manager.recorder(by));
    let (id, mut meta) = (id.clone(), meta);
    manager
        .transact(move |tx| {
            Box::pin(async move {
                let before = found(tx, &id).await?;
                resolve_scopes(tx, &mut meta).await?;
                let mut after = Client { meta, ..before.clone() };
                let generated = complete(&env, &master, &mut after)?;
                save_in(tx, &recorder, &before, &after).await?;
                Ok((after, generated))
            })
        })
        .await
}

/// Finds out whose scopes the metadata names.
pub(super) async fn resolve_scopes(tx: &Tx, meta: &mut ClientMetadata) -> Result<()> {
    let problems = meta.resolve_scopes(&apis::all(tx.conn()).await?);
    if problems.is_empty() {
        return Ok(());
    }
    Err(ManageError::Invalid(problems.into_iter().map(Into::into).collect()))
}

/// A client that an administrator registered for a name before an API defined it gets that scope with the API, as if both
/// had come in the other order. A name that another API defines too stays without meaning.
pub(super) async fn resolve_new_scopes(tx: &Tx, recorder: &Recorder, new: &Scopes) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let apis = apis::all(tx.conn()).await?;
    for scope in new.iter() {
        for before in clients::with_general_scope(tx, scope).await? {
            let mut after = before.clone();
            if before.is_verified() {
                after.meta.sort_scopes(&apis);
                save_in(tx, recorder, &before, &after).await?;
            }
        }
    }
    Ok(())
}

/// Takes the scopes that an API does not keep out of what clients may ask for: neither another API that takes the name nor
/// one made anew under the same identifier has them.
pub(super) async fn lose_api_scopes(tx: &Tx, recorder: &Recorder, api: &ApiId, keeps: &Scopes) -> Result<()> {
    for before in clients::with_scopes_of(tx, api).await? {
        let mut after = before.clone();
        if after.meta.lose_api_scopes(api, keeps) {
            save_in(tx, recorder, &before, &after).await?;
        }
    }
    Ok(())
}

/// Gives a confidential client a new secret, generated unless `given`; the old one is void at once.
pub async fn rotate_secret(manager: &Manager, by: &By, id: &ClientId, given: Option<Secret>) -> Result<Secret> {
    let (env, master) = (manager.store.env().clone(), manager.master.clone());
    let secret = given.unwrap_or_else(|| SecretKind::ClientSecret.mint(env.random()));
    let set = secret.clone();
    change(manager, by, id, move |client| {
        if !client.meta.has_secret() {
            return Err(ManageError::Conflict(format!("{} proves itself without a secret: it has none", client.id)));
        }
        if let Some(problem) = secret_problem(&client.meta, Some(&set)) {
            return Err(ManageError::Invalid(vec![problem]));
        }
        client.secret = Some(master.keep_client_secret(&env, &set, client.meta.needs_secret_back())?);
        Ok(None)
    })
    .await?;
    Ok(secret)
}

pub async fn disable(manager: &Manager, by: &By, id: &ClientId) -> Result<Client> {
    turn(manager, by, id, true).await
}

pub async fn enable(manager: &Manager, by: &By, id: &ClientId) -> Result<Client> {
    turn(manager, by, id, false).await
}

pub async fn delete(manager: &Manager, by: &By, id: &ClientId) -> Result<()> {
    let recorder = manager.recorder(by);
    let id = id.clone();
    manager
        .transact(move |tx| {
            Box::pin(async move {
                let client = found(tx, &id).await?;
                remove_in(tx, &recorder, &client).await
            })
        })
        .await
}

/// Gives a client one more key by which it signs requests.
pub async fn add_signature_key(manager: &Manager, by: &By, id: &ClientId, row: SignatureKeyRow) -> Result<Client> {
    let problems = signature_keys::problems(std::slice::from_ref(&row));
    if !problems.is_empty() {
        return Err(ManageError::Invalid(problems));
    }
    let new = signature_keys::kept(vec![row], &[], &manager.master)?;
    let (client, _) = change(manager, by, id, move |client| {
        if client.signature_keys.len() >= MOST_KEYS {
            return Err(ManageError::Conflict(format!("{} has {MOST_KEYS} keys already", client.id)));
        }
        client.signature_keys.extend(new);
        Ok(None)
    })
    .await?;
    Ok(client)
}

/// What is signed by that key is refused from now on.
pub async fn remove_signature_key(manager: &Manager, by: &By, id: &ClientId, keyid: KeyId) -> Result<Client> {
    let (client, _) = change(manager, by, id, move |client| {
        let before = client.signature_keys.len();
        client.signature_keys.retain(|key| key.keyid != keyid);
        if client.signature_keys.len() == before {
            return Err(ManageError::NotFound(format!("signature key {}", keyid.as_str())));
        }
        Ok(None)
    })
    .await?;
    Ok(client)
}

async fn turn(manager: &Manager, by: &By, id: &ClientId, off: bool) -> Result<Client> {
    let (client, _) = change(manager, by, id, move |client| {
        client.disabled = off;
        Ok(None)
    })
    .await?;
    Ok(client)
}

async fn change(
    manager: &Manager,
    by: &By,
    id: &ClientId,
    edit: impl FnOnce(&mut Client) -> Result<Option<Secret>> + Send + 'static,
) -> Result<(Client, Option<Secret>)> {
    let recorder = manager.recorder(by);
    let id = id.clone();
    manager
        .transact(move |tx| {
            Box::pin(async move {
                let before = found(tx, &id).await?;
                let mut after = before.clone();
                let generated = edit(&mut after)?;
                save_in(tx, &recorder, &before, &after).await?;
                Ok((after, generated))
            })
        })
        .await
}

pub(super) fn blank(env: &Env, id: ClientId, meta: ClientMetadata) -> Client {
    let now = env.now();
    Client {
        id,
        meta,
        secret: None,
        signature_keys: Vec::new(),
        disabled: false,
        registered: Registered::ByAdmin,
        registration_token: None,
        created_at: now,
        updated_at: now,
        incarnation: 0,
        version: 0,
        settings_version: 0,
    }
}

/// Takes the secret from a client that has no use for one, and gives a new one to a client that has none, or of whose
/// secret only a hash is kept although MACs are computed under it from now on; the one it gave.
pub(super) fn complete(env: &Env, master: &MasterKey, client: &mut Client) -> Result<Option<Secret>> {
    if !client.meta.has_secret() {
        client.secret = None;
        return Ok(None);
    }
    let back = client.meta.needs_secret_back();
    if client.secret.as_ref().is_some_and(|kept| kept.is_sealed() || !back) {
        return Ok(None);
    }
    let secret = SecretKind::ClientSecret.mint(env.random());
    client.secret = Some(master.keep_client_secret(env, &secret, back)?);
    Ok(Some(secret))
}

/// What is wrong with a secret that somebody brings along.
pub(super) fn secret_problem(meta: &ClientMetadata, secret: Option<&Secret>) -> Option<FieldError> {
    let length = secret?.expose().chars().count();
    let message = if !meta.has_secret() {
        "a client whose token_endpoint_auth_method is none or private_key_jwt has no secret".to_owned()
    } else if length < LEAST_SECRET {
        format!("has fewer than {LEAST_SECRET} characters; leave it out and one is generated")
    } else if length > MOST_SECRET {
        format!("has more than {MOST_SECRET} characters")
    } else {
        return None;
    };
    Some(FieldError::new("client_secret", message))
}

pub(super) async fn add_in(tx: &Tx, recorder: &Recorder, client: &Client) -> Result<()> {
    clients::insert(tx, client).await.map_err(|error| match error {
        StoreError::Taken => ManageError::Conflict(format!("client_id: there is a client {} already", client.id)),
        error => error.into(),
    })?;
    if client.id.is_web_address() {
        // Until now a client of that identifier may have been known by its metadata document.
        consents::delete_of_client(tx, &client.id).await?;
        versions::revoke(tx, &Versioned::Client(client.id.clone())).await?;
    }
    signature_keys::name_in(tx, &client.id, &[], &client.signature_keys).await?;
    client_certificates::name_in(tx, None, Some(client)).await?;
    tx.tell(Change::Client(client.id.clone())).await?;
    recorder.client(tx, EventKind::ClientCreated, &client.id, client.shown_name()).await
}

/// Makes a client be as `after` says. What changed; nothing is written otherwise.
pub(super) async fn save_in(tx: &Tx, recorder: &Recorder, before: &Client, after: &Client) -> Result<Vec<String>> {
    let id = &before.id;
    let mut fields = differing(&before.meta, &after.meta);
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
    clients::update(tx, &row).await?;
    client_certificates::name_in(tx, Some(before), Some(after)).await?;
    tx.tell(Change::Client(id.clone())).await?;
    if new_secret || (turned && after.disabled) || before.meta.loses_keys(&after.meta) {
        // Whoever had the old secret or key may have used it.
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

pub(super) async fn remove_in(tx: &Tx, recorder: &Recorder, client: &Client) -> Result<()> {
    end_access(tx, &client.id).await?;
    consents::delete_of_client(tx, &client.id).await?;
    codes::delete_of_client(tx, client.id.as_str()).await?;
    session_clients::delete_of_client(tx, &client.id).await?;
    // After the sessions: one that ends at this moment has put its rows into the queue before.
    deliveries::delete_of_client(tx, &client.id).await?;
    device_codes::delete_of_client(tx, &client.id).await?;
    signature_keys::name_in(tx, &client.id, &client.signature_keys, &[]).await?;
    client_certificates::name_in(tx, Some(client), None).await?;
    clients::delete(tx, &client.id).await?;
    api_keys::delete_of(tx, &Owner::Client(client.id.clone())).await?;
    tx.tell(Change::Client(client.id.clone())).await?;
    recorder.client(tx, EventKind::ClientDeleted, &client.id, client.shown_name()).await
}

async fn end_access(tx: &Tx, id: &ClientId) -> Result<()> {
    versions::revoke(tx, &Versioned::Client(id.clone())).await?;
    grants::revoke(tx, grants::Of::Client(id)).await?;
    Ok(())
}

pub(super) async fn found(tx: &Tx, id: &ClientId) -> Result<Client> {
    clients::by_id(tx.conn(), id).await?.ok_or_else(|| ManageError::NotFound(format!("client {id}")))
}
