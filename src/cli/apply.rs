//! `signet apply FILE`: reads a document and makes the database match it.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, json};
use tokio::signal::unix::{SignalKind, signal};

use super::{error_line, read_text, shown};
use crate::domain::ids::ClientId;
use crate::domain::printable::{escaped_json, escaped_lines};
use crate::domain::secret::Secret;
use crate::manage::apply::{Action, ApplyControl, ApplyEnd, ApplyOptions, ApplyPlan, ApplyProgress, apply_parts};
use crate::manage::document::{Document, DocumentFormat};
use crate::manage::document_position::line_of;
use crate::manage::{AuditContext, ManageError, Manager};
use crate::store::StoreError;

#[derive(Debug, clap::Args)]
pub(super) struct ApplyArgs {
    /// A .toml or .json file; - reads JSON from stdin.
    file: PathBuf,
    /// Print what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Delete what the file does not name (never the last administrator).
    #[arg(long)]
    prune: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(manager: &Manager, args: ApplyArgs) -> Result<(), String> {
    let format = format(&args.file)?;
    let text = read_text(&args.file)?;
    let document =
        Document::parse(&text, format).map_err(|why| format!("{}: {why}; nothing was changed", shown(&args.file)))?;
    let options = ApplyOptions { prune: args.prune, dry_run: args.dry_run };
    let mut output = ApplyOutput::new(&args, interrupted().map_err(error_line)?);
    let done = apply_parts(manager, &AuditContext::command_line(), document, options, &mut |progress| {
        output.on_progress(progress)
    })
    .await;
    output.bar.clear();
    let refused = match done {
        Ok(ApplyEnd::Complete) => None,
        Ok(ApplyEnd::Stopped) => {
            let rows = output.rows;
            Some(format!(
                "{}: stopped after {rows} rows, which were applied: run it again, and it goes on from there",
                shown(&args.file)
            ))
        }
        Err(error) => {
            let outcome = output.applied_hint(&error);
            Some(format!("{}: {}{outcome}", shown(&args.file), error_with_lines(error, &text, format)))
        }
    };
    output.finish(refused.is_none())?;
    refused.map_or(Ok(()), Err)
}

/// Returns a flag that SIGINT, SIGTERM and SIGHUP set. The part that is being applied completes before the
/// command stops.
fn interrupted() -> std::io::Result<Arc<AtomicBool>> {
    let is_set = Arc::new(AtomicBool::new(false));
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let (mut signal, is_set) = (signal(kind)?, is_set.clone());
        tokio::spawn(async move {
            signal.recv().await;
            is_set.store(true, Ordering::Release);
        });
    }
    Ok(is_set)
}

/// Prints each part as soon as it is durable, so that no later error loses a generated secret. JSON output is
/// one value that begins with the secrets. If stdout cannot be written any more, the secrets go to stderr.
struct ApplyOutput {
    json: bool,
    dry_run: bool,
    interrupted: Arc<AtomicBool>,
    bar: ProgressBar,
    /// All changes, for JSON and for the summary.
    all: ApplyPlan,
    rows: usize,
    /// The number of secrets that the JSON output has so far.
    secrets: usize,
    write_error: Option<std::io::Error>,
}

impl ApplyOutput {
    fn new(args: &ApplyArgs, interrupted: Arc<AtomicBool>) -> Self {
        let (json, dry_run) = (args.json, args.dry_run);
        let (bar, all) = (ProgressBar::default(), ApplyPlan::default());
        Self { json, dry_run, interrupted, bar, all, rows: 0, secrets: 0, write_error: None }
    }

    fn on_progress(&mut self, progress: ApplyProgress) -> ApplyControl {
        self.bar.clear();
        match progress {
            ApplyProgress::Done { plan, rows, of } => {
                self.rows = rows;
                self.print_secrets(&plan.secrets, "shown only now");
                if !self.json {
                    self.print_plan(&plan);
                }
                self.all.changes.extend(plan.changes);
                self.all.warnings.extend(plan.warnings);
                self.bar.show(rows, of);
            }
            ApplyProgress::Unknown { plan } => self.print_secrets(&plan.secrets, "if it was created"),
        }
        if self.write_error.is_some() || self.interrupted.load(Ordering::Acquire) {
            ApplyControl::Stop
        } else {
            ApplyControl::GoOn
        }
    }

    fn print_secrets(&mut self, secrets: &[(ClientId, Secret)], note: &str) {
        for (id, secret) in secrets {
            let text = if self.json {
                let before = if self.secrets == 0 { "{\n  \"secrets\": [\n    " } else { "    ," };
                self.secrets += 1;
                format!("{before}{}", json!({ "client_id": id, "client_secret": secret.expose() }))
            } else {
                format!("client_secret of {id}, {note}: {}", secret.expose())
            };
            self.print(&text);
            if self.write_error.is_some() {
                print_secret_to_stderr(&format!("client_secret of {id}, {note}: {}", secret.expose()));
            }
        }
    }

