//! The freshness lifetime of a response (RFC 9111 §4.2.1).

use reqwest::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderMap, HeaderName};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// The largest accepted value. A number that overflows counts as this one (§1.2.2).
const MAX_AGE_SECONDS: i64 = 1 << 31;

/// Returns the freshness lifetime in seconds from now; `None` if the response has none. An invalid value makes
/// the response stale (§4.2.1).
pub(super) fn max_age(headers: &HeaderMap) -> Option<i64> {
    let mut given = None;
    for directive in headers.get_all(CACHE_CONTROL).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
    {
        let directive = String::from_utf8_lossy(directive).trim().to_ascii_lowercase();
        match directive.split_once('=').unwrap_or((&directive, "")) {
            ("no-store" | "no-cache", _) => return Some(0),
            ("max-age", value) => {
                given = given.or_else(|| Some(parse_delta_seconds(value.trim_matches('"')).unwrap_or(0)));
            }
            _ => {}
        }
    }
    if let Some(given) = given {
        let age = text(headers, AGE).and_then(parse_delta_seconds).unwrap_or(0);
        return Some((given - age).max(0));
    }
    let expires = text(headers, EXPIRES)?;
    let sent = text(headers, DATE).and_then(date)?;
    Some(date(expires).map_or(0, |until| (until - sent).whole_seconds().clamp(0, MAX_AGE_SECONDS)))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn parse_delta_seconds(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(MAX_AGE_SECONDS).min(MAX_AGE_SECONDS))
}

/// Parses the only date format that senders may generate (RFC 9110 §5.6.7).
fn date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc2822).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    use super::max_age;

    #[test]
    fn the_table() {
        let sent = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (headers, expected) in [
            (vec![], None),
            (vec![("cache-control", "public")], None),
            (vec![("cache-control", "public, max-age=300")], Some(300)),
            (vec![("cache-control", "Max-Age=\"300\"")], Some(300)),
            (vec![("cache-control", "max-age=300"), ("age", "100")], Some(200)),
            (vec![("cache-control", "max-age=300"), ("age", "400")], Some(0)),
            (vec![("cache-control", "max-age=300, max-age=9")], Some(300)),
            (vec![("cache-control", "max-age=300"), ("cache-control", "no-store")], Some(0)),
            (vec![("cache-control", "no-cache")], Some(0)),
            (vec![("cache-control", "max-age=-1")], Some(0)),
            (vec![("cache-control", "max-age=soon")], Some(0)),
            (vec![("cache-control", "max-age=99999999999999999999")], Some(1 << 31)),
            (vec![("expires", "Sun, 06 Nov 1994 08:59:37 GMT"), sent], Some(600)),
            (vec![("expires", "Sun, 06 Nov 1994 08:39:37 GMT"), sent], Some(0)),
            (vec![("expires", "0"), sent], Some(0)),
            (vec![("expires", "Sun, 06 Nov 1994 08:59:37 GMT")], None),
            (vec![("expires", "Sun, 06 Nov 1994 08:59:37 GMT"), sent, ("cache-control", "max-age=5")], Some(5)),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in &headers {
                map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            assert_eq!(max_age(&map), expected, "{headers:?}");
        }
    }
}
