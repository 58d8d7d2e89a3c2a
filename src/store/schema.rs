//! The schema: pending migrations, and whether the database matches them ([`super::schema_check`]).
//!
//! `signet serve` and `signet migrate` apply pending migrations. Several nodes do so one after the other. Every other
//! command uses the database without migrating it, and refuses one that is older, newer or damaged. The first command
//! that finds an empty database creates the schema. Only `signet doctor` creates nothing. [`super::connect`] opens the
//! connections.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::types::Uuid;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr, FromQueryResult, Statement};
use signet_migrations::{Migrator, MigratorTrait};
use tokio::time::timeout;

use super::feed::reader::INCARNATION;
use super::{Result, StoreError, connect, schema_check};
use crate::config::{Config, DatabaseUrl};
use crate::env::Env;

/// The advisory lock that nodes hold while they migrate. The number is arbitrary but must differ from those of
/// `advisory_locks`.
const MIGRATION_LOCK: i64 = 0x5349_474E_4554;
/// How long a node waits for another one that migrates.
const LOCK_TIMEOUT: Duration = Duration::from_mins(1);
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// The state of the schema, compared with the migrations in this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SchemaState {
    /// No migration was ever applied.
    New,
    Older,
    Current,
}

/// Applies pending migrations. A second node waits, and then finds nothing to do.
///
/// # Errors
/// Returns an error if the database is unreachable, has a newer version or is damaged, or if another node does not
/// finish in time.
pub async fn migrate(config: &Config) -> Result<()> {
    prepare(config, true).await
}

/// Creates the schema in an empty database, and otherwise checks it.
pub(super) async fn create_or_check(config: &Config) -> Result<()> {
    prepare(config, false).await
}

/// Returns whether there is a database, and checks it. Creates and changes nothing.
pub(super) async fn check_if_exists(config: &Config) -> Result<bool> {
    let url = config.database();
    match sqlite_path(&url) {
        Some(path) => match path.metadata() {
            Ok(metadata) if metadata.len() > 0 => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(unusable(&path)(error)),
        },
        None => connect::refuse_transaction_pooler(&url).await?,
    }
    let db = connect::open_read_only(&url).await?;
    let checked = async {
        match version::<Migrator>(&db).await? {
            SchemaState::New => Ok(false),
            SchemaState::Older => Err(StoreError::OlderSchema),
            SchemaState::Current => schema_check::check(&db).await.map(|()| true),
        }
    };
    let checked = checked.await;
    db.close().await?;
    checked
}

async fn prepare(config: &Config, may_migrate: bool) -> Result<()> {
    let url = config.database();
    // The lock of `SQLite` is taken before the file is opened, because opening a new file changes its journal mode.
    let _lock = if let Some(path) = sqlite_path(&url) {
        Some(acquire_lock_file(&path).await?)
    } else {
        connect::refuse_transaction_pooler(&url).await?;
        None
    };
    let db = connect::open_for_migration(&url).await?;
    let done = bring_up_to_date::<Migrator>(&db, may_migrate).await;
    let closed = db.close().await;
    done?;
    Ok(closed?)
}

async fn bring_up_to_date<M: MigratorTrait>(db: &DatabaseConnection, may_migrate: bool) -> Result<()> {
    match version::<M>(db).await? {
        // Does not take the lock on PostgreSQL, so that no node waits for one that stopped while holding it.
        SchemaState::Current => {}
        SchemaState::Older if !may_migrate => return Err(StoreError::OlderSchema),
        SchemaState::Older | SchemaState::New => {
            acquire_advisory_lock(db).await?;
            // The lock ends with the connection.
            M::up(db, None).await.map_err(newer)?;
        }
    }
    schema_check::check(db).await?;
    name(db).await
}

/// Gives the database a unique incarnation, by which nodes that follow the feed recognise it.
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

