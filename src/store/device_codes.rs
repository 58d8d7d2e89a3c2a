//! Device authorization requests (RFC 8628). They are found by the device code that a device polls with or by the user
//! code that a user types. Each is decided once and redeemed once. Both codes are stored as digests.

use sea_orm::entity::prelude::*;
use sea_orm::{Condition, ExprTrait as _, QuerySelect, Set};

use super::{Result, Store, StoreError, Tx, digest, from_json, json, sweep::delete_batch};
use crate::domain::authorization::Authorization;
use crate::domain::device::{DeviceDecision, DeviceRequest};
use crate::domain::ids::{ClientId, SessionId};
use crate::domain::secret::Digest;
use crate::env::Timestamp;

/// A used request is kept until what was issued from it can no longer be revoked, or for a day at most. Any other
/// request is kept until its device has been told that it expired.
const USED_RETENTION_SECONDS: i64 = 86_400;
pub const EXPIRED_RETENTION_SECONDS: i64 = 600;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "device_code")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        pub user_digest: Vec<u8>,
        pub client_id: String,
        #[sea_orm(column_type = "Text")]
        pub permissions: String,
        #[sea_orm(column_type = "Text")]
        pub versions: String,
        #[sea_orm(column_type = "Text")]
        pub address: String,
        #[sea_orm(column_type = "Text")]
        pub user_agent: String,
        pub issued_at: i64,
        pub expires_at: i64,
        pub poll_seconds: i64,
        pub polled_at: Option<i64>,
        /// `NULL` if the request was denied.
        #[sea_orm(column_type = "Text", nullable)]
        pub authorization: Option<String>,
        pub decided_at: Option<i64>,
        /// The session in which the request was decided.
        pub decided_in: Option<Uuid>,
        pub used_at: Option<i64>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<row::Model> for DeviceRequest {
    type Error = StoreError;

    fn try_from(row: row::Model) -> Result<Self> {
        let corrupt = |column| StoreError::Corrupt { table: "device_code", column };
        let decision = match (row.decided_at, row.authorization) {
            (None, _) => None,
            (Some(_), None) => Some(DeviceDecision::Denied),
            (Some(_), Some(text)) => Some(DeviceDecision::Allowed(Box::new(from_json::<Authorization>(
                &text,
                "device_code",
                "authorization",
            )?))),
        };
        Ok(Self {
            digest: digest(row.digest, "device_code", "digest")?,
            user_code: digest(row.user_digest, "device_code", "user_digest")?,
            client: ClientId::parse(&row.client_id).map_err(|_| corrupt("client_id"))?,
            permissions: from_json(&row.permissions, "device_code", "permissions")?,
            versions: from_json(&row.versions, "device_code", "versions")?,
            address: row.address,
            user_agent: row.user_agent,
            issued_at: Timestamp(row.issued_at),
            expires_at: Timestamp(row.expires_at),
            interval: row.poll_seconds,
            polled_at: row.polled_at.map(Timestamp),
            decision,
            used_at: row.used_at.map(Timestamp),
        })
    }
}

