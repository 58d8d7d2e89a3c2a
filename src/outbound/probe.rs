//! One answer's status and nothing of its body, for `signet healthcheck`. It asks this machine, where `super::client` may
//! not go.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::{authorities, causes};

/// A container's health check gives up after some seconds; this gives up before and says why.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// The status with which `url` answers. A host name in it is looked up as `at` says; `ca` is a PEM file with certificates
/// to trust beside the system's own.
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
