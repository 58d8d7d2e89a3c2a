//! Equivalence of URIs: case, percent-encoding and dot segments (RFC 3986 §6.2.2), default ports and empty paths
//! (§6.2.3). Only the text is compared, so that the result does not depend on the behaviour of a URL parser.
//!
//! See also [`super::ids::ApiId`], which keeps its registered spelling, and [`super::redirect_uri`], which is compared
//! byte by byte.

use std::fmt::Write as _;

/// Returns the normalized form, or `None` if `uri` has no scheme, a fragment (not allowed by RFC 8707 §2) or a
/// character that no URI has.
#[must_use]
pub fn normalized(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    if !is_scheme(scheme) || rest.contains('#') || !rest.bytes().all(|byte| matches!(byte, 0x21..=0x7e)) {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    let (hierarchy, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let mut normal = format!("{scheme}:");
    let path = match hierarchy.strip_prefix("//") {
        Some(after) => {
            let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
            normal.push_str("//");
            normal.push_str(&normalized_authority(&scheme, authority)?);
            if path.is_empty() { "/" } else { path }
        }
        None => hierarchy,
    };
    let path = decoded(path, false)?;
    let path = if path.starts_with('/') { without_dot_segments(&path) } else { path };
    if !hierarchy.starts_with("//") && path.starts_with("//") {
        // The path would be read as an authority (§3.3).
        return None;
    }
    normal.push_str(&path);
    if let Some(query) = query {
        normal.push('?');
        normal.push_str(&decoded(query, false)?);
    }
    Some(normal)
}

/// Returns whether the text is a scheme (§3.1).
#[must_use]
pub fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn normalized_authority(scheme: &str, authority: &str) -> Option<String> {
    let (user, place) = authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
    // Colons in brackets belong to the address (§3.2.2).
    let (host, port) = match place.rfind(':').filter(|at| !place.ends_with(']') && place.rfind(']') < Some(*at)) {
        Some(at) => (place.get(..at)?, place.get(at + 1..)?),
        None => (place, ""),
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if !is_host(host) {
        return None;
    }
    let user = user.map_or_else(|| Some(String::new()), |user| Some(format!("{}@", decoded(user, false)?)))?;
    let host = decoded(host, true)?;
    let is_default = matches!((scheme, port), (_, "") | ("http" | "ws", "80") | ("https" | "wss", "443"));
    Some(if is_default { format!("{user}{host}") } else { format!("{user}{host}:{port}") })
}

/// Returns whether the text is an address in brackets, or a name or address without colons and brackets (§3.2.2).
fn is_host(text: &str) -> bool {
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inside.map_or_else(|| !text.contains([':', '[', ']']), |address| !address.contains(['[', ']']))
}

/// Decodes the characters that need no encoding (§6.2.2.2), in lower case if `lower` is set. Returns `None` if a
/// percent sign is not followed by two hex digits.
fn decoded(text: &str, lower: bool) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let (byte, is_plain) = if byte == b'%' {
            let byte = hex(bytes.next()?)? << 4 | hex(bytes.next()?)?;
            (byte, byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        } else {
            (byte, true)
        };
        match (is_plain, lower) {
            (true, true) => out.push(char::from(byte.to_ascii_lowercase())),
            (true, false) => out.push(char::from(byte)),
            (false, _) => write!(out, "%{byte:02X}").ok()?,
        }
    }
    Some(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Removes dot segments (§5.2.4) from a path that begins with a slash.
fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            other => {
                kept.push(other);
                continue;
            }
        }
        if segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::normalized;

    #[test]
    fn equivalent_uris_have_one_form() {
        for (one, other) in [
            ("https://api.example.com", "https://api.example.com/"),
            ("https://api.example.com/", "HTTPS://API.Example.COM:443/"),
            ("https://api.example.com/", "https://api.example.com:"),
            ("http://[2001:DB8::1]:80/a", "http://[2001:db8::1]/a"),
            ("https://api.example.com/mcp", "https://api.example.com/a/../mcp"),
            ("https://api.example.com/mcp", "https://api.example.com/./%6dcp"),
            ("https://api.example.com/~a", "https://api.example.com/%7Ea"),
            ("https://api.example.com/%C3%A9?x=%2F", "https://api.example.com/%c3%a9?x=%2f"),
            ("https://api.example.com/a/", "https://api.example.com/a/b/%2e%2e"),
            ("https://user@api.example.com/", "https://user@API.example.com"),
            ("urn:example:api", "URN:example:api"),
            ("com.example.api:/v1", "com.example.api:/v0/../v1"),
        ] {
            assert_eq!(normalized(one), normalized(other), "{one} {other}");
            assert!(normalized(one).is_some(), "{one}");
        }
    }

    #[test]
    fn different_uris_stay_different() {
        for (one, other) in [
            ("https://api.example.com/mcp", "https://api.example.com/mcp/"),
            ("https://api.example.com/mcp", "https://api.example.com/MCP"),
            ("https://api.example.com", "http://api.example.com"),
            ("https://api.example.com", "https://api.example.com:8443"),
            ("https://api.example.com/a%2Fb", "https://api.example.com/a/b"),
            ("https://api.example.com/", "https://api.example.com/?"),
            ("https://api.example.com/", "https://api.example.com.evil.example/"),
            ("https://api.example.com/", "https://api.example.com@evil.example/"),
            ("https://api.example.com/", "https://api.example.com%2Fevil.example/"),
            ("https://api.example.com/", "https://api.example.com\\@evil.example/"),
            ("urn:example:api", "urn:example:Api"),
        ] {
            assert_ne!(normalized(one), normalized(other), "{one} {other}");
        }
        for none in [
            "",
            "api",
            "/api",
            "://api",
            "1a:b",
            "https://a.example/%",
            "https://a.example/%g0",
            "https://a:b/",
            "https://::",
            "https://a::80",
            "https://[a]b",
            "https://[[a]]",
            "a:b c",
            "https://a.example/#",
            "https://a.example/\t",
            "file:/.//a",
        ] {
            assert_eq!(normalized(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn normal_form_is_stable(uri in "(https?|urn|A):(//)?[a-zA-Z%.:@\\[\\]/?0-9]{0,20}") {
            if let Some(once) = normalized(&uri) {
                prop_assert_eq!(normalized(&once), Some(once));
            }
        }
    }
}
