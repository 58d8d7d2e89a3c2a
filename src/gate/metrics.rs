//! The metrics of the gate: the number of requests for each gate, credential kind and outcome, and the latest denied
//! requests with their request ids, so that an administrator can find the reason for a denial.
//!
//! Requests are counted in memory, so that they cost no statement, and written in batches (`server::background`). If a
//! node is killed, its unwritten counts are lost. Counts of several nodes are added up. No secrets are kept: no
//! credentials and no queries.
//!
//! See also `store::gate_record`, the stored metrics; [`super::decision`], the reasons.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::decision::Reason;
use crate::env::Timestamp;
use crate::store::gate_record::{self, DeniedRequest, GateCount};
use crate::store::{Result, Store};

/// The maximum number of denials waiting to be written. The latest are kept; all are counted.
const MAX_PENDING_DENIALS: usize = 1000;
/// The maximum number of these that come from untrusted proxies, so that strangers cannot displace the others.
const MAX_PENDING_UNTRUSTED: usize = 100;

/// The name under which requests for an unknown gate are counted.
pub const NO_GATE: &str = "";
/// The reason under which requests are counted that could not be decided.
pub const UNAVAILABLE: &str = "unavailable";

/// A handle; cheap to clone. All clones share their counts.
#[derive(Clone, Default)]
pub struct Metrics(Arc<MetricsInner>);

#[derive(Default)]
struct MetricsInner {
    waiting: Mutex<PendingRecords>,
    /// Held while a batch is written, so that the last flush returns after every earlier one is written.
    writes: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct PendingRecords {
    /// By gate; then by hour, credential kind and reason.
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
    /// Counts a request that was allowed or could not be decided. `gate` is an existing gate or [`NO_GATE`].
    pub fn count(&self, now: Timestamp, gate: &str, way: &'static str, reason: &'static str) {
        self.waiting().count(gate, (hour(now), way, reason), 1);
    }

    /// Counts and records a request that was denied.
    pub fn record_denial(&self, way: &'static str, reason: Reason, refused: DeniedRequest) {
        let mut waiting = self.waiting();
        waiting.count(&refused.gate, (hour(refused.at), way, reason.as_str()), 1);
        waiting.push_denial(refused);
    }

    /// Writes the pending records. Makes no query if there are none.
    ///
    /// # Errors
    /// Returns an error if the database does not respond. The records then wait for the next flush.
    pub async fn flush(&self, store: &Store) -> Result<()> {
        let (this, store) = (self.clone(), store.clone());
        // A separate task, so that the cancellation of the caller does not lose records that are not yet written.
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
        // A panic leaves the counts consistent.
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the hours since 1970.
fn hour(at: Timestamp) -> i64 {
    at.seconds().div_euclid(3600)
}
