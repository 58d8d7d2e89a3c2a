//! What a node knows without asking the database: the clients, APIs, people and API keys that it has met, and what has
//! been revoked ([`Authority::revocations`]).
//!
//! It is fed by the change feed ([`feed_sync`]): at once on the node that writes, within half a second by
//! [`Authority::follow`] elsewhere. A node that has not read the feed for [`MAX_STALENESS_MILLIS`] answers nothing by it
//! ([`Authority::is_fresh`]). What is issued is decided by the database all the same ([`super::authorizations`]).

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

/// Clients, people, keys: of each so many are kept.
const MAX_CACHED: u64 = 10_000;

/// The client of an id, where there is one, and the versions of that id, which outlive it.
#[derive(Clone, Debug)]
pub struct ClientWithVersions {
    pub client: Option<Arc<Client>>,
    pub version: i64,
    pub settings_version: i64,
}

pub struct NodeCache {
    /// Client by id with the changes of its stripe from before it was read; after another change it is read again. One that
    /// strangers change makes few others be read again.
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
    /// The database has been replaced, and what was read before is not yet forgotten.
    is_reloading: AtomicBool,
    /// When the last reading of the feed that succeeded began, and when the last one failed ([`Monotonic`]).
    read_at: AtomicI64,
    failed_at: AtomicI64,
    /// Held while a request reads the feed itself.
    catch_up_lock: tokio::sync::Mutex<()>,
    /// Held by each reading: one that starts over is made whole before another one ends it.
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

    /// What access tokens are judged by.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// Forgets revocations that no living token can meet.
    pub fn forget(&self, now: Timestamp, uptime: Monotonic) {
        self.revocations.forget(now, uptime);
    }

    /// A receiver that wakes when signing keys have changed.
    #[must_use]
    pub fn keys_changed(&self) -> watch::Receiver<u64> {
        self.keys_changed.subscribe()
    }

    /// A receiver that wakes when something waits to be sent out.
    #[must_use]
    pub fn deliveries_wait(&self) -> watch::Receiver<u64> {
        self.deliveries_pending.subscribe()
    }

    /// The client of that id; a disabled one too, whose `disabled` says so.
    ///
    /// # Errors
    /// Where it is not in memory and the database does not answer.
    pub async fn client(&self, store: &Store, id: &ClientId) -> Result<Option<Arc<Client>>> {
        Ok(self.client_with_versions(store, id).await?.client)
    }

    /// The same, with the version that a client has which is not kept here.
    ///
    /// # Errors
    /// Where it is not in memory and the database does not answer.
    pub async fn client_with_versions(&self, store: &Store, id: &ClientId) -> Result<ClientWithVersions> {
        if let Some((read_at, client)) = self.clients.get(id)
            && read_at == self.client_changes.of(id)
        {
            return Ok(client);
        }
        self.read_client(store, id).await
    }

    /// The same, as the database has it now: another node may have changed it a moment ago. One look-up by key.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn current_client(&self, store: &Store, id: &ClientId) -> Result<ClientWithVersions> {
        let settings = versions::one(store.read(), &VersionedEntity::ClientSettings(id.clone())).await?;
        let known = self.client_with_versions(store, id).await?;
        if known.settings_version == settings { Ok(known) } else { self.read_client(store, id).await }
    }

    async fn read_client(&self, store: &Store, id: &ClientId) -> Result<ClientWithVersions> {
        // The count from before the reading: a change that came in between makes this entry old at once.
        let changes = self.client_changes.of(id);
        let (client, version, settings_version) = clients::with_versions(store.read(), id).await?;
        let client = ClientWithVersions { client: client.map(Arc::new), version, settings_version };
        self.clients.insert(id.clone(), (changes, client.clone()));
        Ok(client)
    }

    /// How often clients have changed so far: what was computed from some of them is computed anew when theirs have.
    #[must_use]
    pub fn client_changes(&self) -> ChangeSnapshot {
        self.client_changes.snapshot()
    }

    /// Forgets what this node has in memory of a client and of the APIs: the database has newer versions of them.
    pub fn invalidate_client_and_apis(&self, id: &ClientId) {
        self.clients.invalidate(id);
        *self.apis.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.api_epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Another number whenever the APIs have changed.
    #[must_use]
    pub fn api_epoch(&self) -> u64 {
        self.api_epoch.load(Ordering::SeqCst)
    }

    /// Every registered API.
    ///
    /// # Errors
    /// Where they are not in memory and the database does not answer.
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

    /// Who somebody is, as others are told; nothing where they are gone or turned off.
    ///
    /// # Errors
    /// Where they are not in memory and the database does not answer.
    pub async fn user(&self, store: &Store, id: UserId) -> Result<Option<Arc<UserSummary>>> {
        self.users.get(&id, users::summary_if_enabled(store.read(), id)).await
    }

    /// The API key of that digest, expired or not. Ask [`Self::holder`] too: a key is no better than its owner.
    ///
    /// # Errors
    /// Where it is not in memory and the database does not answer.
    pub async fn api_key(&self, store: &Store, digest: &Digest) -> Result<Option<Arc<ApiKey>>> {
        self.api_keys.get(digest, api_keys::by_digest(store.read(), digest)).await
    }

    /// Whose the signature key of that name is.
    ///
    /// # Errors
    /// Where it is not in memory and the database does not answer.
    pub async fn signer(&self, store: &Store, name: &KeyId) -> Result<Option<Arc<ClientId>>> {
        self.signature_keys.get(name, signature_keys::owner(store.read(), name)).await
    }

    /// Whose certificates are known by that name.
    ///
    /// # Errors
    /// Where it is not in memory and the database does not answer.
    pub async fn certificate_owners(&self, store: &Store, name: &Digest) -> Result<Option<Arc<Vec<ClientId>>>> {
        self.client_certificates.get(name, client_certificates::owners(store.read(), name)).await
    }

    /// Where the use of a key is noted.
    #[must_use]
    pub fn key_uses(&self) -> &LastUsed {
        &self.last_used
    }

    /// Whose a key is, where they are still there and turned on.
    ///
    /// # Errors
    /// Where they are not in memory and the database does not answer.
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
