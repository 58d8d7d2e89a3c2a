//! What is kept: the only SQL in the house, on `SQLite` and PostgreSQL by the same code.
//!
//! How to use it. Reading: `people::by_id(store.read(), id)`; a read never waits for the writer. Writing:
//! `store.write(|tx| Box::pin(async move { … }))` is one transaction. A protocol's refusal is an `Ok` value and commits;
//! only an `Err` rolls back. One file a table family, its rows private to it; what a row means is in `domain`.
//! `schema` migrates, `fingerprint` compares with what migrations make, `connect` opens an engine, `writer` is SQLite's group commit, `feed` carries changes to every node,
//! `authority` knows from it what has been revoked, and keeps in memory (`kept`) what is asked for at every request.

pub mod access_tokens;
pub mod api_keys;
pub mod apis;
pub mod authority;
pub mod authorizations;
pub mod client_certificates;
pub mod clients;
pub mod codes;
mod connect;
pub mod consents;
mod database_clock;
mod database_file;
pub mod deliveries;
pub mod device_codes;
pub mod events;
pub mod exclusive;
pub mod feed;
mod fingerprint;
pub mod gate_buckets;
pub mod gate_record;
pub mod grants;
pub mod initial_access;
pub mod interactions;
mod kept;
mod key_uses;
pub mod passkey_end;
pub mod passkeys;
pub mod people;
pub mod pushed_requests;
pub mod quotas;
mod readiness;
mod reads;
pub mod revocations;
pub mod revoked_tokens;
mod schema;
pub mod session_clients;
pub mod session_end;
pub mod session_uses;
pub mod sessions;
pub mod settings;
pub mod signature_keys;
pub mod signing_keys;
pub mod sweep;
pub mod throttle;
pub mod used_once;
pub mod usernames;
pub mod versions;
mod writer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use sea_orm::sea_query::LikeExpr;
use sea_orm::{DatabaseTransaction, DbErr, SqlErr, TransactionTrait};
use tokio::sync::Notify;
use tokio::task::JoinSet;

pub use authority::Authority;
pub use database_clock::CLOCK_MARGIN_SECONDS;
pub use feed::Change;
pub use kept::Stripes;
pub use reads::ReadPool;
pub use schema::{migrate, sqlite_path};
/// What reads the database: a pool of connections, or one transaction's.
pub use sea_orm::ConnectionTrait as Connection;

use crate::config::{Config, Quotas};
use crate::env::{Env, Timestamp};

/// Why something could not be kept or found. Never the answer to a protocol question.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is out of reach or overloaded: try again.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// It was used by a newer version.
    #[error("the database is of a newer version of Signet (it has {0}): run that version, or restore a backup")]
    Newer(String),
    /// It was made by an older version, and this command does not change that.
    #[error("the database is of an older version of Signet: run `signet migrate`, or start the server")]
    Older,
    /// It is not as the migrations make it.
    #[error("the database is damaged: {0}; restore a backup, or repair it by hand")]
    Damaged(String),
    /// A pooler that gives each transaction or statement another connection.
    #[error(
        "the database is behind a connection pooler in transaction or statement mode, in which prepared statements and \
         notifications do not work: set pool_mode = session for this database in PgBouncer, or connect to PostgreSQL \
         directly"
    )]
    TransactionPooler,
    /// The row was changed, or was read without its version, since it was read.
    #[error("somebody else has changed it meanwhile: try again")]
    Changed,
    /// A unique value exists already.
    #[error("that value is taken")]
    Taken,
    /// A row that fits no state: somebody else wrote it.
    #[error("{table}.{column} holds something that no version of Signet wrote")]
    Corrupt { table: &'static str, column: &'static str },
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::Taken,
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

pub type Result<T> = std::result::Result<T, StoreError>;

/// One transaction. What it changes for other nodes it also tells them, by [`Tx::tell`].
pub struct Tx {
    conn: DatabaseTransaction,
    env: Env,
    at: Timestamp,
    told: Mutex<Vec<Change>>,
}

impl Tx {
    fn new(conn: DatabaseTransaction, env: Env) -> Self {
        let at = env.now();
        Self { conn, env, at, told: Mutex::default() }
    }

