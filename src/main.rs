//! The program: parse arguments, run one command, exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use signet::config::{Config, LogFormat};
use signet::{server, store};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An OpenID Connect provider with browser login, in one binary.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// The settings file; without it `signet.toml` in the working directory, where there is one.
    #[arg(long, env = "SIGNET_CONFIG", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the provider (the default).
    Serve,
    /// Apply pending migrations and stop.
    Migrate,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => failed(&message),
    }
}

async fn run(cli: Cli) -> Result<(), String> {
    let config = Config::load(cli.config.as_deref()).map_err(|error| error.to_string())?;
    start_log(&config)?;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => server::run(config).await,
        Command::Migrate => store::migrate(&config).await.map_err(|error| error.to_string()),
    }
}

fn start_log(config: &Config) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.log.level).map_err(|error| format!("log.level: {error}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a command that fails says so in one line")]
fn failed(message: &str) -> ExitCode {
    eprintln!("signet: {message}");
    ExitCode::FAILURE
}
