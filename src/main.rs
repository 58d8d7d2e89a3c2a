//! The program: parse arguments, run one command (`cli`), exit code: 0 done, 1 refused or failed, 2 wrong usage.

use std::process::ExitCode;

use clap::Parser as _;
use signet::cli::{self, Cli};
use signet::domain::printable::escaped;

fn main() -> ExitCode {
    let cli = Cli::parse();
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

#[expect(clippy::print_stderr, reason = "a command that fails says so in one line")]
fn failed(message: &str) -> ExitCode {
    eprintln!("signet: {}", escaped(message));
    ExitCode::FAILURE
}
