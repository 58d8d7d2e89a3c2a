//! Authorization requests that have been answered, by the id of their interaction (`store::interactions`).

use sea_orm::Set;
use sea_orm::entity::prelude::*;

use super::{Result, StoreError, Tx, digest, from_json, json, sweep::delete_batch};
use crate::domain::ids::{ClientId, InteractionId};
use crate::domain::interaction::AnsweredInteraction;
use crate::domain::secret::Digest;
use crate::env::Timestamp;

const TABLE: &str = "answered_interaction";

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "answered_interaction")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub browser: Vec<u8>,
        pub client_id: String,
        pub client_version: i64,
        pub pushed_request: Option<Vec<u8>>,
        #[sea_orm(column_type = "Text", nullable)]
        pub sign_in: Option<String>,
        pub code_digest: Option<Vec<u8>>,
        #[sea_orm(column_type = "Text", nullable)]
        pub answer: Option<String>,
        pub repeatable_until: i64,
        pub expires_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<row::Model> for AnsweredInteraction {
    type Error = StoreError;

    fn try_from(row: row::Model) -> Result<Self> {
        let corrupt = |column| StoreError::Corrupt { table: TABLE, column };
        Ok(Self {
            id: InteractionId(row.id),
            browser: digest(row.browser, TABLE, "browser")?,
            client: ClientId::parse(&row.client_id).map_err(|_| corrupt("client_id"))?,
            client_version: row.client_version,
            pushed: row.pushed_request.map(|bytes| digest(bytes, TABLE, "pushed_request")).transpose()?,
            sign_in: row.sign_in.map(|text| from_json(&text, TABLE, "sign_in")).transpose()?,
            code: row.code_digest.map(|bytes| digest(bytes, TABLE, "code_digest")).transpose()?,
            answer: row.answer,
            repeatable_until: Timestamp(row.repeatable_until),
            expires_at: Timestamp(row.expires_at),
        })
    }
}

pub async fn insert(tx: &Tx, answered: &AnsweredInteraction) -> Result<()> {
    let model = row::ActiveModel {
        id: Set(answered.id.0),
        browser: Set(answered.browser.0.to_vec()),
        client_id: Set(answered.client.as_str().to_owned()),
        client_version: Set(answered.client_version),
        pushed_request: Set(answered.pushed.map(|digest| digest.0.to_vec())),
        sign_in: Set(answered.sign_in.as_ref().map(|it| json(it, TABLE, "sign_in")).transpose()?),
        code_digest: Set(answered.code.map(|digest| digest.0.to_vec())),
        answer: Set(answered.answer.clone()),
        repeatable_until: Set(answered.repeatable_until.0),
        expires_at: Set(answered.expires_at.0),
    };
    row::Entity::insert(model).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Stores the answer of an interaction whose tokens were signed after it was answered.
pub async fn set_answer(tx: &Tx, id: InteractionId, answer: String) -> Result<()> {
    row::Entity::update_many()
        .col_expr(row::Column::Answer, Expr::value(answer))
        .filter(row::Column::Id.eq(id.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Returns the answered interaction with that id.
pub async fn by_id<C: ConnectionTrait>(conn: &C, id: InteractionId) -> Result<Option<AnsweredInteraction>> {
    row::Entity::find_by_id(id.0).one(conn).await?.map(AnsweredInteraction::try_from).transpose()
}

/// Returns the stored answer to a pushed request, if there is one. A pushed request has at most one answer.
pub async fn by_pushed_request<C: ConnectionTrait>(conn: &C, pushed: &Digest) -> Result<Option<AnsweredInteraction>> {
    let query = row::Entity::find().filter(row::Column::PushedRequest.eq(pushed.0.to_vec()));
    let row = query.filter(row::Column::Answer.is_not_null()).one(conn).await?;
    row.map(AnsweredInteraction::try_from).transpose()
}

/// Deletes the row, so that an interaction can reuse the id.
pub async fn delete(tx: &Tx, id: InteractionId) -> Result<()> {
    row::Entity::delete_by_id(id.0).exec(tx.conn()).await?;
    Ok(())
}

pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    delete_batch::<row::Entity>(tx, row::Column::Id, row::Column::ExpiresAt.lt(tx.now().0), most).await
}
