//! API keys: create and revoke. A key belongs to a user or a client and is valid at the gate of one API. It
//! cannot do more than its owner when it is created; `domain::api_key` ensures that this remains true.
//!
//! Keys end with their owner ([`super::users`], [`super::clients`]) and with their API ([`super::apis`]).

use ipnet::IpNet;

use super::{AuditContext, AuditRecorder, Conflict, FieldError, ManageError, Manager, RequiredRole, Result};
use crate::domain::api::Api;
use crate::domain::api_key::{ApiKey, ApiKeySecret, MAX_NETWORKS, Owner, parse_key_name};
use crate::domain::event::EventKind;
use crate::domain::gate::GateName;
use crate::domain::ids::ApiKeyId;
use crate::domain::permissions::ApiScopes;
use crate::domain::scope::Scopes;
use crate::env::Timestamp;
use crate::store::{Tx, api_keys, apis, clients, users};

/// The maximum number of keys of one owner, including expired ones that have not been swept yet.
pub const MAX_KEYS: usize = 100;
const MAX_LIFETIME_SECONDS: i64 = 366 * 86_400;

#[derive(Clone, Debug)]
pub struct NewApiKey {
    pub owner: Owner,
    pub gate: GateName,
    pub name: String,
    pub scopes: Scopes,
    /// `None` if the key does not expire.
    pub expires_at: Option<Timestamp>,
    /// Empty if the key may be used from any address.
    pub networks: Vec<IpNet>,
}

/// Creates a key and returns its secret, which is shown only this once.
pub async fn create(manager: &Manager, by: &AuditContext, new: NewApiKey) -> Result<(ApiKeySecret, ApiKey)> {
    let env = manager.store.env();
    let secret = ApiKeySecret::mint(env);
    let (digest, id) = (secret.digest(), ApiKeyId(env.uuid()));
    let key = manager
        .transact(by, needs(&new.owner), move |tx, recorder| {
            Box::pin(async move {
                // Before the owner (see `store::advisory_locks`): the API cannot be deleted while the key is
                // created.
                apis::lock_shared(tx).await?;
                // Locked until the end, so that keys are counted one after the other and no key outlives its
                // owner.
                let may_have = lock_owner(tx, &new.owner).await?;
                let api = api_for_gate(tx, &new.gate).await?;
                let mut problems = scope_problem(&new.scopes, &api, may_have.as_ref());
                let name = parse_key_name(&new.name).unwrap_or_else(|problem| {
                    problems.push(FieldError::new("name", problem));
                    String::new()
                });
                problems.extend(limit_problems(&new, tx.now()));
                if !problems.is_empty() {
                    return Err(ManageError::Invalid(problems));
                }
                if api_keys::count(tx.conn(), &new.owner).await? >= MAX_KEYS as u64 {
                    return Err(Conflict::TooManyKeys(MAX_KEYS).into());
                }
                let mut networks = new.networks;
                networks.sort();
                networks.dedup();
                let key = ApiKey {
                    id,
                    digest,
                    owner: new.owner,
                    api: api.identifier,
                    api_version: api.version,
                    gate: new.gate,
                    name,
                    scopes: new.scopes,
                    networks,
                    created_at: tx.now(),
                    expires_at: new.expires_at,
                    last_used_at: None,
                };
                api_keys::insert(tx, &key).await?;
                record(tx, &recorder, EventKind::ApiKeyCreated, &key).await?;
                Ok(key)
            })
        })
        .await?;
    Ok((secret, key))
}

/// Revokes a key on every node. If `owner` is set, the key must belong to that owner.
pub async fn revoke(manager: &Manager, by: &AuditContext, id: ApiKeyId, owner: Option<Owner>) -> Result<ApiKey> {
    let needs = owner.as_ref().map_or(RequiredRole::Administrator, needs);
    manager
        .transact(by, needs, move |tx, recorder| {
            Box::pin(async move {
                let gone = api_keys::delete(tx, id, owner.as_ref()).await?;
                let key = gone.ok_or_else(|| ManageError::NotFound(format!("API key {id}")))?;
                record(tx, &recorder, EventKind::ApiKeyRevoked, &key).await?;
                Ok(key)
            })
        })
        .await
}

/// Returns the required role: users manage their own keys, administrators all others.
const fn needs(owner: &Owner) -> RequiredRole {
    match owner {
        Owner::User(id) => RequiredRole::UserOrAdministrator(*id),
        Owner::Client(_) => RequiredRole::Administrator,
    }
}

/// Locks the owner until the transaction ends. Returns a client's scopes, which its keys must not exceed.
async fn lock_owner(tx: &Tx, owner: &Owner) -> Result<Option<ApiScopes>> {
    match owner {
        Owner::User(id) => {
            if users::lock_if_enabled(tx, *id, None).await? {
                return Ok(None);
            }
            match users::by_id(tx.conn(), *id).await? {
                Some(user) => Err(disabled_error(user.username.as_str())),
                None => Err(ManageError::NotFound(format!("user {id}"))),
            }
        }
        Owner::Client(id) => match clients::lock_for_update(tx, id).await? {
            Some(client) if client.disabled => Err(disabled_error(id.as_str())),
            Some(client) => Ok(Some(client.meta.api_scopes)),
            None => Err(ManageError::NotFound(format!("client {id}"))),
        },
    }
}

fn disabled_error(who: &str) -> ManageError {
    Conflict::Disabled(who.to_owned()).into()
}

async fn api_for_gate(tx: &Tx, gate: &GateName) -> Result<Api> {
    let all = apis::all(tx.conn()).await?;
    let api = all.into_iter().find(|api| api.gate.as_ref() == Some(gate) && api.allows_api_keys());
    api.ok_or_else(|| ManageError::invalid("api", format!("has no gate {:?} that accepts API keys", gate.as_str())))
}

fn scope_problem(asked: &Scopes, api: &Api, may_have: Option<&ApiScopes>) -> Vec<FieldError> {
    let not_the_apis = asked.filtered(|scope| !api.scopes.contains(scope));
    let beyond = asked.filtered(|scope| may_have.is_some_and(|may_have| !may_have.contains(&api.identifier, scope)));
    if !not_the_apis.is_empty() {
        return vec![FieldError::new("scope", format!("has {not_the_apis}, which {} has not", api.display_name()))];
    }
    if !beyond.is_empty() {
        return vec![FieldError::new("scope", format!("has {beyond}, which the client itself may not have"))];
    }
    Vec::new()
}

fn limit_problems(new: &NewApiKey, now: Timestamp) -> Vec<FieldError> {
    let mut problems = Vec::new();
    if new.expires_at.is_some_and(|at| at <= now || at > now.plus_seconds(MAX_LIFETIME_SECONDS)) {
        problems.push(FieldError::new("expires", "must lie ahead, by 366 days at most"));
    }
    if new.networks.len() > MAX_NETWORKS {
        problems.push(FieldError::new("allow", format!("has more than {MAX_NETWORKS} networks")));
    }
    problems
}

async fn record(tx: &Tx, recorder: &AuditRecorder, kind: EventKind, key: &ApiKey) -> Result<()> {
    let (user, client) = match &key.owner {
        Owner::User(id) => (Some(*id), None),
        Owner::Client(id) => (None, Some(id)),
    };
    let detail = format!("{} ({}) for {}", key.name, key.id, key.gate.as_str());
    recorder.about(tx, kind, (user, client), detail).await
}
