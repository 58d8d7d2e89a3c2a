//! Sending out what waits in the queue: at once where this node or another one has just put it there, later where a try
//! failed. While nothing waits, nothing is asked of the database: the change feed tells every node when something does, and
//! each looks again when it is due, so that what a node that died has claimed is sent by another one.
//!
//! Next door: `store::deliveries`, the queue; `protocol::backchannel_logout`, what is sent.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use crate::app::App;
use crate::domain::delivery::{Claimed, Delivery, Outcome, TRY_TIMEOUT, pause_after};
use crate::domain::event::{Actor, Event, EventKind, Origin};
use crate::domain::ids::EventId;
use crate::store::{StoreError, deliveries, events};

/// How many this node sends at once. Apps that are slow delay others no more than the budget of their requests does
/// (`outbound::budget`).
const AT_ONCE: u64 = 64;
/// A clock may be set meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Goes on until the task is ended.
pub(super) async fn run(app: App) {
    let mut waits = app.store().authority().deliveries_wait();
    loop {
        waits.mark_unchanged();
        if let Err(error) = once(&app).await {
            tracing::error!(%error, "what is to be sent out cannot be read");
        }
        tokio::select! {
            () = next_is_due(&app) => {}
            changed = waits.changed() => if changed.is_err() { return },
        }
    }
}

/// Waits until the next one is due; without end where none waits.
async fn next_is_due(app: &App) {
    let pause = match due_in(app).await {
        Ok(None) => return std::future::pending().await,
        Ok(Some(milliseconds)) => Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)),
        Err(_) => Duration::ZERO,
    };
    // Never at once: what is due and was not sent is being sent by another node, or cannot be written down.
    tokio::time::sleep(pause.clamp(Duration::from_secs(1), LONGEST_PAUSE)).await;
}

/// In how many milliseconds the next one is due, by the database's clock; `None` where none waits.
async fn due_in(app: &App) -> Result<Option<i64>, StoreError> {
    let Some(due) = deliveries::next_due(app.store().read()).await? else { return Ok(None) };
    Ok(Some(due.since(app.store().database_time().await?)))
}

/// Sends everything that is due now.
///
/// # Errors
/// Where the database does not answer.
pub async fn once(app: &App) -> Result<(), StoreError> {
    let mut under_way = FuturesUnordered::new();
    loop {
        // A place that is free is filled at once: one app that is slow holds its own, and nobody else's.
        let free = AT_ONCE.saturating_sub(under_way.len() as u64);
        if free > 0 && due_in(app).await?.is_some_and(|milliseconds| milliseconds <= 0) {
            let claimed = app.store().write(move |tx| Box::pin(deliveries::claim(tx, free))).await?;
            under_way.extend(claimed.into_iter().map(|claimed| send(app, claimed)));
        }
        match under_way.next().await {
            Some(done) => done?,
            None => return Ok(()),
        }
    }
}

async fn send(app: &App, claimed: Claimed) -> Result<(), StoreError> {
    let Delivery::Logout(participant) = &claimed.what;
    let told = tokio::time::timeout(TRY_TIMEOUT, app.provider.tell_of_logout(claimed.id, participant)).await;
    let outcome = match told {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Outcome::NotYet(error.cause.unwrap_or_default()),
        Err(_) => Outcome::NotYet("it took too long".to_owned()),
    };
    let (client, attempt) = (participant.client.as_str(), claimed.attempt);
    let again = match &outcome {
        Outcome::Done | Outcome::Refused(_) => None,
        Outcome::NotYet(_) => pause_after(attempt),
    };
    match (&outcome, again) {
        (Outcome::Done, _) => tracing::info!(client, attempt, "told of a sign-out"),
        (Outcome::NotYet(why), Some(seconds)) => {
            tracing::warn!(client, attempt, why, seconds, "not told of a sign-out yet");
        }
        (Outcome::Refused(why) | Outcome::NotYet(why), _) => {
            tracing::warn!(client, attempt, why, "not told of a sign-out, and given up");
        }
    }
    let given_up = match outcome {
        Outcome::Refused(why) | Outcome::NotYet(why) if again.is_none() => Some(why),
        _ => None,
    };
    let event = given_up.map(|why| Event {
        id: EventId(app.env().uuid()),
        at: app.env().now(),
        kind: EventKind::LogoutUndelivered,
        actor: Actor::System,
        user: Some(participant.user),
        client: Some(participant.client.clone()),
        origin: Origin::default(),
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
