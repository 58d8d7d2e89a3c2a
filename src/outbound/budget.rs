//! Limits the number of concurrent outgoing requests. There is one budget for each purpose and URL source, so
//! that hosts that untrusted parties name cannot delay requests to those that an administrator registered.
//!
//! If a budget is full, a request that has taken longer than [`PREEMPTION_DELAY`] is cancelled for one that
//! waits. The same applies among the hosts of one site, because an attacker may own any number of them. A host
//! that responds is therefore reached within about a second, however many unresponsive hosts others have named.
//!
//! See also [`super::client`], which sends the requests, and [`super::dns`], which limits lookups.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::OutboundError;

/// The maximum number of concurrent requests of one budget.
const MAX_REQUESTS: usize = 64;
const MAX_ANONYMOUS_REQUESTS: usize = 256;
/// The maximum number of concurrent requests of one budget to one site.
const MAX_REQUESTS_PER_SITE: usize = 32;
/// The maximum number of concurrent requests of one budget to one host, or to one port of a host that an
/// administrator named.
const MAX_REQUESTS_PER_HOST: usize = 4;
/// The time after which a request is cancelled for one that waits.
const PREEMPTION_DELAY: Duration = Duration::from_secs(1);
/// The maximum number of hosts and sites that are tracked, each for a minute after its last request.
const MAX_HOSTS: u64 = 10_000;
const HOST_TTL: Duration = Duration::from_mins(1);

/// The purpose of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `jwks_uri` of clients, of trusted issuers and of software statements.
    ClientKeys,
    /// Metadata documents whose address is the `client_id`.
    ClientDocuments,
    /// `request_uri` (RFC 9101 §5.2).
    RequestObjects,
    /// `sector_identifier_uri` (OpenID Connect Registration §5).
    SectorIdentifiers,
    /// `logo_uri`.
    Logos,
    /// `backchannel_logout_uri`.
    Logouts,
}

impl Purpose {
    const COUNT: usize = 6;

    /// Returns the maximum length of a response body in bytes.
    pub(super) const fn max_bytes(self) -> usize {
        match self {
            // Three times the recommended size (OAuth Client ID Metadata Document §6.6).
            Self::ClientDocuments => 16 * 1024,
            // Enough for a set of fifty keys.
            Self::ClientKeys => 64 * 1024,
            Self::RequestObjects | Self::SectorIdentifiers | Self::Logos | Self::Logouts => 256 * 1024,
        }
    }
}

/// The party that named the host of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlSource {
    /// An administrator registered it, or a setting names it.
    Administrator,
    /// A client that registered itself (RFC 7591).
    SelfRegistered,
    /// The request that is being processed.
    Anonymous,
}

impl UrlSource {
    pub const COUNT: usize = 3;

    /// Returns the index in an array of [`Self::COUNT`] elements.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Administrator => 0,
            Self::SelfRegistered => 1,
            Self::Anonymous => 2,
        }
    }
}

/// One budget for each purpose and URL source.
pub(super) struct RequestBudgets(Vec<RequestBudget>);

impl RequestBudgets {
    pub(super) fn new() -> Self {
        let is_strangers = |index: usize| index % UrlSource::COUNT == UrlSource::Anonymous.index();
        let max = |index| if is_strangers(index) { MAX_ANONYMOUS_REQUESTS } else { MAX_REQUESTS };
        Self((0..Purpose::COUNT * UrlSource::COUNT).map(|index| RequestBudget::new(max(index))).collect())
    }

    pub(super) fn of(&self, purpose: Purpose, named_by: UrlSource) -> Result<&RequestBudget, OutboundError> {
        self.0.get(purpose as usize * UrlSource::COUNT + named_by.index()).ok_or(OutboundError::Busy)
    }
}

/// The budget of one purpose and URL source.
pub(super) struct RequestBudget {
    all: SlotPool,
    sites: Cache<String, Arc<SlotPool>>,
    hosts: Cache<String, Arc<Semaphore>>,
}

impl RequestBudget {
    fn new(max: usize) -> Self {
        Self {
            all: SlotPool::new(max),
            sites: Cache::builder().max_capacity(MAX_HOSTS).time_to_idle(HOST_TTL).build(),
            hosts: Cache::builder().max_capacity(MAX_HOSTS).time_to_idle(HOST_TTL).build(),
        }
    }

    /// Runs `request` to `host` when there is a free slot. Returns [`OutboundError::Busy`] if there is none
    /// within `timeout`, or if the request was slow and was cancelled for another one, and
    /// [`OutboundError::Slow`] if it does not complete within `timeout`.
    pub(super) async fn run<T>(
        &self,
        host: &str,
        timeout: Duration,
        request: impl Future<Output = Result<T, OutboundError>>,
    ) -> Result<T, OutboundError> {
        let of_site = self.sites.get_with_by_ref(site(host), || Arc::new(SlotPool::new(MAX_REQUESTS_PER_SITE)));
        let of_host = self.hosts.get_with_by_ref(host, || Arc::new(Semaphore::new(MAX_REQUESTS_PER_HOST)));
        let mut started = false;
        let whole = async {
            let _of_host = of_host.acquire().await.map_err(|_| OutboundError::Busy)?;
            let mut of_site = of_site.enter().await?;
            let mut of_all = self.all.enter().await?;
            started = true;
            tokio::select! {
                done = request => done,
                () = of_site.make_room() => Err(OutboundError::Busy),
                () = of_all.make_room() => Err(OutboundError::Busy),
            }
        };
        let done = tokio::time::timeout(timeout, whole).await;
        done.unwrap_or(Err(if started { OutboundError::Slow } else { OutboundError::Busy }))
    }
}

