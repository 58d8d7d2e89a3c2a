//! Running the service: listen, serve, work in the background, stop gracefully.

use std::net::SocketAddr;
use std::time::Duration;

use axum_server::Handle;

use crate::app::App;
use crate::config::Config;
use crate::domain::event::{Actor, Event, EventKind, Origin};
use crate::domain::ids::EventId;
use crate::env::Env;
use crate::keys::rotation;
use crate::store::{Authority, sweep};
use crate::web::{pages::setup, router};

const STOP: Duration = Duration::from_secs(10);
const UPKEEP: Duration = Duration::from_mins(5);

/// Serves until the process is asked to stop.
pub async fn run(config: Config) -> Result<(), String> {
    let app = App::open(config, Env::system()).await?;
    let handle = Handle::new();
    let listener = std::net::TcpListener::bind(app.config.listen).map_err(|error| {
        format!("cannot listen on {}: {error}; set SIGNET_LISTEN to a free address", app.config.listen)
    })?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let background = [
        tokio::spawn(Authority::follow(app.store().clone())),
        tokio::spawn(follow_keys(app.clone())),
        tokio::spawn(upkeep(app.clone())),
    ];
    let mut line = format!("Signet is at {}", app.config.issuer.as_str());
    if let Some(link) = setup::link(&app).await.map_err(|error| error.to_string())? {
        line = format!("{line}. Make the first administrator: {}", link.expose());
    }
    announce(&line);
    tokio::spawn(stop_when_asked(handle.clone()));
    let service = router::router(&app).into_make_service_with_connect_info::<SocketAddr>();
    let tls = &app.config.tls;
    let served = if let (Some(cert), Some(key)) = (&tls.cert_file, &tls.key_file) {
        let tls = axum_server::tls_rustls::RustlsConfig::from_pem_file(cert, key)
            .await
            .map_err(|error| format!("the certificate {} or its key cannot be used: {error}", cert.display()))?;
        let server = axum_server::from_tcp_rustls(listener, tls).map_err(|error| error.to_string())?;
        server.handle(handle).serve(service).await
    } else {
        let server = axum_server::from_tcp(listener).map_err(|error| error.to_string())?;
        server.handle(handle).serve(service).await
    };
    for task in background {
        task.abort();
    }
    app.store().close().await;
    served.map_err(|error| error.to_string())
}

/// The one line for whoever started it: not a log line, since it may hold the set-up link.
#[expect(clippy::print_stdout, reason = "the first start tells its address and the set-up link on the terminal")]
fn announce(line: &str) {
    println!("{line}");
}

async fn stop_when_asked(handle: Handle<SocketAddr>) {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => drop(interrupt.await),
    }
    tracing::info!("stopping: requests in flight have ten seconds");
    handle.graceful_shutdown(Some(STOP));
}

async fn follow_keys(app: App) {
    let mut changed = app.store().authority().keys_changed();
    while changed.changed().await.is_ok() {
        if let Err(error) = app.provider.keys.reload(app.store()).await {
            tracing::error!(%error, "the signing keys cannot be read again");
        }
    }
}

/// Sweeps what has expired and rotates keys that are due.
async fn upkeep(app: App) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        app.store().authority().forget(app.env().now());
        loop {
            match sweep::once(app.store(), app.config.lifetimes.events).await {
                Ok(0) => break,
                Ok(rows) => tracing::debug!(rows, "swept"),
                Err(error) => {
                    tracing::warn!(%error, "sweeping");
                    break;
                }
            }
        }
        rotate_due(&app).await;
    }
}

async fn rotate_due(app: &App) {
    let (ring, now) = (app.provider.keys.current(), app.env().now());
    for alg in rotation::due(&ring.keys, &app.config.lifetimes, now) {
        let event = Event {
            id: EventId(app.env().uuid()),
            at: now,
            kind: EventKind::KeyRotated,
            actor: Actor::System,
            user: None,
            client: None,
            origin: Origin::default(),
            detail: alg.as_str().to_owned(),
        };
        if let Err(error) = rotation::rotate(app.store(), &app.provider.master, alg, event).await {
            tracing::error!(%error, "a signing key cannot be replaced");
        }
    }
    if let Err(error) = rotation::forget(app.store(), &ring.keys, now).await {
        tracing::error!(%error, "an old signing key cannot be removed");
    }
}
