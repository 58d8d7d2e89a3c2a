//! Grants: one row for a family of refresh tokens. Rotation is one compare-and-set.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{QueryOrder, QuerySelect, QueryTrait as _, Set};

use super::{Result, StoreError, Tx, digest, from_json, json, sweep::delete_some};
use crate::domain::grant::Grant;
use crate::domain::ids::{ClientId, GrantId, SessionId, UserId};
use crate::domain::scope::OFFLINE_ACCESS;
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
        #[sea_orm(column_type = "Text")]
        pub authorization: String,
        pub generation: i32,
        pub current_digest: Vec<u8>,
        pub rotated_at: i64,
        pub created_at: i64,
        pub expires_at: i64,
        pub revoked: bool,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<row::Model> for Grant {
    type Error = StoreError;

    fn try_from(row: row::Model) -> Result<Self> {
        Ok(Self {
            id: GrantId(row.id),
            authorization: from_json(&row.authorization, "grant_family", "authorization")?,
            generation: row.generation,
            current: digest(row.current_digest, "grant_family", "current_digest")?,
            rotated_at: Timestamp(row.rotated_at),
            created_at: Timestamp(row.created_at),
            expires_at: Timestamp(row.expires_at),
            revoked: row.revoked,
        })
    }
}

/// Clients that hold some.
pub(super) fn clients() -> SelectStatement {
    row::Entity::find().select_only().column(row::Column::ClientId).into_query()
}

pub async fn insert(tx: &Tx, grant: &Grant) -> Result<()> {
    let corrupt = |column| StoreError::Corrupt { table: "grant_family", column };
    let offline = grant.authorization.scopes.contains(OFFLINE_ACCESS);
    let model = row::ActiveModel {
        id: Set(grant.id.0),
        user_id: Set(grant.authorization.user().ok_or_else(|| corrupt("user_id"))?.0),
        client_id: Set(grant.authorization.client.as_str().to_owned()),
        // Only what ends with the browser session carries it (OpenID Connect Core §11).
        session_id: Set(grant.authorization.session().filter(|_| !offline).map(|session| session.0)),
        authorization: Set(json(&grant.authorization, "grant_family", "authorization")?),
        generation: Set(grant.generation),
        current_digest: Set(grant.current.0.to_vec()),
        rotated_at: Set(grant.rotated_at.0),
        created_at: Set(grant.created_at.0),
        expires_at: Set(grant.expires_at.0),
        revoked: Set(grant.revoked),
    };
    row::Entity::insert(model).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub async fn by_id<C: ConnectionTrait>(conn: &C, id: GrantId) -> Result<Option<Grant>> {
    row::Entity::find_by_id(id.0).one(conn).await?.map(Grant::try_from).transpose()
}

/// The same, which nobody else changes until the transaction ends: refreshes of one grant go one after the other.
pub async fn hold(tx: &Tx, id: GrantId) -> Result<Option<Grant>> {
    row::Entity::find_by_id(id.0).lock_exclusive().one(tx.conn()).await?.map(Grant::try_from).transpose()
}

/// What a rotation makes of a grant.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    pub generation: i32,
    pub digest: Digest,
    pub rotated_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Rotates, where the grant is still as `was` says and alive; whether it was.
pub async fn rotate(tx: &Tx, was: &Grant, to: &Rotation) -> Result<bool> {
    let done = row::Entity::update_many()
        .col_expr(row::Column::Generation, Expr::value(to.generation))
        .col_expr(row::Column::CurrentDigest, Expr::value(to.digest.0.to_vec()))
        .col_expr(row::Column::RotatedAt, Expr::value(to.rotated_at.0))
        .col_expr(row::Column::ExpiresAt, Expr::value(to.expires_at.0))
        .filter(row::Column::Id.eq(was.id.0))
        .filter(row::Column::CurrentDigest.eq(was.current.0.to_vec()))
        .filter(row::Column::Revoked.eq(false))
        .exec(tx.conn())
        .await?;
    Ok(done.rows_affected > 0)
}

/// Whose grants end.
#[derive(Clone, Debug)]
pub enum Of<'a> {
    Grant(GrantId),
    User(UserId),
    Client(&'a ClientId),
    Consent(UserId, &'a ClientId),
    Session(SessionId),
}

/// Revokes; how many were alive.
pub async fn revoke(tx: &Tx, of: Of<'_>) -> Result<u64> {
    let query = row::Entity::update_many().col_expr(row::Column::Revoked, Expr::value(true));
    let query = match of {
        Of::Grant(id) => query.filter(row::Column::Id.eq(id.0)),
        Of::User(id) => query.filter(row::Column::UserId.eq(id.0)),
        Of::Client(id) => query.filter(row::Column::ClientId.eq(id.as_str())),
        Of::Consent(user, client) => {
            query.filter(row::Column::UserId.eq(user.0)).filter(row::Column::ClientId.eq(client.as_str()))
        }
        Of::Session(id) => query.filter(row::Column::SessionId.eq(id.0)),
    };
    Ok(query.filter(row::Column::Revoked.eq(false)).exec(tx.conn()).await?.rows_affected)
}

/// Somebody's living grants, the newest first.
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

pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    delete_some::<row::Entity>(tx, row::Column::Id, row::Column::ExpiresAt.lt(tx.now().0), most).await
}
