//! Authorization codes. A code is used once, by one statement that only one of several concurrent requests can win. It
//! is kept for as long as anything issued from it is valid, so that a second use is recognised and revokes that (RFC
//! 6749 §4.1.2).

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Func, Query};
use sea_orm::{ExprTrait as _, QuerySelect};

use super::database_clock::CLOCK_MARGIN_SECONDS;
use super::revocations::MAX_ACCESS_TOKEN_TTL;
use super::{Result, StoreError, Tx, digest, from_json, grants, json};
use crate::domain::authorization_code::{AuthorizationCode, CodeChallenge};
use crate::domain::ids::{ClientId, GrantId};
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

impl TryFrom<row::Model> for AuthorizationCode {
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

/// Inserts a code whose lifetime starts now, by the database's clock.
pub async fn insert(tx: &Tx, code: &AuthorizationCode) -> Result<()> {
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
        tx.database_now().into(),
        Expr::from(tx.database_now()).add(lifetime),
    ];
    insert.values(values).map_err(|_| corrupt("digest"))?;
    tx.conn().execute(&insert).await?;
    Ok(())
}

/// The result of presenting a code.
#[derive(Debug)]
pub enum ConsumeResult {
    /// The code was valid and has now been used.
    Now(AuthorizationCode),
    /// The code had been used before.
    Before(AuthorizationCode),
    /// There is no such code, or it has expired unused.
    Unknown,
}

/// Uses a code. Of several concurrent calls exactly one gets [`ConsumeResult::Now`].
pub async fn consume(tx: &Tx, digest: &Digest) -> Result<ConsumeResult> {
    let now = tx.now().0;
    let used = row::Entity::update_many()
        .col_expr(row::Column::UsedAt, Expr::value(now))
        .filter(row::Column::Digest.eq(digest.0.to_vec()))
        .filter(row::Column::UsedAt.is_null())
        .filter(Expr::col((row::Entity, row::Column::ExpiresAt)).gt(tx.database_now()))
        .exec_with_returning(tx.conn())
        .await?;
    if let Some(row) = used.into_iter().next() {
        return Ok(ConsumeResult::Now(row.try_into()?));
    }
    match row::Entity::find_by_id(digest.0.to_vec()).one(tx.conn()).await? {
        Some(row) if row.used_at.is_some() => Ok(ConsumeResult::Before(row.try_into()?)),
        _ => Ok(ConsumeResult::Unknown),
    }
}

/// Returns whether this is an unused code of that client. This is no decision: another request may use the code at any
/// time.
pub async fn is_unused<C: ConnectionTrait>(conn: &C, digest: &Digest, client: &ClientId) -> Result<bool> {
    let row = row::Entity::find_by_id(digest.0.to_vec()).one(conn).await?;
    Ok(row.is_some_and(|row| row.used_at.is_none() && row.client_id == client.as_str()))
}

/// Returns whether the code exists and can still be used.
pub async fn is_redeemable(tx: &Tx, digest: &Digest) -> Result<bool> {
    let found = row::Entity::find_by_id(digest.0.to_vec())
        .filter(row::Column::UsedAt.is_null())
        .filter(Expr::col((row::Entity, row::Column::ExpiresAt)).gt(tx.database_now()))
        .one(tx.conn())
        .await?;
    Ok(found.is_some())
}

pub async fn delete_of_client(tx: &Tx, client: &str) -> Result<()> {
    row::Entity::delete_many().filter(row::Column::ClientId.eq(client)).exec(tx.conn()).await?;
    Ok(())
}

/// Deletes old codes and returns the number of rows processed. A used code is kept while a refresh token of its grant
/// can be used or an access token from it can be valid, so that a replay revokes them (RFC 6749 §4.1.2).
///
/// The `expires_at` of a used code has no other meaning, so it is set to the end of the refresh tokens. The index then
/// leads to the row again when they have expired or were renewed, not in every sweep.
pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    let before = tx.now().plus_seconds(-MAX_ACCESS_TOKEN_TTL - CLOCK_MARGIN_SECONDS);
    let old: Vec<(Vec<u8>, Uuid)> = row::Entity::find()
        .select_only()
        .column(row::Column::Digest)
        .column(row::Column::GrantId)
        .filter(row::Column::ExpiresAt.lt(before.0))
        .limit(most)
        .into_tuple()
        .all(tx.conn())
        .await?;
    if old.is_empty() {
        return Ok(0);
    }
    let ids = old.iter().map(|(_, grant)| GrantId(*grant)).collect::<Vec<_>>();
    let living = grants::active_since(tx, &ids, before).await?;
    let (kept, ended): (Vec<_>, Vec<_>) = old.into_iter().partition(|(_, grant)| living.contains(&GrantId(*grant)));
    let digests = |rows: Vec<(Vec<u8>, Uuid)>| rows.into_iter().map(|(digest, _)| digest);
    let mut settled = 0;
    if !kept.is_empty() {
        // `COALESCE`, because another node may be sweeping the grant at the same time.
        let end = Func::coalesce([
            Expr::from(grants::select_expiry((row::Entity, row::Column::GrantId))),
            Expr::col((row::Entity, row::Column::ExpiresAt)),
        ]);
        let moved = row::Entity::update_many()
            .col_expr(row::Column::ExpiresAt, end.into())
            .filter(row::Column::Digest.is_in(digests(kept)))
            .exec(tx.conn())
            .await?;
        settled += moved.rows_affected;
    }
    if !ended.is_empty() {
        let gone = row::Entity::delete_many().filter(row::Column::Digest.is_in(digests(ended))).exec(tx.conn()).await?;
        settled += gone.rows_affected;
    }
    Ok(settled)
}