    /// For the reading functions, which take a connection.
    #[must_use]
    pub const fn conn(&self) -> &DatabaseTransaction {
        &self.conn
    }

    /// The clock and randomness of this node.
    #[must_use]
    pub const fn env(&self) -> &Env {
        &self.env
    }

    /// When it began, by the clock that all its rows carry.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.at
    }

    /// Appends to the change feed: other nodes follow within a second, this one when the transaction has committed.
    ///
    /// The entry's time is now, not the transaction's beginning: what waited for this one's locks began later, and what
    /// it waited for itself is older.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn tell(&self, change: Change) -> Result<()> {
        feed::append(&self.conn, self.env.now(), self.env.random(), &change).await?;
        // What this node has not heard from itself it would hear from nobody in time.
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(change);
        Ok(())
    }

    fn told(self) -> (DatabaseTransaction, Vec<Change>) {
        (self.conn, self.told.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A transaction's work.
pub trait Work<T>: for<'c> FnOnce(&'c Tx) -> BoxFuture<'c, Result<T>> + Send + 'static {}
impl<T, F> Work<T> for F where F: for<'c> FnOnce(&'c Tx) -> BoxFuture<'c, Result<T>> + Send + 'static {}

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    env: Env,
    authority: Authority,
    waiting: used_once::Waiting,
    recorded_uses: session_uses::RecordedUses,
    readiness: readiness::Readiness,
    quotas: Quotas,
    write_timeout: Duration,
    written: AtomicU64,
}

enum Engine {
    Sqlite { readers: ReadPool, writer: writer::Writer, file: Arc<database_file::DatabaseFile> },
    Postgres { pool: ReadPool, feed: ReadPool },
}

/// How long open transactions have at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(15);
/// No transaction of a request takes this long; past it the database is taken to be gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for a command: `signet apply` writes a whole document in one transaction.
const COMMAND_WRITE_TIMEOUT: Duration = Duration::from_mins(10);

/// The error of a transaction that took too long. It may have been committed all the same.
fn no_answer() -> StoreError {
    StoreError::Unavailable("no answer in time, and it is not known whether the change was made".to_owned())
}

impl Store {
    /// Opens the database, applies pending migrations and catches up with the change feed.
    ///
    /// # Errors
    /// Where the database cannot be opened or migrated, or is damaged.
    pub async fn open(config: &Config, env: Env) -> Result<Self> {
        schema::migrate(config).await?;
        Self::connect(config, env, connect::User::Server).await
    }

    /// Opens the database for a command that runs beside the server: one that is not there yet is made, one of an older
    /// version is refused.
    ///
    /// # Errors
    /// Where the database cannot be opened, is of another version, or is damaged.
    pub async fn open_as_it_is(config: &Config, env: Env) -> Result<Self> {
        schema::create_or_check(config).await?;
        Self::connect(config, env, connect::User::Command).await
    }

    /// Opens the database for a command that makes none; nothing where there is none yet.
    ///
    /// # Errors
    /// Where the database cannot be opened, is of another version, or is damaged.
    pub async fn open_if_there(config: &Config, env: Env) -> Result<Option<Self>> {
        if !schema::check_if_there(config).await? {
            return Ok(None);
        }
        Self::connect(config, env, connect::User::Command).await.map(Some)
    }

    async fn connect(config: &Config, env: Env, user: connect::User) -> Result<Self> {
        let engine = connect::open(config, user).await?;
        let authority = Authority::new();
        let store = Self {
            inner: Arc::new(Inner {
                engine,
                env,
                authority,
                waiting: used_once::Waiting::default(),
                recorded_uses: session_uses::RecordedUses::default(),
                readiness: readiness::Readiness::default(),
                quotas: config.quotas.clone(),
                write_timeout: match user {
                    connect::User::Server => WRITE_TIMEOUT,
                    connect::User::Command => COMMAND_WRITE_TIMEOUT,
                },
                written: AtomicU64::new(0),
            }),
        };
        store.inner.authority.start(&store).await?;
        Ok(store)
    }

