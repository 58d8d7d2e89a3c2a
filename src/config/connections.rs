//! Limits of connections: their number, the timeout of each step, and how a node shuts down.
//!
//! See also `server::listen`, which enforces them, and [`super::network`], the list of trusted proxies.

use std::time::Duration;

use serde::Deserialize;

/// Limits of connections. Times are in seconds.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionLimits {
    /// Connections at the same time. The limit of open files may make it less: the soft limit is raised to the hard one at
    /// start, and 256 files (a quarter of the limit, where that is less) are left for everything else.
    pub total: u32,
    /// Connections at the same time from one address (IPv6: from one /64). At the limit a new connection takes the place of
    /// the oldest one that waits for its caller; if all of them are being served, it is closed. Trusted proxies are exempt.
    pub per_address: u32,
    /// TLS handshake.
    pub handshake_timeout: u32,
    /// The first request's header block from the connection's start, any further one from its first byte.
    pub header_timeout: u32,
    /// A request's body, as a whole; a slower one gets 408.
    pub body_timeout: u32,
    /// A connection between two requests. Longer than proxies keep connections (nginx: 60), so that they close first.
    pub idle_timeout: u32,
    /// No byte of a response could be sent, or a stream's window stayed closed (HTTP/2).
    pub write_timeout: u32,
    /// After SIGTERM: how long new connections are still taken while `/readyz` answers 503. Set it to what a balancer needs
    /// to notice, where it does not try another node when a connection is refused.
    pub drain_delay: u32,
    /// After that: how long requests in flight have.
    pub drain_timeout: u32,
}

const HOUR: u32 = 3_600;

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            total: 10_000,
            per_address: 2_000,
            handshake_timeout: 10,
            header_timeout: 20,
            body_timeout: 10,
            idle_timeout: 75,
            write_timeout: 20,
            drain_delay: 0,
            drain_timeout: 10,
        }
    }
}

impl ConnectionLimits {
    pub(super) fn check(&self) -> Result<(), String> {
        let rules = [
            ("total", self.total, 16, 1_000_000),
            ("per_address", self.per_address, 1, 1_000_000),
            ("handshake_timeout", self.handshake_timeout, 1, HOUR),
            ("header_timeout", self.header_timeout, 1, HOUR),
            // The timeout of a whole request is 30 seconds (`web::limits`).
            ("body_timeout", self.body_timeout, 1, 25),
            ("idle_timeout", self.idle_timeout, 1, HOUR),
            ("write_timeout", self.write_timeout, 1, HOUR),
            ("drain_delay", self.drain_delay, 0, HOUR),
            ("drain_timeout", self.drain_timeout, 0, HOUR),
        ];
        for (name, value, min, max) in rules {
            if !(min..=max).contains(&value) {
                return Err(format!("connections.{name} is {value}: it is a number from {min} to {max}"));
            }
        }
        Ok(())
    }

    #[must_use]
    pub fn body_timeout(&self) -> Duration {
        Duration::from_secs(self.body_timeout.into())
    }
}
