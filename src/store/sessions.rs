//! Browser sessions, by the digest of their cookie. `web::sessions` makes tower-sessions store its records here.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{IntoColumnRef, Query, SelectStatement};
use sea_orm::{ExprTrait as _, FromQueryResult as _, IntoActiveModel, QueryOrder, QuerySelect, QueryTrait as _};

use super::{DatabaseNow, Result, Store, StoreError, Tx, digest};
use crate::domain::authorization::SignInMethod;
use crate::domain::ids::{PasskeyId, SessionId, UserId};
use crate::domain::secret::Digest;
use crate::domain::session::Session;
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "session")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        pub id: Uuid,
        pub user_id: Uuid,
        pub auth_time: i64,
        pub method: String,
        pub passkey_id: Option<Uuid>,
        pub strongest: bool,
        pub remembered: bool,
        pub created_at: i64,
        pub last_seen: i64,
        pub idle_until: i64,
        pub expires_at: i64,
        #[sea_orm(column_type = "Text")]
        pub address: String,
        #[sea_orm(column_type = "Text")]
        pub user_agent: String,
        #[sea_orm(column_type = "Text")]
        pub data: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<row::Model> for Session {
    type Error = StoreError;

    fn try_from(row: row::Model) -> Result<Self> {
        Ok(Self {
            digest: digest(row.digest, "session", "digest")?,
            id: SessionId(row.id),
            user: UserId(row.user_id),
            auth_time: Timestamp(row.auth_time),
            method: match row.method.as_str() {
                "password" => SignInMethod::Password,
                "passkey" => SignInMethod::Passkey,
                _ => return Err(StoreError::Corrupt { table: "session", column: "method" }),
            },
            passkey: row.passkey_id.map(PasskeyId),
            used_strongest_method: row.strongest,
            remembered: row.remembered,
            created_at: Timestamp(row.created_at),
            last_seen: Timestamp(row.last_seen),
            idle_until: Timestamp(row.idle_until),
            expires_at: Timestamp(row.expires_at),
            address: row.address,
            user_agent: row.user_agent,
            data: row.data,
            read_at: Timestamp(row.last_seen),
        })
    }
}

fn row(session: &Session) -> row::Model {
    row::Model {
        digest: session.digest.0.to_vec(),
        id: session.id.0,
        user_id: session.user.0,
        auth_time: session.auth_time.0,
        method: match session.method {
            SignInMethod::Password => "password",
            SignInMethod::Passkey => "passkey",
        }
        .to_owned(),
        passkey_id: session.passkey.map(|id| id.0),
        strongest: session.used_strongest_method,
        remembered: session.remembered,
        created_at: session.created_at.0,
        last_seen: session.last_seen.0,
        idle_until: session.idle_until.0,
        expires_at: session.expires_at.0,
        address: session.address.clone(),
        user_agent: session.user_agent.clone(),
        data: session.data.clone(),
    }
}

