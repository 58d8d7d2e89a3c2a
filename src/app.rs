//! The shared server state, built once from the settings.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::Config;
use crate::env::Env;
use crate::gate::Gate;
use crate::gate::brute_force::BruteForceLimits;
use crate::gate::metrics::Metrics;
use crate::gate::rate_limits::RateLimits;
use crate::identity::passkey::Passkeys;
use crate::identity::password::Hasher;
use crate::keys::remote::RemoteKeys;
use crate::keys::signature_key::SignatureKeyCache;
use crate::keys::{Keyring, MasterKey, rotation};
use crate::manage::Manager;
use crate::manage::client_addresses::UnreadableAddresses;
use crate::manage::refusals::RefusalLog;
use crate::outbound::OutboundClient;
use crate::outbound::images::ImageCache;
use crate::protocol::Provider;
use crate::protocol::client_document::ClientDocumentCache;
use crate::protocol::client_secret_throttle::VerifiedSecretCache;
use crate::protocol::registration::Policy;
use crate::protocol::token_cache::TokenCache;
use crate::store::Store;

/// The state of all handlers. It is one pointer, because axum copies its state for every layer of every request. With a
/// separate pointer for each part, the copies were half of the cost of an empty response.
#[derive(Clone)]
pub struct AppState(Arc<AppStateInner>);

pub struct AppStateInner {
    pub config: Config,
    pub provider: Provider,
    pub hasher: Hasher,
    pub passkeys: Passkeys,
    /// What self-registered clients may have.
    pub registration: Policy,
    /// Clients' logos.
    pub images: ImageCache,
    pub gate: Gate,
    pub unreadable_addresses: UnreadableAddresses,
    /// Rejected requests that are yet to be written to the database.
    pub refusals: RefusalLog,
    is_stopping: AtomicBool,
}

impl AppState {
    /// Opens the database and creates the initial keys if there are none.
    pub async fn open(config: Config, env: Env) -> Result<Self, String> {
        let store = Store::open(&config, env.clone()).await.map_err(|error| error.to_string())?;
        let master = MasterKey::open(&config, &store).await.map_err(|error| error.to_string())?;
        rotation::ensure_initial_keys(&store, &master).await.map_err(|error| error.to_string())?;
        let keys = Keyring::open(&store, master.clone()).await.map_err(|error| error.to_string())?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let hasher = Hasher::new(cores);
        let passkeys = Passkeys::new(&config, master.clone());
        let outbound = OutboundClient::new(&config)?;
        let registration = Policy::new(&config.registration_policy, config.client_certificate_header.is_some())?;
        let documents = config.client_id_metadata_documents.then(|| registration.clone());
        let images = ImageCache::new(&outbound);
        let provider = Provider {
            issuer: config.issuer.clone(),
            lifetimes: Arc::new(config.lifetimes.clone()),
            sign_up: config.sign_up,
            env,
            store,
            keys,
            remote_keys: RemoteKeys::new(&outbound),
            client_documents: ClientDocumentCache::new(documents),
            seen_tokens: TokenCache::default(),
            right_secrets: VerifiedSecretCache::default(),
            outbound,
            master,
        };
        let gate = Gate {
            provider: provider.clone(),
            signature_keys: SignatureKeyCache::default(),
            limits: RateLimits::default(),
            brute_force: BruteForceLimits::default(),
            metrics: Metrics::default(),
        };
        let unreadable_addresses = UnreadableAddresses::default();
        let is_stopping = AtomicBool::new(false);
        Ok(Self(Arc::new(AppStateInner {
            config,
            provider,
            hasher,
            passkeys,
            registration,
            images,
            gate,
            unreadable_addresses,
            refusals: RefusalLog::default(),
            is_stopping,
        })))
    }

    /// Returns what administrative operations need.
    pub fn manager(&self) -> Manager {
        let provider = &self.provider;
        Manager { store: provider.store.clone(), master: provider.master.clone(), hasher: self.hasher.clone() }
    }

    /// Makes `/readyz` report from now on that this node is to get no further requests.
    pub fn begin_shutdown(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }

    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    pub fn store(&self) -> &Store {
        &self.provider.store
    }

    pub fn env(&self) -> &Env {
        &self.provider.env
    }
}

impl Deref for AppState {
    type Target = AppStateInner;

    fn deref(&self) -> &AppStateInner {
        &self.0
    }
}
