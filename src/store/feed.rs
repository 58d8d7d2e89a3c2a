//! The change feed: an append-only table by which every node learns what another one changed.
//!
//! On PostgreSQL a sequence hands out numbers before their transactions commit, so a reader could pass over one that
//! commits late; an advisory lock taken before the number makes the order of numbers the order of commits.

use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::NotSet, DatabaseTransaction, DbBackend, QueryOrder, QuerySelect, Set};
use serde::{Deserialize, Serialize};

use super::kept::Stripes;
use super::{Result, from_json, json};
use crate::domain::ids::{ClientId, GrantId, SessionId, UserId};
use crate::env::Timestamp;

/// Any number but the migrations': the lock that orders the feed.
const FEED_LOCK: i64 = 0x5349_474E_4555;

/// Something other nodes keep in memory and must not go on believing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what", content = "of")]
pub enum Change {
    Client(ClientId),
    Apis,
    /// What somebody is or which groups they are in, or that they are there.
    People(Stripes),
    /// Keys that are there no more.
    ApiKeys(Stripes),
    /// Names of signature keys that are another client's, or nobody's any more.
    SignatureKeys(Stripes),
    /// Names in certificates that are another client's now, or nobody's.
    ClientCertificates(Stripes),
    Keys,
    /// Something waits to be sent out.
    Deliveries,
    /// Everything issued to or under this until now is void.
    Cutoff(Cutoff),
}

/// What tokens can hang on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
pub enum Cutoff {
    User(UserId),
    Client(ClientId),
    /// What one person allowed one client.
    Consent(UserId, ClientId),
    Session(SessionId),
    Grant(GrantId),
    /// One access token, by its `jti` or, where it is opaque, its grantless digest in base64url.
    Token(String),
}

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "change_feed")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub seq: i64,
        pub at: i64,
        pub kind: String,
        #[sea_orm(column_type = "Text")]
        pub entry: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Takes the feed's lock before anything is told: transactions that tell of rows they have locked would otherwise wait
/// for each other.
pub(super) async fn lock(tx: &DatabaseTransaction) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({FEED_LOCK})")).await?;
    }
    Ok(())
}

pub(super) async fn append(tx: &DatabaseTransaction, at: Timestamp, change: &Change) -> Result<()> {
    lock(tx).await?;
    let kind = match change {
        Change::Client(_) => "client",
        Change::Apis => "apis",
        Change::People(_) => "people",
        Change::ApiKeys(_) => "api_keys",
        Change::SignatureKeys(_) => "signature_keys",
        Change::ClientCertificates(_) => "client_certificates",
        Change::Keys => "keys",
        Change::Deliveries => "deliveries",
        Change::Cutoff(_) => "cutoff",
    };
    let entry = row::ActiveModel {
        seq: NotSet,
        at: Set(at.0),
        kind: Set(kind.to_owned()),
        entry: Set(json(change, "change_feed", "entry")?),
    };
    row::Entity::insert(entry).exec_without_returning(tx).await?;
    Ok(())
}

/// The entries after `seq`, oldest first, at most 500.
pub(super) async fn after<C: ConnectionTrait>(conn: &C, seq: i64) -> Result<Vec<(i64, Timestamp, Change)>> {
    row::Entity::find()
        .filter(row::Column::Seq.gt(seq))
        .order_by_asc(row::Column::Seq)
        .limit(500)
        .all(conn)
        .await?
        .into_iter()
        .map(|row| Ok((row.seq, Timestamp(row.at), from_json(&row.entry, "change_feed", "entry")?)))
        .collect()
}

/// The number before the first entry since `at`: where a node that starts begins to read.
pub(super) async fn position<C: ConnectionTrait>(conn: &C, at: Timestamp) -> Result<i64> {
    let first =
        row::Entity::find().filter(row::Column::At.gte(at.0)).order_by_asc(row::Column::Seq).limit(1).one(conn).await?;
    if let Some(first) = first {
        return Ok(first.seq - 1);
    }
    let last = row::Entity::find().order_by_desc(row::Column::Seq).limit(1).one(conn).await?;
    Ok(last.map_or(0, |last| last.seq))
}

pub(super) async fn forget_before(tx: &DatabaseTransaction, at: Timestamp, most: u64) -> Result<u64> {
    let old: Vec<i64> = row::Entity::find()
        .select_only()
        .column(row::Column::Seq)
        .filter(row::Column::At.lt(at.0))
        .limit(most)
        .into_tuple()
        .all(tx)
        .await?;
    Ok(row::Entity::delete_many().filter(row::Column::Seq.is_in(old)).exec(tx).await?.rows_affected)
}
