//! Groups and their members. A change of membership is published to every node before any row is written (see
//! [`super::users`]).

use std::collections::HashMap;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{OnConflict, Query, SelectStatement};
use sea_orm::{QueryOrder, QuerySelect, Set};

use super::cache::Stripes;
use super::{ChangeEvent, Result, Tx, rows_inserted};
use crate::domain::ids::UserId;

mod group {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "person_group")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub created_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

mod membership {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "membership")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub group_name: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub async fn insert_group(tx: &Tx, name: &str) -> Result<()> {
    let group = group::ActiveModel { name: Set(name.to_owned()), created_at: Set(tx.now().0) };
    group::Entity::insert(group).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub async fn delete_group(tx: &Tx, name: &str) -> Result<bool> {
    tx.publish(ChangeEvent::People(Stripes::all())).await?;
    membership::Entity::delete_many().filter(membership::Column::GroupName.eq(name)).exec(tx.conn()).await?;
    Ok(group::Entity::delete_by_id(name).exec(tx.conn()).await?.rows_affected > 0)
}

pub async fn all_groups<C: ConnectionTrait>(conn: &C) -> Result<Vec<String>> {
    let groups = group::Entity::find().order_by_asc(group::Column::Name).all(conn).await?;
    Ok(groups.into_iter().map(|group| group.name).collect())
}

pub async fn groups_of<C: ConnectionTrait>(conn: &C, id: UserId) -> Result<Vec<String>> {
    Ok(membership::Entity::find()
        .select_only()
        .column(membership::Column::GroupName)
        .filter(membership::Column::UserId.eq(id.0))
        .order_by_asc(membership::Column::GroupName)
        .into_tuple()
        .all(conn)
        .await?)
}

/// Selects the names of a user's groups.
pub(super) fn select_groups_of(user: UserId) -> SelectStatement {
    Query::select()
        .column(membership::Column::GroupName)
        .from(membership::Entity)
        .and_where(membership::Column::UserId.eq(user.0))
        .to_owned()
}

/// Returns the groups of each of these users, by one query.
pub async fn groups_of_all<C: ConnectionTrait>(conn: &C, ids: &[UserId]) -> Result<HashMap<UserId, Vec<String>>> {
    let members = membership::Entity::find()
        .filter(membership::Column::UserId.is_in(ids.iter().map(|id| id.0)))
        .order_by_asc(membership::Column::GroupName)
        .all(conn)
        .await?;
    let mut groups: HashMap<UserId, Vec<String>> = HashMap::new();
    for member in members {
        groups.entry(UserId(member.user_id)).or_default().push(member.group_name);
    }
    Ok(groups)
}

/// Replaces the groups of a user. All of `groups` must exist.
pub async fn set_groups(tx: &Tx, id: UserId, groups: &[String]) -> Result<()> {
    tx.publish(ChangeEvent::People(Stripes::from_iter(&[id]))).await?;
    membership::Entity::delete_many()
        .filter(membership::Column::UserId.eq(id.0))
        .filter(membership::Column::GroupName.is_not_in(groups.iter().cloned()))
        .exec(tx.conn())
        .await?;
    join(tx, &groups.iter().map(|group| (id, group.clone())).collect::<Vec<_>>()).await
}

/// Adds new users to groups. Nothing is published, because no node has these users in memory yet.
pub async fn join(tx: &Tx, members: &[(UserId, String)]) -> Result<()> {
    if members.is_empty() {
        return Ok(());
    }
    let member =
        |(id, group): &(UserId, String)| membership::ActiveModel { user_id: Set(id.0), group_name: Set(group.clone()) };
    let rows: Vec<_> = members.iter().map(member).collect();
    let unless_there = OnConflict::new().do_nothing().to_owned();
    rows_inserted(
        membership::Entity::insert_many(rows).on_conflict(unless_there).exec_without_returning(tx.conn()).await,
    )?;
    Ok(())
}

/// Returns the number of members of each of these groups. Groups that do not exist or have no members are left out.
pub async fn member_counts<C: ConnectionTrait>(conn: &C, groups: &[String]) -> Result<HashMap<String, u64>> {
    let rows: Vec<(String, i64)> = membership::Entity::find()
        .select_only()
        .column(membership::Column::GroupName)
        .expr(membership::Column::UserId.count())
        .filter(membership::Column::GroupName.is_in(groups.iter().cloned()))
        .group_by(membership::Column::GroupName)
        .into_tuple()
        .all(conn)
        .await?;
    Ok(rows.into_iter().map(|(name, count)| (name, count.unsigned_abs())).collect())
}

/// Selects the ids of the users who are in any of these groups.
pub(super) fn select_members_of(groups: &[String]) -> SelectStatement {
    Query::select()
        .column(membership::Column::UserId)
        .from(membership::Entity)
        .and_where(membership::Column::GroupName.is_in(groups.iter().cloned()))
        .to_owned()
}

/// Removes a user from every group.
pub(super) async fn remove_from_all(tx: &Tx, id: UserId) -> Result<()> {
    membership::Entity::delete_many().filter(membership::Column::UserId.eq(id.0)).exec(tx.conn()).await?;
    Ok(())
}
