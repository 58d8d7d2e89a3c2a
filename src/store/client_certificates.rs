//! The certificate names by which clients are known: one row for each name and client, so that the gate finds the
//! client of a certificate without a client id. What a certificate must contain is part of the client's metadata
//! ([`super::clients`]), which is cached in memory and decides.

use sea_orm::entity::prelude::*;
use sea_orm::{QuerySelect, Set};

use super::{Result, StoreError, Tx};
use crate::domain::ids::ClientId;
use crate::domain::secret::Digest;

/// The maximum number of clients with the same name. If more share it, it identifies none of them.
const MAX_CLIENTS: u64 = 8;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "client_certificate")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: Vec<u8>,
        #[sea_orm(primary_key, auto_increment = false)]
        pub client_id: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Replaces the certificate names of a client.
pub async fn put(tx: &Tx, client: &ClientId, names: &[Digest]) -> Result<()> {
    row::Entity::delete_many().filter(row::Column::ClientId.eq(client.as_str())).exec(tx.conn()).await?;
    let row =
        |name: &Digest| row::ActiveModel { name: Set(name.0.to_vec()), client_id: Set(client.as_str().to_owned()) };
    if !names.is_empty() {
        row::Entity::insert_many(names.iter().map(row)).exec_without_returning(tx.conn()).await?;
    }
    Ok(())
}

/// Returns the clients registered by that name. An empty list is returned as `Some`, so that it is cached: a
/// certificate has more names than the one its client is registered by.
pub async fn owners<C: ConnectionTrait>(conn: &C, name: &Digest) -> Result<Option<Vec<ClientId>>> {
    let rows = row::Entity::find().filter(row::Column::Name.eq(name.0.to_vec())).limit(MAX_CLIENTS).all(conn).await?;
    let corrupt = |_| StoreError::Corrupt { table: "client_certificate", column: "client_id" };
    let owners: Vec<ClientId> =
        rows.iter().map(|row| ClientId::parse(&row.client_id).map_err(corrupt)).collect::<Result<_>>()?;
    Ok(Some(owners))
}
