//! The in-memory state of a node: the clients, APIs, users and API keys it has read, and the known revocations
//! ([`NodeCache::revocations`]).
//!
//! The change feed keeps it up to date ([`feed_sync`]): at once on the node that writes, and within half a second on
//! other nodes ([`NodeCache::follow`]). A node that has not read the feed for [`MAX_STALENESS_MILLIS`] does not answer
//! from memory ([`NodeCache::is_fresh`]). Decisions to issue something are always made by the database
//! ([`super::authorizations`]).

mod feed_sync;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use moka::sync::Cache;
use tokio::sync::watch;

pub use feed_sync::MAX_STALENESS_MILLIS;

use super::cache::{ChangeCounts, ChangeSnapshot, StripedCache};
use super::feed::reader::FeedReader;
use super::last_used::LastUsed;
use super::revocations::Revocations;
use super::{Result, Store, api_keys, apis, client_certificates, clients, signature_keys, users, versions};
use crate::domain::api::Api;
use crate::domain::api_key::{ApiKey, Owner, ResolvedOwner};
use crate::domain::client::Client;
use crate::domain::ids::{ClientId, UserId};
use crate::domain::secret::Digest;
use crate::domain::signature_key::KeyId;
use crate::domain::user::UserSummary;
use crate::domain::version::VersionedEntity;
use crate::env::{Monotonic, Timestamp};

/// The maximum number of entries in each cache (clients, users, keys).
const MAX_CACHED: u64 = 10_000;

/// The client of an id, if there is one, and the versions of that id, which outlive the client.
#[derive(Clone, Debug)]
pub struct ClientWithVersions {
    pub client: Option<Arc<Client>>,
    pub version: i64,
    pub settings_version: i64,
}

pub struct NodeCache {
    /// Clients by id, each with the change count of its stripe from before the client was read. A client is read again
    /// when that count has changed. Because changes are counted by stripe, a client that strangers change often causes
    /// few other clients to be read again.
    clients: Cache<ClientId, (u64, ClientWithVersions)>,
    client_changes: ChangeCounts,
    apis: RwLock<Option<Arc<Vec<Api>>>>,
    api_epoch: AtomicU64,
    users: StripedCache<UserId, UserSummary>,
    api_keys: StripedCache<Digest, ApiKey>,
    signature_keys: StripedCache<KeyId, ClientId>,
    client_certificates: StripedCache<Digest, Vec<ClientId>>,
    last_used: LastUsed,
    revocations: Revocations,
    feed: FeedReader,
    /// Set when the database has been replaced, until everything read from the previous one is discarded.
    is_reloading: AtomicBool,
    /// When the last successful feed read began, and when the last one failed ([`Monotonic`]).
    read_at: AtomicI64,
    failed_at: AtomicI64,
    /// Held while a request reads the feed itself.
    catch_up_lock: tokio::sync::Mutex<()>,
    /// Held by each feed read, so that a read that starts over completes before the next one begins.
    read_lock: tokio::sync::Mutex<()>,
    keys_changed: watch::Sender<u64>,
    deliveries_pending: watch::Sender<u64>,
}

impl NodeCache {
    pub(super) fn new() -> Self {
        Self {
            clients: Cache::new(MAX_CACHED),
            client_changes: ChangeCounts::new(),
            apis: RwLock::default(),
            api_epoch: AtomicU64::new(0),
            users: StripedCache::new(MAX_CACHED),
            api_keys: StripedCache::new(MAX_CACHED),
            signature_keys: StripedCache::new(MAX_CACHED),
            client_certificates: StripedCache::new(MAX_CACHED),
            last_used: LastUsed::default(),
            revocations: Revocations::default(),
            feed: FeedReader::default(),
            is_reloading: AtomicBool::new(false),
            read_at: AtomicI64::new(i64::MIN),
            failed_at: AtomicI64::new(i64::MIN),
            catch_up_lock: tokio::sync::Mutex::new(()),
            read_lock: tokio::sync::Mutex::new(()),
            keys_changed: watch::Sender::new(0),
            deliveries_pending: watch::Sender::new(0),
        }
    }

    /// Returns the revocations that access tokens are checked against.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// Discards revocations that cannot apply to any unexpired token.
    pub fn forget(&self, now: Timestamp, uptime: Monotonic) {
        self.revocations.forget(now, uptime);
    }

    /// Returns a receiver that wakes when signing keys have changed.
    #[must_use]
    pub fn keys_changed(&self) -> watch::Receiver<u64> {
        self.keys_changed.subscribe()
    }

    /// Returns a receiver that wakes when deliveries are queued.
    #[must_use]
    pub fn deliveries_wait(&self) -> watch::Receiver<u64> {
        self.deliveries_pending.subscribe()
    }

    /// Returns the client with that id. Disabled clients are returned too; see their `disabled` field.
    ///
    /// # Errors
    /// Returns an error if the client is not in memory and the database does not answer.
    pub async fn client(&self, store: &Store, id: &ClientId) -> Result<Option<Arc<Client>>> {
        Ok(self.client_with_versions(store, id).await?.client)
    }

