//! Reads the original request from the header fields that the proxy adds (docs/gate.md): nginx sends
//! `X-Original-Method` and `X-Original-URL`, Traefik and Caddy `X-Forwarded-Method`, `-Proto`, `-Host` and `-Uri`;
//! Envoy uses the method and target of its own request. A description that is incomplete, repeated or given in two ways
//! is rejected, because one of the two could come from the client.
//!
//! See also [`super::path`], which decodes the path.

use super::decision::{Denial, Reason};
use super::headers::Headers;
use super::{GateRequest, path};

/// The maximum number of characters of a path in the metrics.
const MAX_RECORDED_PATH_CHARS: usize = 200;

/// The kind of proxy, recognized by its header fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// nginx accepts only 2xx, 401 and 403.
    Nginx,
    /// Traefik and Caddy forward the gate's response to the client.
    Forwarding,
    Envoy,
}

/// The parts of the original request that rules and signatures refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedRequest {
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    pub host: String,
    /// Path and query as sent.
    pub target: String,
    /// The decoded path.
    pub path: String,
}

impl ProxyKind {
    /// Returns the kind of proxy; `None` if the header fields of no proxy are present.
    #[must_use]
    pub fn of(fields: &Headers<'_>) -> Option<Self> {
        if fields.has("x-original-url") || fields.has("x-original-method") {
            Some(Self::Nginx)
        } else if fields.has("x-forwarded-uri") || fields.has("x-forwarded-method") {
            Some(Self::Forwarding)
        } else {
            None
        }
    }
}

impl ForwardedRequest {
    /// Reads the original request.
    ///
    /// # Errors
    /// Returns a denial if the request is not described unambiguously, or if its path is ambiguous.
    pub fn read(asked: &GateRequest<'_>) -> Result<Self, Denial> {
        let fields = asked.fields;
        let one = |name: &'static str| {
            let value = fields.once(name).map_err(|_| malformed(format!("{name} is repeated, or is not ASCII.")))?;
            value.filter(|value| !value.is_empty()).ok_or_else(|| malformed(format!("{name} is missing.")))
        };
        let at_once = || malformed("The request is named by its address and by headers at once.");
        match (ProxyKind::of(fields), asked.behind) {
            (Some(ProxyKind::Forwarding), behind) => {
                let target = one("x-forwarded-uri")?;
                // Caddy appends the original query to the URL of the gate.
                let query = target.find('?').and_then(|at| target.get(at..));
                if behind.is_some() && behind != query {
                    return Err(at_once());
                }
                let (scheme, host) = (one("x-forwarded-proto")?, one("x-forwarded-host")?);
                Self::new(one("x-forwarded-method")?, scheme, host, target)
            }
            (Some(_), Some(_)) => Err(at_once()),
            (Some(_), None) => {
                if fields.has("x-forwarded-uri") || fields.has("x-forwarded-method") {
                    return Err(malformed("The request is named by X-Original- and by X-Forwarded- headers at once."));
                }
                let (method, url) = (one("x-original-method")?, one("x-original-url")?);
                let (scheme, rest) = url.split_once("://").ok_or_else(|| malformed("X-Original-URL is no URL."))?;
                let at = rest.find('/').unwrap_or(rest.len());
                let (host, target) = rest.split_at(at);
                Self::new(method, scheme, host, target)
            }
            (None, Some(target)) => Self::new(asked.method, one("x-forwarded-proto")?, one("host")?, target),
            (None, None) => Err(malformed("It is not said which request this is about.")),
        }
    }

    /// Returns method and path as the proxy sent them, even if invalid, for the list of denied requests. The query is
    /// omitted because it may contain secrets. A path that does not parse is empty.
    #[must_use]
    pub fn raw_method_and_path(asked: &GateRequest<'_>) -> (String, String) {
        let text = |name: &str| String::from_utf8_lossy(asked.fields.all(name).next().unwrap_or_default());
        let (method, target) = match (ProxyKind::of(asked.fields), asked.behind) {
            (Some(ProxyKind::Nginx), _) => {
                let url = text("x-original-url");
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                (text("x-original-method"), rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default().to_owned())
            }
            (Some(_), _) => (text("x-forwarded-method"), text("x-forwarded-uri").into_owned()),
            (None, behind) => (asked.method.into(), behind.unwrap_or_default().to_owned()),
        };
        let path = target.split(['?', '#']).next().filter(|path| path.starts_with('/')).unwrap_or_default();
        let shown =
            |text: &str, most| text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(most).collect();
        (shown(&method, 20), shown(path, MAX_RECORDED_PATH_CHARS))
    }

    fn new(method: &str, scheme: &str, host: &str, target: &str) -> Result<Self, Denial> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if method.is_empty() || method.len() > 20 || !method.bytes().all(is_token) {
            return Err(malformed("The method is none."));
        }
        if !matches!(scheme, "http" | "https") {
            return Err(malformed("The scheme is neither http nor https."));
        }
        if !is_host(host) {
            return Err(malformed("The host is no name or address, with a port or without."));
        }
        let path = path::decoded(target)
            .map_err(|problem| Denial::new(Reason::AmbiguousPath, format!("The path {problem}.")))?;
        // Only signatures use the query; they cover it as it was sent.
        if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(malformed("The address has a character that none has."));
        }
        let own = str::to_owned;
        Ok(Self { method: own(method), scheme: own(scheme), host: own(host), target: own(target), path })
    }

    /// Returns the complete URL (RFC 9110 §7.1).
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host, self.target)
    }
}

