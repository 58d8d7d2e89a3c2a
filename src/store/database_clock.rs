//! The database's clock. A time that one node writes by it is judged the same way by every other node, whatever the
//! error of their own clocks.
//!
//! Each read of the change feed returns the database's time, and the node's own clock ([`Env::now`]) is corrected to
//! it. Nodes therefore agree within a fraction of a second on times that no statement decides: when an access token was
//! issued and expires. Sessions and short lifetimes (codes, device codes, pushed requests, tickets, claims of
//! deliveries, the reuse window of a refresh token) are written and judged by the database's clock itself. `SQLite`
//! uses the machine's clock. In tests, the test clock stands for the database's clock as well.

use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend};

use super::{Result, Store, Tx};
use crate::env::{Clock, Env, Timestamp};

/// Nodes' clocks may differ by five minutes, so a row is kept for twice that after it expired by the clock of the
/// sweeping node. No other node can still consider a swept row valid.
pub const CLOCK_MARGIN_SECONDS: i64 = 600;

/// The time by the database's clock, as an expression in the statement that depends on it.
#[derive(Clone, Debug)]
pub struct DatabaseNow(Expr);

impl From<DatabaseNow> for Expr {
    fn from(now: DatabaseNow) -> Self {
        now.0
    }
}

fn has_own_clock(backend: DbBackend, env: &Env) -> bool {
    backend == DbBackend::Postgres && matches!(env.clock, Clock::System)
}

fn now(backend: DbBackend, env: &Env) -> DatabaseNow {
    DatabaseNow(if has_own_clock(backend, env) {
        Expr::cust("(extract(epoch from clock_timestamp()) * 1000)::bigint")
    } else {
        Expr::value(env.clock.database_now().0)
    })
}

async fn time<C: ConnectionTrait>(conn: &C, env: &Env) -> Result<Timestamp> {
    let backend = conn.get_database_backend();
    if !has_own_clock(backend, env) {
        return Ok(env.clock.database_now());
    }
    let ask: SelectStatement = Query::select().expr(now(backend, env)).to_owned();
    let row = conn.query_one(&ask).await?;
    let row = row.ok_or_else(|| super::StoreError::Unavailable("the database tells no time".into()))?;
    Ok(Timestamp(row.try_get_by_index(0)?))
}

impl Tx {
    /// Returns the time by the database's clock, as an expression for a statement.
    pub fn database_now(&self) -> DatabaseNow {
        now(self.conn().get_database_backend(), self.env())
    }

    /// Returns the time by the database's clock.
    ///
    /// # Errors
    /// Returns an error if the database does not answer.
    pub async fn database_time(&self) -> Result<Timestamp> {
        time(self.conn(), self.env()).await
    }

    /// Returns a condition that a time in `column`, written by any node's clock, is past for every node. For sweeps.
    pub(super) fn is_past_everywhere(&self, column: impl ColumnTrait) -> Expr {
        column.lt(self.now().plus_seconds(-CLOCK_MARGIN_SECONDS).0)
    }

    /// Returns a condition that a time in `column`, written by the database's clock, is past.
    pub(super) fn is_past(&self, column: impl ColumnTrait) -> Expr {
        column.into_expr().lt(self.database_now())
    }
}

/// A larger clock error is logged.
const MIN_REPORTED_SKEW_MILLIS: i64 = 2_000;

impl Store {
    /// Corrects this node's clock to a time that the database returned for a query sent at `asked`.
    pub(super) fn correct_clock(&self, reading: Timestamp, asked: Timestamp) {
        let (env, backend) = (self.env(), self.read().get_database_backend());
        if !has_own_clock(backend, env) {
            return;
        }
        if let Some(difference) = env.correct_clock(reading, asked, env.clock.now())
            && difference.abs() >= MIN_REPORTED_SKEW_MILLIS
        {
            tracing::warn!(
                milliseconds = difference,
                "this machine's clock differs from the database's, which is used"
            );
        }
    }

    /// Returns this node's estimate of the database's time, without a query.
    #[must_use]
    pub fn estimated_database_time(&self) -> Timestamp {
        let env = self.env();
        if has_own_clock(self.read().get_database_backend(), env) { env.now() } else { env.clock.database_now() }
    }

    /// Returns the time by the database's clock, as an expression for a statement that reads.
    pub fn database_now(&self) -> DatabaseNow {
        now(self.read().get_database_backend(), &self.inner.env)
    }

    /// Returns the time by the database's clock.
    ///
    /// # Errors
    /// Returns an error if the database does not answer.
    pub async fn database_time(&self) -> Result<Timestamp> {
        time(self.read(), &self.inner.env).await
    }
}
