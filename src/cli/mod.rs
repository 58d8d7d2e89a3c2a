//! The command line: its arguments, and what all commands share. There is one file for each command.
//!
//! A command prints its result on stdout. If it fails, it prints one line on stderr that says why. Warnings go
//! to stderr, too, so that they reach the user beside JSON. Secrets come from a prompt or from stdin, never
//! from an argument, because every user of the machine could read it.

mod api;
mod api_key;
mod apply;
mod client;
mod doctor;
mod export;
mod healthcheck;
mod key;
mod licenses;
mod log;
mod migrate;
mod registration;
mod request;
mod user;

use std::io::{BufRead as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::Config;
use crate::domain::printable::{escaped, escaped_json, escaped_lines, without_bom};
use crate::domain::secret::Secret;
use crate::env::Env;
use crate::identity::password::Hasher;
use crate::keys::{Keyring, MasterKey};
use crate::manage::Manager;
use crate::server;
use crate::store::Store;

/// An OpenID Connect provider with browser login, in one binary.
#[derive(Debug, Parser)]
#[command(name = "signet", version, about)]
pub struct Cli {
    /// The settings file; without it `signet.toml` in the working directory, if there is one.
    #[arg(long, env = "SIGNET_CONFIG", global = true, value_name = "FILE", value_parser = settings_file())]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the provider (the default).
    Serve,
    /// Create and update users, groups, clients and APIs to match a file.
    Apply(apply::ApplyArgs),
    /// Print the current state in the format that `apply` reads; secrets only as hashes.
    Export,
    /// Create, list and change users.
    #[command(subcommand)]
    User(user::Command),
    /// Create, list and change clients.
    #[command(subcommand)]
    Client(client::Command),
    /// Create, show and change APIs and the rules of their gates.
    #[command(subcommand)]
    Api(api::Command),
    /// Create, list and revoke API keys for programs at the gate.
    #[command(subcommand)]
    ApiKey(api_key::Command),
    /// List and replace signing keys.
    #[command(subcommand)]
    Key(key::Command),
    /// Sign a request with HTTP Message Signatures (RFC 9421) and send it; needs no server or database.
    Request(request::RequestArgs),
    /// Apply pending migrations and exit.
    Migrate,
    /// Check the configuration, report problems and say how to fix them.
    Doctor,
    /// Ask a running server on this machine whether it is ready.
    Healthcheck,
    /// Print the licences of the libraries that the program contains.
    Licenses,
}

/// Accepts any path, including an empty one: an environment variable without a value counts as not set.
fn settings_file() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Runs the command.
///
/// # Errors
/// Returns one line for the user: what failed, and what to do.
pub async fn run(cli: Cli) -> Result<(), String> {
    let file = cli.config.as_deref().filter(|file| !file.as_os_str().is_empty());
    match cli.command {
        // It reports an unreadable configuration itself.
        Some(Command::Doctor) => return doctor::run(file).await,
        Some(Command::Licenses) => {
            licenses::run();
            return Ok(());
        }
        _ => {}
    }
    let config = Config::load(file).map_err(error_line)?;
    let command = cli.command.unwrap_or(Command::Serve);
    log::start(&config, matches!(command, Command::Serve))?;
    match command {
        Command::Serve => server::run(config).await,
        Command::Migrate => migrate::run(&config).await,
        Command::Healthcheck => healthcheck::run(&config).await,
        Command::Doctor | Command::Licenses => Ok(()),
        Command::Request(args) => request::run(&config, args).await,
        Command::Apply(args) => {
            let manager = manager(&config).await?;
            finish(&manager, apply::run(&manager, args).await).await
        }
        Command::Export => {
            let manager = manager(&config).await?;
            finish(&manager, export::run(&manager).await).await
        }
        Command::User(command) => {
            let manager = manager(&config).await?;
            finish(&manager, user::run(&manager, command).await).await
        }
        Command::Client(command) => {
            let manager = manager(&config).await?;
            finish(&manager, client::run(&manager, command).await).await
        }
        Command::Api(command) => {
            let manager = manager(&config).await?;
            finish(&manager, api::run(&manager, command).await).await
        }
        Command::ApiKey(command) => {
            let manager = manager(&config).await?;
            finish(&manager, api_key::run(&manager, command).await).await
        }
        Command::Key(command) => {
            let manager = manager(&config).await?;
            finish(&manager, key::run(&manager, command).await).await
        }
    }
}

async fn manager(config: &Config) -> Result<Manager, String> {
    let env = Env::system();
    let store = Store::open_without_migrating(config, env).await.map_err(error_line)?;
    let master = MasterKey::open(config, &store).await.map_err(error_line)?;
    // The server could not read what is sealed with another master key than the rest.
    Keyring::open(&store, master.clone()).await.map_err(error_line)?;
    let hasher = Hasher::new(1);
    Ok(Manager { store, master, hasher })
}

async fn finish(manager: &Manager, done: Result<(), String>) -> Result<(), String> {
    manager.store.close().await;
    done
}

/// Returns an error as one line for stderr.
fn error_line(error: impl std::fmt::Display) -> String {
    escaped(&error.to_string().replace('\n', " ")).into_owned()
}

/// Parses a value by its name in documents.
fn member<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(error_line)
}

