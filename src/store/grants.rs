//! Grants: one row for each family of refresh tokens. A refresh locks the row, decides and writes the next state.
//!
//! `rotated_at` is by the database's clock, which [`lock_for_update`] reads. A node whose own clock is wrong therefore
//! neither revokes families nor extends their grace window.

use std::collections::HashSet;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{IntoColumnRef, SelectStatement};
use sea_orm::{ExprTrait as _, FromQueryResult as _, QueryOrder, QuerySelect, QueryTrait as _, Set};

use super::database_clock::CLOCK_MARGIN_SECONDS;
use super::revocations::MAX_ACCESS_TOKEN_TTL;
use super::{Result, StoreError, Tx, digest, from_json, json, sweep::delete_batch};
use crate::domain::grant::{FamilySalt, Grant, RepeatTiming, SupersededToken};
use crate::domain::ids::{ClientId, GrantId, PasskeyId, SessionId, UserId};
use crate::domain::secret::Digest;
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "grant_family")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub client_id: String,
        pub session_id: Option<Uuid>,
        pub passkey_id: Option<Uuid>,
        #[sea_orm(column_type = "Text")]
        pub authorization: String,
        pub generation: i32,
        pub salt: Vec<u8>,
        pub current_digest: Vec<u8>,
        pub previous_digest: Option<Vec<u8>>,
        /// The superseded tokens, each 32 bytes of digest and 8 bytes of time.
        pub superseded: Vec<u8>,
        pub rotated_at: i64,
        pub repeats: i32,
        pub contested: i32,
        pub created_at: i64,
        pub expires_at: i64,
        pub ends_at: i64,
        pub revoked: bool,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

const fn corrupt(column: &'static str) -> StoreError {
    StoreError::Corrupt { table: "grant_family", column }
}

const fn repeats(value: RepeatTiming) -> i32 {
    match value {
        RepeatTiming::None => 0,
        RepeatTiming::Overlapping => 1,
        RepeatTiming::Prompt => 2,
        RepeatTiming::Late => 3,
    }
}

const SUPERSEDED_ENTRY_BYTES: usize = 40;

fn encode_superseded(all: &[SupersededToken]) -> Vec<u8> {
    all.iter().flat_map(|one| one.digest.0.into_iter().chain(one.at.0.to_be_bytes())).collect()
}

fn superseded(bytes: &[u8]) -> Option<Vec<SupersededToken>> {
    let (all, []) = bytes.as_chunks::<SUPERSEDED_ENTRY_BYTES>() else { return None };
    let read = |bytes: &[u8; SUPERSEDED_ENTRY_BYTES]| {
        let (digest, rest) = bytes.split_first_chunk::<32>()?;
        let at = i64::from_be_bytes(rest.try_into().ok()?);
        Some(SupersededToken { digest: Digest(*digest), at: Timestamp(at) })
    };
    all.iter().map(read).collect()
}

impl TryFrom<row::Model> for Grant {
    type Error = StoreError;

    fn try_from(row: row::Model) -> Result<Self> {
        let previous = row.previous_digest.map(|bytes| digest(bytes, "grant_family", "previous_digest"));
        Ok(Self {
            id: GrantId(row.id),
            authorization: from_json(&row.authorization, "grant_family", "authorization")?,
            generation: row.generation,
            salt: FamilySalt(row.salt.try_into().map_err(|_| corrupt("salt"))?),
            current: digest(row.current_digest, "grant_family", "current_digest")?,
            previous: previous.transpose()?,
            superseded: superseded(&row.superseded).ok_or_else(|| corrupt("superseded"))?,
            rotated_at: Timestamp(row.rotated_at),
            repeats: match row.repeats {
                0 => RepeatTiming::None,
                1 => RepeatTiming::Overlapping,
                2 => RepeatTiming::Prompt,
                3 => RepeatTiming::Late,
                _ => return Err(corrupt("repeats")),
            },
            contested: row.contested,
            created_at: Timestamp(row.created_at),
            expires_at: Timestamp(row.expires_at),
            ends_at: Timestamp(row.ends_at),
            revoked: row.revoked,
        })
    }
}

