//! The change feed: an append-only table through which every node learns what other nodes have changed.
//!
//! On PostgreSQL a sequence assigns numbers before their transactions commit, so a higher number can become visible
//! before a lower one. Each row therefore carries the id of its transaction, and [`reader`] selects the rows that its
//! previous snapshot did not show. No lock orders the feed, so a node that stops inside a transaction does not delay
//! the entries of other nodes. Each row also has a random tag, by which a reader detects that the database has been
//! replaced by an older state.
//!
//! [`reader`] reads the feed. [`listen`] receives PostgreSQL's notifications of new entries.

pub(super) mod listen;
pub(super) mod reader;

use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::NotSet, DatabaseTransaction, DbBackend, QueryOrder, QuerySelect, Set, Statement};
use serde::{Deserialize, Serialize};

use super::cache::Stripes;
use super::{Result, json};
use crate::domain::ids::ClientId;
use crate::domain::version::RevocationKey;
use crate::env::Timestamp;

/// The channel on which PostgreSQL announces new rows. The notification has no payload.
pub(super) const NOTIFY_CHANNEL: &str = "signet_change_feed";

/// A change that makes in-memory copies on other nodes stale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what", content = "of")]
pub enum ChangeEvent {
    Client(ClientId),
    Apis,
    /// Users whose account or groups have changed, or who were created or deleted.
    People(Stripes),
    /// API keys that have been deleted.
    ApiKeys(Stripes),
    /// Signature key ids that belong to another client or to none now.
    SignatureKeys(Stripes),
    /// Certificate names that belong to other clients or to none now.
    ClientCertificates(Stripes),
    Keys,
    /// Deliveries have been queued.
    Deliveries,
    /// Everything issued under an older version is revoked.
    Version(RevocationKey, i64),
    /// A session or a grant has ended.
    Ended(RevocationKey),
    /// One access token, by its `jti`, is revoked. The time is its expiry.
    Token(RevocationKey, Timestamp),
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
        /// The transaction that wrote the row: PostgreSQL's `xid8` by the column's default, 0 on `SQLite`.
        pub xid: i64,
        pub tag: i64,
        pub kind: String,
        #[sea_orm(column_type = "Text")]
        pub entry: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Appends an entry. `tag` is random.
pub(super) async fn append(tx: &DatabaseTransaction, at: Timestamp, tag: [u8; 8], change: &ChangeEvent) -> Result<()> {
    let kind = match change {
        ChangeEvent::Client(_) => "client",
        ChangeEvent::Apis => "apis",
        ChangeEvent::People(_) => "people",
        ChangeEvent::ApiKeys(_) => "api_keys",
        ChangeEvent::SignatureKeys(_) => "signature_keys",
        ChangeEvent::ClientCertificates(_) => "client_certificates",
        ChangeEvent::Keys => "keys",
        ChangeEvent::Deliveries => "deliveries",
        ChangeEvent::Version(..) => "version",
        ChangeEvent::Ended(_) => "ended",
        ChangeEvent::Token(..) => "token",
    };
    let (entry, tag) = (json(change, "change_feed", "entry")?, i64::from_be_bytes(tag));
    if tx.get_database_backend() == DbBackend::Postgres {
        // PostgreSQL sends the notification when, and only if, the transaction commits.
        let sql =
            "INSERT INTO change_feed (at, tag, kind, entry) VALUES ($1, $2, $3, $4) RETURNING pg_notify($5, '')::text";
        let values: [Value; 5] = [at.0.into(), tag.into(), kind.into(), entry.into(), NOTIFY_CHANNEL.into()];
        tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        return Ok(());
    }
    let entry = row::ActiveModel {
        seq: NotSet,
        at: Set(at.0),
        xid: Set(0),
        tag: Set(tag),
        kind: Set(kind.to_owned()),
        entry: Set(entry),
    };
    row::Entity::insert(entry).exec_without_returning(tx).await?;
    Ok(())
}

/// Deletes at most `most` entries older than `at`, but never the newest of those. Readers recognise the database by the
/// last entry they read, which in a quiet period is that one: the entries of this transaction come after it.
pub(super) async fn delete_before(tx: &DatabaseTransaction, at: Timestamp, most: u64) -> Result<u64> {
    let is_old = row::Column::At.lt(at.0);
    let newest: Option<i64> = row::Entity::find()
        .select_only()
        .column(row::Column::Seq)
        .filter(is_old.clone())
        .order_by_desc(row::Column::Seq)
        .into_tuple()
        .one(tx)
        .await?;
    let Some(newest) = newest else { return Ok(0) };
    let old: Vec<i64> = row::Entity::find()
        .select_only()
        .column(row::Column::Seq)
        .filter(is_old)
        .filter(row::Column::Seq.lt(newest))
        .limit(most)
        .into_tuple()
        .all(tx)
        .await?;
    Ok(row::Entity::delete_many().filter(row::Column::Seq.is_in(old)).exec(tx).await?.rows_affected)
}
