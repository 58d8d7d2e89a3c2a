//! Decodes the path of a request as the proxy before the API will use it: once, like nginx's `$uri`. A path is rejected
//! if the proxy, the API or a framework in between could read it in another way (RFC 3986 §3.3, §6.2.2), because the
//! decision would then be made on a different path than the one served. These are dot segments, empty segments, encoded
//! slashes, backslashes, semicolons, control characters, bytes that are not UTF-8, and all of these encoded twice.
//!
//! See also [`super::forwarded_request`], which reads the path from the proxy's headers; [`super::rules`], which
//! matches it; `domain::gate_path`, the characters that a decoded path may contain.

use crate::domain::gate_path::plain;

/// The maximum length of a path in bytes.
const MAX_BYTES: usize = 8192;

/// Returns the decoded path of a request target in origin-form (RFC 9112 §3.2.1), without its query.
///
/// # Errors
/// Returns a description of the part that is ambiguous.
pub fn decoded(target: &str) -> Result<String, &'static str> {
    let raw = target.split('?').next().unwrap_or_default();
    if raw.len() > MAX_BYTES {
        return Err("is longer than 8192 bytes");
    }
    if !raw.starts_with('/') {
        return Err("does not begin with a slash");
    }
    // nginx ends the path at a `#`; other servers keep it.
    if !raw.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err("has a character that no path has");
    }
    let once = decode(raw)?;
    plain(&once)?;
    // A server behind the gate may decode the path a second time.
    let twice = decode_leniently(&once);
    if twice != once {
        plain(&twice)?;
        if twice.matches('/').count() != once.matches('/').count() {
            return Err("has a slash that is encoded twice");
        }
        if decode_leniently(&twice) != twice {
            return Err("is encoded three times");
        }
    }
    Ok(once)
}

fn decode(raw: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        match (rest.next().and_then(hex), rest.next().and_then(hex)) {
            (Some(high), Some(low)) => match high << 4 | low {
                b'/' => return Err("has an encoded slash"),
                byte => bytes.push(byte),
            },
            _ => return Err("has a percent sign that encodes nothing"),
        }
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8")
}

/// Decodes each valid `%XX` that is left and keeps everything else unchanged.
fn decode_leniently(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::decoded;

    #[test]
    fn unambiguous_path_is_decoded() {
        for (target, path) in [
            ("/", "/"),
            ("/orders/1?x=/../%2f", "/orders/1"),
            ("/orders/", "/orders/"),
            ("/a%20b", "/a b"),
            ("/%C3%A4", "/ä"),
            ("/%6frders", "/orders"),
            ("/a+b@c:d,e!$&'()*=~", "/a+b@c:d,e!$&'()*=~"),
            ("/what%3f", "/what?"),
            ("/100%25", "/100%"),
            ("/a%2520b", "/a%20b"),
            ("/...", "/..."),
            ("/.well-known", "/.well-known"),
        ] {
            assert_eq!(decoded(target).as_deref(), Ok(path), "{target}");
        }
    }

    #[test]
    fn ambiguous_path_is_refused() {
        for target in [
            "",
            "orders",
            "*",
            "?",
            "http://a/",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/.",
            "/..",
            "/a/../b",
            "/a/./b",
            "/a/%2e%2e/b",
            "/a/.%2E",
            "/%2e",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a;b",
            "/a%3bb",
            "/a;/../b",
            "/a%00",
            "/a%0a",
            "/a%7f",
            "/%c2%80",
            "/%ff",
            "/%c0%af",
            "/%c0%ae%c0%ae/",
            "/%ed%a0%80",
            "/%",
            "/%4",
            "/%zz",
            "/a b",
            "/ä",
            "/a#b",
            "/a%252fb",
            "/a/%252e%252e/b",
            "/%252e%252e",
            "/a%255cb",
            "/a%2500",
            "/a%253bb",
            "/a%25252fb",
            "/a%252f%252fb",
            "/%25252e",
        ] {
            assert!(decoded(target).is_err(), "{target}");
        }
        assert!(decoded(&format!("/{}", "a".repeat(9000))).is_err());
    }

    proptest! {
        #[test]
        fn decoded_path_has_only_plain_segments(target in "\\PC{0,40}", bytes in "(/|%[0-9a-fA-F]{2}|[a-z.;\\\\%/]){0,20}") {
            for target in [target, format!("/{bytes}")] {
                if let Ok(path) = decoded(&target) {
                    prop_assert!(path.starts_with('/') && !path.contains("//") && !path.contains(['\\', ';', '\0']));
                    prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
                }
            }
        }
    }
}
