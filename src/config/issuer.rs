//! The issuer: OpenID Connect Core §2 and RFC 8414 §2 (a URL without query or fragment, https outside of loopback).

use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use url::{Host, Url};

/// The issuer URL, in the exact bytes that relying parties compare. The handlers of every request clone it
/// several times.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Issuer {
    text: Arc<str>,
    url: Arc<Url>,
}

impl Default for Issuer {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a constant, parsed by a test too")]
        Self::parse("http://localhost:8080").expect("the default issuer")
    }
}

impl Issuer {
    /// Parses and validates an issuer URL.
    ///
    /// # Errors
    /// Returns a sentence that says what is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|e| format!("the issuer {text:?} is no URL: {e}"))?;
        let problem = match (url.scheme(), is_loopback(&url)) {
            ("https", _) | ("http", true) => None,
            ("http", false) => Some("must be https (http is for loopback hosts only)"),
            _ => Some("must begin with https://"),
        };
        let problem = problem
            .or_else(|| (url.query().is_some() || url.fragment().is_some()).then_some("has no query or fragment"))
            .or_else(|| (!url.username().is_empty() || url.password().is_some()).then_some("has no user or password"))
            .or_else(|| (url.path() != "/").then_some("has no path: Signet serves a host of its own"))
            // `http://LOCALHOST:80` would be normalized, and then differ from the issuer in tokens.
            .or_else(|| {
                (url.as_str().trim_end_matches('/') != text.trim_end_matches('/'))
                    .then_some("is written in lower case, without a default port")
            });
        match problem {
            Some(problem) => Err(format!("the issuer {text:?} {problem}")),
            None => Ok(Self { text: text.into(), url: Arc::new(url) }),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns an absolute URL below the issuer; `path` begins with a slash.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.text.trim_end_matches('/'))
    }

    /// Returns scheme, host and port, in the format of a browser's `Origin` header.
    #[must_use]
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    #[must_use]
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Returns host and port for display.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Returns the port, unless it is the default of the scheme.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.url.port()
    }

    /// Returns the host if it is a domain name, to which `WebAuthn` can bind a passkey. Browsers reject IP
    /// addresses.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.url.domain()
    }
}

impl TryFrom<String> for Issuer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

/// Returns whether a URL's host is this machine itself (RFC 8252 §7.3 and §8.3).
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Issuer;

    #[test]
    fn issuer_must_be_a_canonical_https_or_loopback_url() {
        for good in [
            "https://id.example.com",
            "https://id.example.com/",
            "https://id.example.com:8443",
            "http://localhost:8080",
            "http://127.0.0.1:1",
            "http://[::1]:9",
        ] {
            assert_eq!(Issuer::parse(good).map(|i| i.as_str().to_owned()), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "id.example.com",
            "http://id.example.com",
            "ftp://localhost",
            "https://id.example.com/?a",
            "https://id.example.com/#a",
            "https://u@id.example.com",
            "https://ID.example.com",
            "https://id.example.com:443",
            "https://id.example.com/path",
        ] {
            assert!(Issuer::parse(bad).is_err(), "{bad}");
        }
    }
}