async fn version<M: MigratorTrait>(db: &DatabaseConnection) -> Result<SchemaState> {
    let tables = schema_check::tables(db).await?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    let applied = if has("seaql_migrations") { M::get_applied_migrations(db).await.map_err(newer)?.len() } else { 0 };
    match applied {
        // The migration that creates this table is recorded in the same transaction.
        0 if has("signing_key") => {
            Err(StoreError::Damaged("it has tables, but no record of migrations (seaql_migrations)".to_owned()))
        }
        0 => Ok(SchemaState::New),
        some if some < M::migrations().len() => Ok(SchemaState::Older),
        _ => Ok(SchemaState::Current),
    }
}

/// Recognises sea-orm-migration's error for a migration in the database that this program does not know.
fn newer(error: DbErr) -> StoreError {
    match &error {
        DbErr::Custom(text) if text.starts_with("Migration file of version") => {
            StoreError::NewerSchema(text.split('\'').nth(1).unwrap_or_default().to_owned())
        }
        _ => error.into(),
    }
}

/// Returns the file of an `SQLite` database.
#[must_use]
pub fn sqlite_path(url: &DatabaseUrl) -> Option<PathBuf> {
    let options = url.is_sqlite().then(|| SqliteConnectOptions::from_str(url.as_str()).ok())??;
    Some(options.get_filename().to_owned())
}

fn unusable(path: &Path) -> impl Fn(std::io::Error) -> StoreError {
    move |error| StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// Opens a file, and creates it if it does not exist, with access for its owner only.
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

/// Takes an exclusive lock on a file beside the database. Dropping the returned file releases it.
async fn acquire_lock_file(database: &Path) -> Result<File> {
    if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(unusable(folder))?;
    }
    let mut name = database.as_os_str().to_owned();
    name.push("-migrate.lock");
    let path = PathBuf::from(name);
    let file = owners(&path)?;
    // A missing file is created here, because `SQLite` would make it readable for every user of the machine. The files
    // that `SQLite` puts beside the database inherit these permissions.
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

/// Takes the session-level advisory lock on `db`, which has a single connection. A node that stops while holding the
/// lock loses it when the server ends its idle session.
async fn acquire_advisory_lock(db: &DatabaseConnection) -> Result<()> {
    #[derive(FromQueryResult)]
    struct LockRow {
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
            if LockRow::find_by_statement(ask).one(db).await?.is_some_and(|row| row.taken) {
                return Ok(());
            }
            tokio::time::sleep(LOCK_INTERVAL).await;
        }
    };
    timeout(LOCK_TIMEOUT, locking).await.map_err(|_| waited())?
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use sea_orm::DbErr;
    use sea_orm_migration::prelude::{MigrationName, MigrationTrait, SchemaManager, Table};
    use sea_orm_migration::schema::text;

    use super::*;

    /// A migration of a future version.
    struct Later;

    impl MigrationName for Later {
        fn name(&self) -> &'static str {
            "m0002_later"
        }
    }

    #[async_trait]
    impl MigrationTrait for Later {
        async fn up(&self, manager: &SchemaManager) -> std::result::Result<(), DbErr> {
            manager.create_table(Table::create().table("later").col(text("value")).to_owned()).await
        }
    }

    struct NextVersion;

    #[async_trait]
    impl MigratorTrait for NextVersion {
        fn migrations() -> Vec<Box<dyn MigrationTrait>> {
            let mut all = Migrator::migrations();
            all.push(Box::new(Later));
            all
        }
    }

    #[tokio::test]
    async fn an_older_schema_is_refused_or_migrated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signet.db");
        owners(&path).unwrap();
        let url = DatabaseUrl::try_from(format!("sqlite://{}", path.display())).unwrap();
        let db = connect::open_for_migration(&url).await.unwrap();
        bring_up_to_date::<Migrator>(&db, false).await.unwrap();
        let refused = bring_up_to_date::<NextVersion>(&db, false).await;
        assert!(matches!(refused, Err(StoreError::OlderSchema)), "{refused:?}");
        bring_up_to_date::<NextVersion>(&db, true).await.unwrap();
        assert!(schema_check::tables(&db).await.unwrap().contains(&"later".to_owned()));
        let refused = bring_up_to_date::<Migrator>(&db, true).await;
        assert!(matches!(&refused, Err(StoreError::NewerSchema(name)) if name == "m0002_later"), "{refused:?}");
    }
}
