//! What a node knows without asking the database: the clients, APIs, people and API keys that it has met, and what has
//! been revoked.
//!
//! One question, [`Authority::stands`], is asked wherever a token is believed (refresh, introspection, UserInfo, the
//! gate), so that a revocation reaches everything, and costs no statement. It is fed by the change feed: at once on the
//! node that writes, within half a second by [`Authority::follow`] elsewhere.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::{Notify, watch};

use super::feed::reader::{Outcome, Reader};
use super::kept::{Kept, Stripes};
use super::key_uses::KeyUses;
use super::{
    Change, Cutoff, Result, Store, StoreError, api_keys, apis, client_certificates, clients, people, signature_keys,
};
use crate::domain::api::Api;
use crate::domain::api_key::{ApiKey, Holder, Owner};
use crate::domain::authorization::Authorization;
use crate::domain::client::Client;
use crate::domain::ids::{ClientId, GrantId, SessionId, UserId};
use crate::domain::secret::Digest;
use crate::domain::signature_key::KeyId;
use crate::domain::user::Person;
use crate::env::Timestamp;

/// How often the feed is read where nothing announces a change. Commands promise to reach a running server in a second.
const POLL: Duration = Duration::from_millis(500);
/// Between two readings, however often changes are announced.
const MIN_PAUSE: Duration = Duration::from_millis(10);
/// A reading of the feed that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Milliseconds for which a node goes on by what it remembers: longer than a database takes to be replaced by its standby.
const BELIEVED: i64 = 60_000;
/// No access token lives longer (`config::lifetimes` holds it to that), so no cutoff matters longer.
const MEMORY_SECONDS: i64 = 86_400;
/// Clients, people, keys: of each so many are kept.
const MOST_KEPT: u64 = 10_000;

