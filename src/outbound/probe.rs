//! Requests only the status of a response, for `signet healthcheck`. The request goes to this machine, which
//! `super::client` must not reach.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::{authorities, causes};

/// Shorter than the timeout of a container's health check, so that this can report the reason.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Returns the status of the response from `url`. A host name in it resolves to the address in `at`; `ca` is a
/// PEM file with certificates to trust in addition to those of the system.
pub async fn probe(url: &str, at: Option<(&str, SocketAddr)>, ca: Option<&Path>) -> Result<u16, String> {
    let mut client =
        reqwest::Client::builder().timeout(PROBE_TIMEOUT).redirect(reqwest::redirect::Policy::none()).no_proxy();
    if let Some(path) = ca {
        for certificate in authorities(path)? {
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
