//! Rules that span rows, such as "no two APIs have one gate": whoever might break one takes its turn.
//!
//! These are the only locks that are not rows. Each delays changes of its own kind and nothing else, for as long as the
//! server lets a transaction be silent. `SQLite` has one writer and needs none.
//!
//! # The order of locks
//! A transaction that takes several takes them in this order, and of one kind in the order of ids, so that no two wait for
//! each other:
//!
//! 1. the turn of registrations (`manage::registration`),
//! 2. users (`people::lock_all_for_update`), the actor among them,
//! 3. the actor's session, shared (`sessions::hold`),
//! 4. [`AdvisoryLock::Apis`], then [`AdvisoryLock::Clients`],
//! 5. clients (`clients::lock_for_update`),
//! 6. the counters of a user, a consent and a client ([`super::versions`]), after that of the user the session, shared
//!    ([`super::authorizations`]),
//! 7. sessions that end, with their grants ([`super::session_end`]),
//! 8. [`AdvisoryLock::Administrators`], [`AdvisoryLock::SigningKeys`].
//!
//! `apply` locks users and clients in the order of its document: where two transactions wait for each other all the same, PostgreSQL
//! ends one of them after a second, and nothing of it is written.

use sea_orm::{ConnectionTrait as _, DbBackend};

use super::{Result, Tx};

/// What one transaction at a time may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdvisoryLock {
    /// The set of APIs.
    Apis,
    /// Which clients there are, for what names them.
    Clients,
    /// Which signing keys there are, and in which state.
    SigningKeys,
    /// How many administrators there are left.
    Administrators,
}

impl AdvisoryLock {
    /// Any numbers but that of the migrations (`schema`).
    const fn number(self) -> i64 {
        match self {
            Self::Apis => 0x5349_474E_4555,
            Self::SigningKeys => 0x5349_474E_4556,
            Self::Administrators => 0x5349_474E_4557,
            Self::Clients => 0x5349_474E_4558,
        }
    }
}

/// Waits for its turn. What is read afterwards stays true until the transaction ends.
pub async fn lock(tx: &Tx, what: AdvisoryLock) -> Result<()> {
    take(tx, what, "pg_advisory_xact_lock").await
}

/// Waits until nobody else changes it, and lets nobody do so until the transaction ends. Many may at the same time.
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
