//! What clients that register themselves do to what is kept (RFC 7591 §3, RFC 7592 §2), and the initial access tokens that
//! let somebody register. Their secrets are kept sealed, not hashed: the client may ask for its registration again
//! (RFC 7592 §2.1).
//!
//! Next door: [`super::clients`], what an administrator does; `protocol::registration`, what may be registered.

use super::clients::{add_in, blank, remove_in, save_in};
use super::{By, ManageError, Manager, Result};
use crate::domain::client::{Client, Registered};
use crate::domain::client_metadata::{ClientMetadata, GrantType};
use crate::domain::event::{Actor, EventKind, Origin};
use crate::domain::ids::{ClientId, InitialAccessId};
use crate::domain::secret::{Digest, Secret, SecretKind};
use crate::store::initial_access::{self, InitialAccess};
use crate::store::{Store, StoreError, Tx, apis, clients, settings};

/// The row at which registrations wait for each other, so that the number of clients is counted, not guessed.
const TURN: &str = "registration";
/// Longer than anybody prepares for; nothing here lives for ever.
const LONGEST_SECONDS: i64 = 366 * 86_400;
/// As many tokens are listed.
const MOST_LISTED: u64 = 1000;
/// Clients that are removed in one transaction.
const BATCH: u64 = 50;

/// Why a registration was not taken.
#[derive(Debug)]
pub enum Refused {
    /// The initial access token is unknown, used up or expired.
    Token,
    /// There are as many clients of this kind as the settings allow.
    Full,
}

/// Makes a client out of what it said, and the token of its registration. `access` is the initial access token's digest
/// where one is needed: a use of it goes with the same transaction.
pub async fn register(
    manager: &Manager,
    origin: Origin,
    meta: ClientMetadata,
    access: Option<Digest>,
    most: u64,
) -> Result<std::result::Result<(Client, Secret), Refused>> {
    let env = manager.store.env();
    let id = ClientId::parse(&env.uuid().simple().to_string());
    let id = id.map_err(|problem| ManageError::invalid("client_id", problem))?;
    let token = SecretKind::Registration.mint(env.random());
    let mut client = blank(env, id, meta);
    client.registered = Registered::Dynamically;
    client.registration_token = Some(SecretKind::Registration.digest(token.expose()));
    give_secret(manager, &mut client)?;
    let recorder = manager.recorder(&By { actor: Actor::Anonymous, origin, session: None });
    manager
        .transact(move |tx| {
            Box::pin(async move {
                settings::put(tx, TURN, "").await?;
                if clients::count_registered(tx.conn(), Registered::Dynamically).await? >= most {
                    return Ok(Err(Refused::Full));
                }
                if let Some(access) = &access
                    && !initial_access::spend(tx, access).await?
                {
                    return Ok(Err(Refused::Token));
                }
                client.meta.resolve_own_scopes(None, &apis::all(tx.conn()).await?);
                add_in(tx, &recorder, &client).await?;
                Ok(Ok((client, token)))
            })
        })
        .await
}

/// Replaces what a client says of itself (RFC 7592 §2.2); what an administrator has given it is not its to lose. Nothing
/// where `token` is not (or no more) the client's.
pub async fn replace(
    manager: &Manager,
    origin: Origin,
    id: &ClientId,
    token: Digest,
    meta: ClientMetadata,
) -> Result<Option<Client>> {
    let recorder = manager.recorder(&By { actor: Actor::Client(id.clone()), origin, session: None });
    let (id, giver) = (id.clone(), manager.clone());
    manager
        .transact(move |tx| {
            Box::pin(async move {
                let Some(before) = own(tx, &id, &token).await? else { return Ok(None) };
                let mut after = before.clone();
                after.meta = with_what_was_given(meta, &before.meta);
                after.meta.resolve_own_scopes(Some(&before.meta), &apis::all(tx.conn()).await?);
                give_secret(&giver, &mut after)?;
                save_in(tx, &recorder, &before, &after).await?;
                Ok(Some(after))
            })
        })
        .await
}

