//! `signet healthcheck`: asks the server on this machine for `/readyz`, for a container's health check.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::print;
use crate::config::Config;
use crate::outbound;

pub(super) async fn run(config: &Config) -> Result<(), String> {
    let at = SocketAddr::new(reachable(config.listen.ip()), config.listen.port());
    let ca = config.tls.cert_file.as_deref();
    // The certificate is for the issuer's name: that is asked for, at the address where the server listens.
    let (scheme, name) = if ca.is_some() { ("https", config.issuer.domain()) } else { ("http", None) };
    let host = name.map_or_else(|| at.to_string(), |name| format!("{name}:{}", at.port()));
    let url = format!("{scheme}://{host}/readyz");
    match outbound::probe(&url, name.map(|name| (name, at)), ca).await {
        Ok(200) => {
            print("ready");
            Ok(())
        }
        Ok(status) => Err(format!("{url} answers {status}: the server is not ready, its log says why")),
        Err(error) => Err(format!("{url} does not answer: {error}")),
    }
}

/// Where to reach a server that listens on every address.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}
