//! The owner of each signature key id: one row for each id, so that no two clients share one. The keys themselves are
//! part of the client ([`super::clients`]), which is cached in memory.

use sea_orm::Set;
use sea_orm::entity::prelude::*;

use super::{Result, StoreError, Tx};
use crate::domain::ids::ClientId;
use crate::domain::signature_key::KeyId;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "signature_key")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub keyid: String,
        pub client_id: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Replaces the key ids of a client. Returns [`StoreError::Taken`] if one of them belongs to another client.
pub async fn put(tx: &Tx, client: &ClientId, names: impl Iterator<Item = &KeyId>) -> Result<()> {
    row::Entity::delete_many().filter(row::Column::ClientId.eq(client.as_str())).exec(tx.conn()).await?;
    let row = |name: &KeyId| row::ActiveModel {
        keyid: Set(name.as_str().to_owned()),
        client_id: Set(client.as_str().to_owned()),
    };
    let rows: Vec<_> = names.map(row).collect();
    if !rows.is_empty() {
        row::Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    }
    Ok(())
}

pub async fn owner<C: ConnectionTrait>(conn: &C, name: &KeyId) -> Result<Option<ClientId>> {
    let row = row::Entity::find_by_id(name.as_str()).one(conn).await?;
    let corrupt = |_| StoreError::Corrupt { table: "signature_key", column: "client_id" };
    row.map(|row| ClientId::parse(&row.client_id).map_err(corrupt)).transpose()
}
