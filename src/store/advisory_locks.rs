//! Locks for rules that span rows, such as "no two APIs share a gate". Transactions that could break such a rule run
//! one after the other.
//!
//! These are the only locks that are not row locks. Each delays only changes of its own kind, and for no longer than
//! the server tolerates an idle transaction. `SQLite` has a single writer and needs none.
//!
//! # Lock order
//! A transaction that takes several locks takes them in this order, and locks of one kind in the order of ids, so that
//! no two transactions deadlock:
//!
//! 1. the registration lock (`manage::registration`),
//! 2. users (`users::lock_all_for_update`), including the actor,
//! 3. the actor's session, shared (`sessions::lock_shared`),
//! 4. [`AdvisoryLock::Apis`], then [`AdvisoryLock::Clients`],
//! 5. clients (`clients::lock_for_update`),
//! 6. the counters of a user, a consent and a client ([`super::versions`]), then after the user's counter the session,
//!    shared ([`super::authorizations`]),
//! 7. sessions that end, with their grants ([`super::session_end`]),
//! 8. [`AdvisoryLock::Administrators`], [`AdvisoryLock::SigningKeys`].
//!
//! `apply` locks users and clients in the order of its document. If that causes a deadlock, PostgreSQL aborts one of
//! the transactions after a second, and nothing of it is written.

use sea_orm::{ConnectionTrait as _, DbBackend};

use super::{Result, Tx};

/// What only one transaction at a time may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdvisoryLock {
    /// The set of APIs.
    Apis,
    /// The set of clients, for rules about what refers to them.
    Clients,
    /// The set of signing keys and their states.
    SigningKeys,
    /// The number of remaining administrators.
    Administrators,
}

impl AdvisoryLock {
    /// The numbers are arbitrary but must differ from the one of the migrations (`schema`).
    const fn number(self) -> i64 {
        match self {
            Self::Apis => 0x5349_474E_4555,
            Self::SigningKeys => 0x5349_474E_4556,
            Self::Administrators => 0x5349_474E_4557,
            Self::Clients => 0x5349_474E_4558,
        }
    }
}

/// Takes the lock exclusively. What is read afterwards stays true until the transaction ends.
pub async fn lock(tx: &Tx, what: AdvisoryLock) -> Result<()> {
    take(tx, what, "pg_advisory_xact_lock").await
}

/// Takes the lock shared: other transactions may hold it shared too, and exclusive holders wait until this one ends.
pub async fn lock_shared(tx: &Tx, what: AdvisoryLock) -> Result<()> {
    take(tx, what, "pg_advisory_xact_lock_shared").await
}

async fn take(tx: &Tx, what: AdvisoryLock, function: &str) -> Result<()> {
    if tx.conn().get_database_backend() == DbBackend::Postgres {
        let number = what.number();
        tx.conn().execute_unprepared(&format!("SELECT {function}({number})")).await?;
    }
    Ok(())
}
