//! Access tokens that were revoked individually (RFC 7009): sixteen bytes and an expiry each, kept until that expiry.
//!
//! [`super::revocations`] has them in memory. [`super::access_tokens`] has the opaque tokens, whose rows are deleted on
//! revocation.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{OnConflict, Query, SelectStatement};
use sea_orm::{ExprTrait as _, QueryOrder, QuerySelect, Set};

use super::revocations::MAX_ACCESS_TOKEN_TTL;
use super::{ChangeEvent, Result, StoreError, Tx, sweep::delete_batch};
use crate::domain::ids::GrantId;
use crate::domain::version::RevocationKey;
use crate::env::Timestamp;

/// The number of rows read at once when a node starts.
const PAGE_SIZE: u64 = 10_000;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "revoked_token")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub jti: Vec<u8>,
        pub expires_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Revokes one token on every node. Repeated calls have no further effect.
pub async fn insert(tx: &Tx, jti: RevocationKey, expires_at: Timestamp) -> Result<()> {
    if insert_row(tx, jti, expires_at).await? {
        tx.publish(ChangeEvent::Token(jti, expires_at)).await?;
    }
    Ok(())
}

async fn insert_row(tx: &Tx, jti: RevocationKey, expires_at: Timestamp) -> Result<bool> {
    let model = row::ActiveModel { jti: Set(jti.as_bytes().to_vec()), expires_at: Set(expires_at.0) };
    let once = OnConflict::column(row::Column::Jti).do_nothing().to_owned();
    Ok(row::Entity::insert(model).on_conflict(once).exec_without_returning(tx.conn()).await? > 0)
}

/// Records that a grant has ended for which there is no row to record it in.
pub async fn insert_grant(tx: &Tx, grant: GrantId) -> Result<()> {
    insert_row(tx, grant.into(), tx.now().plus_seconds(MAX_ACCESS_TOKEN_TTL)).await.map(drop)
}

/// Selects a row if any of these is revoked.
pub(super) fn any(of: impl Iterator<Item = RevocationKey>) -> SelectStatement {
    Query::select()
        .expr(Expr::cust("1"))
        .from(row::Entity)
        .and_where(Expr::col((row::Entity, row::Column::Jti)).is_in(of.map(|of| of.as_bytes().to_vec())))
        .to_owned()
}

/// Returns the next rows after `after`, ordered by `jti`.
pub(super) async fn page<C: ConnectionTrait>(
    conn: &C,
    after: Option<RevocationKey>,
) -> Result<Vec<(RevocationKey, Timestamp)>> {
    let mut query = row::Entity::find()
        .select_only()
        .columns([row::Column::Jti, row::Column::ExpiresAt])
        .order_by_asc(row::Column::Jti)
        .limit(PAGE_SIZE);
    if let Some(after) = after {
        query = query.filter(row::Column::Jti.gt(after.as_bytes().to_vec()));
    }
    let corrupt = || StoreError::Corrupt { table: "revoked_token", column: "jti" };
    let rows: Vec<(Vec<u8>, i64)> = query.into_tuple().all(conn).await?;
    let read = |(jti, at): (Vec<u8>, i64)| Ok((RevocationKey::from_bytes(&jti).ok_or_else(corrupt)?, Timestamp(at)));
    rows.into_iter().map(read).collect()
}

pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    // A node with a slow clock still considers the token unexpired.
    let expired = tx.is_past_everywhere(row::Column::ExpiresAt);
    delete_batch::<row::Entity>(tx, row::Column::Jti, expired, most).await
}
