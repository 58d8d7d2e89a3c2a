//! Passkeys, by owner and by credential id.

use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel, QueryOrder};

use super::{Result, Tx};
use crate::domain::ids::{PasskeyId, UserId};
use crate::domain::passkey::Passkey;
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "passkey")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub credential_id: Vec<u8>,
        #[sea_orm(column_type = "Text")]
        pub credential: String,
        pub name: String,
        pub created_at: i64,
        pub last_used_at: Option<i64>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl From<row::Model> for Passkey {
    fn from(row: row::Model) -> Self {
        Self {
            id: PasskeyId(row.id),
            user: UserId(row.user_id),
            credential_id: row.credential_id,
            credential: row.credential,
            name: row.name,
            created_at: Timestamp(row.created_at),
            last_used_at: row.last_used_at.map(Timestamp),
        }
    }
}

/// Inserts a passkey. Returns [`super::StoreError::Taken`] if any user already has that credential.
pub async fn insert(tx: &Tx, passkey: &Passkey) -> Result<()> {
    let model = row::Model {
        id: passkey.id.0,
        user_id: passkey.user.0,
        credential_id: passkey.credential_id.clone(),
        credential: passkey.credential.clone(),
        name: passkey.name.clone(),
        created_at: passkey.created_at.0,
        last_used_at: passkey.last_used_at.map(|at| at.0),
    };
    row::Entity::insert(model.into_active_model()).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub async fn by_credential_id<C: ConnectionTrait>(conn: &C, id: &[u8]) -> Result<Option<Passkey>> {
    Ok(row::Entity::find().filter(row::Column::CredentialId.eq(id.to_vec())).one(conn).await?.map(Into::into))
}

pub async fn of_user<C: ConnectionTrait>(conn: &C, user: UserId) -> Result<Vec<Passkey>> {
    let rows = row::Entity::find()
        .filter(row::Column::UserId.eq(user.0))
        .order_by_asc(row::Column::CreatedAt)
        .all(conn)
        .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Records a use of a passkey, with the signature counter that came with it.
pub async fn used(tx: &Tx, id: PasskeyId, credential: &str) -> Result<()> {
    row::Entity::update_many()
        .col_expr(row::Column::Credential, Expr::value(credential))
        .col_expr(row::Column::LastUsedAt, Expr::value(tx.now().0))
        .filter(row::Column::Id.eq(id.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Renames a user's passkey if its name is still `seen`. Returns whether it was renamed.
pub async fn rename(tx: &Tx, user: UserId, id: PasskeyId, seen: &str, name: &str) -> Result<bool> {
    let done = row::Entity::update_many()
        .col_expr(row::Column::Name, Expr::value(name))
        .filter(row::Column::Id.eq(id.0))
        .filter(row::Column::UserId.eq(user.0))
        .filter(row::Column::Name.eq(seen))
        .exec(tx.conn())
        .await?;
    Ok(done.rows_affected > 0)
}

/// Deletes a user's passkey. Returns whether the user had it. [`super::passkey_removal`] revokes what it gave access
/// to.
pub(super) async fn delete(tx: &Tx, user: UserId, id: PasskeyId) -> Result<bool> {
    let done = row::Entity::delete_many()
        .filter(row::Column::Id.eq(id.0))
        .filter(row::Column::UserId.eq(user.0))
        .exec(tx.conn())
        .await?;
    Ok(done.rows_affected > 0)
}

/// Deletes all passkeys of a user and returns their number.
pub(super) async fn delete_of_user(tx: &Tx, user: UserId) -> Result<u64> {
    let done = row::Entity::delete_many().filter(row::Column::UserId.eq(user.0)).exec(tx.conn()).await?;
    Ok(done.rows_affected)
}

/// Returns the number of passkeys of a user.
pub async fn count<C: ConnectionTrait>(conn: &C, user: UserId) -> Result<u64> {
    Ok(row::Entity::find().filter(row::Column::UserId.eq(user.0)).count(conn).await?)
}

/// Returns whether the passkey still exists.
pub async fn exists<C: ConnectionTrait>(conn: &C, id: PasskeyId) -> Result<bool> {
    Ok(row::Entity::find_by_id(id.0).one(conn).await?.is_some())
}