pub async fn insert(tx: &Tx, session: &Session) -> Result<()> {
    row::Entity::insert(row(session).into_active_model()).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Writes a new sign-in of the same user, and the digest of a new cookie, into an existing session. Returns whether the
/// session existed: an ended session is not revived.
pub async fn replace(tx: &Tx, session: &Session) -> Result<bool> {
    let model = row(session).into_active_model().reset_all();
    let done = row::Entity::update_many()
        .set(model)
        .filter(row::Column::Id.eq(session.id.0))
        .filter(row::Column::UserId.eq(session.user.0))
        .exec(tx.conn())
        .await?;
    Ok(done.rows_affected > 0)
}

/// Replaces the digest of a session's cookie if it is still `old`. Returns whether it was replaced.
pub async fn replace_digest(tx: &Tx, id: SessionId, old: &Digest, new: &Digest) -> Result<bool> {
    let done = row::Entity::update_many()
        .col_expr(row::Column::Digest, Expr::value(new.0.to_vec()))
        .filter(row::Column::Id.eq(id.0))
        .filter(row::Column::Digest.eq(old.0.to_vec()))
        .exec(tx.conn())
        .await?;
    Ok(done.rows_affected > 0)
}

/// Records that a session was used, if it still exists.
pub async fn seen(tx: &Tx, session: &Session) -> Result<()> {
    row::Entity::update_many()
        .col_expr(row::Column::LastSeen, Expr::value(session.last_seen.0))
        .col_expr(row::Column::IdleUntil, Expr::value(session.idle_until.0))
        .filter(row::Column::Digest.eq(session.digest.0.to_vec()))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Returns the session of that cookie, expired or not, with the time of the read.
pub async fn by_digest(store: &Store, digest: &Digest) -> Result<Option<Session>> {
    let query = row::Entity::find_by_id(digest.0.to_vec()).expr_as(store.database_now(), "database_now");
    let statement = query.build(store.read().get_database_backend());
    let Some(found) = store.read().query_one_raw(statement).await? else { return Ok(None) };
    let now: i64 = found.try_get("", "database_now")?;
    let session = Session::try_from(row::Model::from_query_result(&found, "")?)?;
    Ok(Some(Session { read_at: Timestamp(now), ..session }))
}

pub async fn by_id<C: ConnectionTrait>(conn: &C, id: SessionId) -> Result<Option<Session>> {
    let found = row::Entity::find().filter(row::Column::Id.eq(id.0)).one(conn).await?;
    found.map(Session::try_from).transpose()
}

/// Selects one row, of an empty text and 1, if the session exists and has not reached its absolute expiry. A session
/// past its idle timeout is ended by the next sweep.
pub(super) fn select_if_unexpired(id: SessionId, now: DatabaseNow) -> SelectStatement {
    Query::select()
        .expr(Expr::cust("CAST('' AS TEXT)"))
        .expr(Expr::cust("CAST(1 AS BIGINT)"))
        .from(row::Entity)
        .and_where(Expr::col((row::Entity, row::Column::Id)).eq(id.0))
        .and_where(Expr::col((row::Entity, row::Column::ExpiresAt)).gt(now))
        .to_owned()
}

/// Returns whether the session exists, and locks it shared until the transaction ends, so that a deletion waits.
pub async fn lock_shared(tx: &Tx, id: SessionId) -> Result<bool> {
    let found = row::Entity::find().filter(row::Column::Id.eq(id.0)).lock_shared().one(tx.conn()).await?;
    Ok(found.is_some())
}

/// Returns the active sessions of a user, the most recently used first.
pub async fn of_user<C: ConnectionTrait>(conn: &C, user: UserId, now: Timestamp) -> Result<Vec<Session>> {
    row::Entity::find()
        .filter(row::Column::UserId.eq(user.0))
        .filter(row::Column::IdleUntil.gt(now.0))
        .filter(row::Column::ExpiresAt.gt(now.0))
        .order_by_desc(row::Column::LastSeen)
        .limit(200)
        .all(conn)
        .await?
        .into_iter()
        .map(Session::try_from)
        .collect()
}

pub async fn count_active<C: ConnectionTrait>(conn: &C, now: Timestamp) -> Result<u64> {
    Ok(row::Entity::find()
        .filter(row::Column::IdleUntil.gt(now.0))
        .filter(row::Column::ExpiresAt.gt(now.0))
        .count(conn)
        .await?)
}

/// Selects the session whose id is in a column of the outer statement.
pub(super) fn select_by_id_column(column: impl IntoColumnRef) -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(row::Entity)
        .and_where(Expr::col((row::Entity, row::Column::Id)).equals(column))
        .to_owned()
}

/// Records that the user now has a passkey: sessions that did not begin with one no longer used the strongest method,
/// except `but`, in which the passkey was added.
pub async fn demote(tx: &Tx, user: UserId, but: SessionId) -> Result<()> {
    row::Entity::update_many()
        .col_expr(row::Column::Strongest, Expr::value(false))
        .filter(row::Column::UserId.eq(user.0))
        .filter(row::Column::Id.ne(but.0))
        .filter(row::Column::PasskeyId.is_null())
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Deletes and returns one session. Only [`super::session_end`] may call this, because ending a session takes more than
/// deleting its row.
pub async fn delete(tx: &Tx, id: SessionId) -> Result<Option<Session>> {
    let gone = row::Entity::delete_many().filter(row::Column::Id.eq(id.0)).exec_with_returning(tx.conn()).await?;
    gone.into_iter().next().map(Session::try_from).transpose()
}

/// Deletes all sessions of a user except `but`. Returns their ids.
pub(super) async fn delete_of_user(tx: &Tx, user: UserId, but: Option<SessionId>) -> Result<Vec<SessionId>> {
    let mut query = row::Entity::delete_many().filter(row::Column::UserId.eq(user.0));
    if let Some(but) = but {
        query = query.filter(row::Column::Id.ne(but.0));
    }
    Ok(query.exec_with_returning(tx.conn()).await?.into_iter().map(|row| SessionId(row.id)).collect())
}

/// Deletes the sessions that a user began with one passkey, or with any. Returns their ids.
pub(super) async fn delete_of_passkey(tx: &Tx, user: UserId, passkey: Option<PasskeyId>) -> Result<Vec<SessionId>> {
    let column = row::Column::PasskeyId;
    let by_passkey = passkey.map_or_else(|| column.is_not_null(), |id| column.eq(id.0));
    let query = row::Entity::delete_many().filter(row::Column::UserId.eq(user.0)).filter(by_passkey);
    Ok(query.exec_with_returning(tx.conn()).await?.into_iter().map(|row| SessionId(row.id)).collect())
}

/// Returns the sessions of a user other than `but` that are not among the `most` most recently used ones, limited to a
/// few.
pub(super) async fn beyond(tx: &Tx, user: UserId, but: SessionId, most: u64) -> Result<Vec<SessionId>> {
    let ids: Vec<Uuid> = row::Entity::find()
        .select_only()
        .column(row::Column::Id)
        .filter(row::Column::UserId.eq(user.0))
        .filter(row::Column::Id.ne(but.0))
        .order_by_desc(row::Column::LastSeen)
        .offset(most)
        .limit(10)
        .into_tuple()
        .all(tx.conn())
        .await?;
    Ok(ids.into_iter().map(SessionId).collect())
}

/// Deletes a batch of expired sessions. Returns their ids.
pub(super) async fn delete_expired(tx: &Tx, most: u64) -> Result<Vec<SessionId>> {
    let old: Vec<Vec<u8>> = row::Entity::find()
        .select_only()
        .column(row::Column::Digest)
        .filter(tx.is_past(row::Column::IdleUntil))
        .limit(most)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let gone = row::Entity::delete_many()
        .filter(row::Column::Digest.is_in(old))
        // A session that was used again meanwhile is kept.
        .filter(tx.is_past(row::Column::IdleUntil))
        .exec_with_returning(tx.conn())
        .await?;
    Ok(gone.into_iter().map(|row| SessionId(row.id)).collect())
}
