//! Opening a database: the pools, SQLite's pragmas, PostgreSQL's timeouts.
//!
//! Every connection to PostgreSQL is bounded at both ends. The server ends a statement, a wait for a lock and a silent
//! transaction, so that a node that stops or is cut off holds its locks for seconds. The pool gives up connections that
//! do not answer, since TCP would wait for a quarter of an hour, and [`super::reads`] statements.
//!
//! Next door: [`super::schema`], which prepares what is opened here; [`super::writer`], which owns SQLite's one writing
//! connection.

use std::io::ErrorKind;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgQueryResult};
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _, Executor as _};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use super::database_file::DatabaseFile;
use super::writer::Writer;
use super::{Engine, ReadPool, Result, StoreError, WRITE_TIMEOUT, schema};
use crate::config::{Config, DatabaseUrl};

/// Readers of `SQLite`.
const SQLITE_READERS: u32 = 8;
/// Of each node's connections to PostgreSQL so many are for the change feed: one listens, one reads.
const FEED_CONNECTIONS: u32 = 2;
/// What a command needs.
const COMMAND_CONNECTIONS: u32 = FEED_CONNECTIONS + 2;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that does not answer in this time is given up.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that was in use just now need not be tried.
const MAX_UNTESTED_IDLE: Duration = Duration::from_millis(250);

/// What the server ends by itself. A transaction that is silent for three seconds belongs to a node that has stopped; who
/// waits for its locks waits a little longer than that, and then succeeds.
const SERVER_TIMEOUTS: &str = "SET statement_timeout = '9s'; SET lock_timeout = '4500ms'; \
     SET idle_in_transaction_session_timeout = '3s'";
/// The same for a command, which may read whole tables (`signet export`).
const COMMAND_TIMEOUTS: &str = "SET statement_timeout = 0; SET lock_timeout = '4500ms'; \
     SET idle_in_transaction_session_timeout = '3s'";
/// The same while the schema is changed, which may take its time.
const MIGRATION_TIMEOUTS: &str = "SET statement_timeout = 0; SET lock_timeout = '30s'; \
     SET idle_in_transaction_session_timeout = '10s'";
/// How the server notices that the other end of a connection is gone. Not every system has all of them.
const KEEPALIVE_SETTINGS: [&str; 5] = [
    "SET tcp_user_timeout = '5s'",
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
    "SET client_connection_check_interval = '2s'",
];

/// Who uses the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessKind {
    Server,
    Command,
}

pub(super) async fn open(config: &Config, user: ProcessKind) -> Result<Engine> {
    let url = config.database();
    let (connections, timeouts, answer) = match user {
        ProcessKind::Server => (config.database.pool_size, SERVER_TIMEOUTS, Some(WRITE_TIMEOUT)),
        ProcessKind::Command => (COMMAND_CONNECTIONS, COMMAND_TIMEOUTS, None),
    };
    if let Some(path) = schema::sqlite_path(&url) {
        let file = Arc::new(DatabaseFile::at(path)?);
        let readers = with_statement_tracing(Database::connect(sqlite(&url, SQLITE_READERS)).await?);
        let writer = Writer::start(url, file.clone()).await?;
        Ok(Engine::Sqlite { readers: ReadPool::new(readers, answer), writer, file })
    } else {
        let main = connections.saturating_sub(FEED_CONNECTIONS).max(1);
        let pool = with_statement_tracing(Database::connect(postgres(&url, main, timeouts)).await?);
        let feed = with_statement_tracing(Database::connect(postgres(&url, FEED_CONNECTIONS, timeouts)).await?);
        Ok(Engine::Postgres { pool: ReadPool::new(pool, answer), feed: ReadPool::new(feed, answer) })
    }
}

/// One connection on which the schema may be changed.
pub(super) async fn open_for_migration(url: &DatabaseUrl) -> Result<DatabaseConnection> {
    if url.is_sqlite() {
        return Ok(Database::connect(sqlite(url, 1)).await?);
    }
    Ok(Database::connect(postgres(url, 1, MIGRATION_TIMEOUTS)).await?)
}

/// One connection by which nothing is made: of `SQLite` not even the journal mode is changed.
pub(super) async fn open_read_only(url: &DatabaseUrl) -> Result<DatabaseConnection> {
    if !url.is_sqlite() {
        return Ok(Database::connect(postgres(url, 1, SERVER_TIMEOUTS)).await?);
    }
    let mut options = ConnectOptions::new(url.as_str());
    options.max_connections(1).sqlx_logging(false).map_sqlx_sqlite_opts(|o| o.create_if_missing(false).read_only(true));
    Ok(Database::connect(options).await?)
}

/// Writes each statement at level trace (`log.level = "signet::store=trace"`), never the values in it.
pub(super) fn with_statement_tracing(mut db: DatabaseConnection) -> DatabaseConnection {
    db.set_metric_callback(|info| {
        let microseconds = u64::try_from(info.elapsed.as_micros()).unwrap_or(u64::MAX);
        tracing::trace!(sql = %info.statement.sql, microseconds, failed = info.failed, "statement");
    });
    db
}

