//! Single values that belong to the deployment, such as the digest of the set-up link.

use sea_orm::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;

use super::{Result, Tx};

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "setting")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        #[sea_orm(column_type = "Text")]
        pub value: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub async fn value<C: ConnectionTrait>(conn: &C, name: &str) -> Result<Option<String>> {
    Ok(row::Entity::find_by_id(name).one(conn).await?.map(|row| row.value))
}

pub async fn put(tx: &Tx, name: &str, value: &str) -> Result<()> {
    let model = row::ActiveModel { name: Set(name.to_owned()), value: Set(value.to_owned()) };
    let replace = OnConflict::column(row::Column::Name).update_column(row::Column::Value).to_owned();
    row::Entity::insert(model).on_conflict(replace).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Deletes a setting if its value is `value`. Returns whether this call deleted it.
pub async fn take(tx: &Tx, name: &str, value: &str) -> Result<bool> {
    let done = row::Entity::delete_many()
        .filter(row::Column::Name.eq(name))
        .filter(row::Column::Value.eq(value))
        .exec(tx.conn())
        .await?;
    Ok(done.rows_affected > 0)
}
