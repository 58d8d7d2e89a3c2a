//! Accepts connections, within limits, until the server stops.
//!
//! See also [`super::admission`], the number of connections, [`super::connection`], which serves one of them,
//! [`super::deadline_stream`], its deadlines, [`super::activity`], its memory, and [`super::drain`], its end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::activity::{Activity, MemoryBudget};
use super::admission::ConnectionAdmission;
use super::connection::{self, ConnectionContext};
use super::deadline_stream::ConnectionTimeouts;
use super::drain::{self, Phase};
use super::file_limit;
use crate::app::AppState;
use crate::domain::log_limiter::LogLimiter;
use crate::web::router;

/// Seconds between two log lines about events that any peer can cause.
const LOG_INTERVAL: i64 = 60;
/// The pause after the system had no file descriptor or memory left for a connection.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// The maximum number of connections that the kernel has accepted and that wait for the server.
const BACKLOG: i32 = 4096;
/// The socket send buffer of each connection. By default, the kernel would buffer megabytes, so that a thousand
/// requests of a peer that never reads would be answered. The kernel doubles the value for its own overhead.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// The number of waiting connections that are closed when the system has no resources left.
const MAX_EVICTED_ON_EXHAUSTION: usize = 32;

/// Serves on `listener`, with TLS if there is a certificate, until `stop` is ready and the connections have
/// ended.
pub async fn serve(
    listener: std::net::TcpListener,
    tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    app: &AppState,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    // Many connections may arrive at once: after a restart, or from an attacker who tries to fill the queue.
    rustix::net::listen(&listener, BACKLOG)?;
    // Accepted connections inherit it from the listener.
    rustix::net::sockopt::set_socket_send_buffer_size(&listener, SEND_BUFFER_BYTES)?;
    let listener = TcpListener::from_std(listener)?;
    let mut server = Server::new(app, tls);
    server.accept_until(&listener, stop).await;
    app.begin_shutdown();
    server.phase.send_replace(Phase::Draining);
    let config = &app.config.connections;
    let (delay, timeout) = (config.drain_delay, config.drain_timeout);
    tracing::info!(delay, timeout, "stopping: requests in flight are finished");
    if delay > 0 {
        server.accept_until(&listener, tokio::time::sleep(Duration::from_secs(delay.into()))).await;
    }
    drain::close_listener(listener, |stream, peer| {
        if let Ok(stream) = drain::usable(stream) {
            server.take(stream, peer);
        }
    })?;
    drain::finish(&server.phase, &mut server.connections, Duration::from_secs(timeout.into())).await;
    Ok(())
}

struct Server<'a> {
    app: &'a AppState,
    shared: Arc<ConnectionContext>,
    phase: watch::Sender<Phase>,
    admission: Arc<ConnectionAdmission>,
    budget: Arc<MemoryBudget>,
    connections: JoinSet<()>,
    evicted: LogLimiter,
    refused: LogLimiter,
    failed: LogLimiter,
}

impl<'a> Server<'a> {
    fn new(app: &'a AppState, tls: Option<watch::Receiver<Arc<ServerConfig>>>) -> Self {
        let config = &app.config.connections;
        let total = file_limit::connections(config.total, file_limit::raise_limit());
        if total < usize::try_from(config.total).unwrap_or(usize::MAX) {
            tracing::warn!(
                total,
                "the limit of open files (ulimit -Hn) allows fewer connections than connections.total"
            );
        }
        let per_address = usize::try_from(config.per_address).unwrap_or(usize::MAX);
        let (phase, phases) = watch::channel(Phase::Serving);
        let shared =
            ConnectionContext { router: router::router(app), pace: ConnectionTimeouts::of(config), tls, phase: phases };
        Self {
            app,
            shared: Arc::new(shared),
            phase,
            admission: ConnectionAdmission::new(total, per_address),
            budget: Arc::default(),
            connections: JoinSet::new(),
            evicted: LogLimiter::new(LOG_INTERVAL),
            refused: LogLimiter::new(LOG_INTERVAL),
            failed: LogLimiter::new(LOG_INTERVAL),
        }
    }

    async fn accept_until(&mut self, listener: &TcpListener, end: impl Future<Output = ()>) {
        let mut end = std::pin::pin!(end);
        loop {
            tokio::select! {
                biased;
                () = &mut end => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.take(stream, peer),
                    Err(error) => self.note_failure(&error).await,
                },
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    /// Serves a connection, or closes it if there are too many.
    fn take(&mut self, stream: TcpStream, peer: SocketAddr) {
        let is_proxy = self.app.config.trusted_proxies.contains(peer.ip());
        let activity = Arc::new(Activity::new((!is_proxy).then(|| self.budget.clone())));
        let now = self.app.env().now();
        match self.admission.admit((!is_proxy).then(|| peer.ip()), &activity) {
            Ok((place, has_evicted)) => {
                if has_evicted && let Some(times) = self.evicted.pass(now) {
                    tracing::warn!(times, "connections at their limit: the oldest that wait are closed for new ones");
                }
                let shared = self.shared.clone();
                self.connections.spawn(async move {
                    connection::serve(shared, stream, peer, activity, is_proxy).await;
                    drop(place);
                });
            }
            Err(full) => {
                if let Some(times) = self.refused.pass(now) {
                    let setting = full.setting();
                    tracing::warn!(times, setting, address = %peer.ip(), "connections refused: there are too many");
                }
            }
        }
    }

    async fn note_failure(&self, error: &io::Error) {
        // Any other error means that this one connection ended before it was accepted.
        let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        if !exhausted.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error())) {
            return;
        }
        if let Some(times) = self.failed.pass(self.app.env().now()) {
            tracing::error!(%error, times, "connections cannot be taken: raise the limit of open files, or of memory");
        }
        self.admission.make_room(MAX_EVICTED_ON_EXHAUSTION);
        tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
    }
}
