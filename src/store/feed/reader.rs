//! Reads the change feed: every entry at least once after it becomes visible, in no particular order across
//! transactions.
//!
//! On PostgreSQL one statement returns the entries that the previous statement's snapshot did not show, together with
//! its own snapshot. A transaction that stays open lengthens the index range that is scanned, but delays nothing.
//! `SQLite` has a single writer, so the new entries are those after the last one.
//!
//! Each read also checks that the database is the one that was read before: it has the same incarnation, the last entry
//! still exists with its tag, and no transaction id has been taken back. Otherwise the database has been restored, or
//! replaced by a standby that lacks some transactions, and the caller must reload everything.

use std::sync::Mutex;

use sea_orm::entity::prelude::*;
use sea_orm::{DbBackend, FromQueryResult, QueryOrder, QuerySelect, Statement};

use super::super::{ReadPool, Result, StoreError, from_json, settings};
use super::{ChangeEvent, row};
use crate::env::Timestamp;

/// The maximum number of entries that one statement returns.
const PAGE_SIZE: usize = 500;
/// The setting whose value is generated once for each database.
pub(crate) const INCARNATION: &str = "incarnation";

/// Reads the feed and remembers this node's position in it.
#[derive(Default)]
pub(crate) struct FeedReader(Mutex<FeedPosition>);

#[derive(Clone, Default)]
struct FeedPosition {
    /// Entries with a higher `seq` are new, whatever their transaction.
    seq: i64,
    /// The snapshot of the last read (PostgreSQL).
    snapshot: Option<String>,
    /// The `seq` and tag of the entry by which the database is recognised.
    known_entry: Option<(i64, i64)>,
    incarnation: Option<String>,
    /// The next read skips entries of this kind ([`TOKEN_KIND`]), or none if it is empty.
    skipped: &'static str,
}

/// The kind of revoked tokens, which also have a table of their own. The first read does not transfer them, because its
/// caller reads that table afterwards.
const TOKEN_KIND: &str = "token";

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadOutcome {
    /// Every new entry was passed to the caller. The time is by the database's clock, if the database has one of its
    /// own.
    Read(Option<Timestamp>),
    /// The database, or its state, is not the one that was read before. Nothing was passed to the caller.
    AnotherHistory,
}

/// One row of the query: the state of the database, and an entry if there is one.
#[derive(Debug, FromQueryResult)]
struct FeedRow {
    /// The time by the database's clock, if the database has one of its own.
    database_now: Option<i64>,
    snapshot: Option<String>,
    /// Whether the snapshot includes at least the transactions of the previous one.
    forward: bool,
    incarnation: Option<String>,
    known_tag: Option<i64>,
    seq: Option<i64>,
    at: Option<i64>,
    tag: Option<i64>,
    entry: Option<String>,
}

/// Parameters: `$1` [`FeedPosition::seq`], `$2` the end of the previous page, `$3` the `seq` of
/// [`FeedPosition::known_entry`], `$4` the previous snapshot, `$5` [`FeedPosition::skipped`]. The entries are two
/// ranges of two indexes, so that no plan scans the table.
const POSTGRES_QUERY: &str = "WITH here AS MATERIALIZED (SELECT pg_current_snapshot() AS now, \
     COALESCE($4::text::pg_snapshot, pg_current_snapshot()) AS before) \
     SELECT (extract(epoch from clock_timestamp()) * 1000)::bigint AS database_now, now::text AS snapshot, pg_snapshot_xmax(now) >= pg_snapshot_xmax(before) AS forward, \
     (SELECT value FROM setting WHERE name = 'incarnation') AS incarnation, \
     (SELECT tag FROM change_feed WHERE seq = $3) AS known_tag, f.seq, f.at, f.tag, f.entry FROM here LEFT JOIN \
     (SELECT * FROM ((SELECT seq, at, tag, entry FROM change_feed WHERE seq > GREATEST($1, $2) AND kind <> $5 ORDER BY seq LIMIT 500) \
     UNION SELECT seq, at, tag, entry FROM change_feed \
     WHERE xid >= pg_snapshot_xmin(COALESCE($4::text::pg_snapshot, pg_current_snapshot()))::text::bigint \
     AND NOT pg_visible_in_snapshot(xid::text::xid8, COALESCE($4::text::pg_snapshot, pg_current_snapshot())) \
     AND seq > $2 AND kind <> $5) new ORDER BY seq LIMIT 500) f ON true ORDER BY f.seq";

