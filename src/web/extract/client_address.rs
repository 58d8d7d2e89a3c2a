//! The client address: the TCP peer or, behind a trusted proxy, the client in `X-Forwarded-For`.
//!
//! Proxies write an address alone, with a port (Azure Application Gateway, AWS), in brackets, in quotation marks, or
//! as a node of RFC 7239 (`for="[2001:db8::1]:4711"`). If a trusted proxy sends anything else, the client address is
//! unknown. It is never replaced by the proxy's own address, under which all clients would be throttled together.
//!
//! See also [`super::request`], which records the address, and `manage::client_addresses`, which reports unreadable
//! values.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};

use crate::config::NetworkList;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Returns the address of the TCP peer.
pub fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical())
}

/// Whether the request came from a trusted proxy.
pub fn from_proxy(parts: &Parts, trusted: &NetworkList) -> bool {
    peer(&parts.extensions).is_some_and(|peer| trusted.contains(peer))
}

/// Returns the client address: the TCP peer or, behind a trusted proxy, the last `X-Forwarded-For` entry that is not
/// a trusted proxy.
///
/// If all entries are trusted proxies, it is the last one (a client inside of the trusted networks). If there are no
/// entries, it is the proxy's own address. Returns `None` if an entry cannot be read.
pub fn caller(parts: &Parts, trusted: &NetworkList) -> Option<IpAddr> {
    client_address_of(&parts.extensions, &parts.headers, trusted)
}

/// Returns the address that [`caller`] returns, for a request that has not been split into parts.
pub fn client_address_of(extensions: &Extensions, headers: &HeaderMap, trusted: &NetworkList) -> Option<IpAddr> {
    let peer = peer(extensions);
    if !peer.is_some_and(|peer| trusted.contains(peer)) {
        return peer;
    }
    match client(headers, trusted) {
        ForwardedClient::Named(address) => Some(address),
        ForwardedClient::Absent => peer,
        ForwardedClient::Unreadable(_) => None,
    }
}

/// Returns the client address in a proxy's request to the gate. Returns `None` if the header is missing or
/// unreadable: the address of the proxy itself is never meant.
pub fn forwarded_client_address(parts: &Parts, trusted: &NetworkList) -> Option<IpAddr> {
    match client(&parts.headers, trusted) {
        ForwardedClient::Named(address) => Some(address),
        ForwardedClient::Absent | ForwardedClient::Unreadable(_) => None,
    }
}

/// Returns the address of the trusted proxy and its `X-Forwarded-For` entry, if the entry cannot be read.
pub fn unreadable(extensions: &Extensions, headers: &HeaderMap, trusted: &NetworkList) -> Option<(IpAddr, String)> {
    let peer = peer(extensions).filter(|peer| trusted.contains(*peer))?;
    match client(headers, trusted) {
        ForwardedClient::Unreadable(value) => Some((peer, value)),
        ForwardedClient::Named(_) | ForwardedClient::Absent => None,
    }
}

/// The client according to `X-Forwarded-For`.
enum ForwardedClient {
    Absent,
    /// The last address that is not a trusted proxy, or the last address of all. The client may have forged the
    /// entries before it.
    Named(IpAddr),
    /// An entry that cannot be read. The entries before it are not trusted.
    Unreadable(String),
}

fn client(headers: &HeaderMap, trusted: &NetworkList) -> ForwardedClient {
    let mut nearest = ForwardedClient::Absent;
    // The nearest proxy appended its entry to the end of the last line.
    for line in headers.get_all(FORWARDED_FOR).iter().rev() {
        let line = String::from_utf8_lossy(line.as_bytes());
        for value in line.rsplit(',') {
            let Some(address) = parse(value) else {
                return ForwardedClient::Unreadable(value.trim().chars().take(100).collect());
            };
            if !trusted.contains(address) {
                return ForwardedClient::Named(address);
            }
            if matches!(nearest, ForwardedClient::Absent) {
                nearest = ForwardedClient::Named(address);
            }
        }
    }
    nearest
}

/// Parses one entry of the list.
fn parse(value: &str) -> Option<IpAddr> {
    let value = unquote(node(value.trim()))?;
    let address = match value.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            if !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
                return None;
            }
            IpAddr::V6(without_zone(address).parse().ok()?)
        }
        None => match value.split_once(':') {
            Some((address, port)) if is_port(port) && address.contains('.') => IpAddr::V4(address.parse().ok()?),
            _ => without_zone(value).parse().ok()?,
        },
    };
    Some(address.to_canonical())
}

/// Returns the value of `for=` in an element of RFC 7239 §4. Returns other text unchanged.
fn node(text: &str) -> &str {
    text.split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))
        .map_or(text, |(_, value)| value.trim())
}

/// Removes the quotation marks. Returns `None` if one of them is missing.
fn unquote(text: &str) -> Option<&str> {
    let inside = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => text,
    };
    (!inside.contains('"')).then_some(inside.trim())
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Removes the zone of an IPv6 address. It only has a meaning on the proxy's host (RFC 4007 §11.2).
fn without_zone(text: &str) -> &str {
    text.split_once('%').map_or(text, |(address, _)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_addresses_are_read_as_proxies_write_them() {
        for (value, address) in [
            ("203.0.113.9", "203.0.113.9"),
            ("203.0.113.9:4711", "203.0.113.9"),
            ("\"203.0.113.9\"", "203.0.113.9"),
            ("\"203.0.113.9:4711\"", "203.0.113.9"),
            (" [2001:db8::1] ", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("\"[2001:DB8::1]:4711\"", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:1", "fe80::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
            ("for=203.0.113.9", "203.0.113.9"),
            ("For=\"[2001:db8::1]:4711\";proto=https;by=203.0.113.43", "2001:db8::1"),
            ("proto=https; for=203.0.113.9", "203.0.113.9"),
        ] {
            assert_eq!(parse(value), Some(address.parse().unwrap()), "{value}");
        }
        for value in [
            "",
            "unknown",
            "_hidden",
            "unix:",
            "for=unknown",
            "proto=https",
            "203.0.113.9:",
            "203.0.113.9:65536",
            "203.0.113.9:+80",
            "203.0.113.9:4711:1",
            "203.0.113.9.1",
            "203.0.113.9/24",
            "[203.0.113.9]",
            "[2001:db8::1",
            "[2001:db8::1]4711",
            "2001:db8::1]",
            "\"203.0.113.9",
            "203.0.113.9\"",
            "localhost:80",
            "203.0.113.9 198.51.100.7",
        ] {
            assert_eq!(parse(value), None, "{value}");
        }
    }
}
