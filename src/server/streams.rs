//! The tasks of HTTP/2 streams. A stream is reset if its peer reads nothing of its response for `write_timeout`
//! because a window remains closed.
//!
//! hyper hands a response to h2 as soon as one byte fits the window, and h2 buffers the rest without limit.
//! Therefore the response body ([`super::service`]) records [`StreamProgress`] and hands over small parts, and
//! the last byte separately. The task then ends only when the whole response fits the window. Until then it can
//! be reset, which frees the buffers of h2.

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

/// The time since when a stream has been waiting for its peer to open a window.
#[derive(Debug, Default)]
pub(super) struct StreamProgress(Mutex<Option<Instant>>);

impl StreamProgress {
    /// Returns the progress of the stream of the current task; `None` for HTTP/1.
    pub(super) fn current() -> Option<Arc<Self>> {
        PROGRESS.try_with(Arc::clone).ok()
    }

    /// Records that a part of the response was handed over and the next one waits for the window.
    pub(super) fn start_peer_wait(&self) {
        self.set(Some(now()));
    }

    /// Records that the response waits for the server, not for the peer.
    pub(super) fn clear_peer_wait(&self) {
        self.set(None);
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Returns the rest of `timeout`: all of it if the stream does not wait for the peer.
    fn left(&self, timeout: Duration) -> Duration {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(timeout, |since| timeout.saturating_sub(now() - since))
    }
}

/// Spawns the tasks of streams.
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
