//! API keys, by digest, owner and gate, with the time of their last recorded use.

use ipnet::IpNet;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{CaseStatement, ExprTrait as _, LockBehavior, LockType, SelectStatement};
use sea_orm::{Condition, IntoActiveModel, QueryOrder, QuerySelect, QueryTrait as _};

use super::cache::Stripes;
use super::{ChangeEvent, Result, StoreError, Tx, digest, from_json, json, sweep::delete_batch};
use crate::domain::api::ApiId;
use crate::domain::api_key::{ApiKey, Owner};
use crate::domain::gate::GateName;
use crate::domain::ids::{ApiKeyId, ClientId, UserId};
use crate::domain::scope::Scopes;
use crate::domain::secret::Digest;
use crate::env::Timestamp;

/// The minimum time between two recorded uses of one key.
const MIN_LAST_USED_INTERVAL_MILLIS: i64 = 5 * 60 * 1000;
/// How long an expired key stays in its owner's list, marked as expired.
const EXPIRED_RETENTION_SECONDS: i64 = 30 * 86_400;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "api_key")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub digest: Vec<u8>,
        pub user_id: Option<Uuid>,
        pub client_id: Option<String>,
        pub api: String,
        pub api_version: i64,
        pub gate: String,
        pub name: String,
        #[sea_orm(column_type = "Text")]
        pub scopes: String,
        #[sea_orm(column_type = "Text")]
        pub networks: String,
        pub created_at: i64,
        pub expires_at: Option<i64>,
        pub last_used_at: Option<i64>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<row::Model> for ApiKey {
    type Error = StoreError;

    fn try_from(row: row::Model) -> Result<Self> {
        let corrupt = |column| StoreError::Corrupt { table: "api_key", column };
        Ok(Self {
            id: ApiKeyId(row.id),
            digest: digest(row.digest, "api_key", "digest")?,
            owner: match (row.user_id, row.client_id) {
                (Some(user), None) => Owner::User(UserId(user)),
                (None, Some(client)) => Owner::Client(ClientId::parse(&client).map_err(|_| corrupt("client_id"))?),
                _ => return Err(corrupt("user_id")),
            },
            api: ApiId::parse(&row.api).map_err(|_| corrupt("api"))?,
            api_version: row.api_version,
            gate: GateName::try_from(row.gate).map_err(|_| corrupt("gate"))?,
            name: row.name,
            scopes: Scopes::parse(&row.scopes).map_err(|_| corrupt("scopes"))?,
            networks: from_json::<Vec<IpNet>>(&row.networks, "api_key", "networks")?,
            created_at: Timestamp(row.created_at),
            expires_at: row.expires_at.map(Timestamp),
            last_used_at: row.last_used_at.map(Timestamp),
        })
    }
}

