//! Registered APIs: few, read whole and kept in memory by `authority`.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{QueryOrder, Set};

use super::exclusive::{self, Exclusive};
use super::{Result, Tx, from_json, json};
use crate::domain::api::{Api, ApiId};

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

/// Lets nobody else change an API until the transaction ends, so that what it reads of them stays true.
pub async fn lock(tx: &Tx) -> Result<()> {
    exclusive::lock(tx, Exclusive::Apis).await
}

/// Makes an API be as `api` says, new or not.
pub async fn put(tx: &Tx, api: &Api) -> Result<()> {
    let model = row::ActiveModel {
        identifier: Set(api.identifier.as_str().to_owned()),
        document: Set(json(api, "api", "document")?),
    };
    let replace = OnConflict::column(row::Column::Identifier).update_column(row::Column::Document).to_owned();
    row::Entity::insert(model).on_conflict(replace).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub async fn delete(tx: &Tx, id: &ApiId) -> Result<()> {
    row::Entity::delete_by_id(id.as_str()).exec(tx.conn()).await?;
    Ok(())
}

pub async fn all<C: ConnectionTrait>(conn: &C) -> Result<Vec<Api>> {
    let rows = row::Entity::find().order_by_asc(row::Column::Identifier).all(conn).await?;
    rows.iter().map(|row| from_json(&row.document, "api", "document")).collect()
}
