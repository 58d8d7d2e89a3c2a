//! Follows the change feed: reads it, judges whether it has been read recently enough, and starts over if the database
//! has been replaced. [`super`] answers requests from what was read. `feed::reader` reads the entries.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::super::cache::Stripes;
use super::super::feed::reader::ReadOutcome;
use super::super::revocations::{FEED_LOOKBACK_SECONDS, Revocations};
use super::super::{ChangeEvent, Result, Store, StoreError, revoked_tokens};
use super::NodeCache;
use crate::env::Monotonic;

/// How often the feed is read if no notification arrives. Commands promise to reach a running server within a second.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The minimum time between two reads, however often changes are announced.
const MIN_READ_INTERVAL: Duration = Duration::from_millis(10);
/// A feed read that takes longer than this has failed.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout of a feed read that also reads every revoked token again.
const RELOAD_TIMEOUT: Duration = Duration::from_mins(2);
/// Milliseconds for which a node answers from memory, counted from the beginning of the last successful feed read.
pub const MAX_STALENESS_MILLIS: i64 = 30_000;
/// The timeout of a feed read that a request waits for, because the node was suspended or its background work is late.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(2);
/// Milliseconds after a failed feed read before a request tries again.
const CATCH_UP_RETRY_INTERVAL_MILLIS: i64 = 1_000;

impl NodeCache {
    /// Reads everything this node must know before it answers requests.
    pub(in super::super) async fn start(&self, store: &Store) -> Result<()> {
        let since = store.env().now().plus_seconds(-FEED_LOOKBACK_SECONDS);
        self.feed.begin(store.read_feed(), since).await?;
        self.catch_up(store).await?;
        // Tokens are read after the feed. The first feed read skips their entries, and later feed reads return new
        // ones.
        read_revoked_tokens(store, &self.revocations).await
    }

    /// Reads the new entries of the feed.
    ///
    /// # Errors
    /// Returns an error if the database does not answer.
    pub async fn catch_up(&self, store: &Store) -> Result<()> {
        let began = store.env().uptime();
        // A severed connection may report no error, so the read needs a timeout.
        let starting_over = self.is_reloading.load(Ordering::SeqCst);
        let limit = if starting_over { RELOAD_TIMEOUT } else { READ_TIMEOUT };
        let read = tokio::time::timeout(limit, self.read_feed(store)).await;
        let read = read.unwrap_or_else(|_| Err(StoreError::Unavailable("the change feed does not answer".to_owned())));
        if read.is_ok() {
            self.read_at.fetch_max(began.0, Ordering::SeqCst);
        } else {
            self.failed_at.fetch_max(began.0, Ordering::SeqCst);
        }
        read
    }

    /// Returns whether this node may answer from memory: it has read the feed within [`MAX_STALENESS_MILLIS`], or reads
    /// it now. Otherwise another node may have revoked what is in memory. Returns false while the contents belong to a
    /// database that has been replaced.
    pub async fn is_fresh(&self, store: &Store) -> bool {
        let fresh = || {
            !self.is_reloading.load(Ordering::SeqCst)
                && self.has_read_within(MAX_STALENESS_MILLIS, store.env().uptime())
        };
        if fresh() {
            return true;
        }
        // One request reads the feed for all that wait. If that read fails, the waiting requests do not repeat it in
        // turn.
        let caught_up = async {
            let _one = self.catch_up_lock.lock().await;
            let failed_at = Monotonic(self.failed_at.load(Ordering::SeqCst));
            fresh()
                || (store.env().uptime().since(failed_at) >= CATCH_UP_RETRY_INTERVAL_MILLIS
                    && self.catch_up(store).await.is_ok())
        };
        let caught_up = tokio::time::timeout(CATCH_UP_TIMEOUT, caught_up).await;
        if caught_up.is_err() {
            self.failed_at.fetch_max(store.env().uptime().0, Ordering::SeqCst);
        }
        caught_up.unwrap_or(false)
    }

    fn has_read_within(&self, milliseconds: i64, now: Monotonic) -> bool {
        let read_at = self.read_at.load(Ordering::SeqCst);
        read_at != i64::MIN && now.since(Monotonic(read_at)) <= milliseconds
    }

