//! The requests of one connection on their way to the router and back: adds the peer's address, waits for
//! memory ([`super::activity`]), and sets `Connection: close` if the connection is to end.
//!
//! An HTTP/2 peer can send each field of the header list as one byte (RFC 7541 §6.1), which takes some seventy
//! bytes in memory. Therefore the headers of an untrusted peer are counted, or dropped, before the request
//! waits for anything.

use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Context, Poll};

use axum::Router;
use axum::body::{Body as RouterBody, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use futures::future::BoxFuture;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::Service;
use tower::ServiceExt as _;

use super::activity::{Activity, InFlight, MemoryReservation, PeerWait, RESERVED};
use super::drain::Phase;
use super::streams::StreamProgress;
use crate::web::limits::{HeadersTooLarge, are_headers_too_large};

/// The maximum size of a chunk that is handed to HTTP/2. h2 buffers all of it as soon as one byte fits the
/// window.
const MAX_CHUNK: usize = 4 * 1024;
/// The bytes of a field in a `HeaderMap` beside those of its name and value.
const FIELD_OVERHEAD: usize = 72;
/// The maximum length of the path and of `Host` that are kept of a request whose headers are too large.
const MAX_RETAINED_BYTES: usize = 256;

/// The service of one connection.
#[derive(Clone)]
pub(super) struct ConnectionService {
    pub(super) router: Router,
    pub(super) peer: SocketAddr,
    pub(super) activity: Arc<Activity>,
    pub(super) phase: tokio::sync::watch::Receiver<Phase>,
    pub(super) is_proxy: bool,
}

impl Service<Request<Incoming>> for ConnectionService {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<ResponseBody>, Infallible>>;

    /// Counts the headers before it returns: many requests may arrive before the first of their futures runs.
    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let in_flight = InFlight::begin(&self.activity);
        match self.reserve_headers(&mut request) {
            Some(headers) => Box::pin(self.clone().handle(request, in_flight, headers)),
            None => Box::pin(ready(Ok(self.unavailable(in_flight)))),
        }
    }
}

impl ConnectionService {
    /// Reserves memory for the headers of a request. Returns `None` if neither the connection nor the shared
    /// budget has it left. Headers that are too large are dropped: `web::limits` then rejects the request by
    /// its path.
    fn reserve_headers(&self, request: &mut Request<Incoming>) -> Option<MemoryReservation> {
        let mut held = MemoryReservation::empty_headers(&self.activity);
        if self.is_proxy {
            return Some(held);
        }
        if are_headers_too_large(request.version(), request.uri(), request.headers()) {
            drop_headers(request);
        }
        held.grow(header_memory(request.uri(), request.headers())).then_some(held)
    }

    /// Returns the 503 response that asks an untrusted peer to try again (RFC 9110 §15.6.4).
    fn unavailable(&self, in_flight: InFlight) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::new(
            RouterBody::empty(),
            None,
            MemoryReservation::none(&self.activity),
            in_flight,
        ));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        response
    }

    async fn handle(
        self,
        request: Request<Incoming>,
        in_flight: InFlight,
        headers: MemoryReservation,
    ) -> Result<Response<ResponseBody>, Infallible> {
        let mut held = MemoryReservation::reserve(&self.activity).await;
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(ConnectInfo(self.peer));
        let is_http2 = parts.version == Version::HTTP_2;
        let (held_body, wait) = (MemoryReservation::none(&self.activity), PeerWait::new(&self.activity));
        let body = RequestBody { body, free: RESERVED, held: held_body, wait };
        let response = self.router.oneshot(Request::from_parts(parts, RouterBody::new(body))).await?;
        drop(headers);
        let (mut parts, body) = response.into_parts();
        // After a 408 the rest of the request's body may still arrive (RFC 9110 §15.5.9).
        let is_last = *self.phase.borrow() != Phase::Serving || parts.status == StatusCode::REQUEST_TIMEOUT;
        if is_last && !is_http2 {
            parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let size = body.size_hint().exact().and_then(|size| usize::try_from(size).ok());
        held.set(size.unwrap_or(RESERVED));
        let progress = if is_http2 { StreamProgress::current() } else { None };
        Ok(Response::from_parts(parts, ResponseBody::new(body, progress, held, in_flight)))
    }
}

fn header_memory(uri: &Uri, headers: &HeaderMap) -> usize {
    let target = uri.path_and_query().map_or(0, |it| it.as_str().len());
    headers.iter().fold(target, |sum, (name, value)| sum + name.as_str().len() + value.len() + FIELD_OVERHEAD)
}

/// Drops the headers of a request, except those that determine its route and its error.
fn drop_headers(request: &mut Request<Incoming>) {
    let host = request.headers_mut().remove(header::HOST).filter(|host| host.len() <= MAX_RETAINED_BYTES);
    let host = host.unwrap_or(HeaderValue::from_static("localhost"));
    *request.headers_mut() = HeaderMap::from_iter([(header::HOST, host)]);
    let path = Some(request.uri().path()).filter(|path| path.len() <= MAX_RETAINED_BYTES).unwrap_or("/");
    *request.uri_mut() = path.parse().unwrap_or(Uri::from_static("/"));
    request.extensions_mut().insert(HeadersTooLarge);
}

/// A request body whose memory is counted.
struct RequestBody {
    body: Incoming,
    /// The bytes that are reserved already.
    free: usize,
    held: MemoryReservation,
    wait: PeerWait,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx)?;
        self.wait.set(polled.is_pending());
        let frame = match polled {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(frame)) => frame,
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let more = bytes.saturating_sub(self.free);
        self.free = self.free.saturating_sub(bytes);
        if !self.held.grow(more) {
            return Poll::Ready(Some(Err("too many unfinished requests of strangers".into())));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response body. Over HTTP/2 it is handed over in small parts, the last byte separately (see
/// [`super::streams`]).
pub(super) struct ResponseBody {
    body: RouterBody,
    /// The rest of the chunk that is handed over in parts.
    rest: Bytes,
    progress: Option<Arc<StreamProgress>>,
    /// Set after a part is handed over until the next one is requested: the part waits for a window.
    wait: PeerWait,
    _held: MemoryReservation,
    _in_flight: InFlight,
}

impl ResponseBody {
    fn new(
        body: RouterBody,
        progress: Option<Arc<StreamProgress>>,
        held: MemoryReservation,
        in_flight: InFlight,
    ) -> Self {
        Self { body, rest: Bytes::new(), progress, wait: in_flight.peer_wait(), _held: held, _in_flight: in_flight }
    }

    fn next_part(&mut self) -> Bytes {
        let is_last = self.body.is_end_stream();
        let count = match self.rest.len() {
            len if len > MAX_CHUNK => MAX_CHUNK,
            len if len > 1 && is_last => len - 1,
            len => len,
        };
        self.rest.split_to(count)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(progress) = &this.progress else { return Pin::new(&mut this.body).poll_frame(cx) };
        progress.clear_peer_wait();
        this.wait.set(false);
        if this.rest.is_empty() {
            match task::ready!(Pin::new(&mut this.body).poll_frame(cx)?).map(Frame::into_data) {
                None => return Poll::Ready(None),
                Some(Err(frame)) => return Poll::Ready(Some(Ok(frame))),
                Some(Ok(data)) => this.rest = data,
            }
        }
        progress.start_peer_wait();
        this.wait.set(true);
        Poll::Ready(Some(Ok(Frame::data(this.next_part()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, inner) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest.saturating_add(inner.lower()));
        if let Some(upper) = inner.upper() {
            hint.set_upper(rest.saturating_add(upper));
        }
        hint
    }
}