const SQLITE_QUERY: &str = "SELECT NULL AS database_now, NULL AS snapshot, $4 IS NULL AS forward, \
     (SELECT value FROM setting WHERE name = 'incarnation') AS incarnation, \
     (SELECT tag FROM change_feed WHERE seq = $3) AS known_tag, f.seq, f.at, f.tag, f.entry FROM (SELECT 1) LEFT JOIN \
     (SELECT seq, at, tag, entry FROM change_feed WHERE seq > max($1, $2) AND kind <> $5 ORDER BY seq LIMIT 500) f \
     ORDER BY f.seq";

impl FeedReader {
    /// Restarts at the first entry since `at`, in the database that is open now. The next read returns every entry from
    /// there on except revoked tokens, which the caller then reads from their table.
    pub(crate) async fn begin(&self, conn: &ReadPool, at: Timestamp) -> Result<()> {
        reset_foreign_transaction_ids(conn).await?;
        let newest = row::Entity::find().order_by_desc(row::Column::Seq).limit(1).one(conn).await?;
        let first = row::Entity::find().filter(row::Column::At.gte(at.0)).order_by_asc(row::Column::Seq).limit(1);
        let seq = match (first.one(conn).await?, &newest) {
            (Some(first), _) => first.seq - 1,
            (None, newest) => newest.as_ref().map_or(0, |newest| newest.seq),
        };
        let known = newest.map(|newest| (newest.seq, newest.tag));
        let incarnation = settings::value(conn, INCARNATION).await?;
        self.set(FeedPosition { seq, snapshot: None, known_entry: known, incarnation, skipped: TOKEN_KIND })
    }

    /// Passes every entry that has become visible since the last read to `apply`. The position advances only after all
    /// entries were passed, so an interrupted read is repeated in full.
    pub(crate) async fn read(
        &self,
        conn: &ReadPool,
        mut apply: impl FnMut(Timestamp, &ChangeEvent),
    ) -> Result<ReadOutcome> {
        let start = self.0.lock().map_err(lock_poisoned_error)?.clone();
        let mut next = start.clone();
        let (mut page_end, mut first_page) = (0, true);
        loop {
            let lines = page(conn, &start, page_end).await?;
            let Some(state) = lines.first() else { return Err(StoreError::Unavailable("no answer".to_owned())) };
            let known_is_there = start.known_entry.is_none_or(|(_, tag)| state.known_tag == Some(tag));
            if !known_is_there || !state.forward || state.incarnation != start.incarnation {
                return Ok(ReadOutcome::AnotherHistory);
            }
            if std::mem::take(&mut first_page) {
                // The snapshot of the first page: entries that became visible after it are not on the earlier pages.
                next.snapshot.clone_from(&state.snapshot);
            }
            let time = state.database_now.map(Timestamp);
            for line in &lines {
                let (Some(seq), Some(at), Some(tag), Some(entry)) = (line.seq, line.at, line.tag, &line.entry) else {
                    continue;
                };
                apply(Timestamp(at), &from_json(entry, "change_feed", "entry")?);
                page_end = seq;
                next.seq = next.seq.max(seq);
                if next.known_entry.is_none_or(|(known, _)| seq > known) {
                    next.known_entry = Some((seq, tag));
                }
            }
            if lines.len() < PAGE_SIZE {
                // Skipped entries up to here are not selected again.
                next.seq = next.seq.max(start.known_entry.map_or(0, |(seq, _)| seq));
                next.skipped = "";
                self.set(next)?;
                return Ok(ReadOutcome::Read(time));
            }
        }
    }

    fn set(&self, position: FeedPosition) -> Result<()> {
        *self.0.lock().map_err(lock_poisoned_error)? = position;
        Ok(())
    }
}

fn lock_poisoned_error<T>(_: T) -> StoreError {
    StoreError::Unavailable("the feed's position is lost".to_owned())
}

async fn page(conn: &ReadPool, start: &FeedPosition, page_end: i64) -> Result<Vec<FeedRow>> {
    let engine = conn.get_database_backend();
    let sql = if engine == DbBackend::Postgres { POSTGRES_QUERY } else { SQLITE_QUERY };
    let known = start.known_entry.map_or(0, |(seq, _)| seq);
    let snapshot = start.snapshot.clone();
    let values: [Value; 5] = [start.seq.into(), page_end.into(), known.into(), snapshot.into(), start.skipped.into()];
    Ok(FeedRow::find_by_statement(Statement::from_sql_and_values(engine, sql, values)).all(conn).await?)
}

/// Resets transaction ids in the feed that this server has not assigned. A dump contains the ids of another server.
/// Those rows would otherwise count as new until this server's ids reach them.
async fn reset_foreign_transaction_ids(conn: &ReadPool) -> Result<()> {
    if conn.get_database_backend() == DbBackend::Postgres {
        let sql = "UPDATE change_feed SET xid = 0 WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
        conn.execute_unprepared(sql).await?;
    }
    Ok(())
}
