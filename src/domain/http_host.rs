//! Hosts whose redirect URIs may use plain http with an administrator's permission: devices in a LAN without a
//! certificate. A client lists them in `http_redirect_hosts`.
//!
//! See also [`super::redirect_uri`], the URIs, and `client_metadata::redirects`, the rule.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use url::Host;

use crate::config::parse_network;

/// A host name (`nas.lan`), every name below one (`*.home.arpa`), an IP address or a network (`192.168.1.0/24`), in its
/// original spelling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HttpHost(String);

impl HttpHost {
    /// Parses a host.
    ///
    /// # Errors
    /// Returns a sentence that describes the problem.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > 253 {
            return Err("is longer than 253 characters");
        }
        if let Some(network) = parse_network(text) {
            return if network.prefix_len() == 0 { Err("names every address") } else { Ok(Self(text.to_owned())) };
        }
        match Host::parse(text.strip_prefix("*.").unwrap_or(text)) {
            // Only the normalized spelling of browsers is accepted, so that it can be compared directly.
            Ok(Host::Domain(name)) if text.strip_prefix("*.").unwrap_or(text) == name && !name.contains('*') => {
                Ok(Self(text.to_owned()))
            }
            _ => {
                Err("is not a host name in small letters, such as nas.lan or *.home.arpa, nor an address or a network")
            }
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this entry includes `host`.
    #[must_use]
    pub fn covers(&self, host: &Host<&str>) -> bool {
        let in_network = |address: IpAddr| parse_network(&self.0).is_some_and(|network| network.contains(&address));
        match host {
            Host::Ipv4(address) => in_network((*address).into()),
            Host::Ipv6(address) => in_network((*address).into()),
            Host::Domain(name) => match self.0.strip_prefix('*') {
                Some(suffix) => name.strip_suffix(suffix).is_some_and(|label| !label.is_empty()),
                None => *name == self.0,
            },
        }
    }
}

impl TryFrom<String> for HttpHost {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).map_err(|problem| format!("{text:?} {problem}"))
    }
}

impl From<HttpHost> for String {
    fn from(host: HttpHost) -> Self {
        host.0
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::HttpHost;

    #[test]
    fn named_hosts_are_covered_and_no_others() {
        for (named, covered, others) in [
            (
                "nas.lan",
                &["http://nas.lan/", "http://NAS.lan:8096/cb"][..],
                &["http://a.nas.lan/", "http://nas.lan.evil.example/"][..],
            ),
            ("nas", &["http://nas/cb"], &["http://nas.lan/"]),
            (
                "*.home.arpa",
                &["http://tv.home.arpa/", "http://a.b.home.arpa/"],
                &["http://home.arpa/", "http://evilhome.arpa/"],
            ),
            (
                "192.168.1.0/24",
                &["http://192.168.1.7:8096/cb"],
                &["http://192.168.2.7/", "http://192.168.1.7.example/"],
            ),
            ("192.168.1.7", &["http://192.168.1.7/"], &["http://192.168.1.8/"]),
            ("fd00::/8", &["http://[fd00::1]/"], &["http://[fe80::1]/"]),
        ] {
            let host = HttpHost::parse(named).unwrap();
            let covers = |uri: &&str| host.covers(&Url::parse(uri).unwrap().host().unwrap());
            assert!(covered.iter().all(covers), "{named}");
            assert!(!others.iter().any(covers), "{named}");
        }
        for bad in [
            "",
            "*",
            "*.",
            "0.0.0.0/0",
            "::/0",
            "NAS.lan",
            "http://nas.lan",
            "nas.lan/cb",
            "nas.lan:80",
            "*.*.lan",
            "a b",
        ] {
            assert!(HttpHost::parse(bad).is_err(), "{bad}");
        }
    }
}
