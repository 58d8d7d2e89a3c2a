//! Initial access tokens, which permit the registration of clients (RFC 7591 §3): the digest, the expiry and the
//! remaining uses.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{Condition, IntoActiveModel, QueryOrder, QuerySelect};

use super::{Result, Tx, sweep::delete_batch};
use crate::domain::ids::InitialAccessId;
use crate::domain::secret::Digest;
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "initial_access")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        pub id: Uuid,
        pub uses_left: Option<i32>,
        pub created_at: i64,
        pub expires_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// An initial access token without its secret.
#[derive(Clone, Debug)]
pub struct InitialAccess {
    pub id: InitialAccessId,
    /// The remaining uses. `None` means unlimited.
    pub uses_left: Option<i32>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

impl From<row::Model> for InitialAccess {
    fn from(row: row::Model) -> Self {
        Self {
            id: InitialAccessId(row.id),
            uses_left: row.uses_left,
            created_at: Timestamp(row.created_at),
            expires_at: Timestamp(row.expires_at),
        }
    }
}

pub async fn insert(tx: &Tx, digest: &Digest, access: &InitialAccess) -> Result<()> {
    let model = row::Model {
        digest: digest.0.to_vec(),
        id: access.id.0,
        uses_left: access.uses_left,
        created_at: access.created_at.0,
        expires_at: access.expires_at.0,
    };
    row::Entity::insert(model.into_active_model()).exec_without_returning(tx.conn()).await?;
    Ok(())
}

fn good(digest: &Digest, now: Timestamp) -> Condition {
    Condition::all()
        .add(row::Column::Digest.eq(digest.0.to_vec()))
        .add(row::Column::ExpiresAt.gt(now.0))
        .add(Condition::any().add(row::Column::UsesLeft.is_null()).add(row::Column::UsesLeft.gt(0)))
}

/// Returns whether the token could be used now.
pub async fn is_good<C: ConnectionTrait>(conn: &C, digest: &Digest, now: Timestamp) -> Result<bool> {
    Ok(row::Entity::find().filter(good(digest, now)).one(conn).await?.is_some())
}

/// Uses the token once, by one statement that only one of several concurrent requests can win. Returns whether it was
/// valid.
pub async fn consume(tx: &Tx, digest: &Digest) -> Result<bool> {
    let done = row::Entity::update_many()
        // An unlimited token stays unlimited: `NULL - 1` is `NULL`.
        .col_expr(row::Column::UsesLeft, Expr::col(row::Column::UsesLeft).sub(1))
        .filter(good(digest, tx.now()))
        .exec(tx.conn())
        .await?;
    Ok(done.rows_affected > 0)
}

/// Returns the newest stored tokens, including those without remaining uses.
pub async fn list<C: ConnectionTrait>(conn: &C, most: u64) -> Result<Vec<InitialAccess>> {
    let newest = row::Entity::find().order_by_desc(row::Column::CreatedAt).limit(most);
    Ok(newest.all(conn).await?.into_iter().map(Into::into).collect())
}

/// Deletes a token. Returns whether it existed.
pub async fn delete(tx: &Tx, id: InitialAccessId) -> Result<bool> {
    let done = row::Entity::delete_many().filter(row::Column::Id.eq(id.0)).exec(tx.conn()).await?;
    Ok(done.rows_affected > 0)
}

pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    delete_batch::<row::Entity>(tx, row::Column::Digest, tx.is_past_everywhere(row::Column::ExpiresAt), most).await
}
