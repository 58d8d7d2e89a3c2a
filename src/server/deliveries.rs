//! Sends the queued deliveries: at once if this node or another one has just queued them, and again later after
//! a failed attempt. While the queue is empty, the database is not queried: the change feed notifies every node
//! of new deliveries. Each node checks again when a delivery is due, so that another node takes over what a
//! crashed node had claimed.
//!
//! See also `store::deliveries`, the queue, and `protocol::backchannel_logout`, the requests that are sent.

use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use crate::app::AppState;
use crate::domain::delivery::{
    ATTEMPT_TIMEOUT, ClaimedDelivery, Delivery, DeliveryOutcome, DeliverySlots, Destination, pause_after,
};
use crate::domain::event::{Actor, Event, EventKind, RequestOrigin};
use crate::domain::ids::EventId;
use crate::store::{StoreError, deliveries, events};

/// The maximum number of concurrent requests of this node to addresses that an administrator named, and as many
/// to others.
const MAX_CONCURRENT: usize = 64;
/// The maximum time between two checks, because the clock may be set in the meantime.
const MAX_POLL_INTERVAL: Duration = Duration::from_mins(5);

/// Runs until the task is aborted.
pub async fn run(app: AppState) {
    let mut waits = app.store().authority().deliveries_wait();
    let mut tries = DeliveryAttempts::new(&app);
    loop {
        waits.mark_unchanged();
        if let Err(error) = tries.start_due().await {
            tracing::error!(%error, "what is to be sent out cannot be read");
        }
        tokio::select! {
            () = wait_until_due(&app) => {}
            Some(done) = tries.next() => if let Err(error) = done {
                tracing::error!(%error, "what came of a delivery cannot be written");
            },
            changed = waits.changed() => if changed.is_err() { return },
        }
    }
}

/// Waits until the next delivery is due, or forever if there is none.
async fn wait_until_due(app: &AppState) {
    let pause = match millis_until_due(app).await {
        Ok(None) => return std::future::pending().await,
        Ok(Some(milliseconds)) => Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)),
        Err(_) => Duration::ZERO,
    };
    // At least a second: what is due and was not sent is being sent by another node, or its result cannot be
    // written.
    tokio::time::sleep(pause.clamp(Duration::from_secs(1), MAX_POLL_INTERVAL)).await;
}

/// Returns the milliseconds until the next delivery is due, by the database's clock; `None` if there is none.
async fn millis_until_due(app: &AppState) -> Result<Option<i64>, StoreError> {
    let Some(due) = deliveries::next_due(app.store().read()).await? else { return Ok(None) };
    Ok(Some(due.since(app.store().database_time().await?)))
}

/// Sends everything that is due now.
///
/// # Errors
/// Returns an error if the database does not respond.
pub async fn once(app: &AppState) -> Result<(), StoreError> {
    let mut tries = DeliveryAttempts::new(app);
    loop {
        tries.start_due().await?;
        match tries.next().await {
            Some(done) => done?,
            None => return Ok(()),
        }
    }
}

/// The attempts of this node that are in progress. A self-registered client takes no slot of the clients that
/// an administrator registered, and each origin has a limit.
struct DeliveryAttempts<'a> {
    app: &'a AppState,
    in_flight: FuturesUnordered<BoxFuture<'a, (Destination, Result<(), StoreError>)>>,
    of_admins: DeliverySlots,
    of_others: DeliverySlots,
}

impl<'a> DeliveryAttempts<'a> {
    fn new(app: &'a AppState) -> Self {
        let (of_admins, of_others) = (DeliverySlots::new(MAX_CONCURRENT), DeliverySlots::new(MAX_CONCURRENT));
        Self { app, in_flight: FuturesUnordered::new(), of_admins, of_others }
    }

    const fn places(&mut self, by_admin: bool) -> &mut DeliverySlots {
        if by_admin { &mut self.of_admins } else { &mut self.of_others }
    }

    /// Starts the deliveries that are due, as long as there are free slots.
    async fn start_due(&mut self) -> Result<(), StoreError> {
        let app = self.app;
        if millis_until_due(app).await?.is_none_or(|milliseconds| milliseconds > 0) {
            return Ok(());
        }
        for by_admin in [true, false] {
            let places = self.places(by_admin);
            if places.available() == 0 {
                continue;
            }
            let due = deliveries::due(app.store(), by_admin, places).await?;
            if due.is_empty() {
                continue;
            }
            let claim = app.store().write(move |tx| Box::pin(async move { deliveries::claim(tx, &due).await }));
            for claimed in claim.await? {
                self.places(by_admin).try_acquire(&claimed.destination.origin);
                let to = claimed.destination.clone();
                self.in_flight.push(Box::pin(async move { (to, send(app, claimed).await) }));
            }
        }
        Ok(())
    }

    /// Waits for the next attempt to end and returns its result; `None` if none is in progress.
    async fn next(&mut self) -> Option<Result<(), StoreError>> {
        let (to, done) = self.in_flight.next().await?;
        self.places(to.by_admin).release(&to.origin);
        Some(done)
    }
}

async fn send(app: &AppState, claimed: ClaimedDelivery) -> Result<(), StoreError> {
    let Delivery::Logout(participant) = &claimed.delivery;
    let told = tokio::time::timeout(ATTEMPT_TIMEOUT, app.provider.send_logout_token(claimed.id, participant)).await;
    let outcome = match told {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => DeliveryOutcome::RetryLater(error.cause.unwrap_or_default()),
        Err(_) => DeliveryOutcome::RetryLater("it took too long".to_owned()),
    };
    let (client, attempt) = (participant.client.as_str(), claimed.attempt);
    let again = match &outcome {
        DeliveryOutcome::Done | DeliveryOutcome::Failed(_) => None,
        DeliveryOutcome::RetryLater(_) => pause_after(attempt),
    };
    match (&outcome, again) {
        (DeliveryOutcome::Done, _) => tracing::info!(client, attempt, "told of a sign-out"),
        (DeliveryOutcome::RetryLater(why), Some(seconds)) => {
            tracing::warn!(client, attempt, why, seconds, "not told of a sign-out yet");
        }
        (DeliveryOutcome::Failed(why) | DeliveryOutcome::RetryLater(why), _) => {
            tracing::warn!(client, attempt, why, "not told of a sign-out, and given up");
        }
    }
    let given_up = match outcome {
        DeliveryOutcome::Failed(why) | DeliveryOutcome::RetryLater(why) if again.is_none() => Some(why),
        _ => None,
    };
    let event = given_up.map(|why| Event {
        id: EventId(app.env().uuid()),
        at: app.env().now(),
        kind: EventKind::LogoutUndelivered,
        actor: Actor::System,
        user: Some(participant.user),
        client: Some(participant.client.clone()),
        origin: RequestOrigin::default(),
        detail: why,
    });
    let write = app.store().write(move |tx| {
        Box::pin(async move {
            if let Some(seconds) = again {
                let until = tx.database_time().await?.plus_seconds(seconds);
                return deliveries::put_off(tx, &claimed, until).await;
            }
            if let Some(event) = &event {
                events::insert(tx, event).await?;
            }
            deliveries::remove(tx, &claimed).await
        })
    });
    write.await
}