/// Ends a client and everything issued to it (RFC 7592 §2.3); whether the token was its own.
pub async fn end(manager: &Manager, origin: Origin, id: &ClientId, token: Digest) -> Result<bool> {
    let recorder = manager.recorder(&By { actor: Actor::Client(id.clone()), origin, session: None });
    let id = id.clone();
    manager
        .transact(move |tx| {
            Box::pin(async move {
                let Some(client) = own(tx, &id, &token).await? else { return Ok(false) };
                remove_in(tx, &recorder, &client).await?;
                Ok(true)
            })
        })
        .await
}

async fn own(tx: &Tx, id: &ClientId, token: &Digest) -> Result<Option<Client>> {
    let client = clients::hold(tx, id).await?;
    Ok(client.filter(|client| client.registration_token == Some(*token)))
}

/// The members that only administrators set, as they were.
fn with_what_was_given(mut meta: ClientMetadata, before: &ClientMetadata) -> ClientMetadata {
    meta.consent = before.consent;
    meta.require_pkce = before.require_pkce;
    meta.access_token_format = before.access_token_format;
    if meta.allows(GrantType::TokenExchange) {
        meta.token_exchange.clone_from(&before.token_exchange);
    }
    if meta.allows(GrantType::JwtBearer) {
        meta.jwt_bearer.clone_from(&before.jwt_bearer);
    }
    meta
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

/// Removes some of the clients that registered themselves, did not come back for `seconds` and have nobody's consent and no API key;
/// how many.
pub async fn sweep_unused(manager: &Manager, seconds: i64) -> Result<usize> {
    let before = manager.store.env().now().plus_seconds(-seconds);
    // Mostly there are none, and an idle node writes nothing.
    if clients::unused(manager.store.read(), before, 1).await?.is_empty() {
        return Ok(0);
    }
    let recorder = manager.recorder(&By { actor: Actor::System, origin: Origin::default(), session: None });
    manager
        .transact(move |tx| {
            Box::pin(async move {
                let unused = clients::unused(tx.conn(), before, BATCH).await?;
                for client in &unused {
                    remove_in(tx, &recorder, client).await?;
                }
                Ok(unused.len())
            })
        })
        .await
}

/// Whether that initial access token could be used now.
pub async fn may_register(store: &Store, access: &Digest) -> std::result::Result<bool, StoreError> {
    initial_access::is_good(store.read(), access, store.env().now()).await
}

/// A new initial access token, good for `seconds` and, where `uses` says so, so many times; told this once.
pub async fn create_access(
    manager: &Manager,
    by: &By,
    uses: Option<i32>,
    seconds: i64,
) -> Result<(Secret, InitialAccess)> {
    if !(1..=LONGEST_SECONDS).contains(&seconds) {
        return Err(ManageError::invalid("expires_in", format!("is a number of seconds from 1 to {LONGEST_SECONDS}")));
    }
    if uses.is_some_and(|uses| uses < 1) {
        return Err(ManageError::invalid("uses", "is a number from 1 on"));
    }
    let env = manager.store.env();
    let (token, now) = (SecretKind::InitialAccess.mint(env.random()), env.now());
    let id = InitialAccessId(env.uuid());
    let access = InitialAccess { id, uses_left: uses, created_at: now, expires_at: now.plus_seconds(seconds) };
    let digest = SecretKind::InitialAccess.digest(token.expose());
    let (row, recorder) = (access.clone(), manager.recorder(by));
    manager
        .transact(move |tx| {
            Box::pin(async move {
                initial_access::insert(tx, &digest, &row).await?;
                recorder.other(tx, EventKind::InitialAccessCreated, row.id.to_string()).await
            })
        })
        .await?;
    Ok((token, access))
}

/// Those that are kept, the newest first.
pub async fn accesses(store: &Store) -> std::result::Result<Vec<InitialAccess>, StoreError> {
    initial_access::list(store.read(), MOST_LISTED).await
}

pub async fn revoke_access(manager: &Manager, by: &By, id: InitialAccessId) -> Result<()> {
    let recorder = manager.recorder(by);
    manager
        .transact(move |tx| {
            Box::pin(async move {
                if !initial_access::delete(tx, id).await? {
                    return Err(ManageError::NotFound(format!("registration token {id}")));
                }
                recorder.other(tx, EventKind::InitialAccessRevoked, id.to_string()).await
            })
        })
        .await
}
