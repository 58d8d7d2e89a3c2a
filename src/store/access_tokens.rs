//! Opaque access tokens, stored by digest. JWTs are not stored: `revocations` has the revoked ones.

use sea_orm::Set;
use sea_orm::entity::prelude::*;

use super::{Result, Tx, from_json, json, sweep::delete_batch};
use crate::domain::authorization::Authorization;
use crate::domain::ids::ClientId;
use crate::domain::secret::Digest;
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "access_token")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        pub grant_id: Option<Uuid>,
        #[sea_orm(column_type = "Text")]
        pub authorization: String,
        pub issued_at: i64,
        pub expires_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

#[derive(Clone, Debug)]
pub struct OpaqueToken {
    pub digest: Digest,
    pub authorization: Authorization,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

pub async fn insert(tx: &Tx, token: &OpaqueToken) -> Result<()> {
    let model = row::ActiveModel {
        digest: Set(token.digest.0.to_vec()),
        grant_id: Set(token.authorization.grant.map(|grant| grant.0)),
        authorization: Set(json(&token.authorization, "access_token", "authorization")?),
        issued_at: Set(token.issued_at.0),
        expires_at: Set(token.expires_at.0),
    };
    row::Entity::insert(model).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Returns the token with that digest if it has not expired.
pub async fn by_digest<C: ConnectionTrait>(conn: &C, digest: &Digest, now: Timestamp) -> Result<Option<OpaqueToken>> {
    let found = row::Entity::find_by_id(digest.0.to_vec()).filter(row::Column::ExpiresAt.gt(now.0)).one(conn).await?;
    found
        .map(|row| {
            Ok(OpaqueToken {
                digest: *digest,
                authorization: from_json(&row.authorization, "access_token", "authorization")?,
                issued_at: Timestamp(row.issued_at),
                expires_at: Timestamp(row.expires_at),
            })
        })
        .transpose()
}

/// Deletes the token with that digest if it was issued to `client`, expired or not.
pub async fn delete_if_issued_to(tx: &Tx, digest: &Digest, client: &ClientId) -> Result<()> {
    let Some(row) = row::Entity::find_by_id(digest.0.to_vec()).one(tx.conn()).await? else { return Ok(()) };
    let authorization: Authorization = from_json(&row.authorization, "access_token", "authorization")?;
    if authorization.client == *client {
        row::Entity::delete_by_id(digest.0.to_vec()).exec(tx.conn()).await?;
    }
    Ok(())
}

pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    delete_batch::<row::Entity>(tx, row::Column::Digest, tx.is_past_everywhere(row::Column::ExpiresAt), most).await
}
