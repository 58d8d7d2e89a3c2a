//! Clients that register themselves (RFC 7591, RFC 7592): the same operations as an administrator's, by somebody who is
//! let in by the settings, an initial access token or the client's own.
//!
//! Their secrets are kept sealed, not hashed: the client may ask for its registration again (RFC 7592 §2.1).

use super::clients::{add_in, blank, found, remove_in, save_in};
use super::{By, ManageError, Manager, Result};
use crate::domain::client::{Client, Registered};
use crate::domain::client_metadata::ClientMetadata;
use crate::domain::event::{Actor, Origin};
use crate::domain::ids::ClientId;
use crate::domain::secret::{Secret, SecretKind};
use crate::store::{clients, initial_access};

/// Why a registration was not taken.
#[derive(Debug)]
pub enum Refused {
    /// The initial access token is unknown, used up or expired.
    Token,
    /// There are as many clients of this kind as the settings allow.
    Full,
}

/// Makes a client out of what it said. `access` is the initial access token where one is needed.
pub async fn register(
    manager: &Manager,
    origin: Origin,
    meta: ClientMetadata,
    access: Option<&Secret>,
    most: u64,
) -> Result<std::result::Result<(Client, Secret), Refused>> {
    let env = manager.store.env();
    let id = env.uuid().simple().to_string();
    let id = ClientId::parse(&id).map_err(|problem| ManageError::Conflict(problem.to_owned()))?;
    let token = SecretKind::Registration.mint(env.random());
    let mut client = blank(env, id.clone(), meta);
    client.registered = Registered::Dynamically;
    client.registration_token = Some(SecretKind::Registration.digest(token.expose()));
    give_secret(manager, &mut client)?;
    let recorder = manager.recorder(&By { actor: Actor::Client(id), origin });
    let access = access.map(|access| SecretKind::InitialAccess.digest(access.expose()));
    manager
        .transact(move |tx| {
            Box::pin(async move {
                if let Some(access) = &access
                    && !initial_access::spend(tx, access).await?
                {
                    return Ok(Err(Refused::Token));
                }
                if clients::count_registered(tx.conn(), Registered::Dynamically).await? >= most {
                    return Ok(Err(Refused::Full));
                }
                add_in(tx, &recorder, &client).await?;
                Ok(Ok((client, token)))
            })
        })
        .await
}

/// Replaces what a client says of itself (RFC 7592 §2.2).
pub async fn replace(manager: &Manager, origin: Origin, id: &ClientId, meta: ClientMetadata) -> Result<Client> {
    let recorder = manager.recorder(&By { actor: Actor::Client(id.clone()), origin });
    let (id, own) = (id.clone(), manager.clone());
    manager
        .transact(move |tx| {
            Box::pin(async move {
                let before = found(tx, &id).await?;
                let mut after = before.clone();
                after.meta = meta;
                give_secret(&own, &mut after)?;
                save_in(tx, &recorder, &before, &after).await?;
                Ok(after)
            })
        })
        .await
}

/// Ends a client and everything issued to it (RFC 7592 §2.3).
pub async fn end(manager: &Manager, origin: Origin, id: &ClientId) -> Result<()> {
    let recorder = manager.recorder(&By { actor: Actor::Client(id.clone()), origin });
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

/// A new initial access token, good for `seconds` and, where `uses` says so, so many times.
pub async fn issue_access(manager: &Manager, uses: Option<i32>, seconds: i64) -> Result<Secret> {
    let token = SecretKind::InitialAccess.mint(manager.store.env().random());
    let digest = SecretKind::InitialAccess.digest(token.expose());
    manager
        .transact(move |tx| {
            Box::pin(async move {
                initial_access::insert(tx, &digest, uses, tx.now().plus_seconds(seconds)).await?;
                Ok(())
            })
        })
        .await?;
    Ok(token)
}

fn give_secret(manager: &Manager, client: &mut Client) -> Result<()> {
    if !client.meta.has_secret() {
        client.secret = None;
    } else if client.secret.is_none() {
        let secret = SecretKind::ClientSecret.mint(manager.store.env().random());
        client.secret = Some(manager.master.seal_client_secret(&secret)?);
    }
    Ok(())
}
