//! Whether the database takes writes: tried, since one that only answers questions may have no space left.
//!
//! Anybody may ask `/readyz`, so one attempt answers everybody who asks while it runs and shortly after.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, DbBackend, FromQueryResult, Statement};
use tokio::sync::Mutex;

use super::{Result, Store, StoreError, schema_check, settings};

/// How long an attempt may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the outcome of an attempt is the answer.
const SUCCESS_TTL: Duration = Duration::from_secs(1);
const FAILURE_TTL: Duration = Duration::from_millis(200);
/// Between two comparisons of the schema.
const SCHEMA_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Readiness(Mutex<ReadinessState>);

#[derive(Default)]
struct ReadinessState {
    /// When the last attempt ended, and why it failed if it did.
    last: Option<(Instant, Option<String>)>,
    schema_checked: Option<Instant>,
}

impl Readiness {
    /// A write has failed: the next question is answered by a new attempt.
    pub(super) fn invalidate(&self) {
        // Where an attempt runs, that one will say.
        if let Ok(mut known) = self.0.try_lock() {
            known.last = None;
        }
    }
}

impl Store {
    /// Returns once a write has become durable, now or within the last second.
    ///
    /// # Errors
    /// Where the database takes no writes, or its schema is damaged.
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

    /// What the engine itself finds damaged in its file (`SQLite`); PostgreSQL watches over its files alone.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first thing found, or where the database does not answer.
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

    /// A row that is gone with the transaction that brings it: it leaves nothing behind, and no two nodes wait for one.
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
