//! Every shared part, built once from the settings.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::Config;
use crate::env::Env;
use crate::gate::Gate;
use crate::gate::guesses::Guesses;
use crate::gate::limits::Limits;
use crate::gate::tally::Tally;
use crate::identity::passkey::Passkeys;
use crate::identity::password::Hasher;
use crate::keys::remote::RemoteKeys;
use crate::keys::signature_key::SignatureKeys;
use crate::keys::{Keyring, MasterKey, rotation};
use crate::manage::Manager;
use crate::manage::client_addresses::UnreadableAddresses;
use crate::manage::refusals::RefusalLog;
use crate::outbound::Outbound;
use crate::outbound::images::Images;
use crate::protocol::Provider;
use crate::protocol::client_document::ClientDocuments;
use crate::protocol::registration::Policy;
use crate::protocol::seen_tokens::SeenTokens;
use crate::protocol::short_secret::RightSecrets;
use crate::store::Store;

/// What handlers get. One pointer, because axum copies its state for every layer of every request: with the parts each
/// behind pointers of their own, that was half of what an empty answer cost.
#[derive(Clone)]
pub struct App(Arc<Parts>);

pub struct Parts {
    pub config: Config,
    pub provider: Provider,
    pub hasher: Hasher,
    pub passkeys: Passkeys,
    /// What clients may have that register themselves.
    pub registration: Policy,
    /// Apps' logos.
    pub images: Images,
    pub gate: Gate,
    pub unreadable_addresses: UnreadableAddresses,
    /// What waits to be written of refused requests.
    pub refusals: RefusalLog,
    is_stopping: AtomicBool,
}

impl App {
    /// Opens the database and makes the first keys where there are none.
    pub async fn open(config: Config, env: Env) -> Result<Self, String> {
        let store = Store::open(&config, env.clone()).await.map_err(|error| error.to_string())?;
        let master = MasterKey::open(&config, &store).await.map_err(|error| error.to_string())?;
        rotation::ensure(&store, &master).await.map_err(|error| error.to_string())?;
        let keys = Keyring::open(&store, master.clone()).await.map_err(|error| error.to_string())?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let hasher = Hasher::new(cores);
        let passkeys = Passkeys::new(&config, master.clone());
        let outbound = Outbound::new(&config)?;
        let registration = Policy::new(&config.registration_policy, config.client_certificate_header.is_some())?;
        let documents = config.client_id_metadata_documents.then(|| registration.clone());
        let images = Images::new(&outbound);
        let provider = Provider {
            issuer: config.issuer.clone(),
            lifetimes: Arc::new(config.lifetimes.clone()),
            sign_up: config.sign_up,
            env,
            store,
            keys,
            remote_keys: RemoteKeys::new(&outbound),
            client_documents: ClientDocuments::new(documents),
            seen_tokens: SeenTokens::default(),
            right_secrets: RightSecrets::default(),
            outbound,
            master,
        };
        let gate = Gate {
            provider: provider.clone(),
            signature_keys: SignatureKeys::default(),
            limits: Limits::default(),
            guesses: Guesses::default(),
            tally: Tally::default(),
        };
        let unreadable_addresses = UnreadableAddresses::default();
        let is_stopping = AtomicBool::new(false);
        Ok(Self(Arc::new(Parts {
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

    /// What administration works with.
    pub fn manager(&self) -> Manager {
        let provider = &self.provider;
        Manager { store: provider.store.clone(), master: provider.master.clone(), hasher: self.hasher.clone() }
    }

    /// From now on `/readyz` says that no further requests are to come here.
    pub fn begin_stop(&self) {
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

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
