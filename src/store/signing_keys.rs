//! The server's signing key pairs. Their private keys are sealed before they are stored here.

use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel, QueryOrder};

use super::{Result, StoreError, Tx};
use crate::domain::signing_key::{KeyAlg, KeyState, StoredKey};
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "signing_key")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub kid: String,
        pub alg: String,
        pub state: String,
        #[sea_orm(column_type = "Text")]
        pub public_jwk: String,
        #[sea_orm(column_type = "Text")]
        pub sealed: String,
        pub created_at: i64,
        pub activated_at: Option<i64>,
        pub retired_at: Option<i64>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<row::Model> for StoredKey {
    type Error = StoreError;

    fn try_from(row: row::Model) -> Result<Self> {
        let corrupt = |column| StoreError::Corrupt { table: "signing_key", column };
        Ok(Self {
            alg: KeyAlg::parse(&row.alg).ok_or_else(|| corrupt("alg"))?,
            state: KeyState::parse(&row.state).ok_or_else(|| corrupt("state"))?,
            kid: row.kid,
            public_jwk: row.public_jwk,
            sealed: row.sealed,
            created_at: Timestamp(row.created_at),
            activated_at: row.activated_at.map(Timestamp),
            retired_at: row.retired_at.map(Timestamp),
        })
    }
}

fn row(key: &StoredKey) -> row::Model {
    row::Model {
        kid: key.kid.clone(),
        alg: key.alg.as_str().to_owned(),
        state: key.state.as_str().to_owned(),
        public_jwk: key.public_jwk.clone(),
        sealed: key.sealed.clone(),
        created_at: key.created_at.0,
        activated_at: key.activated_at.map(|at| at.0),
        retired_at: key.retired_at.map(|at| at.0),
    }
}

pub async fn insert(tx: &Tx, key: &StoredKey) -> Result<()> {
    row::Entity::insert(row(key).into_active_model()).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub async fn update(tx: &Tx, key: &StoredKey) -> Result<()> {
    let model = row(key).into_active_model().reset_all();
    row::Entity::update_many().set(model).filter(row::Column::Kid.eq(key.kid.as_str())).exec(tx.conn()).await?;
    Ok(())
}

pub async fn delete(tx: &Tx, kid: &str) -> Result<()> {
    row::Entity::delete_by_id(kid).exec(tx.conn()).await?;
    Ok(())
}

/// Returns all keys, oldest first.
pub async fn all<C: ConnectionTrait>(conn: &C) -> Result<Vec<StoredKey>> {
    let rows =
        row::Entity::find().order_by_asc(row::Column::CreatedAt).order_by_asc(row::Column::Kid).all(conn).await?;
    rows.into_iter().map(StoredKey::try_from).collect()
}
