//! API keys: make and revoke. A key is a person's or a client's, for the gate of one API, and can do no more than either
//! when it is made; `domain::api_key` sees to it that this stays so.
//!
//! They end with their owner ([`super::people`], [`super::clients`]) and with their API ([`super::apis`]).

use ipnet::IpNet;

use super::{By, Conflict, FieldError, ManageError, Manager, Needs, Recorder, Result};
use crate::domain::api::Api;
use crate::domain::api_key::{ApiKey, ApiKeySecret, MAX_NETWORKS, Owner, key_name};
use crate::domain::event::EventKind;
use crate::domain::gate::GateName;
use crate::domain::ids::ApiKeyId;
use crate::domain::permissions::ApiScopes;
use crate::domain::scope::Scopes;
use crate::env::Timestamp;
use crate::store::{Tx, api_keys, apis, clients, people};

/// Of one owner, expired ones among them until they are swept.
pub const MAX_KEYS: usize = 100;
const MAX_SECONDS: i64 = 366 * 86_400;

#[derive(Clone, Debug)]
pub struct NewKey {
    pub owner: Owner,
    pub gate: GateName,
    pub name: String,
    pub scopes: Scopes,
    /// For ever where there is none.
    pub expires_at: Option<Timestamp>,
    /// From anywhere where there is none.
    pub networks: Vec<IpNet>,
}

/// Makes a key, told this once.
pub async fn create(manager: &Manager, by: &By, new: NewKey) -> Result<(ApiKeySecret, ApiKey)> {
    let env = manager.store.env();
    let secret = ApiKeySecret::mint(env);
    let (digest, id) = (secret.digest(), ApiKeyId(env.uuid()));
    let key = manager
        .transact(by, needs(&new.owner), move |tx, recorder| {
            Box::pin(async move {
                // Before the owner (`store::exclusive`): the API is there for as long as the key is being made.
                apis::keep(tx).await?;
                // Held until the end, so that keys are counted one after the other and none outlives its owner.
                let may_have = hold(tx, &new.owner).await?;
                let api = api_of(tx, &new.gate).await?;
                let mut problems = scope_problem(&new.scopes, &api, may_have.as_ref());
                let name = key_name(&new.name).unwrap_or_else(|problem| {
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

/// Ends a key on every node, where it is `owner`'s if one is named.
pub async fn revoke(manager: &Manager, by: &By, id: ApiKeyId, owner: Option<Owner>) -> Result<ApiKey> {
    let needs = owner.as_ref().map_or(Needs::Administrator, needs);
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

/// A user's keys are the user's own; all others are an administrator's.
const fn needs(owner: &Owner) -> Needs {
    match owner {
        Owner::User(id) => Needs::UserOrAdministrator(*id),
        Owner::Client(_) => Needs::Administrator,
    }
}

/// Keeps the owner as they are until the transaction ends; a client's scopes, which its keys do not exceed.
async fn hold(tx: &Tx, owner: &Owner) -> Result<Option<ApiScopes>> {
    match owner {
        Owner::User(id) => {
            if people::hold(tx, *id, None).await? {
                return Ok(None);
            }
            match people::by_id(tx.conn(), *id).await? {
                Some(user) => Err(turned_off(user.username.as_str())),
                None => Err(ManageError::NotFound(format!("user {id}"))),
            }
        }
        Owner::Client(id) => match clients::lock_for_update(tx, id).await? {
            Some(client) if client.disabled => Err(turned_off(id.as_str())),
            Some(client) => Ok(Some(client.meta.api_scopes)),
            None => Err(ManageError::NotFound(format!("client {id}"))),
        },
    }
}

fn turned_off(who: &str) -> ManageError {
    Conflict::Disabled(who.to_owned()).into()
}

async fn api_of(tx: &Tx, gate: &GateName) -> Result<Api> {
    let all = apis::all(tx.conn()).await?;
    let api = all.into_iter().find(|api| api.gate.as_ref() == Some(gate) && api.takes_keys());
    api.ok_or_else(|| ManageError::invalid("api", format!("has no gate {:?} that accepts API keys", gate.as_str())))
}

fn scope_problem(asked: &Scopes, api: &Api, may_have: Option<&ApiScopes>) -> Vec<FieldError> {
    let not_the_apis = asked.filtered(|scope| !api.scopes.contains(scope));
    let beyond = asked.filtered(|scope| may_have.is_some_and(|may_have| !may_have.contains(&api.identifier, scope)));
    if !not_the_apis.is_empty() {
        return vec![FieldError::new("scope", format!("has {not_the_apis}, which {} has not", api.shown_name()))];
    }
    if !beyond.is_empty() {
        return vec![FieldError::new("scope", format!("has {beyond}, which the client itself may not have"))];
    }
    Vec::new()
}

fn limit_problems(new: &NewKey, now: Timestamp) -> Vec<FieldError> {
    let mut problems = Vec::new();
    if new.expires_at.is_some_and(|at| at <= now || at > now.plus_seconds(MAX_SECONDS)) {
        problems.push(FieldError::new("expires", "must lie ahead, by 366 days at most"));
    }
    if new.networks.len() > MAX_NETWORKS {
        problems.push(FieldError::new("allow", format!("has more than {MAX_NETWORKS} networks")));
    }
    problems
}

async fn record(tx: &Tx, recorder: &Recorder, kind: EventKind, key: &ApiKey) -> Result<()> {
    let (user, client) = match &key.owner {
        Owner::User(id) => (Some(*id), None),
        Owner::Client(id) => (None, Some(id)),
    };
    let detail = format!("{} ({}) for {}", key.name, key.id, key.gate.as_str());
    recorder.about(tx, kind, (user, client), detail).await
}
