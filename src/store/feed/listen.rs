//! Listens for PostgreSQL's notifications of new feed entries, on a connection of its own.
//!
//! Notifications only make a read start earlier. The feed is read twice a second without them, so a lost notification,
//! or a database that sends none, delays an entry but loses nothing. [`super::reader`] reads the entries.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgListener, PgPool};
use sea_orm::sqlx::{Error, Executor as _};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::NOTIFY_CHANNEL;

/// After this time without a notification the connection is tested, because a severed connection reports nothing.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(15);
/// A database that takes longer to answer counts as unreachable.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The time between two attempts to connect.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(2);

/// Notifies `changed` at each notification, until the pool is closed.
pub(crate) async fn run(pool: PgPool, changed: Arc<Notify>) {
    let mut said = false;
    while !pool.is_closed() {
        if let Err(error) = listen(&pool, &changed, &mut said).await
            && !std::mem::replace(&mut said, true)
        {
            tracing::warn!(%error, "no notifications from the database: changes of other nodes arrive by polling");
        }
        tokio::time::sleep(RECONNECT_INTERVAL).await;
    }
}

async fn listen(pool: &PgPool, changed: &Notify, said: &mut bool) -> Result<(), Error> {
    let mut listener = with_timeout(PgListener::connect_with(pool)).await?;
    listener.eager_reconnect(false);
    with_timeout(listener.listen(NOTIFY_CHANNEL)).await?;
    *said = false;
    changed.notify_one();
    loop {
        match timeout(IDLE_CHECK_INTERVAL, listener.try_recv()).await {
            Ok(Ok(Some(_))) => changed.notify_one(),
            // The connection was closed.
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                with_timeout(listener.execute("SELECT 1")).await?;
            }
        }
    }
}

async fn with_timeout<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(RESPONSE_TIMEOUT, asked).await.unwrap_or(Err(Error::PoolTimedOut))
}
