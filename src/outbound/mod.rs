//! What leaves this machine. The only place with reqwest.
//!
//! Here is what `signet healthcheck` asks: one answer's status, and nothing of its body.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// A container's health check gives up after some seconds; this gives up before and says why.
const PATIENCE: Duration = Duration::from_secs(3);

/// The status with which `url` answers. A host name in it is looked up as `at` says; `ca` is a PEM file with certificates
/// to trust beside the system's own.
pub async fn probe(url: &str, at: Option<(&str, SocketAddr)>, ca: Option<&Path>) -> Result<u16, String> {
    let mut client =
        reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).no_proxy();
    if let Some(path) = ca {
        let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| format!("{}: {}", path.display(), causes(&error)))?;
        for certificate in certificates {
            client = client.add_root_certificate(certificate);
        }
    }
    if let Some((name, address)) = at {
        client = client.resolve(name, address);
    }
    let client = client.build().map_err(|error| causes(&error))?;
    let answer = client.get(url).send().await.map_err(|error| causes(&error))?;
    Ok(answer.status().as_u16())
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
