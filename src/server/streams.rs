//! Streams of HTTP/2 connections: each is a task of its own, and is reset where its peer takes nothing of its response for
//! `write_timeout` because a window stays closed.
//!
//! hyper hands a response to h2 as soon as one byte fits its window, and h2 holds the rest without a bound. So [`Progress`]
//! is noted by the response's body ([`super::requests`]), which hands over little at a time, and its last byte alone: the
//! task ends when the whole response fits the window, and until then it can be reset, which frees what h2 holds.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::Instant;

use super::activity::now;

tokio::task_local! {
    static PROGRESS: Arc<StreamProgress>;
}

/// Since when a stream waits for its peer to open a window.
#[derive(Debug, Default)]
pub(super) struct StreamProgress(Mutex<Option<Instant>>);

impl StreamProgress {
    /// Returns that of the stream whose task this is; none for HTTP/1.
    pub(super) fn current() -> Option<Arc<Self>> {
        PROGRESS.try_with(Arc::clone).ok()
    }

    /// A part of the response was handed over, and the next one waits for the window.
    pub(super) fn start_peer_wait(&self) {
        self.set(Some(now()));
    }

    /// The response waits for us.
    pub(super) fn clear_peer_wait(&self) {
        self.set(None);
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Returns what is left of `timeout`: all of it where the peer is not waited for.
    fn left(&self, timeout: Duration) -> Duration {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(timeout, |since| timeout.saturating_sub(now() - since))
    }
}

/// Runs streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamExecutor {
    pub(super) timeout: Duration,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        let (progress, timeout) = (Arc::<StreamProgress>::default(), self.timeout);
        tokio::spawn(PROGRESS.scope(progress.clone(), async move {
            let mut stream = pin!(stream);
            let mut wait = timeout;
            while !wait.is_zero() {
                tokio::select! {
                    () = &mut stream => return,
                    () = tokio::time::sleep(wait) => wait = progress.left(timeout),
                }
            }
            tracing::debug!("a stream is reset: its peer takes nothing of the response");
        }));
    }
}
