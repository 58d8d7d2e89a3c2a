//! The program: parse arguments, run one command (`cli`), exit code: 0 done, 1 refused or failed, 2 wrong usage.

use std::process::ExitCode;

use clap::Parser as _;
use signet::cli::{self, Cli};
use signet::domain::printable::{escaped, escaped_lines};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage_error(&error),
    };
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(cli::run(cli)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => failed(&message),
    }
}

/// What was typed stands in the message.
#[expect(clippy::print_stderr, reason = "help is no error, and printed by clap; everything else is said here")]
fn usage_error(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        error.exit();
    }
    eprint!("{}", escaped_lines(&error.to_string()));
    ExitCode::from(2)
}

#[expect(clippy::print_stderr, reason = "a command that fails says so in one line")]
fn failed(message: &str) -> ExitCode {
    eprintln!("signet: {}", escaped(message));
    ExitCode::FAILURE
}
