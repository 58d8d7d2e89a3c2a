//! Opens a database: the pools, the pragmas of `SQLite`, the timeouts of PostgreSQL.
//!
//! Every connection to PostgreSQL is bounded at both ends. The server ends a long statement, a long wait for a lock and
//! an idle transaction, so that a node that stops or loses its connection holds its locks for seconds only. The pool
//! drops connections that do not answer, since TCP would wait for a quarter of an hour, and [`super::read_pool`] times
//! out statements.
//!
//! [`super::schema`] prepares the database. [`super::writer`] owns the one writing connection of `SQLite`.

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

/// The number of reading connections to `SQLite`.
const SQLITE_READERS: u32 = 8;
/// The number of each node's PostgreSQL connections reserved for the change feed: one listens, one reads.
const FEED_CONNECTIONS: u32 = 2;
/// The number of connections a command needs.
const COMMAND_CONNECTIONS: u32 = FEED_CONNECTIONS + 2;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that does not answer within this time is dropped.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that was used more recently than this is not tested before its next use.
const MAX_UNTESTED_IDLE: Duration = Duration::from_millis(250);

/// Limits enforced by the server. A transaction that is idle for three seconds belongs to a node that has stopped. A
/// transaction that waits for its locks waits slightly longer than that, and then succeeds.
const SERVER_TIMEOUTS: &str = "SET statement_timeout = '9s'; SET lock_timeout = '4500ms'; \
     SET idle_in_transaction_session_timeout = '3s'";
/// Limits for a command, which may read whole tables (`signet export`).
const COMMAND_TIMEOUTS: &str = "SET statement_timeout = 0; SET lock_timeout = '4500ms'; \
     SET idle_in_transaction_session_timeout = '3s'";
/// Limits for schema changes, which may take long.
const MIGRATION_TIMEOUTS: &str = "SET statement_timeout = 0; SET lock_timeout = '30s'; \
     SET idle_in_transaction_session_timeout = '10s'";
/// How the server detects that the other end of a connection is gone. Some systems do not support all of these.
const KEEPALIVE_SETTINGS: [&str; 5] = [
    "SET tcp_user_timeout = '5s'",
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
    "SET client_connection_check_interval = '2s'",
];

/// The kind of process that opens the database.
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

/// Opens one connection on which the schema may be changed.
pub(super) async fn open_for_migration(url: &DatabaseUrl) -> Result<DatabaseConnection> {
    if url.is_sqlite() {
        return Ok(Database::connect(sqlite(url, 1)).await?);
    }
    Ok(Database::connect(postgres(url, 1, MIGRATION_TIMEOUTS)).await?)
}

/// Opens one connection that creates and changes nothing, not even the journal mode of `SQLite`.
pub(super) async fn open_read_only(url: &DatabaseUrl) -> Result<DatabaseConnection> {
    if !url.is_sqlite() {
        return Ok(Database::connect(postgres(url, 1, SERVER_TIMEOUTS)).await?);
    }
    let mut options = ConnectOptions::new(url.as_str());
    options.max_connections(1).sqlx_logging(false).map_sqlx_sqlite_opts(|o| o.create_if_missing(false).read_only(true));
    Ok(Database::connect(options).await?)
}

/// Logs each statement at level `trace` (`log.level = "signet::store=trace"`), never the values in it.
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
            // `schema` has created the file. A file that has disappeared since is not replaced by an empty one.
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
        // PgBouncer refuses a connection with startup parameters that it does not know.
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
                // An abandoned request leaves its response unread on the connection, and the pool would wait for it
                // indefinitely.
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

/// Returns an error if a connection pooler gives each transaction another server connection (two client connections
/// open at the same time then share a session), or each statement.
pub(super) async fn refuse_transaction_pooler(url: &DatabaseUrl) -> Result<()> {
    let (mut one, mut two) = (connect_single(url).await?, connect_single(url).await?);
    let asked = async {
        for round in 0..3 {
            // Simple statements, because such a pooler breaks prepared ones.
            let (mine, name) = (format!("{}.{round}", std::process::id()), "signet.session");
            run(&mut one, format!("SELECT set_config('{name}', '{mine}', false)")).await?;
            // If this transaction uses the session of the other connection, that connection has lost it.
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
        // PgBouncer in statement mode refuses every transaction as a protocol violation, which PostgreSQL never does.
        // PgBouncer uses the same code for its own failures.
        Err(sqlx::Error::Database(error))
            if error.code().as_deref() == Some("08P01") && error.message().contains("pooling mode") =>
        {
            return Err(StoreError::TransactionPooler);
        }
        Err(error) => return Err(unavailable(&error)),
    }
    // The check is complete, so an error while closing is irrelevant.
    for connection in [one, two] {
        connection.close().await.ok();
    }
    Ok(())
}

/// Opens a connection outside any pool, without a test query: a pool would log what this check finds anyway.
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
