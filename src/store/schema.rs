//! The schema: pending migrations, and whether the database is as they make it.
//!
//! `signet serve` and `signet migrate` apply what is pending, several nodes at once by turns. Every other command takes the
//! database as it is, and refuses one that is older, newer or damaged; one that holds nothing yet is made by whoever comes
//! first. Next door: [`super::connect`].

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::types::Uuid;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, FromQueryResult, Statement};
use signet_migrations::{Migrator, MigratorTrait, expected_schema};
use tokio::time::timeout;

use super::feed::reader::INCARNATION;
use super::{Result, StoreError, connect};
use crate::config::{Config, DatabaseUrl};
use crate::env::Env;

/// Any number but that of `apis`: the advisory lock that nodes hold while they migrate.
const MIGRATION_LOCK: i64 = 0x5349_474E_4554;
/// How long a node waits for another one that migrates.
const LOCK_TIMEOUT: Duration = Duration::from_mins(1);
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// What there is, compared with what the program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// No migration was ever applied.
    New,
    Older,
    Current,
}

/// Applies pending migrations; a node that comes second waits and finds nothing to do.
///
/// # Errors
/// Where the database cannot be reached, is of a newer version, damaged, or another node does not come to an end.
pub async fn migrate(config: &Config) -> Result<()> {
    prepare(config, true).await
}

/// Makes the schema in a database that holds nothing, and otherwise checks it.
pub(super) async fn create_or_check(config: &Config) -> Result<()> {
    prepare(config, false).await
}

async fn prepare(config: &Config, may_migrate: bool) -> Result<()> {
    let url = config.database();
    // SQLite's is held from before the file is opened, since a new one changes its journal mode then.
    let _lock = if url.is_sqlite() {
        Some(lock_beside(&sqlite_path(&url)).await?)
    } else {
        connect::refuse_transaction_pooler(&url).await?;
        None
    };
    let db = connect::for_migration(&url).await?;
    let done = bring_up_to_date(&db, may_migrate).await;
    let closed = db.close().await;
    done?;
    Ok(closed?)
}

async fn bring_up_to_date(db: &DatabaseConnection, may_migrate: bool) -> Result<()> {
    match version(db).await? {
        // Without PostgreSQL's lock, so that nobody waits for a node that has stopped while it held it.
        Version::Current => {}
        Version::Older if !may_migrate => return Err(StoreError::Older),
        Version::Older | Version::New => {
            lock_session(db).await?;
            // The lock ends with the connection.
            Migrator::up(db, None).await.map_err(newer)?;
        }
    }
    check(db).await?;
    name(db).await
}

/// Gives the database a name of its own, by which nodes that follow the feed recognise it.
async fn name(db: &DatabaseConnection) -> Result<()> {
    let engine = db.get_database_backend();
    let known = Statement::from_string(engine, format!("SELECT value FROM setting WHERE name = '{INCARNATION}'"));
    if db.query_one_raw(known).await?.is_none() {
        let id: Uuid = Env::system().uuid();
        let sql = format!("INSERT INTO setting (name, value) VALUES ('{INCARNATION}', '{id}') ON CONFLICT DO NOTHING");
        db.execute_unprepared(&sql).await?;
    }
    Ok(())
}

async fn version(db: &DatabaseConnection) -> Result<Version> {
    let applied = if columns(db).await?.iter().any(|column| column.table_name == "seaql_migrations") {
        Migrator::get_applied_migrations(db).await.map_err(newer)?.len()
    } else {
        0
    };
    Ok(match applied {
        0 => Version::New,
        some if some < Migrator::migrations().len() => Version::Older,
        _ => Version::Current,
    })
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

#[derive(Debug, FromQueryResult)]
struct Column {
    table_name: String,
    column_name: String,
}

/// Every column of every table there is.
async fn columns<C: ConnectionTrait>(db: &C) -> Result<Vec<Column>> {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT c.relname::text AS table_name, a.attname::text AS column_name FROM pg_class c \
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
             WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace"
        }
        _ => {
            "SELECT m.name AS table_name, c.name AS column_name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
             WHERE m.type = 'table'"
        }
    };
    let statement = Statement::from_string(db.get_database_backend(), sql);
    Ok(Column::find_by_statement(statement).all(db).await?)
}

