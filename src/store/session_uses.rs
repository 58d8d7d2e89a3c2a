//! The browser sessions in which something was issued: an app's code, a device's tokens, a gate's cookie. The end of
//! such a session is published to every node, which remembers it for as long as an access token can be valid. The end
//! of any other session is not published.
//!
//! This is a row of its own and not a column of the session. Concurrent transactions that issue hold a shared lock on
//! the session, and on PostgreSQL two of them that both wrote to it would deadlock. [`super::session_end`] deletes the
//! rows.

use moka::sync::Cache;
use sea_orm::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;

use super::{Result, Tx, rows_inserted};
use crate::domain::ids::SessionId;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "session_use")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub session_id: Uuid,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// The sessions whose row is known to be durable. A row exists as long as its session, so a silent renewal need not
/// write it again.
pub struct SessionUseCache(Cache<SessionId, ()>);

/// A session that was evicted only has its row written once more.
const MAX_CACHED: u64 = 10_000;

impl Default for SessionUseCache {
    fn default() -> Self {
        Self(Cache::new(MAX_CACHED))
    }
}

impl SessionUseCache {
    #[must_use]
    pub fn has(&self, session: SessionId) -> bool {
        self.0.contains_key(&session)
    }

    /// Removes all entries, because the database has been replaced.
    pub(super) fn clear(&self) {
        self.0.invalidate_all();
    }

    /// Adds a session. Call this only after the transaction that recorded the use has committed.
    pub fn add(&self, session: SessionId) {
        self.0.insert(session, ());
    }
}

/// Records that something is issued in a session. The caller has locked the session, so that the transaction that ends
/// it finds this row.
pub async fn record(tx: &Tx, session: SessionId) -> Result<()> {
    let model = row::ActiveModel { session_id: Set(session.0) };
    let again = OnConflict::column(row::Column::SessionId).do_nothing().to_owned();
    rows_inserted(row::Entity::insert(model).on_conflict(again).exec_without_returning(tx.conn()).await).map(drop)
}

/// Deletes the rows of ending sessions. Returns the sessions in which something was issued.
pub(super) async fn take(tx: &Tx, sessions: &[SessionId]) -> Result<Vec<SessionId>> {
    if sessions.is_empty() {
        return Ok(Vec::new());
    }
    let ids = sessions.iter().map(|id| id.0);
    let gone =
        row::Entity::delete_many().filter(row::Column::SessionId.is_in(ids)).exec_with_returning(tx.conn()).await?;
    Ok(gone.into_iter().map(|row| SessionId(row.session_id)).collect())
}
