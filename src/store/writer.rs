//! Group commit for `SQLite`. One task owns the writing connection and runs the waiting transactions as savepoints of
//! one commit, so that one fsync makes many of them durable. Each caller is answered after that commit, never before.
//!
//! A transaction that fails rolls back only its own savepoint. If the database itself fails (a full disk, an I/O error,
//! a lock that is not released), nothing of the commit is acknowledged and the connection is replaced: `SQLite` may
//! have rolled back by itself, after which statements run outside of any transaction and releasing a savepoint commits
//! nothing. The commit and rollback hooks of `SQLite` report what it has done. This is not inferred from the
//! statements. A caller that stops waiting changes nothing: queued work is executed. If the queue is full, the caller
//! gets [`StoreError::Unavailable`].

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sea_orm::sqlx::{self, SqliteConnection};
use sea_orm::{
    Database, DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use super::database_file::DatabaseFile;
use super::{ChangeEvent, Result, StoreError, TransactionError, TransactionWork, Tx, connect};
use crate::config::DatabaseUrl;
use crate::env::Env;

/// The maximum number of transactions in one commit, so that the first does not wait indefinitely.
const MAX_BATCH_TRANSACTIONS: usize = 64;
/// The maximum number of waiting transactions.
const MAX_QUEUED_TRANSACTIONS: usize = 1024;

/// The time that a connection which is being replaced has to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers the caller once the outcome of the commit is known.
type CommitReply = Box<dyn FnOnce(std::result::Result<(), &StoreError>) + Send>;
/// The answer to send and, if the batch's transaction is no longer reliable, the error that made it so.
type JobResult = (CommitReply, Option<StoreError>);
type Job = Box<dyn for<'c> FnOnce(&'c DatabaseTransaction) -> BoxFuture<'c, JobResult> + Send>;

pub(super) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    done: tokio::sync::Mutex<Option<oneshot::Receiver<()>>>,
}

impl Writer {
    pub(super) async fn start(url: DatabaseUrl, file: Arc<DatabaseFile>) -> Result<Self> {
        let (queue, jobs) = mpsc::channel(MAX_QUEUED_TRANSACTIONS);
        let (finished, done) = oneshot::channel();
        let connection = WriteConnection::open(&url).await?;
        tokio::spawn(async move {
            process_jobs(&url, &file, connection, jobs).await;
            // The receiver is dropped if the writer was not closed by `close`.
            finished.send(()).ok();
        });
        Ok(Self { queue: Mutex::new(Some(queue)), done: tokio::sync::Mutex::new(Some(done)) })
    }

    pub(super) async fn run<T, E>(
        &self,
        env: Env,
        work: impl TransactionWork<T, E>,
        timeout: Duration,
    ) -> std::result::Result<(T, Vec<ChangeEvent>), E>
    where
        T: Send + 'static,
        E: TransactionError,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |batch| Box::pin(run_job(batch, env, work, answer)));
        let queue = self.queue.lock().ok().and_then(|queue| queue.clone()).ok_or_else(stopped)?;
        queue.try_send(job).map_err(|_| StoreError::Unavailable("too many transactions are waiting".into()))?;
        // After a timeout the job is still in the queue and may run, so its outcome is unknown.
        let answered = tokio::time::timeout(timeout, answered).await.map_err(|_| StoreError::OutcomeUnknown)?;
        answered.map_err(|_| not_begun())?
    }

    /// Accepts no more work and waits until queued work is durable.
    pub(super) async fn close(&self) {
        if let Ok(mut queue) = self.queue.lock() {
            queue.take();
        }
        if let Some(done) = self.done.lock().await.take() {
            done.await.ok();
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the writer has stopped".into())
}

fn not_begun() -> StoreError {
    let text = "no transaction can begin: another process keeps the database locked, or it cannot be written (the log says why)";
    StoreError::Unavailable(text.into())
}

async fn process_jobs(url: &DatabaseUrl, file: &DatabaseFile, first: WriteConnection, mut jobs: mpsc::Receiver<Job>) {
    let mut connection = Some(first);
    while let Some(job) = jobs.recv().await {
        let opened = match connection.take() {
            Some(connection) => Ok(connection),
            None => WriteConnection::open(url).await,
        };
        let begun = match opened {
            Ok(opened) => match opened.begin(file).await {
                Ok(batch) => Ok((opened, batch)),
                Err(error) => {
                    opened.close().await;
                    Err(error)
                }
            },
            Err(error) => Err(error),
        };
        let (opened, batch) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                tracing::error!(%error, "the database does not begin a transaction");
                // Dropping a job closes its caller's channel, which answers "unavailable". This includes the jobs that
                // arrived meanwhile, which have waited long enough.
                while jobs.try_recv().is_ok() {}
                continue;
            }
        };
        match opened.commit_batch(batch, job, &mut jobs).await {
            Ok(()) => connection = Some(opened),
            Err(error) => {
                tracing::error!(%error, "the database does not commit; its connection is replaced");
                opened.close().await;
            }
        }
    }
    if let Some(connection) = connection {
        connection.close().await;
    }
}

/// What `SQLite` reports to have done on the writing connection.
#[derive(Debug, Default)]
struct TransactionCounters {
    commits: AtomicU64,
    rollbacks: AtomicU64,
}

