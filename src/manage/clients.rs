//! Clients: create, update, rotate the secret, disable and enable, delete.
//!
//! A confidential client always has a secret. If none is given, one is generated and returned only once. Each
//! change is made to the row that the transaction has locked, so that it does not undo a concurrent write.
//!
//! See also [`super::client_rows`], what every change writes, and [`super::client_references`], the APIs and
//! clients that a client references.

pub(super) use super::client_references::{
    lock_referenced, remove_api, remove_api_scopes, remove_in, resolve_new_scopes, resolve_scopes,
};
pub(super) use super::client_rows::{add_in, save_in};
use super::signature_keys::{self, SignatureKeyRow};
use super::{AuditContext, Conflict, FieldError, ManageError, Manager, RequiredRole, Result, Revision, groups};
use crate::domain::client::{Client, MIN_SECRET_LENGTH, RegistrationKind};
use crate::domain::client_metadata::ClientMetadata;
use crate::domain::ids::ClientId;
use crate::domain::secret::{Secret, SecretKind};
use crate::domain::signature_key::{KeyId, MAX_KEYS};
use crate::env::Env;
use crate::keys::MasterKey;
use crate::store::{Tx, apis, clients};

/// The maximum length in bytes. The secret is hashed at every token request.
const MAX_SECRET_LENGTH: usize = 512;

#[derive(Debug)]
pub struct NewClient {
    /// `None` to generate one.
    pub id: Option<String>,
    pub meta: ClientMetadata,
    pub secret: Option<Secret>,
}

/// Creates a client. Returns it, and its secret if one was generated.
pub async fn create(manager: &Manager, by: &AuditContext, new: NewClient) -> Result<(Client, Option<Secret>)> {
    let env = manager.store.env();
    let mut problems: Vec<FieldError> = new.meta.problems().into_iter().map(Into::into).collect();
    problems.extend(secret_problem(&new.meta, new.secret.as_ref(), None));
    let id = ClientId::parse(&new.id.unwrap_or_else(|| env.uuid().simple().to_string()));
    let id = match id {
        Ok(id) if problems.is_empty() => id,
        Ok(id) => {
            if clients::by_id(manager.store.read(), &id).await?.is_some() {
                problems.insert(0, FieldError::new("client_id", format!("there is a client {id} already")));
            }
            return Err(with_scope_problems(manager, new.meta, problems).await?);
        }
        Err(problem) => {
            problems.insert(0, FieldError::new("client_id", problem));
            return Err(with_scope_problems(manager, new.meta, problems).await?);
        }
    };
    let mut client = blank(env, id, new.meta);
    let generated = match &new.secret {
        Some(given) => {
            let back = client.meta.needs_plaintext_secret();
            client.secret = Some(manager.master.protect_client_secret(env, given, back)?);
            None
        }
        None => ensure_secret(env, &manager.master, &mut client)?,
    };
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                lock_referenced(tx, &client.meta).await?;
                resolve_scopes(tx, &mut client.meta).await?;
                groups::create_allowed_groups_in(tx, &recorder, None, &client.meta).await?;
                add_in(tx, &recorder, &client).await?;
                Ok((client, generated))
            })
        })
        .await
}

/// Replaces the metadata whatever their present state. Returns a secret if a public client has become a
/// confidential one.
pub async fn update(
    manager: &Manager,
    by: &AuditContext,
    id: &ClientId,
    meta: ClientMetadata,
) -> Result<(Client, Option<Secret>)> {
    Box::pin(revise(manager, by, id, meta.into())).await
}

