//! Serving https: the certificate and its key from PEM files, read again when one of them changes (a renewal must not
//! need a restart) or on SIGHUP. New files that cannot be used leave the old certificate in place.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use axum_server::tls_rustls::RustlsConfig;
use rustls::crypto::aws_lc_rs;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Two `stat` calls each time; a renewal is noticed within it.
const LOOK: Duration = Duration::from_secs(2);

/// What tells that a file is another one: renewals write a new file or follow a symbolic link to one.
type Stamp = Option<(SystemTime, u64)>;

/// The certificate in use.
pub(super) struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    config: RustlsConfig,
    seen: [Stamp; 2],
    /// Whether the files as they were last looked at could be used.
    usable: bool,
}

impl Certificate {
    pub(super) async fn load(cert: &Path, key: &Path) -> Result<Self, String> {
        // Fails only where it has been called before, and then with the same.
        aws_lc_rs::default_provider().install_default().ok();
        let seen = stamps(cert, key).await;
        let config = RustlsConfig::from_pem_file(cert, key).await.map_err(|error| {
            format!("the certificate {} and the key {} cannot be used: {error}", cert.display(), key.display())
        })?;
        Ok(Self { cert: cert.to_owned(), key: key.to_owned(), config, seen, usable: true })
    }

    /// What the listener asks at each connection.
    pub(super) fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Follows the files until the task is ended.
    pub(super) async fn follow(mut self) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(LOOK) => false,
                () = received(&mut hangup) => true,
            };
            self.look(asked).await;
        }
    }

    async fn look(&mut self, asked: bool) {
        let seen = stamps(&self.cert, &self.key).await;
        let changed = seen != self.seen;
        // Files that could not be used are tried again: one of the two may have been written a moment before the other.
        if !changed && !asked && self.usable {
            return;
        }
        self.seen = seen;
        let done = self.config.reload_from_pem_file(&self.cert, &self.key).await;
        match &done {
            Ok(()) => tracing::info!(cert_file = %self.cert.display(), "the certificate has been read again"),
            // Said once, not at each look.
            Err(error) if changed || asked => tracing::error!(
                %error,
                cert_file = %self.cert.display(),
                key_file = %self.key.display(),
                "the changed certificate or its key cannot be used: the old one stays"
            ),
            Err(_) => {}
        }
        self.usable = done.is_ok();
    }
}

/// Never, where the system takes no handler for it.
async fn received(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => std::future::pending().await,
    }
}

async fn stamps(cert: &Path, key: &Path) -> [Stamp; 2] {
    let stamp = |path: PathBuf| async move {
        let found = tokio::fs::metadata(path).await.ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    [stamp(cert.to_owned()).await, stamp(key.to_owned()).await]
}