impl TransactionCounters {
    fn counts(&self) -> (u64, u64) {
        (self.commits.load(Ordering::SeqCst), self.rollbacks.load(Ordering::SeqCst))
    }

    /// Registers hooks by which `SQLite` counts each transaction that it ends. Savepoints are not counted.
    async fn follow(self: Arc<Self>, conn: &mut SqliteConnection) -> sqlx::Result<()> {
        let mut handle = conn.lock_handle().await?;
        let committing = self.clone();
        handle.set_commit_hook(move || {
            committing.commits.fetch_add(1, Ordering::SeqCst);
            true
        });
        handle.set_rollback_hook(move || {
            self.rollbacks.fetch_add(1, Ordering::SeqCst);
        });
        Ok(())
    }
}

/// The writing connection. It is replaced after any failure on it.
struct WriteConnection {
    db: DatabaseConnection,
    counters: Arc<TransactionCounters>,
}

impl WriteConnection {
    async fn open(url: &DatabaseUrl) -> Result<Self> {
        let ended = Arc::new(TransactionCounters::default());
        let mut options = connect::sqlite(url, 1);
        let hooked = ended.clone();
        options.map_sqlx_sqlite_pool_opts(move |pool| {
            let hooked = hooked.clone();
            let pool = pool.max_lifetime(None).idle_timeout(None);
            pool.after_connect(move |conn, _| Box::pin(hooked.clone().follow(conn)))
        });
        Ok(Self { db: connect::with_statement_tracing(Database::connect(options).await?), counters: ended })
    }

    async fn begin(&self, file: &DatabaseFile) -> Result<DatabaseTransaction> {
        file.check()?;
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(self.db.begin_with_options(immediate).await?)
    }

    /// Runs `first` and the jobs queued behind it in the transaction `batch`, and answers each when its outcome is
    /// known.
    ///
    /// # Errors
    /// Returns an error if the database failed. Then nothing was acknowledged, and the connection must not be used
    /// again.
    async fn commit_batch(&self, batch: DatabaseTransaction, first: Job, jobs: &mut mpsc::Receiver<Job>) -> Result<()> {
        let (commits, rollbacks) = self.counters.counts();
        let mut replies = Vec::with_capacity(MAX_BATCH_TRANSACTIONS);
        let mut next = Some(first);
        let mut failed = None;
        while let Some(job) = next.take() {
            let (reply, failure) = job(&batch).await;
            replies.push(reply);
            failed = failure;
            if failed.is_none() && self.counters.counts() != (commits, rollbacks) {
                failed = Some(StoreError::Unavailable("the transaction has ended before its commit".into()));
            }
            if failed.is_none() && replies.len() < MAX_BATCH_TRANSACTIONS {
                next = jobs.try_recv().ok();
            }
        }
        let committed = match failed {
            Some(error) => Err(error),
            None => match batch.commit().await {
                // Only this commit can have returned `SQLite` to autocommit mode.
                Ok(()) if self.counters.counts() == (commits + 1, rollbacks) => Ok(()),
                Ok(()) => Err(StoreError::Unavailable("the commit has not happened".into())),
                Err(error) => Err(error.into()),
            },
        };
        for reply in replies {
            reply(committed.as_ref().copied());
        }
        committed
    }

    /// Closes the connection, which makes `SQLite` roll back an open transaction.
    async fn close(self) {
        match tokio::time::timeout(CLOSE_TIMEOUT, self.db.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "closing the writing connection"),
            Err(_) => tracing::warn!("the writing connection does not close"),
        }
    }
}

async fn run_job<T, E>(
    batch: &DatabaseTransaction,
    env: Env,
    work: impl TransactionWork<T, E>,
    answer: oneshot::Sender<std::result::Result<(T, Vec<ChangeEvent>), E>>,
) -> JobResult
where
    T: Send + 'static,
    E: TransactionError,
{
    let (outcome, failure) = match attempt(batch, env, work).await {
        Ok(outcome) => (outcome, None),
        Err(error) => (Err(error.to_unavailable().into()), Some(error)),
    };
    let reply: CommitReply = Box::new(move |committed| {
        let outcome = match committed {
            Ok(()) => outcome,
            Err(error) => Err(error.to_unavailable().into()),
        };
        // The receiver is dropped if the caller stopped waiting.
        answer.send(outcome).ok();
    });
    (reply, failure)
}

/// Runs the work in a savepoint. Returns its value, or the error that has rolled it back.
///
/// # Errors
/// Returns an error if the database failed, or the work panicked.
async fn attempt<T, E: TransactionError>(
    batch: &DatabaseTransaction,
    env: Env,
    work: impl TransactionWork<T, E>,
) -> Result<std::result::Result<(T, Vec<ChangeEvent>), E>> {
    let tx = Tx::new(batch.begin().await?, env);
    // A panic in one transaction must not stop the writer, which all transactions need.
    let done = AssertUnwindSafe(work(&tx)).catch_unwind().await;
    let (savepoint, told) = tx.into_parts();
    match done {
        Ok(Ok(value)) => {
            savepoint.commit().await?;
            Ok(Ok((value, told)))
        }
        Ok(Err(error)) => {
            if let Some(failed @ StoreError::Unavailable(_)) = error.as_store_error() {
                return Err(failed.to_unavailable());
            }
            savepoint.rollback().await?;
            Ok(Err(error))
        }
        Err(_) => Err(StoreError::Unavailable("a transaction panicked".into())),
    }
}
