//! Limits on the rows that unauthenticated callers can create: in total, from one address, and from one site of many
//! addresses (IPv6: a /48), which gets a tenth of the total.
//!
//! Each such row has an entry here. The transaction that inserts the row inserts the entry, by one statement that
//! counts and inserts. An entry counts until its row has expired and been swept. Counting reads a range of an index for
//! each limit, and never more rows than the limit. Entries are distributed over parts at random. Each part has its
//! share of the total limit, so that only one part is counted. Some requests are therefore refused when only nine
//! tenths of the total limit are in use.
//!
//! On PostgreSQL concurrent transactions do not see each other's entries, so a limit may be exceeded by the number of
//! the nodes' connections. On `SQLite` it is exact.

use sea_orm::entity::prelude::*;
use sea_orm::{DbBackend, FromQueryResult, Set, Statement};
use sha2::{Digest as _, Sha256};

use super::{Result, Store, Tx, sweep::delete_batch};
use crate::config::Quotas;
use crate::domain::network_prefix::{network_prefix, site_prefix};
use crate::env::Timestamp;

/// The longest time until a sweep deletes an expired row.
const SWEEP_SECONDS: i64 = 300;
/// The maximum number of parts of a total limit.
const MAX_PARTS: u32 = 256;
/// The share of the total limit that one site gets: a tenth.
const SITE_SHARE: u32 = 10;
/// The limit for events of exhausted budgets, as a share of the limit for failure events and in addition to it: a
/// tenth.
const BUDGET_EVENT_SHARE: u32 = 10;
/// The number of entries that an address (a site) can have even when the total limit is reached.
const RESERVED_PER_ADDRESS: u32 = 10;
const RESERVED_PER_SITE: u32 = 100;
/// The minimum size of a part, so that random distribution fills no part much earlier than the others.
const MIN_ENTRIES_PER_PART: u32 = 1_000;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "quota")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub kind: String,
        pub address: Vec<u8>,
        pub site: Vec<u8>,
        pub part: i32,
        pub expires_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// The kinds of rows that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaKind {
    Interaction,
    PushedRequest,
    DeviceCode,
    ClientAssertion,
    /// An audit event of a failed sign-in, counted for a day.
    FailureEvent,
    /// An audit event of an exhausted budget of attempts, with a limit of its own.
    BudgetEvent,
    /// An audit event of a self-registered client, counted for a day.
    RegistrationEvent,
}

impl QuotaKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Interaction => "interaction",
            Self::PushedRequest => "pushed_request",
            Self::DeviceCode => "device_code",
            Self::ClientAssertion => "client_assertion",
            Self::FailureEvent => "failure_event",
            Self::BudgetEvent => "budget_event",
            Self::RegistrationEvent => "registration_event",
        }
    }

    /// Returns the limits per address and in total.
    const fn limits(self, quotas: &Quotas) -> (u32, u32) {
        match self {
            Self::Interaction => (quotas.interactions_per_address, quotas.interactions),
            Self::PushedRequest => (quotas.pushed_requests_per_address, quotas.pushed_requests),
            // `identity::throttle` has a lower limit per address.
            Self::DeviceCode => (quotas.device_codes.div_ceil(SITE_SHARE), quotas.device_codes),
            Self::ClientAssertion => (quotas.client_assertions_per_address, quotas.client_assertions),
            Self::FailureEvent => (quotas.failure_events_per_address, quotas.failure_events),
            Self::BudgetEvent => (
                quotas.failure_events_per_address.div_ceil(BUDGET_EVENT_SHARE),
                quotas.failure_events.div_ceil(BUDGET_EVENT_SHARE),
            ),
            Self::RegistrationEvent => (quotas.registration_events_per_address, quotas.registration_events),
        }
    }
}

/// The entry of a row that an unauthenticated caller creates.
#[derive(Clone, Debug)]
pub struct QuotaEntry {
    kind: QuotaKind,
    id: Uuid,
    address: Vec<u8>,
    site: Vec<u8>,
    expires_at: Timestamp,
    per_address: u32,
    per_site: u32,
    total: u32,
}

