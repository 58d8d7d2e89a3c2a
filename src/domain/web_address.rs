//! Web addresses in metadata: pages that users' browsers open, and URLs that the server fetches or posts to.
//!
//! See also [`super::redirect_uri`], the destinations of responses, and `outbound`, which decides what may be reached.

use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use super::redirect_uri::{RedirectKind, RedirectUri};

/// An https (or loopback http) URL that a browser opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebPage(String);

impl WebPage {
    /// Parses a URL.
    ///
    /// # Errors
    /// Returns a sentence that describes the problem.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        RedirectUri::parse(text.split('#').next().unwrap_or_default())
            .ok()
            .filter(|uri| {
                matches!(uri.kind(), RedirectKind::Https | RedirectKind::Loopback)
                    && !text.bytes().any(|b| b.is_ascii_whitespace())
            })
            .map(|_| Self(text.to_owned()))
            .ok_or("must be an https address")
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the URL with `parameters` appended to its query, otherwise unchanged (OpenID Connect Front-Channel
    /// Logout §2).
    #[must_use]
    pub fn with_query_parameters(&self, parameters: &[(&str, &str)]) -> String {
        let added = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let (address, fragment) = self.0.split_once('#').map_or((&*self.0, None), |(it, rest)| (it, Some(rest)));
        let sign = if address.contains('?') { '&' } else { '?' };
        let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
        format!("{address}{sign}{added}{fragment}")
    }

    /// Returns scheme, host and port, or `None` if a Content-Security-Policy cannot name them: some characters that are
    /// valid in a host would end its list of sources (CSP Level 3 §2.3.1).
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        let origin = Url::parse(&self.0).ok()?.origin().ascii_serialization();
        origin.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:/[]".contains(&b)).then_some(origin)
    }

    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

/// The origin of a browser app, spelled as browsers send it in `Origin` (RFC 6454 §6.2): https, or http on loopback.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppOrigin(String);

impl AppOrigin {
    /// Parses an origin.
    ///
    /// # Errors
    /// Returns a sentence that describes the problem.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        WebPage::parse(text)
            .ok()
            .and_then(|page| page.origin())
            .filter(|origin| origin == text)
            .map(Self)
            .ok_or("must be the origin of an https address, such as https://app.example, without a path")
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Returns the port, or `None` if it is the scheme's default.
    #[must_use]
    pub fn port(&self) -> Option<&str> {
        let (_, host) = self.0.split_once("://")?;
        host.rsplit_once(':').map(|(_, port)| port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// Returns the part of `address` after this origin, starting with the slash, or `None` for another origin. The
    /// comparison is on bytes, so that it does not depend on a URL parser: the authority ends at the slash (RFC 3986
    /// §3.2).
    #[must_use]
    pub fn strip_origin<'a>(&self, address: &'a str) -> Option<&'a str> {
        address.strip_prefix(&self.0).filter(|target| target.starts_with('/'))
    }
}

/// A URL that the server requests: https, or http if the setting `outbound.allow` permits it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FetchUri(String);

impl FetchUri {
    /// Parses a URL.
    ///
    /// # Errors
    /// Returns a sentence that describes the problem.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let wrong = "must be an https address without user name";
        let url = Url::parse(text).map_err(|_| wrong)?;
        let written_out = text.starts_with("https://") || text.starts_with("http://");
        let plain = text.len() <= 2048 && text.bytes().all(|b| matches!(b, 0x21..=0x7e)) && !text.contains('\\');
        let anonymous = url.username().is_empty() && url.password().is_none();
        (written_out && plain && anonymous && url.host().is_some()).then(|| Self(text.to_owned())).ok_or(wrong)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> String {
        Url::parse(&self.0).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
    }

    #[must_use]
    pub fn host(&self) -> String {
        Url::parse(&self.0).ok().and_then(|url| url.host_str().map(ToOwned::to_owned)).unwrap_or_default()
    }
}

macro_rules! strings {
    ($($name:ident),+) => {$(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text).map_err(|problem| format!("the address {text:?} {problem}"))
            }
        }

        impl From<$name> for String {
            fn from(address: $name) -> Self {
                address.0
            }
        }
    )+};
}
strings!(WebPage, AppOrigin, FetchUri);

#[cfg(test)]
mod tests {
    use super::{AppOrigin, FetchUri, WebPage};

    #[test]
    fn parameters_go_between_query_and_fragment() {
        for (address, whole) in [
            ("https://app.example/out", "https://app.example/out?iss=https%3A%2F%2Fid.example&sid=1"),
            ("https://app.example/out?a=%20b", "https://app.example/out?a=%20b&iss=https%3A%2F%2Fid.example&sid=1"),
            ("https://app.example/#/out", "https://app.example/?iss=https%3A%2F%2Fid.example&sid=1#/out"),
        ] {
            let page = WebPage::parse(address).unwrap();
            assert_eq!(page.with_query_parameters(&[("iss", "https://id.example"), ("sid", "1")]), whole);
            assert_eq!(page.origin().as_deref(), Some("https://app.example"));
        }
    }

    #[test]
    fn origin_that_breaks_a_csp_is_rejected() {
        for address in ["https://app.example;script-src/out", "https://app.example,x/", "https://'unsafe-inline'/"] {
            assert_eq!(WebPage::parse(address).ok().and_then(|page| page.origin()), None, "{address}");
        }
    }

    #[test]
    fn app_origin_has_the_form_of_the_origin_header() {
        for good in [
            "https://app.example",
            "https://app.example:8443",
            "http://localhost:3000",
            "http://127.0.0.1",
            "http://[::1]:1",
        ] {
            assert!(AppOrigin::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "app.example",
            "https://",
            "http://app.example",
            "https://app.example/",
            "https://app.example/a",
            "https://app.example?a",
            "https://app.example#a",
            "https://App.example",
            "HTTPS://app.example",
            "https://app.example:443",
            "http://localhost:80",
            "https://u@app.example",
            "https://app.example\\",
            "https://ä.example",
            "https://*.example",
            "https:app.example",
            "com.example.app://x",
            "null",
        ] {
            assert!(AppOrigin::parse(bad).is_err(), "{bad}");
        }
        let app = AppOrigin::parse("https://app.example").unwrap();
        assert_eq!(app.strip_origin("https://app.example/a?b"), Some("/a?b"));
        for other in [
            "https://app.example",
            "https://app.example.evil/",
            "https://app.example@evil/",
            "https://app.example:8/",
            "/a",
        ] {
            assert_eq!(app.strip_origin(other), None, "{other}");
        }
    }

    #[test]
    fn pages_need_https_and_fetch_uris_need_a_host() {
        for (text, page, document) in [
            ("https://app.example/logo.png", true, true),
            ("https://app.example/jwks#2026", true, true),
            ("http://127.0.0.1:9999/jwks", true, true),
            ("http://app.example/jwks", false, true),
            ("https://user@app.example/jwks", false, false),
            ("https:app.example/jwks", false, false),
            ("https:\\\\app.example", false, false),
            ("https://app.example/a b", false, false),
            ("javascript:alert(1)", false, false),
            ("data:text/html,x", false, false),
            ("file:///etc/passwd", false, false),
            ("", false, false),
        ] {
            assert_eq!(WebPage::parse(text).is_ok(), page, "page {text}");
            assert_eq!(FetchUri::parse(text).is_ok(), document, "document {text}");
        }
    }
}
