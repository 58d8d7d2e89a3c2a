//! The part of an address by which limits count: an IPv4 address, or a prefix of an IPv6 address.

use std::net::IpAddr;

/// Returns the prefix that all addresses of one subscriber share: the /64 of an IPv6 address (RFC 6177 §2), of which
/// the subscriber chooses the rest. Any other text is returned unchanged.
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

/// Returns the prefix that all networks of one site share: the /48 of an IPv6 address, the largest that one customer
/// usually gets. Any other text is returned unchanged.
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
