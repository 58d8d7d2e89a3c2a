//! What is counted of an address: an IPv4 address as it is, of an IPv6 address a part.

use std::net::IpAddr;

/// Returns what all addresses of one subscriber have in common: the /64 of an IPv6 address (RFC 6177 §2, the rest is its
/// owner's to choose), any other text as it is.
#[must_use]
pub fn network_prefix(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        _ => address.to_owned(),
    }
}

/// Returns what all networks of one site have in common: the /48 of an IPv6 address, the largest that one customer usually
/// gets; any other text as it is.
#[must_use]
pub fn site_prefix(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{network_prefix, site_prefix};

    #[test]
    fn ipv6_addresses_are_grouped_by_network_and_site() {
        for (address, network, site) in [
            ("203.0.113.9", "203.0.113.9", "203.0.113.9"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64", "2001:db8:1::/48"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64", "2001:db8:1::/48"),
            ("", "", ""),
        ] {
            assert_eq!((network_prefix(address).as_str(), site_prefix(address).as_str()), (network, site));
        }
    }
}
