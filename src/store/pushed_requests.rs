//! Pushed authorization requests (RFC 9126). Their use is recorded in `replay`, which outlives the row.

use sea_orm::entity::prelude::*;
use sea_orm::{ExprTrait as _, Set};

use super::{Result, Store, StoreError, Tx, from_json, json, sweep::delete_batch};
use crate::domain::ids::ClientId;
use crate::domain::secret::Digest;
use crate::domain::version::Versions;

/// A pushed request that has not been used yet.
#[derive(Clone, Debug)]
pub struct PushedRequest {
    pub digest: Digest,
    pub client: ClientId,
    /// The versions of the client and the APIs that the request was accepted for.
    pub versions: Versions,
    /// The parameters, form-encoded. A request object has already been unpacked.
    pub parameters: String,
}

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "pushed_request")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        pub client_id: String,
        #[sea_orm(column_type = "Text")]
        pub versions: String,
        #[sea_orm(column_type = "Text")]
        pub parameters: String,
        pub expires_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Stores a request for that many seconds, by the database's clock.
pub async fn insert(tx: &Tx, request: &PushedRequest, seconds: i64) -> Result<()> {
    let model = row::ActiveModel {
        digest: Set(request.digest.0.to_vec()),
        client_id: Set(request.client.as_str().to_owned()),
        versions: Set(json(&request.versions, "pushed_request", "versions")?),
        parameters: Set(request.parameters.clone()),
        expires_at: Set(tx.database_time().await?.plus_seconds(seconds).0),
    };
    row::Entity::insert(model).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Returns the unexpired request with that digest.
pub async fn by_digest(store: &Store, digest: &Digest) -> Result<Option<PushedRequest>> {
    let corrupt = |_| StoreError::Corrupt { table: "pushed_request", column: "client_id" };
    let expires_at = Expr::col((row::Entity, row::Column::ExpiresAt));
    let query = row::Entity::find_by_id(digest.0.to_vec()).filter(expires_at.gt(store.database_now()));
    let row = query.one(store.read()).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(PushedRequest {
        digest: *digest,
        client: ClientId::parse(&row.client_id).map_err(corrupt)?,
        versions: from_json(&row.versions, "pushed_request", "versions")?,
        parameters: row.parameters,
    }))
}

pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    delete_batch::<row::Entity>(tx, row::Column::Digest, tx.is_past(row::Column::ExpiresAt), most).await
}
