//! The background work of a node: sweeps expired rows, creates the keys that the first start postpones, rotates
//! the keys that are due, and writes the gate's record and the last use of API keys.
//!
//! An idle node sends no query to the database. Keys are checked in memory, and nothing is swept if nothing was
//! written since the last sweep, because only writes add rows. The exception is one sweep a day, because events
//! have a guaranteed maximum retention.

use std::time::Duration;

use crate::app::AppState;
use crate::domain::event::{Actor, Event, EventKind, RequestOrigin};
use crate::domain::ids::EventId;
use crate::env::Timestamp;
use crate::keys::rotation;
use crate::manage::{ManageError, registration};
use crate::store::sweep;

const SWEEP_INTERVAL: Duration = Duration::from_mins(5);
/// The time between two writes of the gate's record.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);
const MAX_SWEEP_INTERVAL_SECONDS: i64 = 86_400;

/// The background work of a node. It remembers when the node last swept.
#[derive(Default)]
pub struct Maintenance {
    swept: Option<(Timestamp, u64)>,
}

impl Maintenance {
    /// Runs until the task is aborted.
    pub(super) async fn run(app: AppState) {
        let mut upkeep = Self::default();
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            upkeep.once(&app).await;
        }
    }

    /// Does everything that is due now.
    pub async fn once(&mut self, app: &AppState) {
        let now = app.env().now();
        app.store().authority().forget(now, app.env().uptime());
        // Keys first: their own writes must not cause another sweep.
        create_missing_keys(app).await;
        rotate_due_keys(app, now).await;
        flush_buffers(app).await;
        if self.needs_sweep(app, now) {
            let before = app.store().written();
            match sweep_all(app).await {
                // The sweep's own transactions must not cause the next one.
                Ok(own) => self.swept = Some((now, before + own)),
                Err(error) => tracing::warn!(%error, "sweeping"),
            }
        }
    }

    fn needs_sweep(&self, app: &AppState, now: Timestamp) -> bool {
        self.swept.is_none_or(|(at, written)| {
            app.store().written() != written || now >= at.plus_seconds(MAX_SWEEP_INTERVAL_SECONDS)
        })
    }
}

/// Writes the gate's record periodically until the task is aborted.
pub(super) async fn record(app: AppState) {
    loop {
        tokio::time::sleep(FLUSH_INTERVAL).await;
        flush_buffers(&app).await;
    }
}

/// Writes the buffered records; also the last step of a shutdown.
pub(super) async fn flush_buffers(app: &AppState) {
    if let Err(error) = app.gate.metrics.flush(app.store()).await {
        tracing::warn!(%error, "what came to the gates cannot be written yet");
    }
    if let Err(error) = app.refusals.flush(app.store()).await {
        tracing::warn!(%error, "what was refused cannot be written yet");
    }
    if let Err(error) = app.store().authority().key_uses().write(app.store()).await {
        tracing::warn!(%error, "when API keys were used cannot be written yet");
    }
}

/// Sweeps all tables and returns the number of its transactions.
async fn sweep_all(app: &AppState) -> Result<u64, ManageError> {
    let mut taken = 0;
    loop {
        let rows = sweep::once(app.store(), app.config.lifetimes.events).await?;
        taken += 1;
        if rows == 0 {
            break;
        }
        tracing::debug!(rows, "swept");
    }
    let unused = app.config.registration_policy.unused;
    while unused > 0 && registration::sweep_unused(&app.manager(), unused).await? > 0 {
        taken += 1;
    }
    Ok(taken)
}

async fn create_missing_keys(app: &AppState) {
    let (store, provider) = (app.store(), &app.provider);
    let made = match rotation::create_missing_keys(store, &provider.master, &provider.keys.current().keys).await {
        // The change feed notifies the other nodes; this one must not create them a second time.
        Ok(true) => provider.keys.reload(store).await,
        done => done.map(drop),
    };
    if let Err(error) = made {
        tracing::error!(%error, "a key cannot be made");
    }
}

async fn rotate_due_keys(app: &AppState, now: Timestamp) {
    let (ring, provider) = (app.provider.keys.current(), &app.provider);
    for alg in rotation::due_algorithms(&ring.keys, &app.config.lifetimes, now) {
        let event = Event {
            id: EventId(app.env().uuid()),
            at: now,
            kind: EventKind::KeyRotated,
            actor: Actor::System,
            user: None,
            client: None,
            origin: RequestOrigin::default(),
            detail: alg.as_str().to_owned(),
        };
        if let Err(error) = rotation::rotate_due(app.store(), &provider.master, &provider.lifetimes, alg, event).await {
            tracing::error!(%error, "a key cannot be replaced");
        }
    }
    if let Err(error) = rotation::forget(app.store(), &ring.keys, now).await {
        tracing::error!(%error, "an old key cannot be removed");
    }
}
