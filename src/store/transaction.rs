//! One transaction, with the changes that it publishes to other nodes. [`super::Store::write`] begins and commits it.
//! [`super::feed`] carries the changes. [`super::database_clock`] returns the time by the database's clock.

use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use sea_orm::DatabaseTransaction;

use super::{ChangeEvent, Result, StoreError, feed};
use crate::env::{Env, Timestamp};

/// One transaction. A change that concerns other nodes must also be published, by [`Tx::publish`].
pub struct Tx {
    conn: DatabaseTransaction,
    env: Env,
    at: Timestamp,
    changes: Mutex<Vec<ChangeEvent>>,
}

impl Tx {
    pub(super) fn new(conn: DatabaseTransaction, env: Env) -> Self {
        let at = env.now();
        Self { conn, env, at, changes: Mutex::default() }
    }

    /// Returns the connection, for functions that read.
    #[must_use]
    pub const fn conn(&self) -> &DatabaseTransaction {
        &self.conn
    }

    /// Returns the clock and randomness of this node.
    #[must_use]
    pub const fn env(&self) -> &Env {
        &self.env
    }

    /// Returns the time at which the transaction began, which all its rows carry.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.at
    }

    /// Appends an entry to the change feed. Other nodes apply it within a second, this node when the transaction has
    /// committed.
    ///
    /// The entry's time is now, not the beginning of the transaction. Transactions that wait for this one's locks
    /// therefore get later times, and those it waited for itself have earlier ones.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub async fn publish(&self, change: ChangeEvent) -> Result<()> {
        feed::append(&self.conn, self.env.now(), self.env.random(), &change).await?;
        // Kept for this node, which would otherwise learn of its own change too late, from the feed.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
        Ok(())
    }

    pub(super) fn into_parts(self) -> (DatabaseTransaction, Vec<ChangeEvent>) {
        (self.conn, self.changes.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The error of a transaction's work. It rolls the transaction back.
pub trait TransactionError: From<StoreError> + Send + 'static {
    /// Returns the database error, if this is one.
    fn as_store_error(&self) -> Option<&StoreError>;
}

impl TransactionError for StoreError {
    fn as_store_error(&self) -> Option<&StoreError> {
        Some(self)
    }
}

/// The work of a transaction.
pub trait TransactionWork<T, E = StoreError>:
    for<'c> FnOnce(&'c Tx) -> BoxFuture<'c, std::result::Result<T, E>> + Send + 'static
{
}
impl<T, E, F> TransactionWork<T, E> for F where
    F: for<'c> FnOnce(&'c Tx) -> BoxFuture<'c, std::result::Result<T, E>> + Send + 'static
{
}
