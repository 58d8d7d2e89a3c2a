//! What may be used once and carries its own state (a passkey ceremony's ticket, a client's assertion), or whose row is
//! gone before its use is over (a pushed request): a row says that it has been.

use sea_orm::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;

use super::{Result, Tx, sweep::delete_some};
use crate::domain::secret::Digest;
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "used_once")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        pub expires_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Uses it; whether this was the first time.
pub async fn claim(tx: &Tx, digest: &Digest, until: Timestamp) -> Result<bool> {
    let model = row::ActiveModel { digest: Set(digest.0.to_vec()), expires_at: Set(until.0) };
    let rows = row::Entity::insert(model)
        .on_conflict(OnConflict::column(row::Column::Digest).do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await;
    match rows {
        Ok(rows) => Ok(rows > 0),
        Err(DbErr::RecordNotInserted) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether it has been used.
pub async fn was_claimed<C: ConnectionTrait>(conn: &C, digest: &Digest) -> Result<bool> {
    Ok(row::Entity::find_by_id(digest.0.to_vec()).one(conn).await?.is_some())
}

pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    delete_some::<row::Entity>(tx, row::Column::Digest, row::Column::ExpiresAt.lt(tx.now().0), most).await
}
