//! SQLite's group commit: one task owns the writing connection and takes the transactions that wait as savepoints of one
//! commit, so that one fsync makes many of them durable. Each is answered after that commit, never before.
//!
//! A refused or failed transaction rolls back its own savepoint only; a failed commit fails all that were in it.
//! A caller that has given up changes nothing: what was queued is done. A full queue answers "unavailable".

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use super::{Change, PATIENCE, Result, StoreError, Tx, Work};
use crate::env::Env;

/// At most this many transactions in one commit, so that the first does not wait for ever.
const BATCH: usize = 64;
/// At most this many waiting.
const QUEUE: usize = 1024;

/// Sends the answer, once the commit's outcome is known.
type Reply = Box<dyn FnOnce(std::result::Result<(), &DbErr>) + Send>;
type Job = Box<dyn for<'c> FnOnce(&'c DatabaseTransaction) -> BoxFuture<'c, Reply> + Send>;

pub(super) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    done: tokio::sync::Mutex<Option<oneshot::Receiver<()>>>,
}

impl Writer {
    pub(super) fn start(db: DatabaseConnection) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (finished, done) = oneshot::channel();
        tokio::spawn(async move {
            work_off(&db, jobs).await;
            if let Err(error) = db.close().await {
                tracing::warn!(%error, "closing the database");
            }
            // The receiver is gone where nobody waits for the stop.
            finished.send(()).ok();
        });
        Self { queue: Mutex::new(Some(queue)), done: tokio::sync::Mutex::new(Some(done)) }
    }

    pub(super) async fn run<T: Send + 'static>(&self, env: Env, work: impl Work<T>) -> Result<(T, Vec<Change>)> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |batch| Box::pin(in_savepoint(batch, env, work, answer)));
        let queue = self.queue.lock().ok().and_then(|queue| queue.clone()).ok_or_else(stopped)?;
        queue.try_send(job).map_err(|_| StoreError::Unavailable("too many transactions are waiting".into()))?;
        tokio::time::timeout(PATIENCE, answered)
            .await
            .map_err(|_| StoreError::Unavailable("no answer".into()))?
            .map_err(|_| stopped())?
    }

    /// Takes no more work and waits until what was queued is durable.
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

async fn work_off(db: &DatabaseConnection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.recv().await {
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let batch = match db.begin_with_options(immediate).await {
            Ok(batch) => batch,
            Err(error) => {
                // Dropping a job closes its caller's channel, which answers "unavailable": those that came meanwhile
                // too, which have waited as long as one should.
                tracing::error!(%error, "the database does not begin a transaction");
                while jobs.try_recv().is_ok() {}
                continue;
            }
        };
        let mut replies = Vec::with_capacity(BATCH);
        let mut next = Some(first);
        while let Some(job) = next.take() {
            replies.push(job(&batch).await);
            if replies.len() < BATCH {
                next = jobs.try_recv().ok();
            }
        }
        let committed = batch.commit().await;
        if let Err(error) = &committed {
            tracing::error!(%error, "the database does not commit");
        }
        for reply in replies {
            reply(committed.as_ref().copied());
        }
    }
}

async fn in_savepoint<T: Send + 'static>(
    batch: &DatabaseTransaction,
    env: Env,
    work: impl Work<T>,
    answer: oneshot::Sender<Result<(T, Vec<Change>)>>,
) -> Reply {
    let outcome = async {
        let tx = Tx::new(batch.begin().await?, env);
        // A panic in one transaction must not take the writer, and everybody's writes, with it.
        let done = AssertUnwindSafe(work(&tx)).catch_unwind().await;
        let (savepoint, told) = tx.told();
        match done {
            Ok(Ok(value)) => {
                savepoint.commit().await?;
                Ok((value, told))
            }
            Ok(Err(error)) => {
                savepoint.rollback().await?;
                Err(error)
            }
            Err(_) => {
                savepoint.rollback().await?;
                Err(StoreError::Unavailable("a transaction panicked".into()))
            }
        }
    }
    .await;
    Box::new(move |committed| {
        let outcome = match committed {
            Ok(()) => outcome,
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        };
        // The receiver is gone where the caller gave up waiting.
        answer.send(outcome).ok();
    })
}