    async fn read_feed(&self, store: &Store) -> Result<()> {
        let _one = self.read_lock.lock().await;
        let now = store.env().uptime();
        if let Err(error) = store.check_not_replaced() {
            self.read_at.store(i64::MIN, Ordering::SeqCst);
            return Err(error);
        }
        if self.is_reloading.load(Ordering::SeqCst) {
            // The last attempt failed after the feed position was reset but before the state was rebuilt.
            return self.reload(store).await;
        }
        let asked = store.env().clock.now();
        match self.feed.read(store.read_feed(), |_, change| self.apply(change, now)).await? {
            ReadOutcome::Read(time) => {
                if let Some(time) = time {
                    store.correct_clock(time, asked);
                }
                Ok(())
            }
            ReadOutcome::AnotherHistory => {
                tracing::error!(
                    "the database is in another state than the one that was read before (restored from a backup, or \
                     replaced by a standby): everything in memory is forgotten and read again"
                );
                self.is_reloading.store(true, Ordering::SeqCst);
                self.invalidate_caches(now);
                self.reload(store).await
            }
        }
    }

    /// Reads the feed of a database that has been replaced, and discards everything read from the previous one. Until
    /// it succeeds, [`Self::is_fresh`] returns false.
    async fn reload(&self, store: &Store) -> Result<()> {
        let (since, now) = (store.env().now().plus_seconds(-FEED_LOOKBACK_SECONDS), store.env().uptime());
        self.feed.begin(store.read_feed(), since).await?;
        let revocations = Revocations::default();
        self.feed.read(store.read_feed(), |_, change| revocations.apply(change, now)).await?;
        read_revoked_tokens(store, &revocations).await?;
        self.revocations.replace(revocations);
        store.recorded_uses().clear();
        // Entries cached during the read may come from the previous database.
        self.invalidate_caches(now);
        self.is_reloading.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Invalidates every cached entry except revocations.
    fn invalidate_caches(&self, now: Monotonic) {
        for change in [ChangeEvent::Apis, ChangeEvent::Keys, ChangeEvent::Deliveries] {
            self.apply(&change, now);
        }
        self.client_changes.changed(&Stripes::all());
        self.users.changed(&Stripes::all());
        self.api_keys.changed(&Stripes::all());
        self.signature_keys.changed(&Stripes::all());
        self.client_certificates.changed(&Stripes::all());
    }

    /// Follows the feed until the task is aborted.
    pub async fn follow(store: Store) {
        let changed = Arc::new(Notify::new());
        let _listening = store.listen_for_changes(changed.clone());
        let mut answering = true;
        loop {
            tokio::time::sleep(MIN_READ_INTERVAL).await;
            tokio::time::timeout(POLL_INTERVAL, changed.notified()).await.ok();
            match store.authority().catch_up(&store).await {
                Ok(()) => answering = true,
                // Logged once, because the feed is read twice a second.
                Err(error) if answering => {
                    tracing::error!(%error, "the change feed cannot be read");
                    answering = false;
                }
                Err(_) => {}
            }
        }
    }

    /// Applies one entry of the feed. A node's own entries are applied as soon as they are committed, and all entries
    /// when they are read from the feed.
    pub(in super::super) fn apply(&self, change: &ChangeEvent, now: Monotonic) {
        match change {
            ChangeEvent::Client(id) => self.client_changes.changed(&Stripes::from_iter([id])),
            ChangeEvent::Apis => {
                self.api_epoch.fetch_add(1, Ordering::SeqCst);
                *self.apis.write().unwrap_or_else(PoisonError::into_inner) = None;
            }
            ChangeEvent::People(stripes) => self.users.changed(stripes),
            ChangeEvent::ApiKeys(stripes) => self.api_keys.changed(stripes),
            ChangeEvent::SignatureKeys(stripes) => self.signature_keys.changed(stripes),
            ChangeEvent::ClientCertificates(stripes) => self.client_certificates.changed(stripes),
            ChangeEvent::Keys => self.keys_changed.send_modify(|epoch| *epoch += 1),
            ChangeEvent::Deliveries => self.deliveries_pending.send_modify(|epoch| *epoch += 1),
            ChangeEvent::Version(..) | ChangeEvent::Ended(_) | ChangeEvent::Token(..) => {
                self.revocations.apply(change, now);
            }
        }
    }
}

async fn read_revoked_tokens(store: &Store, into: &Revocations) -> Result<()> {
    let mut after = None;
    loop {
        let page = revoked_tokens::page(store.read(), after).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(*last);
        into.add_tokens(&page);
    }
}