impl Store {
    /// Returns an entry for a row of `kind` that expires at `expires_at`, requested from `address` (empty if unknown).
    #[must_use]
    pub fn quota_entry(&self, kind: QuotaKind, id: Uuid, address: &str, expires_at: Timestamp) -> QuotaEntry {
        let (per_address, total) = kind.limits(self.quotas());
        // Unknown addresses stand for many callers, so a limit per address would let one of them exclude all others.
        let per_address = if address.is_empty() { total } else { per_address };
        let per_site = per_address.max(total / SITE_SHARE);
        let (site, address) = (digest(&site_prefix(address)), digest(&network_prefix(address)));
        QuotaEntry { kind, id, address, site, expires_at, per_address, per_site, total }
    }
}

/// Returns a 16-byte digest of `text`.
fn digest(text: &str) -> Vec<u8> {
    Sha256::digest(text).split_at(16).0.to_vec()
}

/// `expires_at + 0` prevents a plan that reads the index on `expires_at` alone, which is as long as the table.
const INSERT_SQL: &str = "INSERT INTO quota (id, kind, address, part, expires_at, site) SELECT $1, $2, $3, $4, $5, $9 WHERE \
     (SELECT COUNT(*) FROM (SELECT 1 FROM quota WHERE kind = $2 AND address = $3 AND expires_at + 0 > $6 LIMIT $7) a) < $7 \
     AND (SELECT COUNT(*) FROM (SELECT 1 FROM quota WHERE kind = $2 AND site = $9 AND expires_at + 0 > $6 LIMIT $10) c) < $10 \
     AND (SELECT COUNT(*) FROM (SELECT 1 FROM quota WHERE kind = $2 AND part = $4 AND expires_at + 0 > $6 LIMIT $8) b) < $8";

/// Returns the number of rows that a statement ending with `LIMIT` finds. No more rows than that are read.
pub(super) async fn count<C: ConnectionTrait>(conn: &C, sql: &str, values: Vec<Value>) -> Result<i64> {
    #[derive(FromQueryResult)]
    struct CountRow {
        number: i64,
    }
    let sql = format!("SELECT COUNT(*) AS number FROM ({sql}) bounded");
    let counted = CountRow::find_by_statement(Statement::from_sql_and_values(conn.get_database_backend(), sql, values));
    Ok(counted.one(conn).await?.map_or(0, |counted| counted.number))
}

/// Whether one more row may be inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaDecision {
    Granted,
    /// Allowed, if the caller deletes the row with this id.
    InPlaceOf(Uuid),
    Exceeded,
}

impl QuotaEntry {
    /// Returns the number of parts of the total limit, and a random part.
    fn draw_part(&self, tx: &Tx) -> (u32, i32) {
        let parts = (self.total / MIN_ENTRIES_PER_PART).clamp(1, MAX_PARTS);
        let random = u16::from_be_bytes(tx.env().random());
        (parts, i32::try_from(u32::from(random) % parts).unwrap_or_default())
    }

    const fn counts_until(&self) -> Timestamp {
        self.expires_at.plus_seconds(SWEEP_SECONDS)
    }
}

/// Counts one more row. Returns whether the limits allow it. If they do not, the caller inserts nothing.
pub async fn admit(tx: &Tx, entry: &QuotaEntry) -> Result<bool> {
    admit_into(tx, entry, entry.draw_part(tx)).await
}

/// Counts one more row, which replaces an old one when a limit is reached: the oldest row of another address if its own
/// address and site have fewer than [`RESERVED_PER_ADDRESS`] and [`RESERVED_PER_SITE`], otherwise the oldest row of its
/// own address or site.
pub async fn admit_or_replace(tx: &Tx, entry: &QuotaEntry) -> Result<QuotaDecision> {
    let (parts, part) = entry.draw_part(tx);
    if admit_into(tx, entry, (parts, part)).await? {
        return Ok(QuotaDecision::Granted);
    }
    let mut oldest = take_oldest(tx, entry, part).await?;
    for (column, own) in [("address", &entry.address), ("site", &entry.site)] {
        if oldest.is_none() {
            oldest = take_oldest_of(tx, entry.kind, column, own).await?;
        }
    }
    let Some(oldest) = oldest else { return Ok(QuotaDecision::Exceeded) };
    let model = row::ActiveModel {
        id: Set(entry.id),
        kind: Set(entry.kind.as_str().to_owned()),
        address: Set(entry.address.clone()),
        site: Set(entry.site.clone()),
        part: Set(part),
        expires_at: Set(entry.counts_until().0),
    };
    row::Entity::insert(model).exec_without_returning(tx.conn()).await?;
    Ok(QuotaDecision::InPlaceOf(oldest))
}

