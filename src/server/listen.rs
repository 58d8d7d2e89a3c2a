//! Connections: how long a stranger may take and how much they may send before anything of ours is asked.
//!
//! A header block over 256 KiB is answered with 431 by hyper, in no words at all. `web::gate` takes 64 KiB and refuses more
//! in words that a proxy understands; `web::limits` lets everybody else have 16 KiB. Whoever sends the first bytes or a header block slowly, byte by byte, is cut off.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use axum_server::tls_rustls::RustlsConfig;
use axum_server::{Handle, Server};
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::app::App;
use crate::web::router;

const MOST_HEADER_BYTES: usize = 256 * 1024;
/// Header lines. nginx counts none of them, and makes a 503 of the 431 that more would get at the gate; each has its place
/// in a list that is made for every request.
const MOST_HEADERS: usize = 1024;
/// The bytes by which HTTP/1 and HTTP/2 are told apart.
const PREFACE: usize = 24;

/// How long a connection is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the first bytes; hyper's own clock starts after them.
    pub first_bytes: Duration,
    /// For a header block, and between two requests on one connection.
    pub headers: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first_bytes: Duration::from_secs(10), headers: Duration::from_secs(20) }
    }
}

/// Serves on `listener`, by TLS where there is a certificate, until `handle` says otherwise.
pub async fn serve(
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    app: &App,
    handle: Handle<SocketAddr>,
    patience: Patience,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let service = router::router(app).into_make_service_with_connect_info::<SocketAddr>();
    match tls {
        Some(tls) => {
            limited(axum_server::from_tcp_rustls(listener, tls)?, patience).handle(handle).serve(service).await
        }
        None => limited(axum_server::from_tcp(listener)?, patience).handle(handle).serve(service).await,
    }
}

fn limited<A>(mut server: Server<SocketAddr, A>, patience: Patience) -> Server<SocketAddr, Prompt<A>> {
    let http = server.http_builder();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.headers)
        .max_buf_size(MOST_HEADER_BYTES)
        .max_headers(MOST_HEADERS);
    let most = u32::try_from(MOST_HEADER_BYTES).unwrap_or(u32::MAX);
    http.http2().timer(TokioTimer::new()).keep_alive_interval(patience.headers).max_header_list_size(most);
    server.map(|inner| Prompt { inner, first_bytes: patience.first_bytes })
}

/// Accepts as `A` does, and wants the first bytes soon.
#[derive(Clone)]
struct Prompt<A> {
    inner: A,
    first_bytes: Duration,
}

impl<A, I, S> Accept<I, S> for Prompt<A>
where
    A: Accept<I, S, Future: Send + 'static>,
{
    type Stream = PromptStream<A::Stream>;
    type Service = A::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let accepted = self.inner.accept(stream, service);
        let until = self.first_bytes;
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            let until = Some(Box::pin(tokio::time::sleep(until)));
            Ok((PromptStream { stream, until, read: 0 }, service))
        })
    }
}

struct PromptStream<S> {
    stream: S,
    /// Until the first bytes have been read, or an answer to fewer is written.
    until: Option<Pin<Box<Sleep>>>,
    read: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for PromptStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(until) = &mut self.until
            && until.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.read = self.read.saturating_add(buf.filled().len() - before);
        if self.read >= PREFACE {
            self.until = None;
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PromptStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.until = None;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.until = None;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
