//! Outgoing requests. This is the only module that uses reqwest.
//!
//! [`client`] is for URLs that untrusted parties name (a client's `jwks_uri`, `request_uri` or logout URI):
//! https only, public addresses only, with a short timeout and a size limit. [`budget`] limits the concurrent
//! requests of each purpose and URL source. `dns` resolves names, [`address`] decides which addresses are
//! public, `resolve` allows only checked addresses, `cache_control` reads how long a response is fresh, and
//! [`images`] caches the logos of clients. [`probe`] is the request of `signet healthcheck` to this machine,
//! and [`send`](mod@send) sends the request of `signet request`.

pub mod address;
pub mod budget;
mod cache_control;
pub mod client;
mod dns;
pub mod images;
pub mod probe;
mod resolve;
pub mod send;

use std::path::Path;

use reqwest::Certificate;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

pub use budget::{Purpose, UrlSource};
pub use client::{Fetched, OutboundClient, OutboundError};
pub use probe::probe;
pub use send::send;

/// Returns the certificates in a PEM file, each of which can be trusted as an authority.
fn authorities(path: &Path) -> Result<Vec<Certificate>, String> {
    let shown = path.display();
    let pem = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
    let mut trusted = RootCertStore::empty();
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("{shown}: {error}"))?;
        found.push(Certificate::from_der(&certificate).map_err(|error| format!("{shown}: {}", causes(&error)))?);
        trusted.add(certificate).map_err(|error| format!("{shown}: {error}"))?;
    }
    if found.is_empty() {
        return Err(format!("{shown}: there is no certificate in it"));
    }
    Ok(found)
}

/// Returns an error with its causes on one line, because "error sending request" alone does not help.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
