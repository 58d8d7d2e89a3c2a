//! One connection from the socket to its requests: TLS, which HTTP is spoken, and its bounds.
//!
//! By TLS the protocol is what ALPN says: HTTP/2 where `h2` was agreed, otherwise HTTP/1.1 (RFC 9113 §3.2, RFC 7301). Without
//! TLS HTTP/2 is known by its preface.

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

/// The header block of a request over HTTP/1.1: of a trusted proxy, whose questions to the gate carry another request's
/// headers beside its own and are refused in words up to here (`web::gate`), and of anybody else. More is answered with 431
/// in no words.
const MAX_PROXY_HEADER_BYTES: usize = 256 * 1024;
const MAX_HEADER_BYTES: usize = 80 * 1024;
/// The header list of a request over HTTP/2 of anybody but a trusted proxy, each field counted with 32 bytes more (RFC 9113
/// §6.5.2); `web::limits` refuses over 30 KiB in words. h2 holds the lists of one connection's requests until they are
/// handed over, which happens at once.
const MAX_HEADER_LIST_BYTES: u32 = 35 * 1024;
/// Header lines. nginx counts none of them, and makes a 503 of the 431 that more would get at the gate; each has its place
/// in a list that is made for every request.
const MAX_HEADERS: usize = 1024;
/// Streams of one HTTP/2 connection at the same time.
const MAX_STREAMS: u32 = 32;
/// What a peer may send over HTTP/2 before it is read, by stream and by connection.
const STREAM_WINDOW: u32 = 32 * 1024;
const CONNECTION_WINDOW: u32 = 128 * 1024;
/// What h2 holds of one stream's response, beside the chunk that it was handed last.
const MAX_SEND_BYTES: usize = 8 * 1024;
/// Streams that a peer resets before they are looked at, and that we reset for a peer's errors (CVE-2023-44487).
const MAX_RESET_STREAMS: usize = 32;
/// Between two pings, and for their answer: finds peers that are gone.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// What every connection of a server shares.
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
        // The deadline of header blocks is `DeadlineStream`'s, which knows an idle connection from a slow one.
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

/// A connection that can be asked to end after its requests in flight.
trait Graceful: Future<Output = hyper::Result<()>> {
    /// Whether it is asked in that phase. One of HTTP/1.1 has no other way to say so than to close, which could cross with a
    /// request; until idle ones are closed, `Connection: close` in its next response does (RFC 9112 §9.6).
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
