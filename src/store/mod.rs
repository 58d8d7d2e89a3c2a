//! The persistence layer. All SQL is in this module and runs on both `SQLite` and PostgreSQL.
//!
//! A read takes a connection: `users::by_id(store.read(), id)`. A read never waits for the writer.
//! `store.write(|tx| Box::pin(async move { … }))` runs one transaction. It commits on `Ok` and rolls back on `Err`.
//! A protocol error whose writes must be kept is therefore an `Ok` value. Each file owns one family of tables, and its
//! row types are private to it. What a row means is defined in `domain`.
//!
//! `schema` applies migrations. `schema_check` compares the database with what the migrations create. `connect` opens
//! the database. `writer` implements group commit for `SQLite`. `feed` carries changes to every node. `node_cache`
//! follows the feed: it knows which revocations have happened, and keeps in memory (`cache`) the rows that every
//! request needs.

pub mod access_tokens;
pub mod advisory_locks;
pub mod answered_interactions;
pub mod api_keys;
pub mod apis;
pub mod authorizations;
mod cache;
pub mod client_certificates;
pub mod client_groups;
pub mod clients;
pub mod codes;
mod connect;
pub mod consents;
mod database_clock;
mod database_file;
pub mod deliveries;
pub mod device_codes;
mod error;
mod event_counts;
pub mod event_search;
pub mod events;
pub mod feed;
pub mod gate_buckets;
pub mod gate_record;
pub mod grants;
mod groups;
pub mod initial_access;
pub mod interactions;
mod last_used;
pub mod node_cache;
pub mod passkey_removal;
pub mod passkeys;
pub mod pushed_requests;
pub mod quotas;
mod read_pool;
mod readiness;
pub mod rejected_requests;
pub mod replay;
pub mod revocations;
pub mod revoked_tokens;
mod schema;
mod schema_check;
pub mod session_clients;
pub mod session_end;
pub mod session_uses;
pub mod sessions;
pub mod settings;
mod sign_in_names;
pub mod signature_keys;
pub mod signing_keys;
pub mod sweep;
pub mod taken_usernames;
pub mod throttle;
mod transaction;
pub mod users;
pub mod versions;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::TransactionTrait;
use sea_orm::sea_query::LikeExpr;
use tokio::sync::Notify;
use tokio::task::JoinSet;

pub use cache::Stripes;
pub use database_clock::{CLOCK_MARGIN_SECONDS, DatabaseNow};
pub use error::{Result, StoreError};
pub use feed::ChangeEvent;
pub use node_cache::NodeCache;
pub use read_pool::ReadPool;
pub use schema::{migrate, sqlite_path};
/// A connection that can run queries: a pool, or the connection of one transaction.
pub use sea_orm::ConnectionTrait as Connection;
pub use transaction::{TransactionError, TransactionWork, Tx};

use crate::config::{Config, Quotas};
use crate::env::Env;

/// A handle to the database, cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<StoreInner>,
}

struct StoreInner {
    engine: Engine,
    env: Env,
    node_cache: NodeCache,
    pending_claims: replay::PendingClaims,
    session_use_cache: session_uses::SessionUseCache,
    day_counts: event_counts::DayCounts,
    readiness: readiness::Readiness,
    quotas: Quotas,
    write_timeout: Duration,
    committed: AtomicU64,
}

enum Engine {
    Sqlite { readers: ReadPool, writer: writer::Writer, file: Arc<database_file::DatabaseFile> },
    Postgres { pool: ReadPool, feed: ReadPool },
}

/// The time that open transactions have to finish on shutdown.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest time that a request's transaction may take. After it the database counts as unavailable.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The same limit for a command. `signet apply` writes a whole document in one transaction.
const COMMAND_WRITE_TIMEOUT: Duration = Duration::from_mins(10);

impl Store {
    /// Opens the database, applies pending migrations and catches up with the change feed.
    ///
    /// # Errors
    /// Returns an error if the database cannot be opened or migrated, or is damaged.
    pub async fn open(config: &Config, env: Env) -> Result<Self> {
        schema::migrate(config).await?;
        Self::connect(config, env, connect::ProcessKind::Server).await
    }

