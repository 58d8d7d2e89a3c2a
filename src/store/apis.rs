//! Registered APIs. There are few, so they are read together and cached in memory by `node_cache`.

use sea_orm::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait as _, OnConflict, Order, Query};

use super::advisory_locks::{self, AdvisoryLock};
use super::versions::row as version;
use super::{Result, Tx, from_json, json, versions};
use crate::domain::api::{Api, ApiId};
use crate::domain::version::VersionedEntity;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "api")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub identifier: String,
        #[sea_orm(column_type = "Text")]
        pub document: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Locks all APIs exclusively until the transaction ends, so that what it reads of them stays true.
pub async fn lock(tx: &Tx) -> Result<()> {
    advisory_locks::lock(tx, AdvisoryLock::Apis).await
}

/// Locks all APIs shared until the transaction ends, for a write that depends on their contents. Must be taken before
/// any client is locked.
pub async fn lock_shared(tx: &Tx) -> Result<()> {
    advisory_locks::lock_shared(tx, AdvisoryLock::Apis).await
}

/// Inserts or replaces an API.
pub async fn put(tx: &Tx, api: &Api) -> Result<()> {
    if row::Entity::find_by_id(api.identifier.as_str()).one(tx.conn()).await?.is_none() {
        versions::begin(tx, &VersionedEntity::Api(api.identifier.clone())).await?;
    }
    let model = row::ActiveModel {
        identifier: Set(api.identifier.as_str().to_owned()),
        document: Set(json(api, "api", "document")?),
    };
    let replace = OnConflict::column(row::Column::Identifier).update_column(row::Column::Document).to_owned();
    row::Entity::insert(model).on_conflict(replace).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub async fn delete(tx: &Tx, id: &ApiId) -> Result<()> {
    versions::revoke(tx, &VersionedEntity::Api(id.clone())).await?;
    row::Entity::delete_by_id(id.as_str()).exec(tx.conn()).await?;
    Ok(())
}

pub async fn all<C: ConnectionTrait>(conn: &C) -> Result<Vec<Api>> {
    let version = Query::select()
        .column((version::Entity, version::Column::Version))
        .from(version::Entity)
        .and_where(
            Expr::col((version::Entity, version::Column::Subject)).eq(Expr::cust("'api:' || \"api\".\"identifier\"")),
        )
        .to_owned();
    // One statement, so that the version belongs to the document.
    let select = Query::select()
        .column((row::Entity, row::Column::Document))
        .expr(Expr::SubQuery(None, Box::new(version.into())))
        .from(row::Entity)
        .order_by((row::Entity, row::Column::Identifier), Order::Asc)
        .to_owned();
    let rows = conn.query_all(&select).await?;
    rows.iter()
        .map(|row| {
            let (document, version): (String, Option<i64>) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            Ok(Api { version: version.unwrap_or_default(), ..from_json(&document, "api", "document")? })
        })
        .collect()
}