/// Prints a line of a command's result. If stdout cannot be written (`| head`, a full disk), the command has
/// failed and exits.
#[expect(clippy::print_stderr, reason = "what went wrong is said where `main` says it")]
fn print(text: &str) {
    // Names, addresses and similar values are untrusted.
    if let Err(error) = writeln!(std::io::stdout(), "{}", escaped_lines(text)) {
        eprintln!("signet: the output cannot be written: {error}");
        std::process::exit(1);
    }
}

/// Prints a line on stderr, beside the result of a successful command. An error in writing it does not fail the
/// command.
fn note(line: &str) {
    writeln!(std::io::stderr(), "{}", escaped_lines(line)).ok();
}

fn print_json<T: Serialize>(value: &T) -> Result<(), String> {
    print(&escaped_json(&serde_json::to_string_pretty(value).map_err(error_line)?));
    Ok(())
}

/// Prints rows under a heading. Each column is as wide as its widest value.
fn print_table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| escaped(cell).into_owned())).collect();
    let mut widths = heading.map(|title| title.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let cells: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        print(cells.join("  ").trim_end());
    };
    line(heading.to_vec());
    for row in &rows {
        line(row.iter().map(String::as_str).collect());
    }
}

/// Reads a text file, or stdin for `-`, without the byte order mark that some editors write.
fn read_text(file: &Path) -> Result<String, String> {
    let read = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = read.map_err(|error| format!("{}: {error}", shown(file)))?;
    Ok(without_bom(&text).to_owned())
}

/// Returns the name of a file for messages.
fn shown(file: &Path) -> String {
    if file.as_os_str() == "-" { "stdin".to_owned() } else { file.display().to_string() }
}

/// Reads a new secret: the first line of stdin, or typed twice at a prompt. `flag` is the option that selects
/// stdin.
fn read_secret(what: &str, from_stdin: bool, flag: &str) -> Result<Secret, String> {
    if from_stdin {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(|error| format!("stdin: {error}"))?;
        let end = line.trim_end_matches(['\n', '\r']).len();
        line.truncate(end);
        return if line.is_empty() { Err(format!("stdin has no {what}")) } else { Ok(Secret::new(line)) };
    }
    let prompt = |text: String| {
        rpassword::prompt_password(text)
            .map(Secret::new)
            .map_err(|error| format!("there is no terminal to ask for the {what} ({error}): use {flag}"))
    };
    let first = prompt(format!("New {what}: "))?;
    let second = prompt("The same again: ".to_owned())?;
    if first.expose() == second.expose() { Ok(first) } else { Err("the two are not the same".to_owned()) }
}
