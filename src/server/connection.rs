//! One connection from the socket to its requests: TLS, the HTTP version, and its limits.
//!
//! With TLS, the protocol is negotiated by ALPN: HTTP/2 if `h2` was agreed, otherwise HTTP/1.1 (RFC 9113 §3.2,
//! RFC 7301). Without TLS, HTTP/2 is detected by its preface.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::activity::Activity;
use super::deadline_stream::{ConnectionTimeouts, DeadlineStream};
use super::drain::Phase;
use super::service::ConnectionService;
use super::streams::StreamExecutor;

/// The maximum size of an HTTP/1.1 header block from a trusted proxy, and from any other peer. A proxy's
/// request to the gate carries the headers of another request beside its own, and is rejected with an
/// explanation up to this size (`web::gate`). A larger header block gets 431 without a body.
const MAX_PROXY_HEADER_BYTES: usize = 256 * 1024;
const MAX_HEADER_BYTES: usize = 80 * 1024;
/// The maximum size of an HTTP/2 header list from a peer that is not a trusted proxy, with 32 bytes more for
/// each field (RFC 9113 §6.5.2). `web::limits` rejects lists over 30 KiB with an error page. h2 holds the lists
/// of one connection's requests until they are handed over, which happens at once.
const MAX_HEADER_LIST_BYTES: u32 = 35 * 1024;
/// The maximum number of header lines. nginx has no such limit, and turns the 431 for more lines at the gate
/// into a 503. Each line takes a slot in a list that is allocated for every request.
const MAX_HEADERS: usize = 1024;
/// The maximum number of concurrent streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 32;
/// The HTTP/2 receive window of a stream and of a connection.
const STREAM_WINDOW: u32 = 32 * 1024;
const CONNECTION_WINDOW: u32 = 128 * 1024;
/// The bytes that h2 buffers of one stream's response, beside the last chunk that it was given.
const MAX_SEND_BYTES: usize = 8 * 1024;
/// The maximum number of streams that a peer resets before they are processed, and that the server resets for a
/// peer's errors (CVE-2023-44487).
const MAX_RESET_STREAMS: usize = 32;
/// The time between two pings, and for the response to one: detects peers that are gone.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// The state that all connections of a server share.
pub(super) struct ConnectionContext {
    pub(super) router: Router,
    pub(super) pace: ConnectionTimeouts,
    pub(super) tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    pub(super) phase: watch::Receiver<Phase>,
}

/// Serves one connection until it ends.
pub(super) async fn serve(
    shared: Arc<ConnectionContext>,
    stream: TcpStream,
    peer: SocketAddr,
    activity: Arc<Activity>,
    is_proxy: bool,
) {
    // Small responses must not wait for acknowledgements of earlier ones.
    drop(stream.set_nodelay(true));
    let mut stream = DeadlineStream::new(stream, activity.clone(), shared.pace);
    let served = async {
        let connection = HttpConnection { shared: &shared, peer, activity: activity.clone(), is_proxy };
        let Some(tls) = &shared.tls else {
            match stream.detect_http2().await {
                Ok(true) => {
                    stream.set_http2();
                    connection.http2(stream).await;
                }
                Ok(false) => connection.http1(stream).await,
                Err(_) => {}
            }
            return;
        };
        let config = tls.borrow().clone();
        let accepted = tokio::time::timeout(shared.pace.handshake, TlsAcceptor::from(config).accept(stream)).await;
        let Ok(Ok(mut stream)) = accepted else { return };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            stream.get_mut().0.set_http2();
            connection.http2(stream).await;
        } else {
            connection.http1(stream).await;
        }
    };
    tokio::select! {
        biased;
        () = activity.evicted() => {}
        () = served => {}
    }
}

struct HttpConnection<'a> {
    shared: &'a ConnectionContext,
    peer: SocketAddr,
    activity: Arc<Activity>,
    is_proxy: bool,
}

impl HttpConnection<'_> {
    fn requests(&self) -> ConnectionService {
        ConnectionService {
            router: self.shared.router.clone(),
            peer: self.peer,
            activity: self.activity.clone(),
            phase: self.shared.phase.clone(),
            is_proxy: self.is_proxy,
        }
    }

    async fn http1<S: AsyncRead + AsyncWrite + Unpin + 'static>(&self, stream: S) {
        let max = if self.is_proxy { MAX_PROXY_HEADER_BYTES } else { MAX_HEADER_BYTES };
        let mut http = http1::Builder::new();
        // `DeadlineStream` enforces the deadline of header blocks, because it can tell an idle connection from
        // a slow one.
        http.header_read_timeout(None).max_buf_size(max).max_headers(MAX_HEADERS);
        self.run(http.serve_connection(TokioIo::new(stream), self.requests())).await;
    }

    async fn http2<S: AsyncRead + AsyncWrite + Unpin + 'static>(&self, stream: S) {
        let proxy = u32::try_from(MAX_PROXY_HEADER_BYTES).unwrap_or(u32::MAX);
        let mut http = http2::Builder::new(StreamExecutor { timeout: self.shared.pace.write });
        http.timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_INTERVAL)
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(if self.is_proxy { proxy } else { MAX_HEADER_LIST_BYTES })
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(MAX_SEND_BYTES)
            .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
            .max_local_error_reset_streams(MAX_RESET_STREAMS);
        self.run(http.serve_connection(TokioIo::new(stream), self.requests())).await;
    }

    async fn run(&self, connection: impl Graceful) {
        let mut connection = pin!(connection);
        let mut phase = self.shared.phase.clone();
        let (mut is_told, mut is_open) = (false, true);
        loop {
            let now = *phase.borrow_and_update();
            if !is_told && now != Phase::Serving && connection.as_ref().ends_in(now) {
                connection.as_mut().end();
                is_told = true;
            }
            tokio::select! {
                biased;
                _ = connection.as_mut() => return,
                changed = phase.changed(), if is_open => is_open = changed.is_ok(),
                () = self.activity.idle() => connection.as_mut().end(),
            }
        }
    }
}

/// A connection that can be shut down gracefully after its requests in flight.
trait Graceful: Future<Output = hyper::Result<()>> {
    /// Returns whether to begin the graceful shutdown in that phase. An HTTP/1.1 connection can only close,
    /// which could collide with a request. Until idle connections are closed, `Connection: close` in its next
    /// response announces the end (RFC 9112 §9.6).
    fn ends_in(self: Pin<&Self>, phase: Phase) -> bool;
    fn end(self: Pin<&mut Self>);
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Graceful for http1::Connection<TokioIo<S>, ConnectionService> {
    fn ends_in(self: Pin<&Self>, phase: Phase) -> bool {
        phase == Phase::ClosingIdle
    }

    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Graceful
    for http2::Connection<TokioIo<S>, ConnectionService, StreamExecutor>
{
    fn ends_in(self: Pin<&Self>, phase: Phase) -> bool {
        phase != Phase::Serving
    }

    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
