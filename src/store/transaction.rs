//! One transaction, and the changes in it that other nodes are told of. [`super::Store::write`] begins and commits it.
//! Next door: [`super::feed`], which carries them; [`super::database_clock`], the time by the database's clock.

use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use sea_orm::DatabaseTransaction;

use super::{ChangeEvent, Result, StoreError, feed};
use crate::env::{Env, Timestamp};

/// One transaction. What it changes for other nodes it also tells them, by [`Tx::tell`].
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

    /// For the reading functions, which take a connection.
    #[must_use]
    pub const fn conn(&self) -> &DatabaseTransaction {
        &self.conn
    }

    /// The clock and randomness of this node.
    #[must_use]
    pub const fn env(&self) -> &Env {
        &self.env
    }

    /// When it began, by the clock that all its rows carry.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.at
    }

    /// Appends to the change feed: other nodes follow within a second, this one when the transaction has committed.
    ///
    /// The entry's time is now, not the transaction's beginning: what waited for this one's locks began later, and what
    /// it waited for itself is older.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn publish(&self, change: ChangeEvent) -> Result<()> {
        feed::append(&self.conn, self.env.now(), self.env.random(), &change).await?;
        // What this node has not heard from itself it would hear from nobody in time.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
        Ok(())
    }

    pub(super) fn into_parts(self) -> (DatabaseTransaction, Vec<ChangeEvent>) {
        (self.conn, self.changes.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The error of a transaction's work, which rolls it back.
pub trait TransactionError: From<StoreError> + Send + 'static {
    /// Returns the database's own error, if it is one.
    fn as_store_error(&self) -> Option<&StoreError>;
}

impl TransactionError for StoreError {
    fn as_store_error(&self) -> Option<&StoreError> {
        Some(self)
    }
}

/// A transaction's work.
pub trait TransactionWork<T, E = StoreError>:
    for<'c> FnOnce(&'c Tx) -> BoxFuture<'c, std::result::Result<T, E>> + Send + 'static
{
}
impl<T, E, F> TransactionWork<T, E> for F where
    F: for<'c> FnOnce(&'c Tx) -> BoxFuture<'c, std::result::Result<T, E>> + Send + 'static
{
}