/// Inserts an undecided request whose lifetime starts now, by the database's clock. Returns [`StoreError::Taken`] if
/// another request has the same user code.
pub async fn insert(tx: &Tx, request: &DeviceRequest) -> Result<()> {
    let (now, lifetime) = (tx.database_time().await?, request.expires_at.since(request.issued_at));
    let model = row::ActiveModel {
        digest: Set(request.digest.0.to_vec()),
        user_digest: Set(request.user_code.0.to_vec()),
        client_id: Set(request.client.as_str().to_owned()),
        permissions: Set(json(&request.permissions, "device_code", "permissions")?),
        versions: Set(json(&request.versions, "device_code", "versions")?),
        address: Set(request.address.clone()),
        user_agent: Set(request.user_agent.clone()),
        issued_at: Set(now.0),
        expires_at: Set(now.0.saturating_add(lifetime)),
        poll_seconds: Set(request.interval),
        polled_at: Set(None),
        authorization: Set(None),
        decided_at: Set(None),
        decided_in: Set(None),
        used_at: Set(None),
    };
    row::Entity::insert(model).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Returns the request with that device code and the time by the database's clock, and locks the request until the
/// transaction ends, so that polls run one after the other.
pub async fn lock_for_update(tx: &Tx, digest: &Digest) -> Result<Option<(DeviceRequest, Timestamp)>> {
    let locked = row::Entity::find_by_id(digest.0.to_vec()).lock_exclusive();
    let Some(found) = locked.one(tx.conn()).await? else { return Ok(None) };
    // Read after the lock, which may have waited for another poll.
    Ok(Some((found.try_into()?, tx.database_time().await?)))
}

/// Returns the request with that user code while it can still be decided.
pub async fn undecided(store: &Store, user_code: &Digest) -> Result<Option<DeviceRequest>> {
    let found = row::Entity::find()
        .filter(row::Column::UserDigest.eq(user_code.0.to_vec()))
        .filter(row::Column::DecidedAt.is_null())
        .filter(row::Column::UsedAt.is_null())
        .filter(row::Column::ExpiresAt.into_expr().gt(store.database_now()))
        .one(store.read())
        .await?;
    found.map(DeviceRequest::try_from).transpose()
}

/// Returns whether the request was allowed in that session, or `None` if it was not decided there.
pub async fn decided_in<C: ConnectionTrait>(conn: &C, user_code: &Digest, session: SessionId) -> Result<Option<bool>> {
    let found = row::Entity::find()
        .filter(row::Column::UserDigest.eq(user_code.0.to_vec()))
        .filter(row::Column::DecidedIn.eq(session.0))
        .one(conn)
        .await?;
    Ok(found.map(|row| row.authorization.is_some()))
}

/// Records a poll and the interval that the device must now wait.
pub async fn polled(tx: &Tx, digest: &Digest, interval: i64) -> Result<()> {
    row::Entity::update_many()
        .col_expr(row::Column::PolledAt, tx.database_now().into())
        .col_expr(row::Column::PollSeconds, Expr::value(interval))
        .filter(row::Column::Digest.eq(digest.0.to_vec()))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Records a decision made in that session, if there is none yet. Returns whether this call recorded it. `allowed` is
/// `None` if the request is denied.
pub async fn decide(tx: &Tx, user_code: &Digest, session: SessionId, allowed: Option<&Authorization>) -> Result<bool> {
    let authorization = allowed.map(|it| json(it, "device_code", "authorization")).transpose()?;
    let done = row::Entity::update_many()
        .col_expr(row::Column::Authorization, Expr::value(authorization))
        .col_expr(row::Column::DecidedAt, tx.database_now().into())
        .col_expr(row::Column::DecidedIn, Expr::value(session.0))
        .filter(row::Column::UserDigest.eq(user_code.0.to_vec()))
        .filter(row::Column::DecidedAt.is_null())
        .filter(row::Column::UsedAt.is_null())
        .filter(row::Column::ExpiresAt.into_expr().gt(tx.database_now()))
        .exec(tx.conn())
        .await?;
    Ok(done.rows_affected > 0)
}

/// Marks the request as used.
pub async fn consume(tx: &Tx, digest: &Digest) -> Result<()> {
    row::Entity::update_many()
        .col_expr(row::Column::UsedAt, tx.database_now().into())
        .filter(row::Column::Digest.eq(digest.0.to_vec()))
        .exec(tx.conn())
        .await?;
    Ok(())
}

pub async fn delete_of_client(tx: &Tx, client: &ClientId) -> Result<()> {
    row::Entity::delete_many().filter(row::Column::ClientId.eq(client.as_str())).exec(tx.conn()).await?;
    Ok(())
}

pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    let before = |seconds: i64| row::Column::ExpiresAt.lt(tx.now().plus_seconds(-seconds).0);
    let unused = Condition::all().add(before(EXPIRED_RETENTION_SECONDS)).add(row::Column::UsedAt.is_null());
    delete_batch::<row::Entity>(
        tx,
        row::Column::Digest,
        Condition::any().add(before(USED_RETENTION_SECONDS)).add(unused),
        most,
    )
    .await
}