/// Returns the last two labels of a name, or a whole IP address; without a port.
fn site(host: &str) -> &str {
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let host = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(host, _)| host);
    let host = host.trim_end_matches('.');
    if host.starts_with('[') || host.ends_with(|last: char| last.is_ascii_digit()) {
        return host;
    }
    let start = host.rmatch_indices('.').nth(1).map_or(0, |(at, _)| at + 1);
    host.get(start..).unwrap_or(host)
}

/// A limited number of slots, and the requests that wait for one.
struct SlotPool {
    slots: Semaphore,
    /// One permit for each waiting request for which no running request has been cancelled yet.
    waiting: Semaphore,
}

impl SlotPool {
    fn new(max: usize) -> Self {
        Self { slots: Semaphore::new(max), waiting: Semaphore::new(0) }
    }

    async fn enter(&self) -> Result<RequestSlot<'_>, OutboundError> {
        if let Ok(permit) = self.slots.try_acquire() {
            return Ok(RequestSlot { room: self, made_room: false, _permit: permit });
        }
        self.waiting.add_permits(1);
        let waiting = SlotWait(self);
        let permit = self.slots.acquire().await.map_err(|_| OutboundError::Busy)?;
        // The request that released the slot has taken its permit.
        std::mem::forget(waiting);
        Ok(RequestSlot { room: self, made_room: false, _permit: permit })
    }

    /// Removes one waiting request.
    fn remove_waiter(&self) {
        if let Ok(waiting) = self.waiting.try_acquire() {
            waiting.forget();
        }
    }
}

/// The slot of a running request.
struct RequestSlot<'a> {
    room: &'a SlotPool,
    made_room: bool,
    _permit: SemaphorePermit<'a>,
}

impl RequestSlot<'_> {
    /// Completes when this request is slow and another one waits.
    async fn make_room(&mut self) {
        tokio::time::sleep(PREEMPTION_DELAY).await;
        match self.room.waiting.acquire().await {
            Ok(waiting) => waiting.forget(),
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
        self.made_room = true;
    }
}

impl Drop for RequestSlot<'_> {
    fn drop(&mut self) {
        if !self.made_room {
            self.room.remove_waiter();
        }
    }
}

/// A request that waits for a slot, until it gets one or is cancelled.
struct SlotWait<'a>(&'a SlotPool);

impl Drop for SlotWait<'_> {
    fn drop(&mut self) {
        self.0.remove_waiter();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::future::{join_all, pending};

    use super::{MAX_REQUESTS, MAX_REQUESTS_PER_HOST, RequestBudget, site};
    use crate::outbound::OutboundError;

    const TIMEOUT: Duration = Duration::from_secs(3);

    async fn silent(budget: &RequestBudget, host: String) -> Result<(), OutboundError> {
        budget.run(&host, TIMEOUT, pending()).await
    }

    #[tokio::test]
    async fn slow_requests_make_room_for_those_that_wait() {
        let budget = RequestBudget::new(MAX_REQUESTS);
        let all = join_all((0..MAX_REQUESTS * 2).map(|n| silent(&budget, format!("silent.site-{n}.test"))));
        let quick = async {
            tokio::task::yield_now().await;
            let done = budget.run("quick.test", TIMEOUT, async { Ok(()) });
            tokio::time::timeout(Duration::from_millis(2800), done).await
        };
        let (all, done) = tokio::join!(all, quick);
        assert_eq!(done, Ok(Ok(())), "after those that came before, each of which was slow");
        let busy = all.iter().filter(|done| **done == Err(OutboundError::Busy)).count();
        let slow = all.iter().filter(|done| **done == Err(OutboundError::Slow)).count();
        assert!(busy >= MAX_REQUESTS && slow > 0 && busy + slow == all.len(), "{busy} {slow}");
        assert_eq!(budget.all.waiting.available_permits(), 0);
        assert_eq!(budget.all.slots.available_permits(), MAX_REQUESTS);
    }

    #[tokio::test]
    async fn one_host_has_few_requests_at_once() {
        let (budget, asked) = (RequestBudget::new(MAX_REQUESTS), AtomicUsize::new(0));
        let ask = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            pending::<Result<(), OutboundError>>().await
        };
        let all = join_all((0..10).map(|_| budget.run("one.test", TIMEOUT, ask())));
        assert!(tokio::time::timeout(Duration::from_millis(200), all).await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), MAX_REQUESTS_PER_HOST);
        assert_eq!(budget.all.slots.available_permits(), MAX_REQUESTS, "and none where they are given up");
    }

    #[tokio::test]
    async fn the_hosts_of_one_site_leave_room_for_others() {
        let budget = RequestBudget::new(MAX_REQUESTS);
        let all = join_all((0..MAX_REQUESTS * 2).map(|n| silent(&budget, format!("silent-{n}.site.test"))));
        let quick = async {
            tokio::task::yield_now().await;
            let done = budget.run("quick.test", TIMEOUT, async { Ok(()) });
            tokio::time::timeout(Duration::from_millis(500), done).await
        };
        let (_, done) = tokio::join!(all, quick);
        assert_eq!(done, Ok(Ok(())), "at once");
    }

    #[test]
    fn a_site_is_two_labels_or_an_address() {
        for (host, expected) in [
            ("a.b.example.com", "example.com"),
            ("example.com", "example.com"),
            ("localhost", "localhost"),
            ("a.example.com.", "example.com"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::1]:8443", "[::1]"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("a.example.com:443", "example.com"),
            ("", ""),
        ] {
            assert_eq!(site(host), expected, "{host}");
        }
    }
}