    /// Opens the database for a command that runs beside the server. A missing database is created. A database of an
    /// older version is refused.
    ///
    /// # Errors
    /// Returns an error if the database cannot be opened, has another version, or is damaged.
    pub async fn open_without_migrating(config: &Config, env: Env) -> Result<Self> {
        schema::create_or_check(config).await?;
        Self::connect(config, env, connect::ProcessKind::Command).await
    }

    /// Opens the database for a command that must not create one. Returns `None` if there is no database.
    ///
    /// # Errors
    /// Returns an error if the database cannot be opened, has another version, or is damaged.
    pub async fn open_if_exists(config: &Config, env: Env) -> Result<Option<Self>> {
        if !schema::check_if_exists(config).await? {
            return Ok(None);
        }
        Self::connect(config, env, connect::ProcessKind::Command).await.map(Some)
    }

    async fn connect(config: &Config, env: Env, user: connect::ProcessKind) -> Result<Self> {
        let engine = connect::open(config, user).await?;
        let node_cache = NodeCache::new();
        let store = Self {
            inner: Arc::new(StoreInner {
                engine,
                env,
                node_cache,
                pending_claims: replay::PendingClaims::default(),
                session_use_cache: session_uses::SessionUseCache::default(),
                day_counts: event_counts::DayCounts::default(),
                readiness: readiness::Readiness::default(),
                quotas: config.quotas.clone(),
                write_timeout: match user {
                    connect::ProcessKind::Server => WRITE_TIMEOUT,
                    connect::ProcessKind::Command => COMMAND_WRITE_TIMEOUT,
                },
                committed: AtomicU64::new(0),
            }),
        };
        store.inner.node_cache.start(&store).await?;
        Ok(store)
    }

    /// Returns the pool for reading. In a server, each statement fails after ten seconds without an answer.
    #[must_use]
    pub fn read(&self) -> &ReadPool {
        match &self.inner.engine {
            Engine::Sqlite { readers, .. } => readers,
            Engine::Postgres { pool, .. } => pool,
        }
    }

    /// Returns whether the database holds nothing yet that depends on the master key.
    ///
    /// # Errors
    /// Returns an error if the database does not answer.
    pub async fn is_empty(&self) -> Result<bool> {
        let keys = !signing_keys::all(self.read()).await?.is_empty();
        Ok(!keys && clients::count(self.read()).await? == 0 && !users::any(self.read()).await?)
    }

    /// Returns the node's in-memory copies of revocations, clients, APIs, users and API keys.
    #[must_use]
    pub fn authority(&self) -> &NodeCache {
        &self.inner.node_cache
    }

    /// Returns the cache of sessions whose use is known to be recorded.
    #[must_use]
    pub fn recorded_uses(&self) -> &session_uses::SessionUseCache {
        &self.inner.session_use_cache
    }

    #[must_use]
    pub fn env(&self) -> &Env {
        &self.inner.env
    }

    /// Returns the limits on rows that unauthenticated callers may create.
    #[must_use]
    pub fn quotas(&self) -> &Quotas {
        &self.inner.quotas
    }

    /// Starts to listen for new entries in the change feed and notifies `changed` on each one, if the database can
    /// announce them (PostgreSQL). Listening ends when the returned `JoinSet` is dropped.
    fn listen_for_changes(&self, changed: Arc<Notify>) -> JoinSet<()> {
        let mut listening = JoinSet::new();
        if let Engine::Postgres { feed, .. } = &self.inner.engine {
            listening.spawn(feed::listen::run(feed.pool().get_postgres_connection_pool().clone(), changed));
        }
        listening
    }

    /// Returns the pool for reading the change feed, which is separate from the pool that requests use.
    fn read_feed(&self) -> &ReadPool {
        match &self.inner.engine {
            Engine::Sqlite { readers, .. } => readers,
            Engine::Postgres { feed, .. } => feed,
        }
    }

    /// Returns an error if the database file has been replaced since it was opened (`SQLite`).
    fn check_not_replaced(&self) -> Result<()> {
        match &self.inner.engine {
            Engine::Sqlite { file, .. } => file.check(),
            Engine::Postgres { .. } => Ok(()),
        }
    }

