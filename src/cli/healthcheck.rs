//! `signet healthcheck`: requests `/readyz` from the server on this machine, for a container's health check.

use std::net::SocketAddr;

use super::{error_line, print};
use crate::config::Config;
use crate::outbound;

pub(super) async fn run(config: &Config) -> Result<(), String> {
    let mut problem = format!("{} has no address", config.listen);
    for at in config.listen.local_addresses().map_err(error_line)? {
        match probe(config, at).await {
            Ok(()) => {
                print("ready");
                return Ok(());
            }
            Err(error) => problem = error,
        }
    }
    Err(problem)
}

async fn probe(config: &Config, at: SocketAddr) -> Result<(), String> {
    let ca = config.tls.cert_file.as_deref();
    // The certificate is valid for the issuer's host name, so that name is requested from the server's listen
    // address.
    let (scheme, name) = if ca.is_some() { ("https", config.issuer.domain()) } else { ("http", None) };
    let host = name.map_or_else(|| at.to_string(), |name| format!("{name}:{}", at.port()));
    let url = format!("{scheme}://{host}/readyz");
    match outbound::probe(&url, name.map(|name| (name, at)), ca).await {
        Ok(200) => Ok(()),
        Ok(status) => Err(format!("{url} answers {status}: the server is not ready, its log says why")),
        Err(error) => Err(format!("{url} does not answer: {error}")),
    }
}
