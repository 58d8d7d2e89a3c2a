//! Following the change feed: reading it, judging whether it has been read recently enough, and starting over where the
//! database has been replaced. Next door: [`super`], which answers by what was read; `feed::reader`, which reads.

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

/// How often the feed is read where nothing announces a change. Commands promise to reach a running server in a second.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Between two readings, however often changes are announced.
const MIN_READ_INTERVAL: Duration = Duration::from_millis(10);
/// A reading of the feed that takes longer has failed.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The same where every revoked token is read again.
const RELOAD_TIMEOUT: Duration = Duration::from_mins(2);
/// Milliseconds for which a node goes on by what it remembers, from the beginning of the last reading of the feed.
pub const MAX_STALENESS_MILLIS: i64 = 30_000;
/// A reading that a request waits for: the node was frozen, or its background work is late.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(2);
/// Milliseconds after a reading that failed before a request tries again.
const CATCH_UP_RETRY_INTERVAL_MILLIS: i64 = 1_000;

impl NodeCache {
    /// Reads what this node has to know before it answers anything.
    pub(in super::super) async fn start(&self, store: &Store) -> Result<()> {
        let since = store.env().now().plus_seconds(-FEED_LOOKBACK_SECONDS);
        self.feed.begin(store.read_feed(), since).await?;
        self.catch_up(store).await?;
        // After the feed, whose first reading passes over them and whose next ones tell of those that come from now on.
        read_revoked_tokens(store, &self.revocations).await
    }

    /// Reads what is new in the feed.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn catch_up(&self, store: &Store) -> Result<()> {
        let began = store.env().uptime();
        // A connection that is cut off may not say so.
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

    /// Whether what this node remembers may be answered by: it has read the feed within [`MAX_STALENESS_MILLIS`], or reads it now.
    /// Others may have revoked what it believes in. What it remembers of a database that has been replaced is no answer.
    pub async fn is_fresh(&self, store: &Store) -> bool {
        let fresh = || {
            !self.is_reloading.load(Ordering::SeqCst)
                && self.has_read_within(MAX_STALENESS_MILLIS, store.env().uptime())
        };
        if fresh() {
            return true;
        }
        // One request asks for all that wait; where it was in vain, they do not ask one after the other.
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
            // The last attempt failed half-way, after the feed had begun anew.
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

    /// Reads the feed of a database that has been replaced, and then believes nothing that was read before. Until it has
    /// succeeded, [`Self::is_fresh`] says no.
    async fn reload(&self, store: &Store) -> Result<()> {
        let (since, now) = (store.env().now().plus_seconds(-FEED_LOOKBACK_SECONDS), store.env().uptime());
        self.feed.begin(store.read_feed(), since).await?;
        let revocations = Revocations::default();
        self.feed.read(store.read_feed(), |_, change| revocations.apply(change, now)).await?;
        read_revoked_tokens(store, &revocations).await?;
        self.revocations.replace(revocations);
        store.recorded_uses().clear();
        // What was read meanwhile may have been the old database's.
        self.invalidate_caches(now);
        self.is_reloading.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Lets everything be read anew from the database, but revocations.
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

    /// Follows the feed until the task is ended.
    pub async fn follow(store: Store) {
        let changed = Arc::new(Notify::new());
        let _listening = store.listen_for_changes(changed.clone());
        let mut answering = true;
        loop {
            tokio::time::sleep(MIN_READ_INTERVAL).await;
            tokio::time::timeout(POLL_INTERVAL, changed.notified()).await.ok();
            match store.authority().catch_up(&store).await {
                Ok(()) => answering = true,
                // Said once, not twice a second.
                Err(error) if answering => {
                    tracing::error!(%error, "the change feed cannot be read");
                    answering = false;
                }
                Err(_) => {}
            }
        }
    }

    /// Takes in one entry of the feed: this node's own as soon as it is committed, and all as they are read.
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
