//! The stored state of clients that register themselves (RFC 7591 §3, RFC 7592 §2), and the initial access
//! tokens that allow a registration. The secrets of these clients are sealed, not hashed, because the client
//! may read its registration again (RFC 7592 §2.1).
//!
//! See also [`super::clients`], the operations of administrators, and `protocol::registration`, what may be
//! registered.

use super::clients::{add_in, blank, lock_referenced, remove_in, save_in};
use super::{AuditContext, ManageError, Manager, RequiredRole, Result};
use crate::domain::client::{Client, RegistrationKind};
use crate::domain::client_metadata::ClientMetadata;
use crate::domain::event::{Actor, EventKind, RequestOrigin};
use crate::domain::ids::{ClientId, InitialAccessId};
use crate::domain::secret::{Digest, Secret, SecretKind};
use crate::protocol::error::OAuthError;
use crate::protocol::registration::{Policy, broken};
use crate::store::advisory_locks::{self, AdvisoryLock};
use crate::store::initial_access::{self, InitialAccess};
use crate::store::{Store, StoreError, Tx, apis, clients, settings};

/// The row that serializes registrations, so that the number of clients is counted exactly.
const REGISTRATION_LOCK: &str = "registration";
/// The maximum lifetime of an initial access token. No token is valid without limit.
const MAX_TOKEN_SECONDS: i64 = 366 * 86_400;
/// The maximum number of tokens that are listed.
const MAX_LISTED: u64 = 1000;
/// The maximum number of clients that one transaction removes.
const SWEEP_BATCH_SIZE: u64 = 50;

/// Why a registration was rejected.
#[derive(Debug)]
pub enum RegistrationError {
    /// The initial access token is unknown, used up or expired.
    Token,
    /// The limit of self-registered clients in the settings is reached.
    Full,
    /// The policy does not allow it for the client in its present state.
    Policy(OAuthError),
}

/// Registers a client with the given metadata and registration token. `access` is the digest of the initial
/// access token if one is required; its use is counted in the same transaction.
pub async fn register(
    manager: &Manager,
    origin: RequestOrigin,
    meta: ClientMetadata,
    access: Option<Digest>,
    policy: &Policy,
) -> Result<std::result::Result<(Client, Secret), RegistrationError>> {
    let env = manager.store.env();
    let id = ClientId::parse(&env.uuid().simple().to_string());
    let id = id.map_err(|problem| ManageError::invalid("client_id", problem))?;
    let token = SecretKind::Registration.mint(env.random());
    let mut client = blank(env, id, meta);
    client.registration_kind = RegistrationKind::Dynamic;
    client.registration_token = Some(SecretKind::Registration.digest(token.expose()));
    ensure_secret(manager, &mut client)?;
    let (store, policy) = (manager.store.clone(), policy.clone());
    manager
        .transact_as(Actor::Anonymous, origin, move |tx, recorder| {
            Box::pin(async move {
                settings::put(tx, REGISTRATION_LOCK, "").await?;
                if clients::count_registered(tx.conn(), RegistrationKind::Dynamic).await? >= policy.clients {
                    return Ok(Err(RegistrationError::Full));
                }
                if let Some(access) = &access
                    && !initial_access::consume(tx, access).await?
                {
                    return Ok(Err(RegistrationError::Token));
                }
                lock_referenced(tx, &client.meta).await?;
                client.meta.resolve_self_registered_scopes(None, policy.scopes(), &apis::all(tx.conn()).await?);
                add_in(tx, &recorder.with_daily_quota(&store), &client).await?;
                Ok(Ok((client, token)))
            })
        })
        .await
}

/// Replaces the metadata that a client has registered (RFC 7592 §2.2), but not what an administrator has given
/// it. The policy is evaluated for the client as it is in this transaction, so a permission that an
/// administrator has removed since the request arrived is not restored.
pub async fn replace(
    manager: &Manager,
    origin: RequestOrigin,
    id: &ClientId,
    token: Digest,
    meta: ClientMetadata,
    policy: &Policy,
) -> Result<std::result::Result<Client, RegistrationError>> {
    let (id, giver, policy) = (id.clone(), manager.clone(), policy.clone());
    manager
        .transact_as(Actor::Client(id.clone()), origin, move |tx, recorder| {
            Box::pin(async move {
                // Before the client, whose policies for tokens of other clients must not change.
                apis::lock_shared(tx).await?;
                let Some(before) = own(tx, &id, &token).await? else { return Ok(Err(RegistrationError::Token)) };
                let mut after = before.clone();
                after.meta = meta.with_admin_only_members(&before.meta);
                let apis = apis::all(tx.conn()).await?;
                if let Err(error) = policy.apply(&mut after.meta, Some(&before.meta), &apis) {
                    return Ok(Err(RegistrationError::Policy(error)));
                }
                // Checked together with what an administrator has changed in the meantime.
                if let Some(problem) = after.meta.problems().first() {
                    return Ok(Err(RegistrationError::Policy(broken(problem))));
                }
                after.meta.resolve_self_registered_scopes(Some(&before.meta), policy.scopes(), &apis);
                ensure_secret(&giver, &mut after)?;
                save_in(tx, &recorder.with_daily_quota(&giver.store), &before, &after).await?;
                Ok(Ok(after))
            })
        })
        .await
}

