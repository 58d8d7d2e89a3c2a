//! Whether the database accepts writes. This is tested by a write, since a database that answers queries may have no
//! space left.
//!
//! Anyone may request `/readyz`, so one test answers every request that arrives while it runs and shortly after.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, DbBackend, FromQueryResult, Statement};
use tokio::sync::Mutex;

use super::{Result, Store, StoreError, schema_check, settings};

/// The limit for one test.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the result of a test is reused.
const SUCCESS_TTL: Duration = Duration::from_secs(1);
const FAILURE_TTL: Duration = Duration::from_millis(200);
/// The time between two comparisons of the schema.
const SCHEMA_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Readiness(Mutex<ReadinessState>);

#[derive(Default)]
struct ReadinessState {
    /// When the last test ended, and why it failed if it did.
    last: Option<(Instant, Option<String>)>,
    schema_checked: Option<Instant>,
}

impl Readiness {
    /// Discards the last result after a failed write, so that the next request starts a new test.
    pub(super) fn invalidate(&self) {
        // A test that is running will find out itself.
        if let Ok(mut known) = self.0.try_lock() {
            known.last = None;
        }
    }
}

impl Store {
    /// Returns once a test write is durable, unless one succeeded within the last second.
    ///
    /// # Errors
    /// Returns an error if the database accepts no writes, or its schema is damaged.
    pub async fn check_ready(&self) -> Result<()> {
        let mut known = self.inner.readiness.0.lock().await;
        if let Some((at, failure)) = &known.last {
            let ttl = if failure.is_none() { SUCCESS_TTL } else { FAILURE_TTL };
            if at.elapsed() < ttl {
                return failure.clone().map_or(Ok(()), |cause| Err(StoreError::Unavailable(cause)));
            }
        }
        let check_schema = known.schema_checked.is_none_or(|at| at.elapsed() > SCHEMA_INTERVAL);
        let attempt = async {
            if check_schema {
                schema_check::check(self.read()).await?;
            }
            self.test_write().await
        };
        let done = tokio::time::timeout(CHECK_TIMEOUT, attempt).await;
        let done = done.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer".into())));
        let now = now();
        known.last = Some((now, done.as_ref().err().map(ToString::to_string)));
        if check_schema {
            known.schema_checked = done.is_ok().then_some(now);
        }
        done
    }

    /// Runs the integrity check of `SQLite` on its file. PostgreSQL checks its files itself.
    ///
    /// # Errors
    /// Returns [`StoreError::Damaged`] with the first problem found, or an error if the database does not answer.
    pub async fn check_integrity(&self) -> Result<()> {
        #[derive(FromQueryResult)]
        struct QuickCheckRow {
            quick_check: String,
        }
        if self.read().get_database_backend() != DbBackend::Sqlite {
            return Ok(());
        }
        let ask = Statement::from_string(DbBackend::Sqlite, "PRAGMA quick_check(1)");
        match QuickCheckRow::find_by_statement(ask).one(self.read()).await? {
            Some(found) if found.quick_check != "ok" => Err(StoreError::Damaged(found.quick_check)),
            _ => Ok(()),
        }
    }

    /// Writes and deletes a row in one transaction, so that it leaves nothing behind. Its name is unique, so that no
    /// two nodes wait for the same row.
    async fn test_write(&self) -> Result<()> {
        let name = format!("written by {}", self.env().uuid().simple());
        self.write(move |tx| {
            Box::pin(async move {
                settings::put(tx, &name, "").await?;
                settings::take(tx, &name, "").await.map(|_| ())
            })
        })
        .await
    }
}

#[expect(clippy::disallowed_methods, reason = "how long ago is measured; the time of day decides nothing")]
fn now() -> Instant {
    Instant::now()
}