    /// A connection for reading. Each statement of a server's fails after ten seconds without an answer.
    #[must_use]
    pub fn read(&self) -> &ReadPool {
        match &self.inner.engine {
            Engine::Sqlite { readers, .. } => readers,
            Engine::Postgres { pool, .. } => pool,
        }
    }

    /// Whether nothing is kept here yet that depends on the master key.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn is_empty(&self) -> Result<bool> {
        let keys = !signing_keys::all(self.read()).await?.is_empty();
        Ok(!keys && clients::count(self.read()).await? == 0 && !people::any(self.read()).await?)
    }

    /// What has been revoked or disabled, and the clients and APIs there are.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.inner.authority
    }

    /// In which sessions something is known to have been issued.
    #[must_use]
    pub fn recorded_uses(&self) -> &session_uses::RecordedUses {
        &self.inner.recorded_uses
    }

    #[must_use]
    pub fn env(&self) -> &Env {
        &self.inner.env
    }

    /// How much strangers may make this database keep.
    #[must_use]
    pub fn quotas(&self) -> &Quotas {
        &self.inner.quotas
    }

    /// Lets the database wake `changed` whenever there are new entries in the change feed, where it can (PostgreSQL).
    /// Ends when what is returned is dropped.
    fn announcements(&self, changed: Arc<Notify>) -> JoinSet<()> {
        let mut listening = JoinSet::new();
        if let Engine::Postgres { feed, .. } = &self.inner.engine {
            listening.spawn(feed::listen::run(feed.pool().get_postgres_connection_pool().clone(), changed));
        }
        listening
    }

    /// A connection for reading the change feed, which does not wait for those that requests use.
    fn read_feed(&self) -> &ReadPool {
        match &self.inner.engine {
            Engine::Sqlite { readers, .. } => readers,
            Engine::Postgres { feed, .. } => feed,
        }
    }

    /// Returns an error where this is no longer the database that was opened (`SQLite`).
    fn check_replaced(&self) -> Result<()> {
        match &self.inner.engine {
            Engine::Sqlite { file, .. } => file.check(),
            Engine::Postgres { .. } => Ok(()),
        }
    }

    /// Runs one transaction and answers when it is durable.
    ///
    /// # Errors
    /// What `work` fails with, or [`StoreError::Unavailable`] where the database is gone or overloaded.
    pub async fn write<T: Send + 'static>(&self, work: impl Work<T>) -> Result<T> {
        let env = &self.inner.env;
        let (value, told) = match &self.inner.engine {
            Engine::Sqlite { writer, .. } => writer.run(env.clone(), work, self.inner.write_timeout).await?,
            Engine::Postgres { pool, .. } => {
                let run = async {
                    let tx = Tx::new(pool.pool().begin().await?, env.clone());
                    let value = work(&tx).await?;
                    let (conn, told) = tx.told();
                    conn.commit().await?;
                    Ok::<_, StoreError>((value, told))
                };
                tokio::time::timeout(self.inner.write_timeout, run).await.map_err(|_| no_answer())??
            }
        };
        for change in told {
            self.inner.authority.apply(&change, env.uptime());
        }
        self.inner.written.fetch_add(1, Ordering::Relaxed);
        Ok(value)
    }

    /// How many transactions this node has committed since it started.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.inner.written.load(Ordering::Relaxed)
    }

    /// Lets waiting transactions finish and closes the connections, or gives up on those that do not answer.
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

/// A document column's value.
fn json<T: serde::Serialize>(value: &T, table: &'static str, column: &'static str) -> Result<String> {
    serde_json::to_string(value).map_err(|_| StoreError::Corrupt { table, column })
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str, table: &'static str, column: &'static str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt { table, column })
}

/// Matches what has `text` in it, whatever signs of LIKE's own it has.
fn with_part(text: &str) -> LikeExpr {
    let literal = text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    LikeExpr::new(format!("%{literal}%")).escape('!')
}

fn digest(bytes: Vec<u8>, table: &'static str, column: &'static str) -> Result<crate::domain::secret::Digest> {
    bytes.try_into().map(crate::domain::secret::Digest).map_err(|_| StoreError::Corrupt { table, column })
}
