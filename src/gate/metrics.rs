//! The gate's record: how many requests came to each gate, in which way and with what outcome, and the latest that were
//! refused, each by its request id, so that "why was this refused?" has an answer.
//!
//! Counted in memory, so that no request costs a statement, and written in batches (`server::upkeep`). What a node that is
//! killed had not written is lost; what it wrote is added to what other nodes wrote. Nothing secret is kept: no
//! credential, no query.
//!
//! Next door: `store::gate_record`, where it is kept; [`super::decision`], the reasons.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::decision::Reason;
use crate::env::Timestamp;
use crate::store::gate_record::{self, DeniedRequest, GateCount};
use crate::store::{Result, Store};

/// Refusals that wait to be written at most; of more the latest are kept. All are counted.
const MAX_PENDING_DENIALS: usize = 1000;
/// Of these at most so many are of callers that are no proxy of ours: strangers must not push out the rest.
const MAX_PENDING_UNTRUSTED: usize = 100;

/// Under this name stands what came to no gate there is.
pub const NO_GATE: &str = "";
/// Under this name stands that nothing could be decided.
pub const UNAVAILABLE: &str = "unavailable";

/// Cheap to clone; all clones count together.
#[derive(Clone, Default)]
pub struct Metrics(Arc<MetricsInner>);

#[derive(Default)]
struct MetricsInner {
    waiting: Mutex<PendingRecords>,
    /// One batch at a time, so that whoever writes last finds all before it written.
    writes: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct PendingRecords {
    /// By gate; then by hour, way and reason.
    counts: HashMap<String, HashMap<(i64, &'static str, &'static str), u64>>,
    denials: VecDeque<DeniedRequest>,
    untrusted: usize,
}

impl PendingRecords {
    fn count(&mut self, gate: &str, what: (i64, &'static str, &'static str), number: u64) {
        if let Some(of_gate) = self.counts.get_mut(gate) {
            *of_gate.entry(what).or_default() += number;
        } else {
            self.counts.insert(gate.to_owned(), HashMap::from([(what, number)]));
        }
    }

    fn push_denial(&mut self, refused: DeniedRequest) {
        let untrusted = is_untrusted(&refused);
        if untrusted && self.untrusted >= MAX_PENDING_UNTRUSTED {
            return;
        }
        self.untrusted += usize::from(untrusted);
        self.denials.push_back(refused);
        if self.denials.len() > MAX_PENDING_DENIALS {
            self.untrusted -= usize::from(self.denials.pop_front().is_some_and(|oldest| is_untrusted(&oldest)));
        }
    }
}

fn is_untrusted(refused: &DeniedRequest) -> bool {
    refused.reason == Reason::UntrustedProxy.as_str()
}

impl Metrics {
    /// One that was let in, or could not be decided; `gate` is one that there is, or [`NO_GATE`].
    pub fn count(&self, now: Timestamp, gate: &str, way: &'static str, reason: &'static str) {
        self.waiting().count(gate, (hour(now), way, reason), 1);
    }

    /// One that was refused.
    pub fn record_denial(&self, way: &'static str, reason: Reason, refused: DeniedRequest) {
        let mut waiting = self.waiting();
        waiting.count(&refused.gate, (hour(refused.at), way, reason.as_str()), 1);
        waiting.push_denial(refused);
    }

    /// Writes what has come together; nothing is asked of the database where nothing has.
    ///
    /// # Errors
    /// Where the database does not answer: it waits for the next time.
    pub async fn flush(&self, store: &Store) -> Result<()> {
        let (this, store) = (self.clone(), store.clone());
        // On its own, so that a caller who goes away takes nothing along that is not written.
        let done = tokio::spawn(async move { this.write(&store).await }).await;
        done.unwrap_or_else(|error| Err(crate::store::StoreError::Unavailable(error.to_string())))
    }

    async fn write(&self, store: &Store) -> Result<()> {
        let _one = self.0.writes.lock().await;
        let taken = std::mem::take(&mut *self.waiting());
        if taken.counts.is_empty() {
            return Ok(());
        }
        let counts: Vec<GateCount> = taken
            .counts
            .iter()
            .flat_map(|(gate, of_gate)| {
                of_gate.iter().map(|((hour, way, reason), number)| GateCount {
                    gate: gate.clone(),
                    hour: *hour,
                    credential_kind: (*way).to_owned(),
                    reason: (*reason).to_owned(),
                    number: *number,
                })
            })
            .collect();
        let refusals: Vec<DeniedRequest> = taken.denials.iter().cloned().collect();
        let written =
            store.write(move |tx| Box::pin(async move { gate_record::add(tx, counts, refusals).await })).await;
        if written.is_err() {
            self.restore(taken);
        }
        written
    }

    fn restore(&self, taken: PendingRecords) {
        let mut waiting = self.waiting();
        let since = std::mem::replace(&mut *waiting, taken);
        for (gate, of_gate) in since.counts {
            for (what, number) in of_gate {
                waiting.count(&gate, what, number);
            }
        }
        for refused in since.denials {
            waiting.push_denial(refused);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, PendingRecords> {
        // Counts that somebody panicked over are still counts.
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Since 1970.
fn hour(at: Timestamp) -> i64 {
    at.seconds().div_euclid(3600)
}
