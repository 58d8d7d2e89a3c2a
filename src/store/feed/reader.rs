//! Reads the change feed: every entry once it is visible, each at least once, in no order across transactions.
//!
//! On PostgreSQL one statement returns the entries that the previous statement's snapshot did not show, together with its
//! own snapshot. A transaction that stays open makes the range of the index that is looked through longer, and delays
//! nothing. On `SQLite`, which has one writer, the entries after the last one are the new ones.
//!
//! Each reading also checks that the database is the one that was read before: the same incarnation, the last entry still
//! there with its tag, and no transaction id taken back. Otherwise it has been restored, or replaced by a standby that
//! lacks something, and the caller has to load everything anew.

use std::sync::Mutex;

use sea_orm::entity::prelude::*;
use sea_orm::{DbBackend, FromQueryResult, QueryOrder, QuerySelect, Statement};

use super::super::{ReadPool, Result, StoreError, from_json, settings};
use super::{ChangeEvent, row};
use crate::env::Timestamp;

/// Entries that one statement returns.
const PAGE_SIZE: usize = 500;
/// The setting whose value is made once for each database.
pub(crate) const INCARNATION: &str = "incarnation";

/// Where one node is in the feed.
#[derive(Default)]
pub(crate) struct FeedReader(Mutex<FeedPosition>);

#[derive(Clone, Default)]
struct FeedPosition {
    /// Entries with a greater `seq` are new, whatever their transaction.
    seq: i64,
    /// What was visible to the last reading (PostgreSQL).
    snapshot: Option<String>,
    /// The `seq` and tag of the entry by which the database is recognised.
    known_entry: Option<(i64, i64)>,
    incarnation: Option<String>,
    /// Entries of this kind are passed over by the next reading ([`TOKEN_KIND`]), of none where it is empty.
    skipped: &'static str,
}

/// Revoked tokens, all of which are in a table of their own. The first reading does not transfer them: its caller reads
/// that table afterwards.
const TOKEN_KIND: &str = "token";

/// What a reading found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadOutcome {
    /// Every new entry was handed to the caller. With the time by the database's clock, where it has one of its own.
    Read(Option<Timestamp>),
    /// This is not the database, or not the state of it, that was read before. Nothing was handed over.
    AnotherHistory,
}

/// One row of the reading statement: the state of the database, and an entry unless there is none.
#[derive(Debug, FromQueryResult)]
struct FeedRow {
    /// The database's clock, where it has one of its own.
    database_now: Option<i64>,
    snapshot: Option<String>,
    /// Whether the snapshot has at least the transactions of the previous one.
    forward: bool,
    incarnation: Option<String>,
    known_tag: Option<i64>,
    seq: Option<i64>,
    at: Option<i64>,
    tag: Option<i64>,
    entry: Option<String>,
}

/// `$1`: [`FeedPosition::seq`], `$2`: the end of the page before, `$3`: the `seq` of [`FeedPosition::known`], `$4`: the previous
/// snapshot, `$5`: [`FeedPosition::skipped`]. Two ranges of two indexes, so that a plan never walks the table.
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
    /// Starts anew at the first entry since `at`, in whatever database there is now. The next reading returns every entry
    /// from there on but those of revoked tokens, which the caller then reads from their table.
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

    /// Hands every entry that has become visible since the last reading to `apply`. Moves on only when it has handed over
    /// all, so that a reading that is given up is made again whole.
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
                // Not a later page's: what became visible in between is not on the pages before.
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
                // What was passed over up to there is not looked at again.
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

/// Takes transaction ids out of the feed that this server has not given: a dump brings those of another server along,
/// whose rows would otherwise be taken for new ones for as long as this server has not reached them.
async fn reset_foreign_transaction_ids(conn: &ReadPool) -> Result<()> {
    if conn.get_database_backend() == DbBackend::Postgres {
        let sql = "UPDATE change_feed SET xid = 0 WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
        conn.execute_unprepared(sql).await?;
    }
    Ok(())
}