fn malformed(text: impl Into<String>) -> Denial {
    Denial::new(Reason::MalformedRequest, text)
}

/// Returns whether the text is a name, an IPv4 address, or an IPv6 address in brackets, with an optional port (RFC 3986
/// §3.2.2).
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, rest))) if address.parse::<std::net::Ipv6Addr>().is_ok() => match rest.strip_prefix(':') {
            None if !rest.is_empty() => return false,
            port => ("an-address", port),
        },
        Some(_) => return false,
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let named = !host.is_empty() && host.len() <= 253;
    let named = named && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let digits =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|it| it > 0);
    named && port.is_none_or(digits)
}

#[cfg(test)]
mod tests {
    use super::super::decision::Reason;
    use super::*;

    fn read(method: &str, behind: Option<&str>, fields: &[(&str, &str)]) -> Result<String, Reason> {
        let fields = Headers(fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect());
        let original = ForwardedRequest::read(&GateRequest {
            gate: "g",
            method,
            behind,
            fields: &fields,
            certificate: None,
            caller: None,
        });
        original.map(|it| format!("{} {} {}", it.method, it.url(), it.path)).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn each_proxy_dialect_is_parsed() {
        let whole = Ok("POST https://api.example:8443/a%20b?x=%2f /a b".to_owned());
        let nginx = [("x-original-method", "POST"), ("x-original-url", "https://api.example:8443/a%20b?x=%2f")];
        assert_eq!(read("GET", None, &nginx), whole);
        let besides = [
            nginx[0],
            nginx[1],
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-proto", "x"),
        ];
        assert_eq!(read("GET", None, &besides), whole);
        let forwarding = [
            ("x-forwarded-method", "POST"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "api.example:8443"),
            ("x-forwarded-uri", "/a%20b?x=%2f"),
        ];
        assert_eq!(read("GET", None, &forwarding), whole);
        assert_eq!(read("GET", Some("?x=%2f"), &forwarding), whole);
        for other in ["?x=%2F", "?x", "?", "/", "/a%20b?x=%2f", "/?x=%2f"] {
            assert_eq!(read("GET", Some(other), &forwarding), Err(Reason::MalformedRequest), "{other}");
        }
        let envoy = [("x-forwarded-proto", "https"), ("host", "api.example:8443")];
        assert_eq!(read("POST", Some("/a%20b?x=%2f"), &envoy), whole);
        for left_out in 0..2 {
            let mut some = nginx.to_vec();
            some.remove(left_out);
            assert_eq!(read("GET", None, &some), Err(Reason::MalformedRequest));
            let mut some = envoy.to_vec();
            some.remove(left_out);
            assert_eq!(read("GET", Some("/"), &some), Err(Reason::MalformedRequest));
        }
        for left_out in 0..4 {
            let mut some = forwarding.to_vec();
            let (name, value) = some.remove(left_out);
            assert_eq!(read("GET", None, &some), Err(Reason::MalformedRequest));
            some.extend([(name, value), (name, value)]);
            assert_eq!(read("GET", None, &some), Err(Reason::MalformedRequest), "{name} twice");
        }
        for mixed in [("x-forwarded-uri", "/a"), ("x-forwarded-method", "GET")] {
            assert_eq!(read("GET", None, &[nginx[0], nginx[1], mixed]), Err(Reason::MalformedRequest));
        }
        assert_eq!(read("GET", Some("/a"), &nginx), Err(Reason::MalformedRequest));
        assert_eq!(read("GET", None, &[("host", "api.example")]), Err(Reason::MalformedRequest));
    }

    #[test]
    fn malformed_request_is_denied() {
        let ask =
            |method: &str, url: &str| read("GET", None, &[("x-original-method", method), ("x-original-url", url)]);
        for url in ["http://a/", "https://a.b-c_d:1/", "http://127.0.0.1:65535/x", "http://[::1]/", "http://[::1]:80/"]
        {
            assert!(ask("GET", url).is_ok(), "{url}");
        }
        for url in [
            "",
            "/",
            "a/",
            "ftp://a/",
            "HTTP://a/",
            "http:///",
            "http://a",
            "http://a:/",
            "http://a:0/",
            "http://a:65536/",
            "http://a:b/",
            "http://a:1:2/",
            "http://u@a/",
            "http://a,b/",
            "http://a b/",
            "http://[::1/",
            "http://[::1]x/",
            "http://[a]/",
            "http://::1/",
            "http://x\\public\\a?/",
            "http://a?x=/",
            "http://a#/",
            "http://ä/",
            "http://a%2f/",
            "http://a/?\u{7f}",
            "http://a/?ä",
            "http://a/? ",
            "http://a/?#",
        ] {
            assert!(ask("GET", url).is_err(), "{url}");
        }
        for method in ["", "GET GET", "GET,POST", "G\tT", "ABCDEFGHIJKLMNOPQRSTU"] {
            assert_eq!(ask(method, "http://a/"), Err(Reason::MalformedRequest), "{method}");
        }
        assert_eq!(ask("GET", "http://a/b/../c"), Err(Reason::AmbiguousPath));
    }
}
