//! TLS: the certificate and its key from PEM files. They are read again when one of the files changes, because
//! a renewal must not need a restart, and on SIGHUP. If the new files are unusable, the old certificate remains
//! in use.
//!
//! The server supports TLS 1.3, and TLS 1.2 with only the cipher suites that RFC 9325 §4.2 recommends, as
//! required by the conformance profiles (FAPI 1.0 Advanced §8.5).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CipherSuite, ServerConfig, SupportedCipherSuite};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::error_text;

/// The cipher suites for TLS 1.2 (RFC 9325 §4.2).
const SUITES_1_2: [CipherSuite; 4] = [
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
];

/// The time between two checks of the files. Each check costs two `stat` calls.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Identifies the version of a file: a renewal writes a new file, or changes the target of a symbolic link.
type FileStamp = Option<(SystemTime, u64)>;

/// The certificate in use.
pub(super) struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    config: watch::Sender<Arc<ServerConfig>>,
    seen: [FileStamp; 2],
    /// Whether the files were usable at the last check.
    usable: bool,
}

impl Certificate {
    pub(super) async fn load(cert: &Path, key: &Path) -> Result<Self, String> {
        let seen = file_stamps(cert, key).await;
        let config = read(cert, key).await.map_err(|error| {
            format!("the certificate {} and the key {} cannot be used: {error}", cert.display(), key.display())
        })?;
        Ok(Self { cert: cert.to_owned(), key: key.to_owned(), config: watch::Sender::new(config), seen, usable: true })
    }

    /// Returns the receiver from which the listener takes the configuration of each connection.
    pub(super) fn config(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.config.subscribe()
    }

    /// Follows the files until the task is aborted.
    pub(super) async fn follow(mut self) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(CHECK_INTERVAL) => false,
                () = received(&mut hangup) => true,
            };
            self.look(asked).await;
        }
    }

    async fn look(&mut self, asked: bool) {
        let seen = file_stamps(&self.cert, &self.key).await;
        let changed = seen != self.seen;
        // Unusable files are tried again: one of the two may have been written a moment before the other.
        if !changed && !asked && self.usable {
            return;
        }
        self.seen = seen;
        let read = read(&self.cert, &self.key).await;
        self.usable = read.is_ok();
        match read {
            Ok(config) => {
                self.config.send_replace(config);
                tracing::info!(cert_file = %self.cert.display(), "the certificate has been read again");
            }
            // Logged once, not at each check.
            Err(error) if changed || asked => tracing::error!(
                error,
                cert_file = %self.cert.display(),
                key_file = %self.key.display(),
                "the changed certificate or its key cannot be used: the old one stays"
            ),
            Err(_) => {}
        }
    }
}

async fn read(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let (cert, key) =
        (tokio::fs::read(cert).await.map_err(error_text)?, tokio::fs::read(key).await.map_err(error_text)?);
    let chain = CertificateDer::pem_slice_iter(&cert).collect::<Result<_, _>>().map_err(error_text)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(error_text)?;
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| match suite {
        SupportedCipherSuite::Tls13(_) => true,
        SupportedCipherSuite::Tls12(suite) => SUITES_1_2.contains(&suite.common.suite),
    });
    let builder = ServerConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(error_text)?;
    // Returns an error if the key does not match the certificate.
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).map_err(error_text)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Waits for SIGHUP; forever if the system does not support a handler for it.
async fn received(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => std::future::pending().await,
    }
}

async fn file_stamps(cert: &Path, key: &Path) -> [FileStamp; 2] {
    let stamp = |path: PathBuf| async move {
        let found = tokio::fs::metadata(path).await.ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    [stamp(cert.to_owned()).await, stamp(key.to_owned()).await]
}