pub(super) fn sqlite(url: &DatabaseUrl, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.as_str());
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .sqlx_logging(false)
        .test_before_acquire(false)
        .map_sqlx_sqlite_opts(|o| {
            // `schema` has made the file. One that has gone since is not replaced by an empty one.
            o.create_if_missing(false)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(Duration::from_secs(5))
                .foreign_keys(true)
        });
    options
}

fn postgres(url: &DatabaseUrl, connections: u32, timeouts: &'static str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.as_str());
    options
        .max_connections(connections)
        .min_connections(0)
        .connect_timeout(CONNECT_TIMEOUT)
        .acquire_timeout(CONNECT_TIMEOUT)
        .sqlx_logging(false)
        .test_before_acquire(false)
        // PgBouncer refuses a connection that brings parameters it does not know.
        .map_sqlx_postgres_opts(|o| o.application_name("signet").extra_float_digits(None))
        .map_sqlx_postgres_pool_opts(move |pool| {
            pool.after_connect(move |conn, _| Box::pin(prepare(conn, timeouts)))
                .before_acquire(|conn, meta| {
                    Box::pin(async move {
                        if meta.idle_for > MAX_UNTESTED_IDLE {
                            ping(conn).await?;
                        }
                        Ok(true)
                    })
                })
                // A request that was given up leaves its answer behind, which the pool would otherwise wait for without
                // an end.
                .after_release(|conn, _| Box::pin(async move { ping(conn).await.map(|()| true) }))
        });
    options
}

async fn prepare(conn: &mut PgConnection, timeouts: &'static str) -> sqlx::Result<()> {
    let setting = async {
        conn.execute(timeouts).await?;
        for setting in KEEPALIVE_SETTINGS {
            if let Err(error) = conn.execute(setting).await {
                tracing::debug!(%error, setting, "the database has no such setting");
            }
        }
        Ok(())
    };
    tokio::time::timeout(CONNECT_TIMEOUT, setting).await.map_err(|_| late())?
}

async fn ping(conn: &mut PgConnection) -> sqlx::Result<()> {
    tokio::time::timeout(PING_TIMEOUT, conn.ping()).await.map_err(|_| late())?
}

fn late() -> sqlx::Error {
    sqlx::Error::Io(ErrorKind::TimedOut.into())
}

/// Refuses a connection pooler that gives each transaction another connection (two connections that are open at the same
/// time then share their session), or each statement.
pub(super) async fn refuse_transaction_pooler(url: &DatabaseUrl) -> Result<()> {
    let (mut one, mut two) = (connect_single(url).await?, connect_single(url).await?);
    let asked = async {
        for round in 0..3 {
            // Simple statements, since prepared ones are what such a pooler breaks.
            let (mine, name) = (format!("{}.{round}", std::process::id()), "signet.session");
            run(&mut one, format!("SELECT set_config('{name}', '{mine}', false)")).await?;
            // Where this transaction has the session of the other connection, that one has lost it.
            run(&mut two, "BEGIN".to_owned()).await?;
            let shared = is_set(&mut two, name, &mine).await? || !is_set(&mut one, name, &mine).await?;
            run(&mut two, "ROLLBACK".to_owned()).await?;
            if shared {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let late = |_| Err(late());
    match tokio::time::timeout(CONNECT_TIMEOUT, asked).await.unwrap_or_else(late) {
        Ok(false) => {}
        Ok(true) => return Err(StoreError::TransactionPooler),
        // PgBouncer in statement mode refuses every transaction, as a violation of the protocol. PostgreSQL refuses none.
        // It has the same code for faults of its own.
        Err(sqlx::Error::Database(error))
            if error.code().as_deref() == Some("08P01") && error.message().contains("pooling mode") =>
        {
            return Err(StoreError::TransactionPooler);
        }
        Err(error) => return Err(unavailable(&error)),
    }
    // What was asked is answered.
    for connection in [one, two] {
        connection.close().await.ok();
    }
    Ok(())
}

/// A connection that no pool tries, which would write to the log what is found here anyway.
async fn connect_single(url: &DatabaseUrl) -> Result<PgConnection> {
    let options = PgConnectOptions::from_str(url.as_str()).map_err(|error| unavailable(&error))?;
    let options = options.application_name("signet").extra_float_digits(None).disable_statement_logging();
    let opened = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await;
    opened.unwrap_or_else(|_| Err(late())).map_err(|error| unavailable(&error))
}

fn unavailable(error: &sqlx::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

async fn run(conn: &mut PgConnection, sql: String) -> sqlx::Result<PgQueryResult> {
    conn.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await
}

async fn is_set(conn: &mut PgConnection, name: &str, value: &str) -> sqlx::Result<bool> {
    let sql = format!("SELECT 1 WHERE current_setting('{name}', true) = '{value}'");
    Ok(run(conn, sql).await?.rows_affected() == 1)
}