/// Deletes a client and revokes everything issued to it (RFC 7592 §2.3). Returns whether the token was valid
/// for it.
pub async fn end(manager: &Manager, origin: RequestOrigin, id: &ClientId, token: Digest) -> Result<bool> {
    let (id, store) = (id.clone(), manager.store.clone());
    manager
        .transact_as(Actor::Client(id.clone()), origin, move |tx, recorder| {
            Box::pin(async move {
                remove_in(tx, &recorder.with_daily_quota(&store), &id, |client| is_own(client, &token)).await
            })
        })
        .await
}

async fn own(tx: &Tx, id: &ClientId, token: &Digest) -> Result<Option<Client>> {
    Ok(clients::lock_for_update(tx, id).await?.filter(|client| is_own(client, token)))
}

/// Returns whether `token` manages the client, which must not have been disabled by an administrator.
fn is_own(client: &Client, token: &Digest) -> bool {
    !client.disabled && client.registration_token == Some(*token)
}

fn ensure_secret(manager: &Manager, client: &mut Client) -> Result<()> {
    if !client.meta.has_secret() {
        client.secret = None;
    } else if client.secret.is_none() {
        let secret = SecretKind::ClientSecret.mint(manager.store.env().random());
        client.secret = Some(manager.master.seal_client_secret(&secret)?);
    }
    Ok(())
}

/// Removes some of the self-registered clients that have not been used for `seconds` and have neither a consent
/// nor an API key. Returns their number.
pub async fn sweep_unused(manager: &Manager, seconds: i64) -> Result<usize> {
    let before = manager.store.env().now().plus_seconds(-seconds);
    // Checked first, because there are usually none and an idle node should not write.
    if clients::unused(manager.store.read(), before, 1).await?.is_empty() {
        return Ok(0);
    }
    manager
        .transact_as(Actor::System, RequestOrigin::default(), move |tx, recorder| {
            Box::pin(async move {
                // Prevents other transactions from locking several clients. A client that has been used or
                // changed since is kept.
                apis::lock_shared(tx).await?;
                advisory_locks::lock(tx, AdvisoryLock::Clients).await?;
                let unused = clients::unused(tx.conn(), before, SWEEP_BATCH_SIZE).await?;
                for id in &unused {
                    if clients::lock_for_update(tx, id).await?.is_some()
                        && clients::is_unused(tx.conn(), id, before).await?
                    {
                        remove_in(tx, &recorder, id, |_| true).await?;
                    }
                }
                Ok(unused.len())
            })
        })
        .await
}

/// Returns whether the initial access token could be used now.
pub async fn is_initial_access_token_active(store: &Store, access: &Digest) -> std::result::Result<bool, StoreError> {
    initial_access::is_good(store.read(), access, store.env().now()).await
}

/// Creates an initial access token that is valid for `seconds` and, if `uses` is set, for that many uses. The
/// token is shown only this once.
pub async fn create_initial_access_token(
    manager: &Manager,
    by: &AuditContext,
    uses: Option<i32>,
    seconds: i64,
) -> Result<(Secret, InitialAccess)> {
    if !(1..=MAX_TOKEN_SECONDS).contains(&seconds) {
        return Err(ManageError::invalid(
            "expires_in",
            format!("is a number of seconds from 1 to {MAX_TOKEN_SECONDS}"),
        ));
    }
    if uses.is_some_and(|uses| uses < 1) {
        return Err(ManageError::invalid("uses", "is a number from 1 on"));
    }
    let env = manager.store.env();
    let (token, now) = (SecretKind::InitialAccess.mint(env.random()), env.now());
    let id = InitialAccessId(env.uuid());
    let access = InitialAccess { id, uses_left: uses, created_at: now, expires_at: now.plus_seconds(seconds) };
    let digest = SecretKind::InitialAccess.digest(token.expose());
    let row = access.clone();
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                initial_access::insert(tx, &digest, &row).await?;
                recorder.other(tx, EventKind::InitialAccessCreated, row.id.to_string()).await
            })
        })
        .await?;
    Ok((token, access))
}

/// Returns the stored tokens, the newest first.
pub async fn list_initial_access_tokens(store: &Store) -> std::result::Result<Vec<InitialAccess>, StoreError> {
    initial_access::list(store.read(), MAX_LISTED).await
}

pub async fn revoke_access(manager: &Manager, by: &AuditContext, id: InitialAccessId) -> Result<()> {
    manager
        .transact(by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                if !initial_access::delete(tx, id).await? {
                    return Err(ManageError::NotFound(format!("registration token {id}")));
                }
                recorder.other(tx, EventKind::InitialAccessRevoked, id.to_string()).await
            })
        })
        .await
}
