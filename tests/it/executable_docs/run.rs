//! Reads a document from its top and does what it says.

use std::fs;
use std::path::Path;

use super::commands::steps;
use super::markdown::{Block, blocks};
use super::reader::{Installed, Reader, aside};

/// Does what `document` says, in an empty directory; what went wrong, with document, line and command.
pub fn follow(name: &str, document: &str, installed: &Installed) -> Vec<String> {
    let mut reader = Reader::new(installed);
    let mut wrong = Vec::new();
    for block in blocks(document) {
        let failed = match block.language.as_str() {
            _ if block.not_run.is_some() => None,
            "sh" | "console" => do_steps(&mut reader, &block).err(),
            _ => check(&mut reader, &block, installed).err().map(|error| (block.line, error)),
        };
        if let Some((line, error)) = failed {
            wrong.push(format!("{name}:{line}: {error}"));
        }
        if reader.is_stuck() {
            break;
        }
    }
    wrong
}

fn do_steps(reader: &mut Reader, block: &Block) -> Result<(), (usize, String)> {
    let steps = steps(block).map_err(|error| (block.line, error))?;
    for (index, step) in steps.iter().enumerate() {
        let goes_on = block.is_left_running() && index + 1 == steps.len();
        let done = if goes_on { reader.leave_running(step) } else { reader.run(step) };
        done.map_err(|error| (step.line, format!("{}\n{error}", step.command)))?;
    }
    Ok(())
}

/// A block that is no command: a file to write, a document for `apply`, settings, or source code.
fn check(reader: &mut Reader, block: &Block, installed: &Installed) -> Result<(), String> {
    if let Some(file) = block.file() {
        return reader.write(file, &block.text);
    }
    match block.language.as_str() {
        "json" => aside(&installed.signet, &["apply", "--dry-run", "-"], &reader.here(), &whole(&block.text)),
        "toml" => {
            let folder = tempfile::tempdir().expect("a temporary directory");
            fs::write(folder.path().join("signet.toml"), &block.text).expect("a file");
            aside(&installed.signet, &["client", "list"], folder.path(), "")
        }
        "python" if !stands_in_source(&installed.source, block) => {
            aside(&installed.python, &["-"], &reader.here(), &block.text)
        }
        "rust" | "python" | "javascript" if stands_in_source(&installed.source, block) => Ok(()),
        "rust" | "javascript" => Err("stands in no file of examples/ or guard/, which tests run".to_owned()),
        // Other tests run these: `every_proxy_configuration_is_run`.
        "nginx" | "caddyfile" | "yaml" | "text" => Ok(()),
        other => Err(format!("a block of {other:?}: commands are `sh` or `console`")),
    }
}

/// A document for `apply`, of one client or API where only that is shown.
fn whole(text: &str) -> String {
    let shown: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let plural = ["client_id", "identifier"].into_iter().zip(["clients", "apis"]);
    let one = plural.into_iter().find(|(member, _)| shown.get(member).is_some());
    one.map_or_else(|| text.to_owned(), |(_, plural)| format!("{{\"{plural}\": [{text}]}}"))
}

fn stands_in_source(source: &Path, block: &Block) -> bool {
    let mut folders = vec![source.join("examples"), source.join("guard")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if fs::read_to_string(&entry).is_ok_and(|text| unmargined(&text).contains(&unmargined(&block.text)))
            {
                return true;
            }
        }
    }
    false
}

/// Without what documentation comments put before a line.
fn unmargined(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches("//!").trim());
    lines.collect::<Vec<_>>().join("\n")
}
