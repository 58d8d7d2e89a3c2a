//! What a node does beside answering: sweeping what has expired, making the keys that a first start leaves for later,
//! replacing those that are due, and writing down what came to the gates and when API keys were used.
//!
//! An idle node asks the database nothing: keys are judged from memory, and nothing is swept where nothing was written
//! since the last time (what grows is what somebody writes), but for once a day, since events promise to be forgotten.

use std::time::Duration;

use crate::app::App;
use crate::domain::event::{Actor, Event, EventKind, Origin};
use crate::domain::ids::EventId;
use crate::env::Timestamp;
use crate::keys::rotation;
use crate::manage::{ManageError, registration};
use crate::store::sweep;

const SWEEP_INTERVAL: Duration = Duration::from_mins(5);
/// Between two writings of the gate's record.
const SOON: Duration = Duration::from_secs(5);
const DAY: i64 = 86_400;

/// The node's memory of the last sweep.
#[derive(Default)]
pub struct Upkeep {
    swept: Option<(Timestamp, u64)>,
}

impl Upkeep {
    /// Goes on until the task is ended.
    pub(super) async fn run(app: App) {
        let mut upkeep = Self::default();
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            upkeep.once(&app).await;
        }
    }

    /// Everything that is due now.
    pub async fn once(&mut self, app: &App) {
        let now = app.env().now();
        app.store().authority().forget(now, app.env().uptime());
        // Keys first: what that writes is no reason for another sweep.
        make_missing(app).await;
        rotate_due(app, now).await;
        write_record(app).await;
        if self.has_to_sweep(app, now) {
            let before = app.store().written();
            match sweep_all(app).await {
                // The sweep's own transactions are no reason for the next one.
                Ok(own) => self.swept = Some((now, before + own)),
                Err(error) => tracing::warn!(%error, "sweeping"),
            }
        }
    }

    fn has_to_sweep(&self, app: &App, now: Timestamp) -> bool {
        self.swept.is_none_or(|(at, written)| app.store().written() != written || now >= at.plus_seconds(DAY))
    }
}

/// Writes the gate's record from time to time until the task is ended.
pub(super) async fn record(app: App) {
    loop {
        tokio::time::sleep(SOON).await;
        write_record(&app).await;
    }
}

/// Also what a node does last of all.
pub(super) async fn write_record(app: &App) {
    if let Err(error) = app.gate.tally.flush(app.store()).await {
        tracing::warn!(%error, "what came to the gates cannot be written yet");
    }
    if let Err(error) = app.refusals.flush(app.store()).await {
        tracing::warn!(%error, "what was refused cannot be written yet");
    }
    if let Err(error) = app.store().authority().key_uses().write(app.store()).await {
        tracing::warn!(%error, "when API keys were used cannot be written yet");
    }
}

/// How many transactions it took.
async fn sweep_all(app: &App) -> Result<u64, ManageError> {
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

async fn make_missing(app: &App) {
    let (store, provider) = (app.store(), &app.provider);
    let made = match rotation::complete(store, &provider.master, &provider.keys.current().keys).await {
        // The feed tells the other nodes; this one must not find them missing again.
        Ok(true) => provider.keys.reload(store).await,
        done => done.map(drop),
    };
    if let Err(error) = made {
        tracing::error!(%error, "a key cannot be made");
    }
}

async fn rotate_due(app: &App, now: Timestamp) {
    let (ring, provider) = (app.provider.keys.current(), &app.provider);
    for alg in rotation::due(&ring.keys, &app.config.lifetimes, now) {
        let event = Event {
            id: EventId(app.env().uuid()),
            at: now,
            kind: EventKind::KeyRotated,
            actor: Actor::System,
            user: None,
            client: None,
            origin: Origin::default(),
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