    fn print_plan(&mut self, plan: &ApplyPlan) {
        for change in &plan.changes {
            let action = match change.action {
                Action::Create => "create",
                Action::Update => "update",
                Action::Delete => "delete",
            };
            let fields =
                if change.fields.is_empty() { String::new() } else { format!(": {}", change.fields.join(", ")) };
            self.print(&format!("{action} {} {}{fields}", change.kind, change.name));
            if let Some(removed) = &change.removed {
                self.print(&format!("adopted {}, removed: {removed}", change.name));
            }
        }
        for warning in &plan.warnings {
            self.print(&format!("warning: {warning}"));
        }
    }

    /// Names, addresses and similar values are untrusted.
    fn print(&mut self, text: &str) {
        if self.write_error.is_none() {
            let text = if self.json { escaped_json(text) } else { escaped_lines(text) };
            self.write_error = writeln!(std::io::stdout(), "{text}").err();
        }
    }

    /// Returns what is printed in addition to the error.
    fn applied_hint(&self, error: &ManageError) -> String {
        let rows = self.rows;
        match error {
            ManageError::Store(StoreError::OutcomeUnknown) => {
                format!(
                    "; {rows} rows were applied, and the next ones perhaps: run it again, and it goes on from there"
                )
            }
            _ if rows == 0 || self.dry_run => "; nothing was changed".to_owned(),
            _ => {
                format!("; {rows} rows before it were applied: correct it and run it again, and it goes on from there")
            }
        }
    }

    fn finish(&mut self, complete: bool) -> Result<(), String> {
        if self.json {
            self.finish_json(complete)?;
        } else if complete {
            self.print(&match (self.all.changes.len(), self.dry_run) {
                (0, _) => "nothing to change".to_owned(),
                (1, true) => "would make 1 change; this was a dry run".to_owned(),
                (1, false) => "made 1 change".to_owned(),
                (count, true) => format!("would make {count} changes; this was a dry run"),
                (count, false) => format!("made {count} changes"),
            });
        }
        let broken = self.write_error.take().map(|error| {
            format!("the output cannot be written: {error}; {} rows were applied: run it again", self.rows)
        });
        broken.map_or(Ok(()), Err)
    }

    fn finish_json(&mut self, complete: bool) -> Result<(), String> {
        if !complete && self.all.changes.is_empty() && self.secrets == 0 {
            return Ok(());
        }
        let mut rest = Map::new();
        rest.insert("changes".to_owned(), json!(self.all.changes));
        if !self.all.warnings.is_empty() {
            rest.insert("warnings".to_owned(), json!(self.all.warnings));
        }
        if self.secrets == 0 {
            rest.insert("secrets".to_owned(), json!([]));
        }
        let rest = serde_json::to_string_pretty(&rest).map_err(error_line)?;
        self.print(&match rest.strip_prefix('{') {
            Some(members) if self.secrets > 0 => format!("  ],{members}"),
            _ => rest,
        });
        Ok(())
    }
}

#[expect(clippy::print_stderr, reason = "stdout takes nothing any more")]
fn print_secret_to_stderr(text: &str) {
    eprintln!("{}", escaped_lines(text));
}

/// A progress bar, shown only on a terminal.
#[derive(Default)]
struct ProgressBar {
    shown: bool,
}

const BAR_WIDTH: usize = 40;

#[expect(clippy::print_stderr, reason = "the result is on stdout")]
impl ProgressBar {
    fn show(&mut self, rows: usize, of: usize) {
        if rows >= of || !std::io::stderr().is_terminal() {
            return;
        }
        let filled = rows * BAR_WIDTH / of.max(1);
        let (done, left) = ("#".repeat(filled), " ".repeat(BAR_WIDTH - filled));
        eprint!("\r[{done}{left}] {rows} of {of} rows");
        self.shown = true;
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            eprint!("\r\x1b[K");
        }
    }
}

/// Returns an error with the line of each field that it names.
fn error_with_lines(error: ManageError, text: &str, format: DocumentFormat) -> String {
    let line = |field: &str| line_of(text, format, field).map(|line| format!(" at line {line}")).unwrap_or_default();
    match error {
        ManageError::Invalid(problems) | ManageError::Taken(problems) => {
            let all: Vec<String> = problems
                .iter()
                .map(|problem| format!("{}: {}{}", problem.field, problem.message, line(&problem.field)))
                .collect();
            all.join("; ")
        }
        ManageError::NeedsAdoption { username, row } => {
            let field = format!("users[{}].adopt", row.unwrap_or_default());
            let at = line(&field);
            format!(
                "{field}: {username} was created by signing up. It gets no rights, no groups, no password and no verified \
                 address by a document{at}; set \"adopt\": true to take the account over, which removes its passkeys, \
                 password, API keys, sessions and grants"
            )
        }
        error => error_line(error),
    }
}

/// Returns the format of a file. Stdin is JSON.
fn format(file: &Path) -> Result<DocumentFormat, String> {
    match file.extension().and_then(|extension| extension.to_str()) {
        _ if file.as_os_str() == "-" => Ok(DocumentFormat::Json),
        Some("toml") => Ok(DocumentFormat::Toml),
        Some("json") => Ok(DocumentFormat::Json),
        _ => Err(format!("{}: the name must end in .toml or .json", shown(file))),
    }
}