pub struct Authority {
    /// Client by id with the epoch it was read in; an entry of an older epoch is read again.
    clients: Cache<ClientId, (u64, Option<Arc<Client>>)>,
    client_epoch: AtomicU64,
    apis: RwLock<Option<Arc<Vec<Api>>>>,
    api_epoch: AtomicU64,
    people: Kept<UserId, Person>,
    api_keys: Kept<Digest, ApiKey>,
    signature_keys: Kept<KeyId, ClientId>,
    client_certificates: Kept<Digest, Vec<ClientId>>,
    key_uses: KeyUses,
    cutoffs: RwLock<HashMap<Cutoff, Timestamp>>,
    feed: Reader,
    /// Since when the feed cannot be read, in milliseconds; 0 while it can.
    deaf_since: AtomicI64,
    keys_changed: watch::Sender<u64>,
    deliveries_wait: watch::Sender<u64>,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self {
            clients: Cache::new(MOST_KEPT),
            client_epoch: AtomicU64::new(0),
            apis: RwLock::default(),
            api_epoch: AtomicU64::new(0),
            people: Kept::new(MOST_KEPT),
            api_keys: Kept::new(MOST_KEPT),
            signature_keys: Kept::new(MOST_KEPT),
            client_certificates: Kept::new(MOST_KEPT),
            key_uses: KeyUses::default(),
            cutoffs: RwLock::default(),
            feed: Reader::default(),
            deaf_since: AtomicI64::new(0),
            keys_changed: watch::Sender::new(0),
            deliveries_wait: watch::Sender::new(0),
        }
    }

    pub(super) async fn start(&self, store: &Store) -> Result<()> {
        let since = store.env().now().plus_seconds(-MEMORY_SECONDS);
        self.feed.begin(store.read_feed(), since).await?;
        self.catch_up(store).await
    }

    /// Reads what is new in the feed.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn catch_up(&self, store: &Store) -> Result<()> {
        // A connection that is cut off may not say so.
        let read = tokio::time::timeout(PATIENCE, self.read_feed(store)).await;
        let read = read.unwrap_or_else(|_| Err(StoreError::Unavailable("the change feed does not answer".to_owned())));
        if read.is_ok() {
            self.deaf_since.store(0, Ordering::SeqCst);
        } else {
            let now = store.env().now().0;
            // Where it says something already, that was earlier.
            self.deaf_since.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst).ok();
        }
        read
    }

    /// Whether it has been so long without the feed that what it remembers may not be so any more: others may have taken
    /// back what it believes.
    #[must_use]
    pub fn is_out_of_touch(&self, now: Timestamp) -> bool {
        let since = self.deaf_since.load(Ordering::SeqCst);
        since != 0 && now.since(Timestamp(since)) > BELIEVED
    }

    async fn read_feed(&self, store: &Store) -> Result<()> {
        match self.feed.read(store.read_feed(), |at, change| self.apply(change, at)).await? {
            Outcome::Read => Ok(()),
            Outcome::AnotherHistory => {
                tracing::error!(
                    "the database is in another state than the one that was read before (restored from a backup, or \
                     replaced by a standby): everything in memory is forgotten and read again"
                );
                self.start_over(store).await
            }
        }
    }

    /// Reads the feed of a database that has been replaced, and believes nothing that was read before.
    async fn start_over(&self, store: &Store) -> Result<()> {
        let since = store.env().now().plus_seconds(-MEMORY_SECONDS);
        self.feed.begin(store.read_feed(), since).await?;
        let mut changes = Vec::new();
        self.feed.read(store.read_feed(), |at, change| changes.push((at, change.clone()))).await?;
        if let Ok(mut cutoffs) = self.cutoffs.write() {
            cutoffs.clear();
        }
        for (at, change) in changes {
            self.apply(&change, at);
        }
        for change in [Change::Apis, Change::Keys, Change::Deliveries] {
            self.apply(&change, Timestamp(0));
        }
        self.client_epoch.fetch_add(1, Ordering::SeqCst);
        self.people.changed(&Stripes::all());
        self.api_keys.changed(&Stripes::all());
        self.signature_keys.changed(&Stripes::all());
        self.client_certificates.changed(&Stripes::all());
        Ok(())
    }

    /// Follows the feed until the task is ended.
    pub async fn follow(store: Store) {
        let changed = Arc::new(Notify::new());
        let _listening = store.announcements(changed.clone());
        let mut answering = true;
        loop {
            tokio::time::sleep(MIN_PAUSE).await;
            tokio::time::timeout(POLL, changed.notified()).await.ok();
            match store.authority().catch_up(&store).await {
                Ok(()) => answering = true,
                // Said once, not twice a second.
                Err(error) if answering => {
                    tracing::error!(%error, "the change feed cannot be read");
                    answering = false;
                }
                Err(_) => {}
            }
        }
    }

    pub(super) fn apply(&self, change: &Change, at: Timestamp) {
        match change {
            Change::Client(_) => {
                self.client_epoch.fetch_add(1, Ordering::SeqCst);
            }
            Change::Apis => {
                self.api_epoch.fetch_add(1, Ordering::SeqCst);
                if let Ok(mut apis) = self.apis.write() {
                    *apis = None;
                }
            }
            Change::People(stripes) => self.people.changed(stripes),
            Change::ApiKeys(stripes) => self.api_keys.changed(stripes),
            Change::SignatureKeys(stripes) => self.signature_keys.changed(stripes),
            Change::ClientCertificates(stripes) => self.client_certificates.changed(stripes),
            Change::Keys => self.keys_changed.send_modify(|epoch| *epoch += 1),
            Change::Deliveries => self.deliveries_wait.send_modify(|epoch| *epoch += 1),
            Change::Cutoff(cutoff) => {
                if let Ok(mut cutoffs) = self.cutoffs.write() {
                    let latest = cutoffs.entry(cutoff.clone()).or_insert(at);
                    *latest = (*latest).max(at);
                }
            }
        }
    }

    /// Forgets cutoffs that no living token can meet.
    pub fn forget(&self, now: Timestamp) {
        if let Ok(mut cutoffs) = self.cutoffs.write() {
            cutoffs.retain(|_, at| now.since(*at) <= MEMORY_SECONDS * 1000);
        }
    }

    /// A receiver that wakes when signing keys have changed.
    #[must_use]
    pub fn keys_changed(&self) -> watch::Receiver<u64> {
        self.keys_changed.subscribe()
    }

    /// A receiver that wakes when something waits to be sent out.
    #[must_use]
    pub fn deliveries_wait(&self) -> watch::Receiver<u64> {
        self.deliveries_wait.subscribe()
    }

    /// The client of that id; a disabled one too, whose `disabled` says so.
    ///
    /// # Errors
    /// Where it is not in memory and the database does not answer.
    pub async fn client(&self, store: &Store, id: &ClientId) -> Result<Option<Arc<Client>>> {
        let epoch = self.client_epoch.load(Ordering::SeqCst);
        if let Some((read_in, client)) = self.clients.get(id)
            && read_in == epoch
        {
            return Ok(client);
        }
        let client = clients::by_id(store.read(), id).await?.map(Arc::new);
        // The epoch from before the reading: a change that came in between makes this entry old at once.
        self.clients.insert(id.clone(), (epoch, client.clone()));
        Ok(client)
    }

    /// Another value whenever a client or an API has changed: what was computed from them is computed anew.
    #[must_use]
    pub fn client_and_api_epochs(&self) -> (u64, u64) {
        (self.client_epoch.load(Ordering::SeqCst), self.api_epoch.load(Ordering::SeqCst))
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
    pub async fn person(&self, store: &Store, id: UserId) -> Result<Option<Arc<Person>>> {
        self.people.get(&id, people::as_told(store.read(), id)).await
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
    pub async fn certified(&self, store: &Store, name: &Digest) -> Result<Option<Arc<Vec<ClientId>>>> {
        self.client_certificates.get(name, client_certificates::owners(store.read(), name)).await
    }

    /// Where the use of a key is noted.
    #[must_use]
    pub fn key_uses(&self) -> &KeyUses {
        &self.key_uses
    }

    /// Whose a key is, where they are still there and turned on.
    ///
    /// # Errors
    /// Where they are not in memory and the database does not answer.
    pub async fn holder(&self, store: &Store, owner: &Owner) -> Result<Option<Holder>> {
        Ok(match owner {
            Owner::User(id) => self.person(store, *id).await?.map(Holder::Person),
            Owner::Client(id) => {
                let client = self.client(store, id).await?;
                client.filter(|client| !client.disabled).map(Holder::Client)
            }
        })
    }

    /// Whether everything of that grant has been ended already.
    #[must_use]
    pub fn has_ended(&self, grant: GrantId) -> bool {
        self.cutoffs.read().is_ok_and(|cutoffs| cutoffs.contains_key(&Cutoff::Grant(grant)))
    }

    /// Whether a browser session that was there at `seen_at` has not been ended since, nor anything of its person's. A session
    /// that has ended never comes again.
    #[must_use]
    pub fn session_stands(&self, session: SessionId, user: UserId, seen_at: Timestamp) -> bool {
        self.cutoffs.read().is_ok_and(|cutoffs| {
            let user_cut = cutoffs.get(&Cutoff::User(user)).is_some_and(|at| seen_at <= *at);
            !user_cut && !cutoffs.contains_key(&Cutoff::Session(session))
        })
    }

    /// Whether a token issued at `issued_at` under `authorization` is still good, as far as revocation goes.
    /// `token` is its own name where it has one (`jti`).
    #[must_use]
    pub fn stands(&self, authorization: &Authorization, token: Option<&str>, issued_at: Timestamp) -> bool {
        let Ok(cutoffs) = self.cutoffs.read() else { return false };
        if cutoffs.is_empty() {
            return true;
        }
        let cut = |cutoff: &Cutoff| cutoffs.get(cutoff).is_some_and(|at| issued_at <= *at);
        // These never come back, so it does not matter whose clock said when.
        let gone = |cutoff: &Cutoff| cutoffs.contains_key(cutoff);
        let user = authorization.user();
        let user_cut = user.is_some_and(|user| cut(&Cutoff::User(user)));
        // Of its own client, and of each client through which it came.
        let client_cut = std::iter::once(&authorization.client).chain(&authorization.through).any(|client| {
            let consent_cut = user.is_some_and(|user| cut(&Cutoff::Consent(user, client.clone())));
            consent_cut || cut(&Cutoff::Client(client.clone()))
        });
        // Offline access is what goes on when the browser session has ended (OpenID Connect Core §11).
        let session_cut = !authorization.permissions.is_offline()
            && authorization.session().is_some_and(|session| gone(&Cutoff::Session(session)));
        let grant_cut = authorization.grant.is_some_and(|grant| gone(&Cutoff::Grant(grant)));
        let token_cut = token.is_some_and(|token| gone(&Cutoff::Token(token.to_owned())));
        !(user_cut || client_cut || session_cut || grant_cut || token_cut)
    }
}