/// Replaces the metadata if they are still in the state that the author of the revision saw.
pub async fn revise(
    manager: &Manager,
    by: &AuditContext,
    id: &ClientId,
    revision: Revision<ClientMetadata>,
) -> Result<(Client, Option<Secret>)> {
    let problems = revision.to.problems();
    if !problems.is_empty() {
        let problems = problems.into_iter().map(Into::into).collect();
        return Err(with_scope_problems(manager, revision.to, problems).await?);
    }
    let (env, master) = (manager.store.env().clone(), manager.master.clone());
    let id = id.clone();
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                lock_referenced(tx, &revision.to).await?;
                let before = locked(tx, &id).await?;
                revision.check(&before.meta)?;
                let mut meta = revision.to;
                resolve_scopes(tx, &mut meta).await?;
                groups::create_allowed_groups_in(tx, &recorder, Some(&before.meta), &meta).await?;
                let mut after = Client { meta, ..before.clone() };
                let generated = ensure_secret(&env, &master, &mut after)?;
                save_in(tx, &recorder, &before, &after).await?;
                Ok((after, generated))
            })
        })
        .await
}

/// Returns `problems` together with those of the scopes, so that all of them are reported at once.
async fn with_scope_problems(
    manager: &Manager,
    mut meta: ClientMetadata,
    mut problems: Vec<FieldError>,
) -> Result<ManageError> {
    let of_scopes = meta.resolve_scopes(&apis::all(manager.store.read()).await?);
    problems.extend(of_scopes.into_iter().map(FieldError::from));
    Ok(ManageError::Invalid(problems))
}

/// Gives a confidential client a new secret: `given`, or a generated one. The old one is invalid at once.
pub async fn rotate_secret(
    manager: &Manager,
    by: &AuditContext,
    id: &ClientId,
    given: Option<Secret>,
) -> Result<Secret> {
    let (env, master) = (manager.store.env().clone(), manager.master.clone());
    let secret = given.unwrap_or_else(|| SecretKind::ClientSecret.mint(env.random()));
    let set = secret.clone();
    change(manager, by, id, move |client| {
        if !client.meta.has_secret() {
            return Err(Conflict::NoSecret(client.id.clone()).into());
        }
        if let Some(problem) = secret_problem(&client.meta, Some(&set), None) {
            return Err(ManageError::Invalid(vec![problem]));
        }
        client.secret = Some(master.protect_client_secret(&env, &set, client.meta.needs_plaintext_secret())?);
        Ok(None)
    })
    .await?;
    Ok(secret)
}

pub async fn disable(manager: &Manager, by: &AuditContext, id: &ClientId) -> Result<Client> {
    turn(manager, by, id, true).await
}

pub async fn enable(manager: &Manager, by: &AuditContext, id: &ClientId) -> Result<Client> {
    turn(manager, by, id, false).await
}

pub async fn delete(manager: &Manager, by: &AuditContext, id: &ClientId) -> Result<()> {
    let id = id.clone();
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                if remove_in(tx, &recorder, &id, |_| true).await? {
                    return Ok(());
                }
                Err(missing(&id))
            })
        })
        .await
}

/// Adds a key with which the client signs requests.
pub async fn add_signature_key(
    manager: &Manager,
    by: &AuditContext,
    id: &ClientId,
    row: SignatureKeyRow,
) -> Result<Client> {
    let problems = signature_keys::problems(std::slice::from_ref(&row));
    if !problems.is_empty() {
        return Err(ManageError::Invalid(problems));
    }
    let new = signature_keys::to_stored_keys(vec![row], &[], &manager.master)?;
    let (client, _) = change(manager, by, id, move |client| {
        if client.signature_keys.len() >= MAX_KEYS {
            return Err(Conflict::TooManyKeys(MAX_KEYS).into());
        }
        client.signature_keys.extend(new);
        Ok(None)
    })
    .await?;
    Ok(client)
}

