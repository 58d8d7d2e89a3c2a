//! The groups whose members may use a client: its `allowed_groups` as rows. The transaction that issues something
//! decides by one statement, not by a cached copy of the client. A client without rows is open to every user.
//!
//! The rows are written together with the client's row ([`super::clients`]) and never otherwise. Deleting a group
//! leaves its rows here: the group has no members any more, and the client does not become open to everyone.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Query, SelectStatement};
use sea_orm::{QuerySelect, Set};

use super::{Result, Tx, groups};
use crate::domain::client_metadata::GroupName;
use crate::domain::ids::{ClientId, UserId};

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "client_group")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub client_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub group_name: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Replaces the groups of a client.
pub(super) async fn put(tx: &Tx, client: &ClientId, groups: &[GroupName]) -> Result<()> {
    row::Entity::delete_many().filter(row::Column::ClientId.eq(client.as_str())).exec(tx.conn()).await?;
    let mut groups = groups.to_vec();
    groups.sort();
    groups.dedup();
    let row = |group: &GroupName| row::ActiveModel {
        client_id: Set(client.as_str().to_owned()),
        group_name: Set(group.as_str().to_owned()),
    };
    if !groups.is_empty() {
        row::Entity::insert_many(groups.iter().map(row)).exec_without_returning(tx.conn()).await?;
    }
    Ok(())
}

/// Returns whether a user may use every one of `clients` now.
pub async fn admit<C: ConnectionTrait>(conn: &C, user: UserId, clients: &[&ClientId]) -> Result<bool> {
    let ids = || clients.iter().map(|client| client.as_str());
    let refusing = row::Entity::find()
        .select_only()
        .column(row::Column::ClientId)
        .filter(row::Column::ClientId.is_in(ids()))
        .filter(row::Column::ClientId.not_in_subquery(select_clients_open_to(user)))
        .limit(1)
        .into_tuple::<String>()
        .one(conn)
        .await?;
    Ok(refusing.is_none())
}

/// Selects the ids of clients that are restricted to groups.
pub(super) fn select_restricted_clients() -> SelectStatement {
    Query::select().column(row::Column::ClientId).from(row::Entity).to_owned()
}

/// Selects the ids of the restricted clients that a user may use.
pub(super) fn select_clients_open_to(user: UserId) -> SelectStatement {
    Query::select()
        .column(row::Column::ClientId)
        .from(row::Entity)
        .and_where(row::Column::GroupName.in_subquery(groups::select_groups_of(user)))
        .to_owned()
}
