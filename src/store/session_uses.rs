//! In which browser sessions something was issued: an app's code, a device's tokens, a gate's cookie. The end of such a
//! session is told to every node, which remembers it for as long as an access token can live. The end of any other
//! session is told to nobody.
//!
//! A row of its own and no column of the session: transactions that issue at the same time share a lock on the session,
//! and on PostgreSQL two of them that both wrote to it would wait for each other. Next door: [`super::session_end`].

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

/// Sessions whose row is durable, as far as this node has seen. A row stays as long as its session, so that a silent
/// renewal need not write it again.
pub struct SessionUseCache(Cache<SessionId, ()>);

/// Of a session that is not kept the row is written once more.
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

    /// Forgets all: the database has been replaced.
    pub(super) fn clear(&self) {
        self.0.invalidate_all();
    }

    /// Call it when the transaction that recorded the use has committed.
    pub fn add(&self, session: SessionId) {
        self.0.insert(session, ());
    }
}

/// Records that something is issued in a session, which the caller has locked: whoever ends it finds this row.
pub async fn record(tx: &Tx, session: SessionId) -> Result<()> {
    let model = row::ActiveModel { session_id: Set(session.0) };
    let again = OnConflict::column(row::Column::SessionId).do_nothing().to_owned();
    rows_inserted(row::Entity::insert(model).on_conflict(again).exec_without_returning(tx.conn()).await).map(drop)
}

/// Takes out the rows of sessions that end; those of them in which something was issued.
pub(super) async fn take(tx: &Tx, sessions: &[SessionId]) -> Result<Vec<SessionId>> {
    if sessions.is_empty() {
        return Ok(Vec::new());
    }
    let ids = sessions.iter().map(|id| id.0);
    let gone =
        row::Entity::delete_many().filter(row::Column::SessionId.is_in(ids)).exec_with_returning(tx.conn()).await?;
    Ok(gone.into_iter().map(|row| SessionId(row.session_id)).collect())
}
