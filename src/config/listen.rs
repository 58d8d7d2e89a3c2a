//! The listen address: an address and a port, a host name and a port, or a port alone.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};

use serde::Deserialize;
use url::Host;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ListenAddress {
    Address(SocketAddr),
    /// `localhost:8080`: the first usable address of the host.
    Host(String, u16),
    /// `:8080`: every address of this machine.
    AllInterfaces(u16),
}

impl ListenAddress {
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Self::Address(address) => address.port(),
            Self::Host(_, port) | Self::AllInterfaces(port) => *port,
        }
    }

    /// Returns whether only this machine can reach it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.ip().is_loopback(),
            Self::Host(name, _) => name == "localhost",
            Self::AllInterfaces(_) => false,
        }
    }

    /// Returns the addresses to listen on. The first usable one is taken.
    ///
    /// # Errors
    /// Returns an error if the host name has no address.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(match self {
            Self::Address(address) => vec![*address],
            // On Linux, a listener on `::` also accepts IPv4. The second address is for machines without IPv6.
            Self::AllInterfaces(port) => {
                vec![(Ipv6Addr::UNSPECIFIED, *port).into(), (Ipv4Addr::UNSPECIFIED, *port).into()]
            }
            Self::Host(name, port) => {
                let mut found: Vec<SocketAddr> = (name.as_str(), *port).to_socket_addrs()?.collect();
                found.sort_by_key(SocketAddr::is_ipv6);
                found
            }
        })
    }

    /// Returns the addresses at which a program on this machine may reach the server.
    ///
    /// # Errors
    /// Returns an error if the host name has no address.
    pub fn local_addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let local = |address: SocketAddr| {
            let ip = match address.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                ip => ip,
            };
            SocketAddr::new(ip, address.port())
        };
        Ok(self.addresses()?.into_iter().map(local).collect())
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let wrong = || {
            format!(
                "{text:?} is no address to listen on: give an address and a port such as 127.0.0.1:8080, a host name and a \
                 port, or :8080 for every address of this machine"
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|_| port.bytes().all(|b| b.is_ascii_digit())).ok_or_else(wrong)?;
        match Host::parse(host) {
            _ if host.is_empty() => Ok(Self::AllInterfaces(port)),
            Ok(Host::Domain(name)) => Ok(Self::Host(name, port)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Host(name, port) => write!(f, "{name}:{port}"),
            Self::AllInterfaces(port) => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ListenAddress;

    #[test]
    fn listen_accepts_address_host_or_port() {
        for (text, addresses) in [
            ("127.0.0.1:8080", vec!["127.0.0.1:8080"]),
            ("[::1]:8080", vec!["[::1]:8080"]),
            (":8080", vec!["[::]:8080", "0.0.0.0:8080"]),
        ] {
            let listen = ListenAddress::try_from(text.to_owned()).unwrap();
            let found: Vec<String> = listen.addresses().unwrap().iter().map(ToString::to_string).collect();
            assert_eq!(
                (listen.to_string().as_str(), found),
                (text, addresses.into_iter().map(str::to_owned).collect())
            );
        }
        let listen = ListenAddress::try_from("localhost:8080".to_owned()).unwrap();
        assert!(listen.is_loopback() && listen.to_string() == "localhost:8080");
        assert!(listen.addresses().unwrap().iter().all(|address| address.ip().is_loopback() && address.port() == 8080));
        for bad in [
            "",
            ":",
            "8080",
            "localhost",
            "localhost:",
            "localhost:http",
            "localhost:65536",
            "300.1.1.1:80",
            "::1:x",
            ":+80",
            "a b:80",
        ] {
            assert!(ListenAddress::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
