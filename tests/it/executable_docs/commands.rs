//! The commands of a block, and whether what they print is what the document shows.
//!
//! A block of the language `sh` has commands alone. In one of `console` a command begins with `$ `, and what follows is what it
//! prints: all of it, or nothing where nothing is said about it. `…` stands for any text in a line, a line of `…` for any lines.

use std::process::{Command, Stdio};

use super::markdown::Block;

/// A command, and what the document shows that it prints.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// The line of the document on which it begins.
    pub line: usize,
    pub command: String,
    pub shown: Vec<String>,
}

/// Returns the commands of a block of `sh` or `console`.
pub fn steps(block: &Block) -> Result<Vec<Step>, String> {
    let (mut steps, mut unfinished) = (Vec::<Step>::new(), false);
    for (offset, line) in block.text.lines().enumerate() {
        let at = block.line + offset;
        if unfinished {
            let step = steps.last_mut().expect("one was begun");
            step.command.push('\n');
            step.command.push_str(line);
            unfinished = !is_complete(&step.command);
            continue;
        }
        let begun = if block.language == "sh" { Some(line) } else { line.strip_prefix("$ ") };
        match begun {
            Some(command) if command.trim().is_empty() || command.starts_with('#') => {}
            Some(command) => {
                steps.push(Step { line: at, command: command.to_owned(), shown: Vec::new() });
                unfinished = !is_complete(command);
            }
            None => match steps.last_mut() {
                Some(step) => step.shown.push(line.trim_end().to_owned()),
                None => return Err(format!("line {at}: a console block begins with \"$ \"")),
            },
        }
    }
    Ok(steps)
}

/// Whether the shell needs no further line.
fn is_complete(command: &str) -> bool {
    if command.ends_with('\\') {
        return false;
    }
    let parsed = Command::new("bash").args(["-n", "-c", command]).stdin(Stdio::null()).output().expect("bash runs");
    // An unfinished here-document is a warning.
    parsed.status.success() && parsed.stderr.is_empty()
}

/// Whether `printed` is what is `shown`.
pub fn is_as_shown(shown: &[String], printed: &str) -> bool {
    let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
    lines_fit(shown, &printed)
}

/// Whether the lines that are `shown` stand in `printed` in their order, among others: of a program that goes on, which logs.
pub fn has_shown(shown: &[String], printed: &str) -> bool {
    let mut lines = printed.lines().map(str::trim_end);
    shown.iter().all(|shown| lines.any(|line| line_fits(shown, line)))
}

fn lines_fit(shown: &[String], printed: &[&str]) -> bool {
    match (shown, printed) {
        ([], []) => true,
        ([first, rest @ ..], _) if first == "…" => {
            (0..=printed.len()).any(|skipped| lines_fit(rest, &printed[skipped..]))
        }
        ([first, rest @ ..], [line, others @ ..]) => line_fits(first, line) && lines_fit(rest, others),
        _ => false,
    }
}

fn line_fits(shown: &str, line: &str) -> bool {
    let Some((start, rest)) = shown.split_once('…') else { return shown == line };
    let Some(line) = line.strip_prefix(start) else { return false };
    (0..=line.len()).filter_map(|at| line.get(at..)).any(|line| line_fits(rest, line))
}