async fn admit_into(tx: &Tx, entry: &QuotaEntry, (parts, part): (u32, i32)) -> Result<bool> {
    let values: [Value; 10] = [
        entry.id.into(),
        entry.kind.as_str().into(),
        entry.address.clone().into(),
        part.into(),
        entry.counts_until().0.into(),
        tx.now().0.into(),
        i64::from(entry.per_address).into(),
        i64::from(entry.total / parts).into(),
        entry.site.clone().into(),
        i64::from(entry.per_site).into(),
    ];
    let engine: DbBackend = tx.conn().get_database_backend();
    let done = tx.conn().execute_raw(Statement::from_sql_and_values(engine, INSERT_SQL, values)).await?;
    Ok(done.rows_affected() > 0)
}

/// Deletes the oldest entry of a full part, for an address that has few entries. Returns its id.
async fn take_oldest(tx: &Tx, entry: &QuotaEntry, part: i32) -> Result<Option<Uuid>> {
    let unlocked = unlocked(tx);
    let values: [Value; 7] = [
        entry.kind.as_str().into(),
        part.into(),
        tx.now().0.into(),
        entry.address.clone().into(),
        i64::from(RESERVED_PER_ADDRESS.min(entry.per_address)).into(),
        entry.site.clone().into(),
        i64::from(RESERVED_PER_SITE.min(entry.per_site)).into(),
    ];
    let sql = format!(
        "DELETE FROM quota WHERE id = (SELECT id FROM quota WHERE kind = $1 AND part = $2 AND expires_at > $3 \
         AND address <> $4 ORDER BY expires_at LIMIT 1 {unlocked}) AND \
         (SELECT COUNT(*) FROM (SELECT 1 FROM quota WHERE kind = $1 AND address = $4 AND expires_at + 0 > $3 LIMIT $5) a) < $5 \
         AND (SELECT COUNT(*) FROM (SELECT 1 FROM quota WHERE kind = $1 AND site = $6 AND expires_at + 0 > $3 LIMIT $7) b) < $7 \
         RETURNING id"
    );
    take(tx, sql, values).await
}

/// Deletes the oldest entry of the address or site `own`. Returns its id.
async fn take_oldest_of(tx: &Tx, kind: QuotaKind, column: &str, own: &[u8]) -> Result<Option<Uuid>> {
    let values: [Value; 3] = [kind.as_str().into(), own.to_vec().into(), tx.now().0.into()];
    let sql = format!(
        "DELETE FROM quota WHERE id = (SELECT id FROM quota WHERE kind = $1 AND {column} = $2 AND expires_at > $3 \
         ORDER BY expires_at LIMIT 1 {}) RETURNING id",
        unlocked(tx)
    );
    take(tx, sql, values).await
}

/// Returns the clause that makes concurrent transactions take different rows.
fn unlocked(tx: &Tx) -> &'static str {
    if tx.conn().get_database_backend() == DbBackend::Postgres { "FOR UPDATE SKIP LOCKED" } else { "" }
}

async fn take(tx: &Tx, sql: String, values: impl IntoIterator<Item = Value>) -> Result<Option<Uuid>> {
    #[derive(FromQueryResult)]
    struct DeletedRow {
        id: Uuid,
    }
    let statement = Statement::from_sql_and_values(tx.conn().get_database_backend(), sql, values);
    Ok(DeletedRow::find_by_statement(statement).one(tx.conn()).await?.map(|taken| taken.id))
}

/// Deletes the entry of a row that is deleted before it expires.
pub async fn release(tx: &Tx, id: Uuid) -> Result<()> {
    row::Entity::delete_by_id(id).exec(tx.conn()).await?;
    Ok(())
}

/// Shortens the time for which the entry of a row counts.
pub async fn shorten_expiry(tx: &Tx, id: Uuid, until: Timestamp) -> Result<()> {
    row::Entity::update_many()
        .col_expr(row::Column::ExpiresAt, Expr::value(until.plus_seconds(SWEEP_SECONDS).0))
        .filter(row::Column::Id.eq(id))
        .exec(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    delete_batch::<row::Entity>(tx, row::Column::Id, row::Column::ExpiresAt.lt(tx.now().0), most).await
}
