//! The requests of one connection on their way to the router and back: who sent them, room for them ([`super::activity`]),
//! and `Connection: close` where the connection is to end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::{Body as RouterBody, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, StatusCode, Version, header};
use futures::future::BoxFuture;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::Service;
use tower::ServiceExt as _;

use super::activity::{Activity, Held, InFlight, RESERVED};
use super::drain::Phase;
use super::streams::Progress;

/// What is handed over to HTTP/2 at once. h2 holds all of it as soon as one byte fits the window.
const MAX_CHUNK: usize = 4 * 1024;

/// The service of one connection.
#[derive(Clone)]
pub(super) struct Requests {
    pub(super) router: Router,
    pub(super) peer: SocketAddr,
    pub(super) activity: Arc<Activity>,
    pub(super) phase: tokio::sync::watch::Receiver<Phase>,
}

impl Service<Request<Incoming>> for Requests {
    type Response = Response<Sent>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Sent>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = InFlight::begin(&self.activity);
        Box::pin(self.clone().answer(request, in_flight))
    }
}

impl Requests {
    async fn answer(self, request: Request<Incoming>, in_flight: InFlight) -> Result<Response<Sent>, Infallible> {
        let mut held = Held::reserve(&self.activity).await;
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(ConnectInfo(self.peer));
        let is_http2 = parts.version == Version::HTTP_2;
        let body = Received { body, free: RESERVED, held: Held::none(&self.activity) };
        let response = self.router.oneshot(Request::from_parts(parts, RouterBody::new(body))).await?;
        let (mut parts, body) = response.into_parts();
        // After 408 the rest of the request's body may still come (RFC 9110 §15.5.9).
        let is_last = *self.phase.borrow() != Phase::Serving || parts.status == StatusCode::REQUEST_TIMEOUT;
        if is_last && !is_http2 {
            parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let size = body.size_hint().exact().and_then(|size| usize::try_from(size).ok());
        held.set(size.unwrap_or(RESERVED));
        let progress = if is_http2 { Progress::of_this_task() } else { None };
        let sent = Sent { body, rest: Bytes::new(), progress, _held: held, _in_flight: in_flight };
        Ok(Response::from_parts(parts, sent))
    }
}

/// A request's body, counted.
struct Received {
    body: Incoming,
    /// What is set aside for it already.
    free: usize,
    held: Held,
}

impl Body for Received {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)?) else { return Poll::Ready(None) };
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

/// A response's body. Over HTTP/2 it is handed over in small parts, the last byte alone (see [`super::streams`]).
pub(super) struct Sent {
    body: RouterBody,
    /// Of the chunk that is handed over in parts.
    rest: Bytes,
    progress: Option<Arc<Progress>>,
    _held: Held,
    _in_flight: InFlight,
}

impl Sent {
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

impl Body for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(progress) = &this.progress else { return Pin::new(&mut this.body).poll_frame(cx) };
        progress.wait_for_us();
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)?).map(Frame::into_data) {
                None => return Poll::Ready(None),
                Some(Err(frame)) => return Poll::Ready(Some(Ok(frame))),
                Some(Ok(data)) => this.rest = data,
            }
        }
        progress.wait_for_peer();
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
