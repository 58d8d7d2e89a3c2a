//! Values of `X-Forwarded-For` from a trusted proxy that cannot be parsed as an address. They are logged once a
//! minute and recorded as an event once an hour, where `signet doctor` finds them.
//!
//! See also `web::extract::client_address`, which reads the header.

use std::net::IpAddr;

use crate::domain::event::{Actor, Event, EventKind, RequestOrigin};
use crate::domain::ids::EventId;
use crate::domain::log_limiter::LogLimiter;
use crate::domain::printable::escaped;
use crate::store::{Store, StoreError, events};

const LOG_INTERVAL: i64 = 60;
const EVENT_INTERVAL: i64 = 3_600;
/// Seconds for which `signet doctor` reports the problem after its last occurrence.
const REPORT_WINDOW: i64 = 86_400;

/// What one node has reported.
#[derive(Debug)]
pub struct UnreadableAddresses {
    logged: LogLimiter,
    recorded: LogLimiter,
}

impl Default for UnreadableAddresses {
    fn default() -> Self {
        Self { logged: LogLimiter::new(LOG_INTERVAL), recorded: LogLimiter::new(EVENT_INTERVAL) }
    }
}

impl UnreadableAddresses {
    /// Reports a value that `proxy` sent. The database is written to in the background.
    pub fn report(&self, store: &Store, proxy: IpAddr, value: &str) {
        let now = store.env().now();
        if let Some(times) = self.logged.pass(now) {
            tracing::warn!(%proxy, value, times, "X-Forwarded-For of a trusted proxy cannot be read: the client is unknown");
        }
        if self.recorded.pass(now).is_none() {
            return;
        }
        let event = Event {
            id: EventId(store.env().uuid()),
            at: now,
            kind: EventKind::ProxyAddressUnreadable,
            actor: Actor::System,
            user: None,
            client: None,
            origin: RequestOrigin { address: proxy.to_string(), ..RequestOrigin::default() },
            detail: escaped(value).into_owned(),
        };
        let store = store.clone();
        tokio::spawn(async move {
            let written = store.write(move |tx| Box::pin(async move { events::insert(tx, &event).await })).await;
            if let Err(error) = written {
                tracing::warn!(%error, "that an address cannot be read is not recorded");
            }
        });
    }
}

/// Returns the newest report of the last day: the proxy and the value that it sent.
pub async fn newest_unreadable(store: &Store) -> Result<Option<(String, String)>, StoreError> {
    let kinds = vec![EventKind::ProxyAddressUnreadable];
    let newest =
        events::list(store.read(), &events::EventFilter { kinds, most: 1, ..events::EventFilter::default() }).await?;
    let oldest = store.env().now().plus_seconds(-REPORT_WINDOW);
    let newest = newest.into_iter().find(|event| event.at >= oldest);
    Ok(newest.map(|event| (event.origin.address, event.detail)))
}
