//! Authorization requests that wait for a person. Next door: [`super::answered_interactions`], those that wait no more.

use sea_orm::entity::prelude::*;
use sea_orm::{QuerySelect as _, Set};

use super::{Result, StoreError, Tx, digest, from_json, json, sweep::delete_some};
use crate::domain::ids::InteractionId;
use crate::domain::interaction::{Interaction, Progress};
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "interaction")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        #[sea_orm(column_type = "Text")]
        pub request: String,
        #[sea_orm(column_type = "Text")]
        pub progress: String,
        pub browser: Vec<u8>,
        pub created_at: i64,
        pub expires_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<row::Model> for Interaction {
    type Error = StoreError;

    fn try_from(row: row::Model) -> Result<Self> {
        Ok(Self {
            id: InteractionId(row.id),
            request: from_json(&row.request, "interaction", "request")?,
            progress: from_json(&row.progress, "interaction", "progress")?,
            browser: digest(row.browser, "interaction", "browser")?,
            created_at: Timestamp(row.created_at),
            expires_at: Timestamp(row.expires_at),
        })
    }
}

/// The bytes of its request as it is kept.
pub fn size(interaction: &Interaction) -> Result<usize> {
    Ok(json(&interaction.request, "interaction", "request")?.len())
}

pub async fn insert(tx: &Tx, interaction: &Interaction) -> Result<()> {
    let model = row::ActiveModel {
        id: Set(interaction.id.0),
        request: Set(json(&interaction.request, "interaction", "request")?),
        progress: Set(json(&interaction.progress, "interaction", "progress")?),
        browser: Set(interaction.browser.0.to_vec()),
        created_at: Set(interaction.created_at.0),
        expires_at: Set(interaction.expires_at.0),
    };
    row::Entity::insert(model).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// The one that waits under this id, expired or not.
pub async fn by_id<C: ConnectionTrait>(conn: &C, id: InteractionId) -> Result<Option<Interaction>> {
    row::Entity::find_by_id(id.0).one(conn).await?.map(Interaction::try_from).transpose()
}

/// The same, locked until the transaction ends.
pub async fn lock_for_update(tx: &Tx, id: InteractionId) -> Result<Option<Interaction>> {
    row::Entity::find_by_id(id.0).lock_exclusive().one(tx.conn()).await?.map(Interaction::try_from).transpose()
}

/// Records what has been done; whether the interaction was still there.
pub async fn record(tx: &Tx, id: InteractionId, progress: &Progress) -> Result<bool> {
    let done = row::Entity::update_many()
        .col_expr(row::Column::Progress, Expr::value(json(progress, "interaction", "progress")?))
        .filter(row::Column::Id.eq(id.0))
        .exec(tx.conn())
        .await?;
    Ok(done.rows_affected > 0)
}

/// Deletes it, for another one to take its place.
pub async fn delete(tx: &Tx, id: InteractionId) -> Result<()> {
    row::Entity::delete_by_id(id.0).exec(tx.conn()).await?;
    Ok(())
}

/// Takes it out; nothing where another call has, which is what makes an interaction end once.
pub async fn consume(tx: &Tx, id: InteractionId) -> Result<Option<Interaction>> {
    let gone = row::Entity::delete_many().filter(row::Column::Id.eq(id.0)).exec_with_returning(tx.conn()).await?;
    gone.into_iter().next().map(Interaction::try_from).transpose()
}

/// One that goes some minutes early, by the clock of a fast node, is begun again by its user.
pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    delete_some::<row::Entity>(tx, row::Column::Id, row::Column::ExpiresAt.lt(tx.now().0), most).await
}
