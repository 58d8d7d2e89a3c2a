//! Runs the service: listen, serve, background work, graceful shutdown.
//!
//! [`listen`] accepts connections. `admission`, `connection`, `deadline_stream`, `activity`, `service`,
//! `streams` and `file_limit` limit and serve each of them, and `drain` ends them. [`background`] does periodic
//! work, [`deliveries`] sends queued requests, and `tls` reloads the certificate when it changes.

mod activity;
mod admission;
pub mod background;
mod connection;
mod deadline_stream;
pub mod deliveries;
mod drain;
mod file_limit;
pub mod listen;
mod service;
mod streams;
mod tls;

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::AppState;
use crate::config::{Config, ListenAddress};
use crate::env::Env;
use crate::store::NodeCache;
use crate::web::pages::setup;

use background::Maintenance;
use tls::Certificate;

/// The time between two attempts to read the signing keys.
const RELOAD_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Serves until the process receives a stop signal.
pub async fn run(config: Config) -> Result<(), String> {
    // Registered before the server is announced, so that no stop signal is missed.
    let stop = StopSignals::listen()?;
    file_limit::raise_limit();
    // Errors in the settings are found before the database is accessed.
    let certificate = match (&config.tls.cert_file, &config.tls.key_file) {
        (Some(cert), Some(key)) => Some(Certificate::load(cert, key).await?),
        _ => None,
    };
    let listener = bind(&config.listen)?;
    let app = AppState::open(config, Env::system()).await?;
    let mut background = vec![
        tokio::spawn(NodeCache::follow(app.store().clone())),
        tokio::spawn(follow_keys(app.clone())),
        tokio::spawn(Maintenance::run(app.clone())),
        tokio::spawn(background::record(app.clone())),
        tokio::spawn(deliveries::run(app.clone())),
    ];
    let mut line = format!("Signet is at {}", app.config.issuer.as_str());
    if let Some(link) = setup::link(&app).await.map_err(error_text)? {
        line = format!("{line}. Make the first administrator: {}", link.expose());
    }
    announce(&line);
    let tls = certificate.map(|certificate| {
        let config = certificate.config();
        background.push(tokio::spawn(certificate.follow()));
        config
    });
    let served = listen::serve(listener, tls, &app, stop.wait()).await;
    for task in background {
        task.abort();
    }
    background::flush_buffers(&app).await;
    app.store().close().await;
    served.map_err(error_text)
}

/// Listens on the first address that this machine has. If that address is in use, the next one is not tried,
/// because nobody would expect the server there.
fn bind(listen: &ListenAddress) -> Result<TcpListener, String> {
    let failed = |error| format!("cannot listen on {listen}: {error}; set SIGNET_LISTEN to a free address");
    let mut first = None;
    for address in listen.addresses().map_err(failed)? {
        match TcpListener::bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(failed(error)),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(failed(first.unwrap_or_else(|| ErrorKind::AddrNotAvailable.into())))
}

fn error_text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Prints one line for the operator. It is not a log line, because it may contain the setup link.
#[expect(clippy::print_stdout, reason = "the first start tells its address and the set-up link on the terminal")]
fn announce(line: &str) {
    println!("{line}");
}

/// The signals that stop the service: SIGTERM, and SIGINT from a terminal.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(error_text);
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Reloads the signing keys whenever this node or another one has changed them, and retries every second after
/// an error: with the old keys, this node would sign with a key that has been retired.
pub async fn follow_keys(app: AppState) {
    let mut changed = app.store().authority().keys_changed();
    while changed.changed().await.is_ok() {
        let mut has_failed = false;
        while let Err(error) = app.provider.keys.reload(app.store()).await {
            // Logged once, not every second.
            if !std::mem::replace(&mut has_failed, true) {
                tracing::error!(%error, "the signing keys cannot be read again");
            }
            tokio::time::sleep(RELOAD_RETRY_INTERVAL).await;
        }
        if has_failed {
            tracing::info!("the signing keys have been read again");
        }
    }
}