pub async fn insert(tx: &Tx, key: &ApiKey) -> Result<()> {
    let (user_id, client_id) = match &key.owner {
        Owner::User(id) => (Some(id.0), None),
        Owner::Client(id) => (None, Some(id.as_str().to_owned())),
    };
    let model = row::Model {
        id: key.id.0,
        digest: key.digest.0.to_vec(),
        user_id,
        client_id,
        api: key.api.as_str().to_owned(),
        api_version: key.api_version,
        gate: key.gate.as_str().to_owned(),
        name: key.name.clone(),
        scopes: key.scopes.to_string(),
        networks: json(&key.networks, "api_key", "networks")?,
        created_at: key.created_at.0,
        expires_at: key.expires_at.map(|at| at.0),
        last_used_at: key.last_used_at.map(|at| at.0),
    };
    row::Entity::insert(model.into_active_model()).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub async fn by_digest<C: ConnectionTrait>(conn: &C, digest: &Digest) -> Result<Option<ApiKey>> {
    let found = row::Entity::find().filter(row::Column::Digest.eq(digest.0.to_vec())).one(conn).await?;
    found.map(ApiKey::try_from).transpose()
}

fn of(owner: &Owner) -> Condition {
    Condition::all().add(match owner {
        Owner::User(id) => row::Column::UserId.eq(id.0),
        Owner::Client(id) => row::Column::ClientId.eq(id.as_str()),
    })
}

/// The criteria of a list of keys.
#[derive(Clone, Debug, Default)]
pub struct ApiKeyFilter {
    pub owner: Option<Owner>,
    pub gate: Option<GateName>,
    pub before: Option<ApiKeyId>,
    pub most: u64,
}

/// Returns the matching keys, newest first. Ids begin with the time (`UUIDv7`), so the id is also the cursor.
pub async fn list<C: ConnectionTrait>(conn: &C, filter: &ApiKeyFilter) -> Result<Vec<ApiKey>> {
    let mut query = row::Entity::find().order_by_desc(row::Column::Id).limit(filter.most);
    if let Some(owner) = &filter.owner {
        query = query.filter(of(owner));
    }
    if let Some(gate) = &filter.gate {
        query = query.filter(row::Column::Gate.eq(gate.as_str()));
    }
    if let Some(before) = filter.before {
        query = query.filter(row::Column::Id.lt(before.0));
    }
    query.all(conn).await?.into_iter().map(ApiKey::try_from).collect()
}

/// Returns the number of keys of an owner, including expired keys that are still listed.
pub async fn count<C: ConnectionTrait>(conn: &C, owner: &Owner) -> Result<u64> {
    Ok(row::Entity::find().filter(of(owner)).count(conn).await?)
}

/// Selects every client that has keys.
pub(super) fn clients() -> SelectStatement {
    let of_clients = row::Entity::find().select_only().column(row::Column::ClientId);
    of_clients.filter(row::Column::ClientId.is_not_null()).into_query()
}

/// Deletes one key, if it belongs to `owner` when one is given. Returns the key if it existed.
pub async fn delete(tx: &Tx, id: ApiKeyId, owner: Option<&Owner>) -> Result<Option<ApiKey>> {
    let mut query = row::Entity::find_by_id(id.0);
    if let Some(owner) = owner {
        query = query.filter(of(owner));
    }
    let Some(key) = query.one(tx.conn()).await?.map(ApiKey::try_from).transpose()? else { return Ok(None) };
    let gone =
        delete_where(tx, Condition::all().add(row::Column::Id.eq(id.0)), Stripes::from_iter(&[key.digest])).await?;
    Ok((gone > 0).then_some(key))
}

/// Deletes all keys of an owner and returns their number. The caller has deleted or locked the owner's row, so that a
/// concurrent insertion of a key waits.
pub async fn delete_of_owner(tx: &Tx, owner: &Owner) -> Result<u64> {
    let digests: Vec<Vec<u8>> = row::Entity::find()
        .select_only()
        .column(row::Column::Digest)
        .filter(of(owner))
        .into_tuple()
        .all(tx.conn())
        .await?;
    let digests = digests.into_iter().map(|bytes| digest(bytes, "api_key", "digest")).collect::<Result<Vec<_>>>()?;
    if digests.is_empty() {
        return Ok(0);
    }
    delete_where(tx, of(owner), digests.iter().collect()).await
}

/// Deletes all keys for an API.
pub async fn delete_of_api(tx: &Tx, api: &ApiId) -> Result<()> {
    let of_api = || Condition::all().add(row::Column::Api.eq(api.as_str()));
    if row::Entity::find().filter(of_api()).limit(1).one(tx.conn()).await?.is_some() {
        delete_where(tx, of_api(), Stripes::all()).await?;
    }
    Ok(())
}

async fn delete_where(tx: &Tx, which: Condition, stripes: Stripes) -> Result<u64> {
    tx.publish(ChangeEvent::ApiKeys(stripes)).await?;
    Ok(row::Entity::delete_many().filter(which).exec(tx.conn()).await?.rows_affected)
}

/// Records uses of keys in one statement. A key whose last recorded use is only minutes old is skipped.
pub async fn touch(tx: &Tx, uses: &[(ApiKeyId, Timestamp)]) -> Result<()> {
    if uses.is_empty() {
        return Ok(());
    }
    // Rows that another node is updating are skipped: it writes about the same time, and two nodes never wait for each
    // other.
    let ids: Vec<Uuid> = row::Entity::find()
        .select_only()
        .column(row::Column::Id)
        .filter(row::Column::Id.is_in(uses.iter().map(|(id, _)| id.0)))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(tx.conn())
        .await?;
    // Each key's own time of use, less `earlier` milliseconds.
    let used = |earlier: i64| -> Expr {
        let each = uses.iter().fold(CaseStatement::new(), |case, (id, at)| {
            case.case(row::Column::Id.eq(id.0), Expr::value(at.0.saturating_sub(earlier)))
        });
        each.into()
    };
    let due = Condition::any()
        .add(row::Column::LastUsedAt.is_null())
        .add(Expr::col(row::Column::LastUsedAt).lte(used(MIN_LAST_USED_INTERVAL_MILLIS)));
    row::Entity::update_many()
        .col_expr(row::Column::LastUsedAt, used(0))
        .filter(row::Column::Id.is_in(ids))
        .filter(due)
        .exec(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    let long_ago = tx.now().plus_seconds(-EXPIRED_RETENTION_SECONDS);
    delete_batch::<row::Entity>(tx, row::Column::Id, row::Column::ExpiresAt.lt(long_ago.0), most).await
}