    /// Runs one transaction and returns once it is durable.
    ///
    /// # Errors
    /// Returns the error of `work`; [`StoreError::Unavailable`] if the database is unreachable or overloaded and
    /// nothing was written; or [`StoreError::OutcomeUnknown`].
    pub async fn write<T: Send + 'static>(&self, work: impl TransactionWork<T>) -> Result<T> {
        self.try_write(work).await
    }

    /// Runs one transaction whose work has its own error type. Every error rolls it back.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub async fn try_write<T, E>(&self, work: impl TransactionWork<T, E>) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError,
    {
        let done = self.transact(work).await;
        let failed = done.as_ref().err().and_then(TransactionError::as_store_error);
        if matches!(failed, Some(StoreError::Unavailable(_) | StoreError::OutcomeUnknown)) {
            self.inner.readiness.invalidate();
        }
        done
    }

    async fn transact<T, E>(&self, work: impl TransactionWork<T, E>) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError,
    {
        let env = &self.inner.env;
        let (value, told) = match &self.inner.engine {
            Engine::Sqlite { writer, .. } => writer.run(env.clone(), work, self.inner.write_timeout).await?,
            Engine::Postgres { pool, .. } => {
                let committing = AtomicBool::new(false);
                let run = async {
                    let tx = Tx::new(pool.pool().begin().await.map_err(StoreError::from)?, env.clone());
                    let value = work(&tx).await?;
                    let (conn, told) = tx.into_parts();
                    committing.store(true, Ordering::Relaxed);
                    conn.commit().await.map_err(|error| {
                        tracing::warn!(%error, "a commit has failed: its outcome is not known");
                        StoreError::OutcomeUnknown
                    })?;
                    Ok::<_, E>((value, told))
                };
                let late = |_| {
                    if committing.load(Ordering::Relaxed) {
                        StoreError::OutcomeUnknown
                    } else {
                        StoreError::Unavailable("no answer in time".to_owned())
                    }
                };
                tokio::time::timeout(self.inner.write_timeout, run).await.map_err(late)??
            }
        };
        for change in told {
            self.inner.node_cache.apply(&change, env.uptime());
        }
        self.inner.committed.fetch_add(1, Ordering::Relaxed);
        Ok(value)
    }

    /// Returns the number of transactions this node has committed since it started.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.inner.committed.load(Ordering::Relaxed)
    }

    /// Lets waiting transactions finish, then closes the connections. Abandons those that do not answer.
    pub async fn close(&self) {
        let closing = async {
            let pools = match &self.inner.engine {
                Engine::Sqlite { readers, writer, .. } => {
                    writer.close().await;
                    vec![readers.pool().clone()]
                }
                Engine::Postgres { pool, feed } => vec![pool.pool().clone(), feed.pool().clone()],
            };
            for pool in pools {
                if let Err(error) = pool.close().await {
                    tracing::warn!(%error, "closing the database");
                }
            }
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            tracing::warn!("the database does not answer: its connections are dropped without a goodbye");
        }
    }
}

/// Returns the number of rows that an `ON CONFLICT DO NOTHING` insertion wrote.
fn rows_inserted(done: std::result::Result<u64, sea_orm::DbErr>) -> Result<u64> {
    match done {
        Ok(rows) => Ok(rows),
        Err(sea_orm::DbErr::RecordNotInserted) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Serializes a value for a document column.
fn json<T: serde::Serialize>(value: &T, table: &'static str, column: &'static str) -> Result<String> {
    serde_json::to_string(value).map_err(|_| StoreError::Corrupt { table, column })
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str, table: &'static str, column: &'static str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt { table, column })
}

/// Returns a `LIKE` pattern that matches text containing `text`, with the wildcards in it escaped.
fn contains_pattern(text: &str) -> LikeExpr {
    let literal = text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    LikeExpr::new(format!("%{literal}%")).escape('!')
}

fn digest(bytes: Vec<u8>, table: &'static str, column: &'static str) -> Result<crate::domain::secret::Digest> {
    bytes.try_into().map(crate::domain::secret::Digest).map_err(|_| StoreError::Corrupt { table, column })
}
