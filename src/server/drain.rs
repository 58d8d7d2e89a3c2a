//! Stopping without losing a request.
//!
//! 1. `/readyz` answers 503, and HTTP/1.1 responses carry `Connection: close`; HTTP/2 connections are told to go elsewhere
//!    (GOAWAY). New connections are taken for `drain_delay`.
//! 2. The listener is closed: whoever connects then is refused at once, and a proxy asks another node. Connections that the
//!    system has accepted already are served.
//! 3. An idle connection is kept for [`IDLE_GRACE_PERIOD`], since a proxy may be sending a request on it at this moment; a proxy
//!    under load uses up all that it keeps within that time.
//! 4. Requests in flight have `drain_timeout`; then what is left is closed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const IDLE_GRACE_PERIOD: Duration = Duration::from_secs(1);

/// How far a server is in stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// Connections end with their next response.
    Draining,
    /// Idle connections end now.
    ClosingIdle,
}

/// Takes what the system has accepted, and closes the listener: between the two as little time passes as can be, since a
/// connection that is accepted meanwhile is lost.
pub(super) fn close_listener(
    listener: TcpListener,
    mut accepted: impl FnMut(std::net::TcpStream, SocketAddr),
) -> io::Result<()> {
    let listener = listener.into_std()?;
    // From now on the system accepts one connection at most that is not taken yet.
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

/// Makes a stream of a taken connection usable.
pub(super) fn usable(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

/// Waits for the connections to end; what has not ended after `timeout` is closed.
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
