//! What leaves this machine. The only place with reqwest.
//!
//! [`client`] is for addresses that strangers name (a client's `jwks_uri`, `request_uri`, its logout address): https only,
//! nothing private, little time, few bytes. [`budget`] bounds how many requests go out at once, for each purpose and each
//! origin of the names. `dns` looks names up, [`address`] says what is private, `resolve` lets only checked addresses
//! through, `cache_control` reads how long an answer may be kept, [`images`] are apps' logos. [`probe`] is
//! what `signet healthcheck` asks of this machine itself, [`send`](mod@send) what `signet request` sends for a person.

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

/// The certificates in a PEM file, each of which can be trusted as an authority.
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

/// An error with what lies under it, on one line: "error sending request" alone says nothing.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