/// Selects clients that have grants.
pub(super) fn clients() -> SelectStatement {
    row::Entity::find().select_only().column(row::Column::ClientId).into_query()
}

pub async fn insert(tx: &Tx, grant: &Grant) -> Result<()> {
    let offline = grant.authorization.permissions.has_offline_access();
    let model = row::ActiveModel {
        id: Set(grant.id.0),
        user_id: Set(grant.authorization.user().ok_or_else(|| corrupt("user_id"))?.0),
        client_id: Set(grant.authorization.client.as_str().to_owned()),
        // Only a grant that ends with the browser session is bound to it (OpenID Connect Core §11).
        session_id: Set(grant.authorization.session().filter(|_| !offline).map(|session| session.0)),
        passkey_id: Set(grant.authorization.sign_in.as_ref().and_then(|sign_in| sign_in.passkey).map(|id| id.0)),
        authorization: Set(json(&grant.authorization, "grant_family", "authorization")?),
        generation: Set(grant.generation),
        salt: Set(grant.salt.0.to_vec()),
        current_digest: Set(grant.current.0.to_vec()),
        previous_digest: Set(grant.previous.map(|previous| previous.0.to_vec())),
        superseded: Set(encode_superseded(&grant.superseded)),
        rotated_at: Set(grant.rotated_at.0),
        repeats: Set(repeats(grant.repeats)),
        contested: Set(grant.contested),
        created_at: Set(grant.created_at.0),
        expires_at: Set(grant.expires_at.0),
        ends_at: Set(grant.ends_at.0),
        revoked: Set(grant.revoked),
    };
    row::Entity::insert(model).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub async fn by_id<C: ConnectionTrait>(conn: &C, id: GrantId) -> Result<Option<Grant>> {
    row::Entity::find_by_id(id.0).one(conn).await?.map(Grant::try_from).transpose()
}

/// Returns the grant and the time by the database's clock, and locks the grant until the transaction ends.
pub async fn lock_for_update(tx: &Tx, id: GrantId) -> Result<Option<(Grant, Timestamp)>> {
    let locked = row::Entity::find_by_id(id.0).lock_exclusive().expr_as(tx.database_now(), "database_now");
    let statement = locked.build(tx.conn().get_database_backend());
    let Some(found) = tx.conn().query_one_raw(statement).await? else { return Ok(None) };
    let now: i64 = found.try_get("", "database_now")?;
    Ok(Some((row::Model::from_query_result(&found, "")?.try_into()?, Timestamp(now))))
}

/// Writes the refresh token state of a locked grant.
pub async fn update(tx: &Tx, grant: &Grant) -> Result<()> {
    row::Entity::update_many()
        .col_expr(row::Column::Generation, Expr::value(grant.generation))
        .col_expr(row::Column::CurrentDigest, Expr::value(grant.current.0.to_vec()))
        .col_expr(row::Column::PreviousDigest, Expr::value(grant.previous.map(|previous| previous.0.to_vec())))
        .col_expr(row::Column::Superseded, Expr::value(encode_superseded(&grant.superseded)))
        .col_expr(row::Column::RotatedAt, Expr::value(grant.rotated_at.0))
        .col_expr(row::Column::Repeats, Expr::value(repeats(grant.repeats)))
        .col_expr(row::Column::Contested, Expr::value(grant.contested))
        .col_expr(row::Column::ExpiresAt, Expr::value(grant.expires_at.0))
        .filter(row::Column::Id.eq(grant.id.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Selects one row if the grant has been revoked.
pub(super) fn select_if_revoked(id: GrantId) -> SelectStatement {
    let revoked = row::Entity::find_by_id(id.0).filter(row::Column::Revoked.eq(true));
    revoked.select_only().expr(Expr::cust("1")).into_query()
}

/// Selects when the refresh tokens of a grant expire. The grant's id is in the column `id` of an outer statement.
pub(super) fn select_expiry(id: impl IntoColumnRef) -> SelectStatement {
    let grant = row::Entity::find().filter(Expr::col((row::Entity, row::Column::Id)).equals(id));
    grant.select_only().column(row::Column::ExpiresAt).into_query()
}

/// Returns those of `ids` whose refresh tokens are not revoked and have not expired before `time`.
pub(super) async fn active_since(tx: &Tx, ids: &[GrantId], time: Timestamp) -> Result<HashSet<GrantId>> {
    let found: Vec<Uuid> = row::Entity::find()
        .select_only()
        .column(row::Column::Id)
        .filter(row::Column::Id.is_in(ids.iter().map(|id| id.0)))
        .filter(row::Column::Revoked.eq(false))
        .filter(row::Column::ExpiresAt.gte(time.0))
        .into_tuple()
        .all(tx.conn())
        .await?;
    Ok(found.into_iter().map(GrantId).collect())
}

/// The grants to revoke.
#[derive(Clone, Debug)]
pub enum GrantSelector<'a> {
    Grant(GrantId),
    User(UserId),
    Client(&'a ClientId),
    Consent(UserId, &'a ClientId),
    Session(SessionId),
}

/// Revokes grants. Returns how many were active.
pub async fn revoke(tx: &Tx, of: GrantSelector<'_>) -> Result<u64> {
    let query = row::Entity::update_many().col_expr(row::Column::Revoked, Expr::value(true));
    let query = match of {
        GrantSelector::Grant(id) => query.filter(row::Column::Id.eq(id.0)),
        GrantSelector::User(id) => query.filter(row::Column::UserId.eq(id.0)),
        GrantSelector::Client(id) => query.filter(row::Column::ClientId.eq(id.as_str())),
        GrantSelector::Consent(user, client) => {
            query.filter(row::Column::UserId.eq(user.0)).filter(row::Column::ClientId.eq(client.as_str()))
        }
        GrantSelector::Session(id) => query.filter(row::Column::SessionId.eq(id.0)),
    };
    Ok(query.filter(row::Column::Revoked.eq(false)).exec(tx.conn()).await?.rows_affected)
}

/// Revokes the grants from a user's sign-ins by one passkey, or by any. Returns those that were active.
pub(super) async fn revoke_by_passkey(tx: &Tx, user: UserId, passkey: Option<PasskeyId>) -> Result<Vec<GrantId>> {
    let column = row::Column::PasskeyId;
    let by_passkey = passkey.map_or_else(|| column.is_not_null(), |id| column.eq(id.0));
    let done = row::Entity::update_many()
        .col_expr(row::Column::Revoked, Expr::value(true))
        .filter(row::Column::UserId.eq(user.0))
        .filter(by_passkey)
        .filter(row::Column::Revoked.eq(false))
        .exec_with_returning(tx.conn())
        .await?;
    Ok(done.into_iter().map(|row| GrantId(row.id)).collect())
}

/// Returns a user's active grants, newest first.
pub async fn of_user<C: ConnectionTrait>(conn: &C, user: UserId, now: Timestamp) -> Result<Vec<Grant>> {
    row::Entity::find()
        .filter(row::Column::UserId.eq(user.0))
        .filter(row::Column::Revoked.eq(false))
        .filter(row::Column::ExpiresAt.gt(now.0))
        .order_by_desc(row::Column::CreatedAt)
        .limit(500)
        .all(conn)
        .await?
        .into_iter()
        .map(Grant::try_from)
        .collect()
}

/// Deletes old grants. A row is kept while an access token that names the grant can be valid, because the row records
/// whether the grant is revoked.
pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    let before = tx.now().plus_seconds(-MAX_ACCESS_TOKEN_TTL - CLOCK_MARGIN_SECONDS);
    delete_batch::<row::Entity>(tx, row::Column::Id, row::Column::ExpiresAt.lt(before.0), most).await
}
