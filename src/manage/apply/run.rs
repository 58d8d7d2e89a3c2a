//! Applies the parts of a document, one transaction after another.
//!
//! A transaction with an unknown outcome, because the database did not respond to its commit, is repeated. If
//! it had been committed, nothing is left to change, and the plan of the first attempt is what was done.
//! Between two parts there is a pause, in which others can write.
//!
//! See also [`super::parts`], which divides the document, and [`super::sign_in_names`], which rejects it as a
//! whole if two users would have the same name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::parts::{DocumentPart, divide};
use super::{ApplyOptions, ApplyPlan, ApplyTransaction, Surplus, passwords, sign_in_names, surplus};
use crate::domain::ids::ClientId;
use crate::domain::secret::Secret;
use crate::domain::user::{PasswordHash, Username};
use crate::env::Monotonic;
use crate::manage::document::Document;
use crate::manage::{AuditContext, ManageError, Manager, RequiredRole, Result};
use crate::store::{StoreError, TransactionError, clients};

/// The pause before each repetition of a transaction.
const RETRY_DELAYS: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
const MIN_PART_INTERVAL: Duration = Duration::from_millis(10);
/// The maximum pause, because the machine may have been suspended during a part.
const MAX_PART_INTERVAL: Duration = Duration::from_secs(5);

/// Receives the progress of each part.
type ProgressCallback<'a> = dyn FnMut(ApplyProgress) -> ApplyControl + Send + 'a;

/// The progress of applying a document.
#[derive(Debug)]
pub enum ApplyProgress {
    /// A part was applied, or would be in a dry run.
    Done {
        plan: ApplyPlan,
        /// The number of rows so far.
        rows: usize,
        of: usize,
    },
    /// It is unknown whether a part was applied. [`StoreError::OutcomeUnknown`] follows. The secrets are those
    /// of all attempts.
    Unknown { plan: ApplyPlan },
}

/// The return value of a progress callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyControl {
    GoOn,
    /// Do not apply the remaining parts.
    Stop,
}

/// How applying a document ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyEnd {
    Complete,
    /// The callback stopped it before the last part.
    Stopped,
}

/// Applies a document, and reports each part when it is durable.
///
/// # Errors
/// Returns the errors of [`super::apply`].
pub async fn apply_parts(
    manager: &Manager,
    by: &AuditContext,
    document: Document,
    options: ApplyOptions,
    report: &mut ProgressCallback<'_>,
) -> Result<ApplyEnd> {
    let mut problems = document.problems();
    problems.extend(document.foreign_secrets(&manager.master));
    let names = sign_in_names::compared(manager, &document.users).await?;
    if !problems.is_empty() {
        problems.extend(names.taken);
        return Err(ManageError::Invalid(problems));
    }
    if !names.taken.is_empty() {
        return Err(ManageError::Taken(names.taken));
    }
    let surplus = if options.prune { surplus(manager, &document).await? } else { Surplus::default() };
    let parts: Vec<Arc<DocumentPart>> = divide(document, surplus, names.exchanges)?.into_iter().map(Arc::new).collect();
    let of = parts.iter().map(|part| part.rows()).sum();
    let (mut rows, mut basis) = (0, Vec::new());
    for (at, part) in parts.iter().enumerate() {
        let began = manager.store.env().uptime();
        let hashes = Arc::new(passwords::hashes(manager, &part.users).await?);
        let one = PartRun { manager, by, part, hashes, rehearsal: options.dry_run.then(|| basis.clone()) };
        let plan = one.run(report).await?;
        rows += part.rows();
        let then = report(ApplyProgress::Done { plan, rows, of });
        if part.is_basis {
            basis.push((part.clone(), one.hashes));
        }
        if at + 1 < parts.len() {
            if then == ApplyControl::Stop {
                return Ok(ApplyEnd::Stopped);
            }
            tokio::time::sleep(pause(began, manager.store.env().uptime())).await;
        }
    }
    Ok(ApplyEnd::Complete)
}

/// Returns the pause after a part: a quarter of the time that the part took.
fn pause(began: Monotonic, ended: Monotonic) -> Duration {
    let took = u64::try_from(ended.0 - began.0).unwrap_or_default();
    Duration::from_millis(took / 4).clamp(MIN_PART_INTERVAL, MAX_PART_INTERVAL)
}

type Hashes = Arc<HashMap<Username, PasswordHash>>;

/// Applies one part until it is durable.
struct PartRun<'a> {
    manager: &'a Manager,
    by: &'a AuditContext,
    part: &'a Arc<DocumentPart>,
    hashes: Hashes,
    /// In a dry run: the earlier parts that this one depends on.
    rehearsal: Option<Vec<(Arc<DocumentPart>, Hashes)>>,
}

/// Why a transaction was rolled back.
enum PartRollback {
    Failed(ManageError),
    /// A dry run rolls back the real transaction, so it fails where applying would fail.
    Rehearsed(ApplyPlan),
}

impl<E: Into<ManageError>> From<E> for PartRollback {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl TransactionError for PartRollback {
    fn as_store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Failed(error) => error.as_store_error(),
            Self::Rehearsed(_) => None,
        }
    }
}

/// The result of one attempt.
enum AttemptResult {
    Done(ApplyPlan),
    /// The plan of a transaction with an unknown outcome.
    Unknown(ApplyPlan),
    Failed(ManageError),
}

