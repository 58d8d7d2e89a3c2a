//! A socket with deadlines for its peer: for a request's header block, for the time between two requests, and
//! for reading responses. After a deadline, reads and writes fail, which ends the connection.
//!
//! It lies below TLS, so that data in TLS buffers is included. See also [`super::activity`], which tells
//! whether a request is in flight. The timeouts of bodies are in `web::extract`, those of HTTP/2 streams in
//! [`super::streams`].

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::activity::{Activity, MemoryReservation, now};
use crate::config::ConnectionLimits;

/// The HTTP/2 connection preface (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A peer that reads slowly has this many times `write_timeout` for everything that waits to be sent.
const MAX_SLOW_WRITES: u32 = 10;
/// The time that an idle HTTP/2 connection has to send GOAWAY.
const GOAWAY_TIMEOUT: Duration = Duration::from_secs(2);

/// The timeout of each step.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionTimeouts {
    pub(super) handshake: Duration,
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) write: Duration,
}

impl ConnectionTimeouts {
    pub(super) fn of(config: &ConnectionLimits) -> Self {
        let seconds = |count: u32| Duration::from_secs(count.into());
        Self {
            handshake: seconds(config.handshake_timeout),
            header: seconds(config.header_timeout),
            idle: seconds(config.idle_timeout),
            write: seconds(config.write_timeout),
        }
    }
}

/// The wait for a request, or for the rest of its header block.
struct RequestWait {
    /// The number of requests that had begun before.
    begun: usize,
    until: Instant,
    /// The memory of the header block so far.
    head: MemoryReservation,
    sent_goaway: bool,
}

/// The wait until the peer reads what is sent.
struct WriteWait {
    since: Instant,
    until: Instant,
}

/// A socket with deadlines.
pub(super) struct DeadlineStream {
    stream: TcpStream,
    /// Bytes that were read to detect the protocol. They are read again.
    seen: Vec<u8>,
    activity: Arc<Activity>,
    pace: ConnectionTimeouts,
    is_http2: bool,
    waiting: Option<RequestWait>,
    blocked: Option<WriteWait>,
    /// Fires at or before the next deadline.
    alarm: Pin<Box<Sleep>>,
}

impl DeadlineStream {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>, pace: ConnectionTimeouts) -> Self {
        let alarm = Box::pin(tokio::time::sleep(pace.header));
        Self { stream, seen: Vec::new(), activity, pace, is_http2: false, waiting: None, blocked: None, alarm }
    }

    pub(super) fn set_http2(&mut self) {
        self.is_http2 = true;
    }

    /// Reads until it is certain whether the peer speaks HTTP/2 with prior knowledge (RFC 9113 §3.3).
    pub(super) async fn detect_http2(&mut self) -> io::Result<bool> {
        let mut seen = Vec::with_capacity(PREFACE.len());
        while PREFACE.starts_with(&seen) && seen.len() < PREFACE.len() {
            let mut space = [0; PREFACE.len()];
            let space = space.get_mut(seen.len()..).unwrap_or_default();
            let mut buf = ReadBuf::new(space);
            std::future::poll_fn(|cx| Pin::new(&mut *self).poll_read(cx, &mut buf)).await?;
            if buf.filled().is_empty() {
                break;
            }
            seen.extend_from_slice(buf.filled());
        }
        let is_http2 = seen == PREFACE;
        self.seen = seen;
        Ok(is_http2)
    }

    /// Begins or ends the wait for a request.
    fn follow(&mut self) {
        let begun = self.activity.begun();
        if self.activity.is_busy() {
            self.waiting = None;
        } else if self.waiting.as_ref().is_none_or(|waiting| waiting.begun != begun) {
            let time = if begun == 0 { self.pace.header } else { self.pace.idle };
            let head = MemoryReservation::empty_headers(&self.activity);
            self.waiting = Some(RequestWait { begun, until: now() + time, head, sent_goaway: false });
        }
    }

    /// Returns an error after a deadline; otherwise schedules the task to wake at the next one.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let deadlines = [self.waiting.as_ref().map(|it| it.until), self.blocked.as_ref().map(|it| it.until)];
        let Some(next) = deadlines.into_iter().flatten().min() else { return Ok(()) };
        if now() >= next {
            match &mut self.waiting {
                Some(waiting)
                    if self.is_http2 && !waiting.sent_goaway && self.blocked.is_none() && waiting.begun > 0 =>
                {
                    waiting.sent_goaway = true;
                    waiting.until = now() + GOAWAY_TIMEOUT;
                    self.activity.set_idle();
                    return self.check(cx);
                }
                _ => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
        // An alarm that fires too early only checks again, which is cheaper than resetting it for each request.
        if self.alarm.is_elapsed() || self.alarm.deadline() > next {
            self.alarm.as_mut().reset(next);
        }
        if self.alarm.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    fn note_read(&mut self, bytes: usize) -> io::Result<()> {
        let Some(waiting) = &mut self.waiting else { return Ok(()) };
        if waiting.head.is_empty() && bytes > 0 && !self.is_http2 {
            waiting.until = waiting.until.min(now() + self.pace.header);
        }
        if waiting.head.grow(bytes) {
            Ok(())
        } else {
            Err(io::Error::other("too many unfinished requests of strangers"))
        }
    }

    fn note_write(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let (time, pace) = (now(), self.pace.write);
        match &polled {
            Poll::Pending => {
                self.blocked.get_or_insert(WriteWait { since: time, until: time + pace });
                self.activity.set_blocked(true);
                self.check(cx)?;
            }
            Poll::Ready(Ok(_)) => {
                if let Some(blocked) = &mut self.blocked {
                    blocked.until = (time + pace).min(blocked.since + pace * MAX_SLOW_WRITES);
                }
                self.activity.set_blocked(false);
            }
            Poll::Ready(Err(_)) => {}
        }
        polled
    }
}

impl AsyncRead for DeadlineStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.seen.is_empty() {
            let count = this.seen.len().min(buf.remaining());
            buf.put_slice(this.seen.drain(..count).as_slice());
            return Poll::Ready(Ok(()));
        }
        this.follow();
        this.check(cx)?;
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        this.note_read(buf.filled().len() - before)?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for DeadlineStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.note_write(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.note_write(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when everything has been written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.blocked = None;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
