//! Rules that span rows, such as "no two APIs have one gate": whoever might break one takes its turn.
//!
//! These are the only locks that are not rows. Each delays changes of its own kind and nothing else, for as long as the
//! server lets a transaction be silent. `SQLite` has one writer and needs none.

use sea_orm::{ConnectionTrait as _, DbBackend};

use super::{Result, Tx};

/// What one transaction at a time may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusive {
    /// The set of APIs.
    Apis,
    /// Which signing keys there are, and in which state.
    SigningKeys,
    /// How many administrators there are left.
    Administrators,
}

impl Exclusive {
    /// Any numbers but that of the migrations (`schema`).
    const fn number(self) -> i64 {
        match self {
            Self::Apis => 0x5349_474E_4555,
            Self::SigningKeys => 0x5349_474E_4556,
            Self::Administrators => 0x5349_474E_4557,
        }
    }
}

/// Waits for its turn. What is read afterwards stays true until the transaction ends.
pub async fn lock(tx: &Tx, what: Exclusive) -> Result<()> {
    if tx.conn().get_database_backend() == DbBackend::Postgres {
        let number = what.number();
        tx.conn().execute_unprepared(&format!("SELECT pg_advisory_xact_lock({number})")).await?;
    }
    Ok(())
}
