//! Graceful shutdown without losing a request.
//!
//! 1. `/readyz` responds with 503, and HTTP/1.1 responses carry `Connection: close`; HTTP/2 connections get a
//!    GOAWAY. New connections are accepted for `drain_delay`.
//! 2. The listener is closed: later connection attempts are refused at once, so that a proxy uses another node.
//!    Connections that the kernel has accepted already are served.
//! 3. An idle connection is kept for [`IDLE_GRACE_PERIOD`], because a proxy may be sending a request on it at
//!    this moment. A proxy under load uses all its idle connections within that time.
//! 4. Requests in flight have `drain_timeout`; then the remaining connections are closed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const IDLE_GRACE_PERIOD: Duration = Duration::from_secs(1);

/// The progress of the shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// Connections end with their next response.
    Draining,
    /// Idle connections end now.
    ClosingIdle,
}

/// Takes the connections that the kernel has accepted, and closes the listener. As little time as possible
/// passes in between, because a connection that is accepted then is lost.
pub(super) fn close_listener(
    listener: TcpListener,
    mut accepted: impl FnMut(std::net::TcpStream, SocketAddr),
) -> io::Result<()> {
    let listener = listener.into_std()?;
    // From now on the kernel queues at most one more connection.
    rustix::net::listen(&listener, 0)?;
    let mut taken = Vec::new();
    while let Ok(connection) = listener.accept() {
        taken.push(connection);
    }
    drop(listener);
    for (stream, peer) in taken {
        accepted(stream, peer);
    }
    Ok(())
}

/// Converts an accepted connection to a tokio stream.
pub(super) fn usable(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

/// Waits for the connections to end, and closes those that remain after `timeout`.
pub(super) async fn finish(phase: &watch::Sender<Phase>, connections: &mut JoinSet<()>, timeout: Duration) {
    let end = tokio::time::sleep(timeout);
    tokio::pin!(end);
    let close_idle = tokio::time::sleep(IDLE_GRACE_PERIOD.min(timeout));
    tokio::pin!(close_idle);
    loop {
        tokio::select! {
            ended = connections.join_next() => if ended.is_none() { return },
            () = &mut close_idle, if *phase.borrow() == Phase::Draining => {
                phase.send_replace(Phase::ClosingIdle);
            }
            () = &mut end => {
                tracing::warn!(connections = connections.len(), "closing connections whose requests are not finished");
                return connections.shutdown().await;
            }
        }
    }
}