/// Ends the attempts of a part. If one of them may have been committed, its plan is reported and the outcome is
/// unknown, whatever error the later attempts had.
fn given_up(unknown: Option<ApplyPlan>, error: ManageError, report: &mut ProgressCallback<'_>) -> ManageError {
    let Some(plan) = unknown else { return error };
    if !matches!(error, ManageError::Store(StoreError::OutcomeUnknown)) {
        tracing::warn!(%error, "a try after one of unknown outcome has failed");
    }
    report(ApplyProgress::Unknown { plan });
    ManageError::Store(StoreError::OutcomeUnknown)
}

/// Merges the plans of two attempts of which at most one was committed: the changes of the later one if it
/// found anything to change, and the secrets of both.
fn merged(mut earlier: ApplyPlan, mut later: ApplyPlan) -> ApplyPlan {
    earlier.secrets.append(&mut later.secrets);
    if later.changes.is_empty() { earlier } else { ApplyPlan { secrets: earlier.secrets, ..later } }
}

impl PartRun<'_> {
    async fn run(&self, report: &mut ProgressCallback<'_>) -> Result<ApplyPlan> {
        let mut unknown: Option<ApplyPlan> = None;
        let mut delays = RETRY_DELAYS.into_iter();
        loop {
            let error = match self.attempt().await {
                AttemptResult::Done(plan) => {
                    let Some(earlier) = unknown else { return Ok(plan) };
                    return self.merge_attempts(earlier, plan, report).await;
                }
                AttemptResult::Unknown(plan) => {
                    unknown = Some(merged(unknown.take().unwrap_or_default(), plan));
                    ManageError::Store(StoreError::OutcomeUnknown)
                }
                AttemptResult::Failed(error) => {
                    let again = matches!(error, ManageError::Store(StoreError::Unavailable(_)))
                        || unknown.is_some() && matches!(error, ManageError::Taken(_) | ManageError::Conflict(_));
                    if !again {
                        return Err(given_up(unknown, error, report));
                    }
                    error
                }
            };
            let Some(delay) = delays.next() else { return Err(given_up(unknown, error, report)) };
            tokio::time::sleep(delay).await;
        }
    }

    /// Returns what was done after attempts with an unknown outcome and a successful one.
    async fn merge_attempts(
        &self,
        unknown: ApplyPlan,
        done: ApplyPlan,
        report: &mut ProgressCallback<'_>,
    ) -> Result<ApplyPlan> {
        match self.in_force(&unknown.secrets).await {
            Ok(secrets) => Ok(merged(ApplyPlan { secrets, ..unknown }, done)),
            Err(error) => Err(given_up(Some(merged(unknown, done)), error, report)),
        }
    }

    /// Returns those of `secrets` that are valid for their clients now.
    async fn in_force(&self, secrets: &[(ClientId, Secret)]) -> Result<Vec<(ClientId, Secret)>> {
        let mut in_force = Vec::new();
        for (id, secret) in secrets {
            let kept = clients::by_id(self.manager.store.read(), id).await?.and_then(|client| client.secret);
            if self.manager.master.verify_client_secret(kept.as_ref(), secret.expose()) {
                in_force.push((id.clone(), secret.clone()));
            }
        }
        Ok(in_force)
    }

    async fn attempt(&self) -> AttemptResult {
        // The result of the closure is lost if the commit gets no response.
        let planned: Arc<Mutex<Option<ApplyPlan>>> = Arc::default();
        let (slot, own, part) = (planned.clone(), self.manager.clone(), self.part.clone());
        let (hashes, rehearsal) = (self.hashes.clone(), self.rehearsal.clone());
        let done = self.manager.transact(self.by, RequiredRole::Administrator, move |tx, recorder| {
            Box::pin(async move {
                let mut work = ApplyTransaction { manager: own, recorder, plan: ApplyPlan::default() };
                for (part, hashes) in rehearsal.iter().flatten() {
                    work.part(tx, part, hashes).await?;
                }
                work.plan = ApplyPlan::default();
                work.part(tx, &part, &hashes).await?;
                if rehearsal.is_some() {
                    return Err(PartRollback::Rehearsed(ApplyPlan { secrets: Vec::new(), ..work.plan }));
                }
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(work.plan.clone());
                Ok(work.plan)
            })
        });
        match done.await {
            Ok(plan) | Err(PartRollback::Rehearsed(plan)) => AttemptResult::Done(plan),
            Err(PartRollback::Failed(ManageError::Store(StoreError::OutcomeUnknown))) => {
                let plan = planned.lock().unwrap_or_else(PoisonError::into_inner).take();
                AttemptResult::Unknown(plan.unwrap_or_default())
            }
            Err(PartRollback::Failed(error)) => AttemptResult::Failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::pause;
    use crate::env::Monotonic;

    /// Others can write for a fifth of the time, and a long document does not pause for minutes after one slow
    /// part.
    #[test]
    fn pause_is_a_quarter_of_the_part_and_at_most_5_s() {
        let hour = 3_600_000;
        for (took, milliseconds) in [
            (0, 10),
            (1, 10),
            (40, 10),
            (400, 100),
            (4_000, 1_000),
            (20_000, 5_000),
            (20_004, 5_000),
            (hour, 5_000),
            (-1, 10),
        ] {
            for began in [0, 7, hour] {
                let paused = pause(Monotonic(began), Monotonic(began + took));
                assert_eq!(paused, Duration::from_millis(milliseconds), "{took} ms");
            }
        }
    }
}
