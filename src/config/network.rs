//! The types of network settings: the name of a header, and lists of networks, hosts and name servers.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::Deserialize;

use super::list::Texts;

/// Networks, each a CIDR or a single address.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "Texts")]
pub struct NetworkList(Vec<IpNet>);

impl NetworkList {
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|net| net.contains(&address))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has_every_address(&self) -> bool {
        // Aggregated, because two halves also cover everything.
        IpNet::aggregate(&self.0).iter().any(|net| net.prefix_len() == 0)
    }
}

/// Destinations that outgoing requests may reach although they are private: networks and host names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "Texts")]
pub struct OutboundAllow {
    pub networks: NetworkList,
    pub hosts: Vec<String>,
}

/// Name servers, each an address with or without a port (53).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "Texts")]
pub struct NameServers(Vec<SocketAddr>);

impl NameServers {
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0
    }
}

/// The lower-case name of a header.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(try_from = "String")]
pub struct HeaderName(String);

impl HeaderName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HeaderName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if name.is_empty() || name.len() > 100 || !name.bytes().all(allowed) {
            return Err(format!("{name:?} is no name of a header: letters, digits and hyphens"));
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

/// Parses a CIDR, or a single address as a network of its own.
#[must_use]
pub fn parse_network(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

impl TryFrom<Texts> for NetworkList {
    type Error = String;

    fn try_from(value: Texts) -> Result<Self, Self::Error> {
        value
            .0
            .iter()
            .map(|item| parse_network(item).ok_or_else(|| format!("{item:?} is neither an address nor a CIDR")))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl TryFrom<Texts> for NameServers {
    type Error = String;

    fn try_from(value: Texts) -> Result<Self, Self::Error> {
        let address = |item: &String| {
            let bare = item.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
            item.parse().or(bare).map_err(|_| format!("{item:?} is no address of a name server, such as 10.0.0.53"))
        };
        value.0.iter().map(address).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<Texts> for OutboundAllow {
    type Error = String;

    fn try_from(value: Texts) -> Result<Self, Self::Error> {
        let mut allow = Self::default();
        for item in value.0 {
            match (parse_network(&item), url::Host::parse(&item)) {
                (Some(net), _) => allow.networks.0.push(net),
                (None, Ok(url::Host::Domain(host))) => allow.hosts.push(host),
                _ => return Err(format!("{item:?} is neither a CIDR nor a host name")),
            }
        }
        Ok(allow)
    }
}
