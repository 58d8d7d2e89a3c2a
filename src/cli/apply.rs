//! `signet apply FILE`: reads a document and makes everything be as it says.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{print, print_json, said};
use crate::manage::apply::{Action, Options, Plan, apply};
use crate::manage::document::{Document, Format};
use crate::manage::place::line_of;
use crate::manage::{By, ManageError, Manager};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
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

pub(super) async fn run(manager: &Manager, args: Args) -> Result<(), String> {
    let (text, format) = read(&args.file)?;
    let refused = |why: String| format!("{}: {why}; nothing was changed", shown(&args.file));
    let document = Document::parse(&text, format).map_err(refused)?;
    let options = Options { prune: args.prune, dry_run: args.dry_run };
    let plan = apply(manager, &By::command_line(), document, options)
        .await
        .map_err(|error| refused(with_lines(error, &text, format)))?;
    if args.json {
        return print_plan_json(&plan);
    }
    print_plan(&plan, args.dry_run);
    Ok(())
}

/// What was refused, with the line of each member that is named.
fn with_lines(error: ManageError, text: &str, format: Format) -> String {
    let line = |field: &str| line_of(text, format, field).map(|line| format!(" at line {line}")).unwrap_or_default();
    match error {
        ManageError::Invalid(problems) => {
            let all: Vec<String> = problems
                .iter()
                .map(|problem| format!("{}: {}{}", problem.field, problem.message, line(&problem.field)))
                .collect();
            all.join("; ")
        }
        ManageError::Conflict(problem) => match problem.split_once(": ") {
            Some((field, _)) if field.contains('[') => format!("{problem}{}", line(field)),
            _ => problem,
        },
        ManageError::NeedsAdoption { username, row } => {
            let field = format!("users[{}].adopt", row.unwrap_or_default());
            let at = line(&field);
            format!(
                "{field}: {username} was created by signing up. It gets no rights, no groups, no password and no verified \
                 address by a document{at}; set \"adopt\": true to take the account over, which removes its passkeys, \
                 password, API keys, sessions and grants"
            )
        }
        error => said(error),
    }
}

fn read(file: &Path) -> Result<(String, Format), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", shown(file));
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        Ok((text, Format::Json))
    } else {
        let format = match file.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Format::Toml,
            Some("json") => Format::Json,
            _ => return Err(format!("{}: the name must end in .toml or .json", shown(file))),
        };
        Ok((std::fs::read_to_string(file).map_err(failed)?, format))
    }
}

fn shown(file: &Path) -> String {
    if file.as_os_str() == "-" { "stdin".to_owned() } else { file.display().to_string() }
}

fn print_plan_json(plan: &Plan) -> Result<(), String> {
    let secrets: Vec<_> =
        plan.secrets.iter().map(|(id, secret)| json!({ "client_id": id, "client_secret": secret.expose() })).collect();
    print_json(&json!({ "changes": plan.changes, "secrets": secrets }))
}

fn print_plan(plan: &Plan, dry_run: bool) {
    for change in &plan.changes {
        let action = match change.action {
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        };
        let fields = if change.fields.is_empty() { String::new() } else { format!(": {}", change.fields.join(", ")) };
        print(&format!("{action} {} {}{fields}", change.kind, change.name));
        if let Some(removed) = &change.removed {
            print(&format!("adopted {}, removed: {removed}", change.name));
        }
    }
    for (id, secret) in &plan.secrets {
        print(&format!("client_secret of {id}, shown only now: {}", secret.expose()));
    }
    match (plan.changes.len(), dry_run) {
        (0, _) => print("nothing to change"),
        (count, true) => print(&format!("would make {count} changes; this was a dry run")),
        (count, false) => print(&format!("made {count} changes")),
    }
}
