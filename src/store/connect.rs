//! Opening a database: the pools, SQLite's pragmas, and migrations that several nodes may start at once.
//!
//! Next door: [`super::writer`], which owns SQLite's one writing connection.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr};
use signet_migrations::{Migrator, MigratorTrait};

use super::writer::Writer;
use super::{Engine, Result, StoreError};
use crate::config::{Config, DatabaseUrl};

/// Any number: the advisory lock that nodes hold while they migrate.
const MIGRATION_LOCK: i64 = 0x5349_474E_4554;

pub(super) async fn open(config: &Config) -> Result<Engine> {
    migrate(config).await?;
    let url = config.database();
    if url.is_sqlite() {
        let readers = traced(Database::connect(sqlite(&url, 8)).await?);
        let writer = Writer::start(traced(Database::connect(sqlite(&url, 1)).await?));
        Ok(Engine::Sqlite { readers, writer })
    } else {
        Ok(Engine::Postgres(traced(Database::connect(postgres(&url, 32)).await?)))
    }
}

/// Tells each statement at level trace (`log.level = "signet::store=trace"`), never the values in it.
fn traced(mut db: DatabaseConnection) -> DatabaseConnection {
    db.set_metric_callback(|info| {
        let microseconds = u64::try_from(info.elapsed.as_micros()).unwrap_or(u64::MAX);
        tracing::trace!(sql = %info.statement.sql, microseconds, failed = info.failed, "statement");
    });
    db
}

/// Applies pending migrations; a node that comes second waits and finds nothing to do.
///
/// # Errors
/// Where the database cannot be reached, or is of a newer version.
pub async fn migrate(config: &Config) -> Result<()> {
    let url = config.database();
    if url.is_sqlite() {
        let lock = lock_beside(&sqlite_path(&url)).await?;
        let db = Database::connect(sqlite(&url, 1)).await?;
        let done = Migrator::up(&db, None).await;
        db.close().await?;
        drop(lock);
        done.map_err(newer)
    } else {
        // One connection, so that the lock and the migrations are of one session.
        let db = Database::connect(postgres(&url, 1)).await?;
        db.execute_unprepared(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})")).await?;
        let done = Migrator::up(&db, None).await;
        db.execute_unprepared(&format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})")).await?;
        db.close().await?;
        done.map_err(newer)
    }
}

/// sea-orm-migration's way to say that the database knows a migration which this program does not.
fn newer(error: DbErr) -> StoreError {
    match &error {
        DbErr::Custom(text) if text.starts_with("Migration file of version") => {
            StoreError::Newer(text.split('\'').nth(1).unwrap_or_default().to_owned())
        }
        _ => error.into(),
    }
}

fn sqlite_path(url: &DatabaseUrl) -> PathBuf {
    let path = url.as_str().trim_start_matches("sqlite:").trim_start_matches("//");
    PathBuf::from(path.split('?').next().unwrap_or(path))
}

/// An exclusive lock on a file beside the database, released when it is dropped.
async fn lock_beside(database: &Path) -> Result<File> {
    let gone = |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", database.display()));
    if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(gone)?;
    }
    let mut name = database.as_os_str().to_owned();
    name.push("-migrate.lock");
    let owners = |path: &Path| OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    let file = owners(Path::new(&name)).map_err(gone)?;
    // Made here where there is none, since SQLite would let everybody on the machine read it; what it puts beside the
    // database takes over these permissions.
    owners(database).map_err(gone)?;
    tokio::task::spawn_blocking(move || file.lock().map(|()| file))
        .await
        .map_err(|e| StoreError::Unavailable(e.to_string()))?
        .map_err(gone)
}

fn sqlite(url: &DatabaseUrl, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.as_str());
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .sqlx_logging(false)
        .test_before_acquire(false)
        .map_sqlx_sqlite_opts(|o| {
            o.create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(Duration::from_secs(5))
                .foreign_keys(true)
        });
    options
}

fn postgres(url: &DatabaseUrl, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.as_str());
    options
        .max_connections(connections)
        .min_connections(1)
        .connect_timeout(Duration::from_secs(5))
        .acquire_timeout(Duration::from_secs(5))
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(|o| o.application_name("signet"));
    options
}