    /// Returns the client with that id and the versions of the id. An id whose client is not stored has versions too.
    ///
    /// # Errors
    /// Returns an error if the client is not in memory and the database does not answer.
    pub async fn client_with_versions(&self, store: &Store, id: &ClientId) -> Result<ClientWithVersions> {
        if let Some((read_at, client)) = self.clients.get(id)
            && read_at == self.client_changes.of(id)
        {
            return Ok(client);
        }
        self.read_client(store, id).await
    }

    /// Returns the client and versions that the database has now, because another node may have changed them a moment
    /// ago. Costs one lookup by primary key.
    ///
    /// # Errors
    /// Returns an error if the database does not answer.
    pub async fn current_client(&self, store: &Store, id: &ClientId) -> Result<ClientWithVersions> {
        let settings = versions::one(store.read(), &VersionedEntity::ClientSettings(id.clone())).await?;
        let known = self.client_with_versions(store, id).await?;
        if known.settings_version == settings { Ok(known) } else { self.read_client(store, id).await }
    }

    async fn read_client(&self, store: &Store, id: &ClientId) -> Result<ClientWithVersions> {
        // The count is taken before the read, so that a change during the read makes this entry stale at once.
        let changes = self.client_changes.of(id);
        let (client, version, settings_version) = clients::with_versions(store.read(), id).await?;
        let client = ClientWithVersions { client: client.map(Arc::new), version, settings_version };
        self.clients.insert(id.clone(), (changes, client.clone()));
        Ok(client)
    }

    /// Returns the current change counts of clients. A value computed from some clients is stale once the counts of
    /// their stripes have changed.
    #[must_use]
    pub fn client_changes(&self) -> ChangeSnapshot {
        self.client_changes.snapshot()
    }

    /// Discards the cached client and the cached APIs, because the database has newer versions of them.
    pub fn invalidate_client_and_apis(&self, id: &ClientId) {
        self.clients.invalidate(id);
        *self.apis.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.api_epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns a number that changes whenever the APIs have changed.
    #[must_use]
    pub fn api_epoch(&self) -> u64 {
        self.api_epoch.load(Ordering::SeqCst)
    }

    /// Returns every registered API.
    ///
    /// # Errors
    /// Returns an error if the APIs are not in memory and the database does not answer.
    pub async fn apis(&self, store: &Store) -> Result<Arc<Vec<Api>>> {
        if let Some(apis) = self.apis.read().ok().and_then(|apis| apis.clone()) {
            return Ok(apis);
        }
        let epoch = self.api_epoch.load(Ordering::SeqCst);
        let apis = Arc::new(apis::all(store.read()).await?);
        if let Ok(mut kept) = self.apis.write()
            && self.api_epoch.load(Ordering::SeqCst) == epoch
        {
            *kept = Some(apis.clone());
        }
        Ok(apis)
    }

    /// Returns the summary of a user, or `None` if the user does not exist or is disabled.
    ///
    /// # Errors
    /// Returns an error if the user is not in memory and the database does not answer.
    pub async fn user(&self, store: &Store, id: UserId) -> Result<Option<Arc<UserSummary>>> {
        self.users.get(&id, users::summary_if_enabled(store.read(), id)).await
    }

    /// Returns the API key with that digest, expired or not. Check [`Self::enabled_owner`] too: a key is only valid
    /// while its owner is enabled.
    ///
    /// # Errors
    /// Returns an error if the key is not in memory and the database does not answer.
    pub async fn api_key(&self, store: &Store, digest: &Digest) -> Result<Option<Arc<ApiKey>>> {
        self.api_keys.get(digest, api_keys::by_digest(store.read(), digest)).await
    }

    /// Returns the client that a signature key id belongs to.
    ///
    /// # Errors
    /// Returns an error if the owner is not in memory and the database does not answer.
    pub async fn signer(&self, store: &Store, name: &KeyId) -> Result<Option<Arc<ClientId>>> {
        self.signature_keys.get(name, signature_keys::owner(store.read(), name)).await
    }

    /// Returns the clients that are registered by that certificate name.
    ///
    /// # Errors
    /// Returns an error if the owners are not in memory and the database does not answer.
    pub async fn certificate_owners(&self, store: &Store, name: &Digest) -> Result<Option<Arc<Vec<ClientId>>>> {
        self.client_certificates.get(name, client_certificates::owners(store.read(), name)).await
    }

    /// Returns the record of when API keys were last used.
    #[must_use]
    pub fn key_uses(&self) -> &LastUsed {
        &self.last_used
    }

    /// Returns the owner of a key, or `None` if the owner does not exist or is disabled.
    ///
    /// # Errors
    /// Returns an error if the owner is not in memory and the database does not answer.
    pub async fn enabled_owner(&self, store: &Store, owner: &Owner) -> Result<Option<ResolvedOwner>> {
        Ok(match owner {
            Owner::User(id) => self.user(store, *id).await?.map(ResolvedOwner::User),
            Owner::Client(id) => {
                let client = self.client(store, id).await?;
                client.filter(|client| !client.disabled).map(ResolvedOwner::Client)
            }
        })
    }
}