/// Removes a key. Requests signed with it are rejected from now on.
pub async fn remove_signature_key(manager: &Manager, by: &AuditContext, id: &ClientId, keyid: KeyId) -> Result<Client> {
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

async fn turn(manager: &Manager, by: &AuditContext, id: &ClientId, off: bool) -> Result<Client> {
    let (client, _) = change(manager, by, id, move |client| {
        client.disabled = off;
        Ok(None)
    })
    .await?;
    Ok(client)
}

async fn change(
    manager: &Manager,
    by: &AuditContext,
    id: &ClientId,
    edit: impl FnOnce(&mut Client) -> Result<Option<Secret>> + Send + 'static,
) -> Result<(Client, Option<Secret>)> {
    let id = id.clone();
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                let before = locked(tx, &id).await?;
                let mut after = before.clone();
                let generated = edit(&mut after)?;
                save_in(tx, &recorder, &before, &after).await?;
                Ok((after, generated))
            })
        })
        .await
}

/// Returns a warning for administrators if a client may request scopes that no API defines.
#[must_use]
pub fn unknown_scopes_warning(client: &Client) -> Option<String> {
    let unknown = client.meta.unknown_scopes();
    (!unknown.is_empty()).then(|| {
        format!(
            "{} may ask for {unknown}, which no API here has: add it to an API's scopes, or leave it out",
            client.id
        )
    })
}

pub(super) fn blank(env: &Env, id: ClientId, meta: ClientMetadata) -> Client {
    let now = env.now();
    Client {
        id,
        meta,
        secret: None,
        signature_keys: Vec::new(),
        disabled: false,
        registration_kind: RegistrationKind::Admin,
        registration_token: None,
        created_at: now,
        updated_at: now,
        incarnation: 0,
        version: 0,
        settings_version: 0,
    }
}

/// Removes the secret of a client that does not use one. Generates one for a client that needs a secret and has
/// none, or has only a hash of it although MACs are now computed with it. Returns the generated secret.
pub(super) fn ensure_secret(env: &Env, master: &MasterKey, client: &mut Client) -> Result<Option<Secret>> {
    if !client.meta.has_secret() {
        client.secret = None;
        return Ok(None);
    }
    let back = client.meta.needs_plaintext_secret();
    if client.secret.as_ref().is_some_and(|kept| kept.is_sealed() || !back) {
        return Ok(None);
    }
    let secret = SecretKind::ClientSecret.mint(env.random());
    client.secret = Some(master.protect_client_secret(env, &secret, back)?);
    Ok(Some(secret))
}

/// Returns what is wrong with a given secret. `imported` is the flag in the document: a secret from another
/// system may be short.
pub(super) fn secret_problem(
    meta: &ClientMetadata,
    secret: Option<&Secret>,
    imported: Option<bool>,
) -> Option<FieldError> {
    let length = secret?.expose().chars().count();
    let message = if !meta.has_secret() {
        "a client whose token_endpoint_auth_method is none or private_key_jwt has no secret".to_owned()
    } else if length == 0 {
        "is empty; leave it out and one is generated".to_owned()
    } else if length < MIN_SECRET_LENGTH && meta.needs_plaintext_secret() {
        // RFC 7518 §3.2. An attacker with one of the MACs could try secrets offline.
        format!(
            "has fewer than {MIN_SECRET_LENGTH} characters, and this client computes MACs with it; leave it out and \
                 one is generated"
        )
    } else if length < MIN_SECRET_LENGTH && imported != Some(true) {
        let hint =
            imported.map(|_| ", or say \"imported\": true where it comes from another system").unwrap_or_default();
        format!("has fewer than {MIN_SECRET_LENGTH} characters; leave it out and one is generated{hint}")
    } else if length > MAX_SECRET_LENGTH {
        format!("has more than {MAX_SECRET_LENGTH} characters")
    } else {
        return None;
    };
    Some(FieldError::new("client_secret", message))
}

async fn locked(tx: &Tx, id: &ClientId) -> Result<Client> {
    clients::lock_for_update(tx, id).await?.ok_or_else(|| missing(id))
}

fn missing(id: &ClientId) -> ManageError {
    ManageError::NotFound(format!("client {id}"))
}
