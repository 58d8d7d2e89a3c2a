//! Authorization codes: used once by one statement that can lose a race, and kept until they expire so that a second
//! use is recognised (RFC 6749 §4.1.2).

use sea_orm::ExprTrait as _;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Query;

use super::database_clock::CLOCK_MARGIN_SECONDS;
use super::{Result, StoreError, Tx, digest, from_json, json, sweep::delete_some};
use crate::domain::code::{Code, CodeChallenge};
use crate::domain::secret::Digest;
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "code")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        pub client_id: String,
        pub grant_id: Uuid,
        #[sea_orm(column_type = "Text")]
        pub authorization: String,
        #[sea_orm(column_type = "Text")]
        pub redirect_uri: String,
        pub redirect_uri_sent: bool,
        #[sea_orm(column_type = "Text", nullable)]
        pub challenge: Option<String>,
        pub issued_at: i64,
        pub expires_at: i64,
        pub used_at: Option<i64>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<row::Model> for Code {
    type Error = StoreError;

    fn try_from(row: row::Model) -> Result<Self> {
        Ok(Self {
            digest: digest(row.digest, "code", "digest")?,
            authorization: from_json(&row.authorization, "code", "authorization")?,
            redirect_uri: row.redirect_uri,
            redirect_uri_sent: row.redirect_uri_sent,
            challenge: row.challenge.map(CodeChallenge),
            issued_at: Timestamp(row.issued_at),
            expires_at: Timestamp(row.expires_at),
        })
    }
}

/// Writes a code that lives from now on, by the database's clock, as long as it says.
pub async fn insert(tx: &Tx, code: &Code) -> Result<()> {
    let corrupt = |column| StoreError::Corrupt { table: "code", column };
    let grant = code.authorization.grant.ok_or_else(|| corrupt("grant_id"))?;
    let lifetime = code.expires_at.since(code.issued_at);
    let mut insert = Query::insert();
    insert.into_table(row::Entity).columns([
        row::Column::Digest,
        row::Column::ClientId,
        row::Column::GrantId,
        row::Column::Authorization,
        row::Column::RedirectUri,
        row::Column::RedirectUriSent,
        row::Column::Challenge,
        row::Column::IssuedAt,
        row::Column::ExpiresAt,
    ]);
    let values = [
        Expr::value(code.digest.0.to_vec()),
        Expr::value(code.authorization.client.as_str()),
        Expr::value(grant.0),
        Expr::value(json(&code.authorization, "code", "authorization")?),
        Expr::value(code.redirect_uri.as_str()),
        Expr::value(code.redirect_uri_sent),
        Expr::value(code.challenge.as_ref().map(|challenge| challenge.0.clone())),
        tx.database_now(),
        tx.database_now().add(lifetime),
    ];
    insert.values(values).map_err(|_| corrupt("digest"))?;
    tx.conn().execute(&insert).await?;
    Ok(())
}

/// What presenting a code came to.
#[derive(Debug)]
pub enum Consumed {
    /// It was good, and now it is used.
    Now(Code),
    /// It had been used before.
    Before(Code),
    /// There is none, or it has expired unused.
    Unknown,
}

/// Uses a code. Of many at once exactly one gets [`Consumed::Now`].
pub async fn consume(tx: &Tx, digest: &Digest) -> Result<Consumed> {
    let now = tx.now().0;
    let used = row::Entity::update_many()
        .col_expr(row::Column::UsedAt, Expr::value(now))
        .filter(row::Column::Digest.eq(digest.0.to_vec()))
        .filter(row::Column::UsedAt.is_null())
        .filter(Expr::col((row::Entity, row::Column::ExpiresAt)).gt(tx.database_now()))
        .exec_with_returning(tx.conn())
        .await?;
    if let Some(row) = used.into_iter().next() {
        return Ok(Consumed::Now(row.try_into()?));
    }
    match row::Entity::find_by_id(digest.0.to_vec()).one(tx.conn()).await? {
        Some(row) if row.used_at.is_some() => Ok(Consumed::Before(row.try_into()?)),
        _ => Ok(Consumed::Unknown),
    }
}

pub async fn delete_of_client(tx: &Tx, client: &str) -> Result<()> {
    row::Entity::delete_many().filter(row::Column::ClientId.eq(client)).exec(tx.conn()).await?;
    Ok(())
}

/// A used code is kept until what was issued from it can be revoked no more, or a day at most.
pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    delete_some::<row::Entity>(
        tx,
        row::Column::Digest,
        row::Column::ExpiresAt.lt(tx.now().plus_seconds(-86_400 - CLOCK_MARGIN_SECONDS).0),
        most,
    )
    .await
}