#[derive(Debug, FromQueryResult)]
struct Named {
    name: String,
}

async fn indexes<C: ConnectionTrait>(db: &C) -> Result<Vec<Named>> {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT c.relname::text AS name FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid AND i.indisvalid \
             WHERE c.relnamespace = current_schema()::regnamespace"
        }
        _ => "SELECT name FROM sqlite_master WHERE type = 'index'",
    };
    Ok(Named::find_by_statement(Statement::from_string(db.get_database_backend(), sql)).all(db).await?)
}

/// Whether every table, column and index is there that the migrations make, and no column besides.
///
/// # Errors
/// [`StoreError::Damaged`], which names the first thing that is not as it should be.
pub(super) async fn check<C: ConnectionTrait>(db: &C) -> Result<()> {
    let (columns, indexes) = (columns(db).await?, indexes(db).await?);
    let damaged = |what: String| Err(StoreError::Damaged(what));
    let expected = expected_schema(db.get_database_backend());
    for table in &expected.tables {
        let there: Vec<&str> =
            columns.iter().filter(|c| c.table_name == table.name).map(|c| c.column_name.as_str()).collect();
        if there.is_empty() {
            return damaged(format!("it has no table {}", table.name));
        }
        if let Some(missing) = table.columns.iter().find(|column| !there.contains(&column.as_str())) {
            return damaged(format!("its table {} has no column {missing}", table.name));
        }
        if let Some(unknown) = there.iter().find(|column| !table.columns.iter().any(|known| known == *column)) {
            return damaged(format!(
                "its table {} has a column {unknown}, which this version does not know",
                table.name
            ));
        }
    }
    match expected.indexes.iter().find(|index| !indexes.iter().any(|there| there.name == **index)) {
        Some(missing) => damaged(format!("it has no index {missing}")),
        None => Ok(()),
    }
}

fn sqlite_path(url: &DatabaseUrl) -> PathBuf {
    let path = url.as_str().trim_start_matches("sqlite:").trim_start_matches("//");
    PathBuf::from(path.split('?').next().unwrap_or(path))
}

fn unusable(path: &Path) -> impl Fn(std::io::Error) -> StoreError {
    move |error| StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// Opens a file for its owner alone, and makes it where there is none.
fn owners(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    opened.map_err(unusable(path))
}

fn waited() -> StoreError {
    let seconds = LOCK_TIMEOUT.as_secs();
    StoreError::Unavailable(format!(
        "another node has been migrating it for {seconds} seconds: see what that node does, end it, and start again"
    ))
}

/// An exclusive lock on a file beside the database, released when it is dropped.
async fn lock_beside(database: &Path) -> Result<File> {
    if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(unusable(folder))?;
    }
    let mut name = database.as_os_str().to_owned();
    name.push("-migrate.lock");
    let path = PathBuf::from(name);
    let file = owners(&path)?;
    // Made here where there is none, since SQLite would let everybody on the machine read it. What it puts beside the
    // database takes over these permissions.
    if !database.exists() {
        owners(database)?;
    }
    let locking = async {
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(unusable(&path)(error)),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_INTERVAL).await,
            }
        }
    };
    timeout(LOCK_TIMEOUT, locking).await.map_err(|_| waited())??;
    Ok(file)
}

/// Takes the lock of the session on `db`, which has that one alone. A node that stops while it holds it loses it when the
/// server ends its silent session.
async fn lock_session(db: &DatabaseConnection) -> Result<()> {
    #[derive(FromQueryResult)]
    struct Taken {
        taken: bool,
    }
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    db.execute_unprepared("SET idle_session_timeout = '20s'").await?;
    let sql = format!("SELECT pg_try_advisory_lock({MIGRATION_LOCK}) AS taken");
    let locking = async {
        loop {
            let ask = Statement::from_string(DbBackend::Postgres, sql.clone());
            if Taken::find_by_statement(ask).one(db).await?.is_some_and(|row| row.taken) {
                return Ok(());
            }
            tokio::time::sleep(LOCK_INTERVAL).await;
        }
    };
    timeout(LOCK_TIMEOUT, locking).await.map_err(|_| waited())?
}
