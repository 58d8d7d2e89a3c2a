//! Redirect URIs: which ones may be registered, and when a URI in a request matches a registered one.
//!
//! RFC 6749 §3.1.2 (absolute, no fragment), RFC 9700 §4.1.3 (exact string comparison), RFC 8252 §7.1 (private-use
//! schemes) and §7.3 (a native app's loopback port may vary). URIs are never normalized: they are compared as bytes.
//!
//! Which client may have which [`RedirectKind`] is decided elsewhere: `client_metadata::redirects` for every client,
//! `protocol::registration` for self-registered ones.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// How a response reaches a redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectKind {
    Https,
    /// Plain http to a program on the user's own device (RFC 8252 §7.3).
    Loopback,
    /// Plain http over a network.
    PlainHttp,
    /// A scheme that a program on the device has claimed (RFC 8252 §7.1).
    PrivateUse,
}

/// Schemes with a meaning in browsers and operating systems other than an application's callback: they run scripts,
/// read files or start another protocol.
const RESERVED_SCHEMES: [&str; 34] = [
    "about",
    "blob",
    "chrome",
    "data",
    "edge",
    "feed",
    "file",
    "filesystem",
    "ftp",
    "ftps",
    "gopher",
    "intent",
    "jar",
    "javascript",
    "ldap",
    "livescript",
    "mailto",
    "mocha",
    "news",
    "opera",
    "res",
    "resource",
    "rtsp",
    "sftp",
    "smb",
    "sms",
    "ssh",
    "tel",
    "telnet",
    "urn",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// A registered redirect URI (or post-logout redirect URI), in its original spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(String);

impl RedirectUri {
    /// Parses a redirect URI.
    ///
    /// # Errors
    /// Returns a sentence that describes the problem.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > 2048 {
            return Err("is longer than 2048 characters");
        }
        // The WHATWG parser silently drops or converts these characters, so that two parsers may read the URI
        // differently.
        if !text.bytes().all(|b| matches!(b, 0x21..=0x7e))
            || text.contains(['\\', '"', '<', '>', '^', '`', '{', '|', '}'])
        {
            return Err("has a character that no URI has");
        }
        if text.contains('#') {
            return Err("has a fragment, which RFC 6749 section 3.1.2 forbids");
        }
        let url = Url::parse(text).map_err(|_| "is no absolute URI")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user name or password");
        }
        match url.scheme() {
            "https" | "http" if text.split_once("://").is_none_or(|(scheme, _)| scheme != url.scheme()) => {
                Err("must be written scheme://host")
            }
            "https" if url.host().is_some() => Ok(Self(text.to_owned())),
            "http" if url.host().is_some() => Ok(Self(text.to_owned())),
            "https" | "http" => Err("has no host"),
            scheme if RESERVED_SCHEMES.contains(&scheme) => Err(
                "must begin with https or, for an app on a device, with a scheme of its own such as com.example.app",
            ),
            scheme if scheme.contains('.') => Ok(Self(text.to_owned())),
            // Anything without a slash here may be a host with a port or a drive letter.
            scheme if scheme.len() > 1 && text.get(scheme.len()..).is_some_and(|rest| rest.starts_with(":/")) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(
                "must begin with https or, for an app on a device, with a scheme of its own such as com.example.app:/",
            ),
        }
    }

    #[must_use]
    pub fn kind(&self) -> RedirectKind {
        let is_loopback = || Url::parse(&self.0).is_ok_and(|url| loopback(&url));
        if self.0.starts_with("https://") {
            RedirectKind::Https
        } else if !self.0.starts_with("http://") {
            RedirectKind::PrivateUse
        } else if is_loopback() {
            RedirectKind::Loopback
        } else {
            RedirectKind::PlainHttp
        }
    }

    /// Returns whether a program on the user's own device receives the response.
    #[must_use]
    pub fn is_native(&self) -> bool {
        matches!(self.kind(), RedirectKind::Loopback | RedirectKind::PrivateUse)
    }

    /// Returns the root URL of the site, or `None` if the URI is not https or its host is the user's own device.
    #[must_use]
    pub fn site_url(&self) -> Option<String> {
        let is_site = self.kind() == RedirectKind::Https && !self.has_loopback_host();
        let url = Url::parse(&self.0).ok().filter(|_| is_site)?;
        Some(format!("{}/", url.origin().ascii_serialization()))
    }

    #[must_use]
    pub fn has_scheme(&self, scheme: &str) -> bool {
        self.0.split(':').next().is_some_and(|own| own == scheme)
    }

    /// Returns whether the private-use scheme is a reversed domain name, so that no other app claims it by accident
    /// (RFC 8252 §7.1).
    #[must_use]
    pub fn has_domain_in_scheme(&self) -> bool {
        self.0.split(':').next().is_some_and(|scheme| scheme.contains('.'))
    }

    /// Returns whether the host is the user's own device, for any scheme.
    #[must_use]
    pub fn has_loopback_host(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| loopback(&url))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether `sent` matches this URI: byte for byte or, for a native app on http loopback, except for the
    /// port.
    #[must_use]
    pub fn matches(&self, sent: &str, native: bool) -> bool {
        self.0 == sent || (native && is_same_except_port(&self.0, sent))
    }

    /// Returns the host for display, or `None` for a private-use scheme, whose host can be any text.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        let url = Url::parse(&self.0).ok().filter(|_| self.kind() != RedirectKind::PrivateUse)?;
        url.host_str().map(ToOwned::to_owned)
    }
}

fn loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address == Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(address)) => address == Ipv6Addr::LOCALHOST,
        None => false,
    }
}

/// Returns whether two loopback URIs are equal except for the port (RFC 8252 §7.3). The comparison is on the text:
/// `http://`, a loopback literal, an optional port and the identical rest.
fn is_same_except_port(registered: &str, sent: &str) -> bool {
    fn split(uri: &str) -> Option<(&str, &str)> {
        let rest = uri.strip_prefix("http://")?;
        let host = ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|host| rest.starts_with(host))?;
        let after = rest.strip_prefix(host)?;
        let path = match after.strip_prefix(':') {
            Some(port_and_path) => {
                let end = port_and_path.find(|c: char| !c.is_ascii_digit()).unwrap_or(port_and_path.len());
                let (port, path) = port_and_path.split_at(end);
                port.parse::<u16>().ok().filter(|_| !port.starts_with('0'))?;
                path
            }
            None => after,
        };
        (path.is_empty() || path.starts_with(['/', '?'])).then_some((host, path))
    }
    matches!((split(registered), split(sent)), (Some(a), Some(b)) if a == b)
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).map_err(|problem| format!("the address {text:?} {problem}"))
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{RedirectKind, RedirectUri};

    #[test]
    fn redirect_uri_syntax_is_validated() {
        for good in [
            "https://app.example/cb",
            "https://app.example",
            "https://app.example/cb?tenant=a%20b",
            "http://127.0.0.1:9999/cb",
            "http://[::1]/cb",
            "http://localhost/cb",
            "com.example.app:/cb",
            "com.example.app://cb",
            "cursor://callback",
            "audiobookshelf://oauth",
            "http://nas.lan:8096/cb",
        ] {
            assert!(RedirectUri::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/cb",
            "app.example/cb",
            "https://app.example/cb#f",
            "https://user@app.example/cb",
            "https://user:pw@app.example/cb",
            "https:app.example/cb",
            "https:\\\\app.example/cb",
            "https://app.example/\tcb",
            "https://app.example/c b",
            "https://äpp.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "javascript://cb/%0aalert(1)",
            "JavaScript:/cb",
            "file:///cb",
            "intent://cb",
            "urn:ietf:wg:oauth:2.0:oob",
            "myapp:cb",
            "localhost:8080/cb",
            "c:/cb",
            "//app.example/cb",
        ] {
            assert!(RedirectUri::parse(bad).is_err(), "{bad}");
        }
        for (uri, kind, in_scheme) in [
            ("https://app.example/cb", RedirectKind::Https, false),
            ("http://[::1]/cb", RedirectKind::Loopback, false),
            ("http://127.0.0.1.evil.example/cb", RedirectKind::PlainHttp, false),
            ("http://app.example/cb", RedirectKind::PlainHttp, false),
            ("com.example.app:/cb", RedirectKind::PrivateUse, true),
            ("cursor://anysphere.example/cb", RedirectKind::PrivateUse, false),
        ] {
            let parsed = RedirectUri::parse(uri).unwrap();
            assert_eq!(parsed.kind(), kind, "{uri}");
            assert_eq!(parsed.has_domain_in_scheme() && kind == RedirectKind::PrivateUse, in_scheme, "{uri}");
        }
    }

    /// RFC 8252 §7.3.
    #[test]
    fn only_the_loopback_port_of_native_apps_may_vary() {
        let uri = RedirectUri::parse("http://127.0.0.1/cb?a=b").unwrap();
        for (sent, native, fits) in [
            ("http://127.0.0.1/cb?a=b", false, true),
            ("http://127.0.0.1:54321/cb?a=b", true, true),
            ("http://127.0.0.1:54321/cb?a=b", false, false),
            ("http://127.0.0.1:0/cb?a=b", true, false),
            ("http://127.0.0.1:080/cb?a=b", true, false),
            ("http://127.0.0.1:65536/cb?a=b", true, false),
            ("http://127.0.0.1:54321/cb?a=c", true, false),
            ("http://127.0.0.1:54321/CB?a=b", true, false),
            ("http://localhost:54321/cb?a=b", true, false),
            ("http://127.0.0.1:1@evil.example/cb?a=b", true, false),
            ("http://127.0.0.1.evil.example/cb?a=b", true, false),
            ("http://127.0.0.1:54321\\@evil.example/cb?a=b", true, false),
            ("https://127.0.0.1:54321/cb?a=b", true, false),
        ] {
            assert_eq!(uri.matches(sent, native), fits, "{sent} native={native}");
        }
    }

    proptest! {
        /// T8: the WHATWG parser is the oracle for where a browser would go.
        #[test]
        fn matching_uris_lead_to_the_same_target(
            text in "(https?://)?(127\\.0\\.0\\.1|\\[::1\\]|app\\.example)(:[0-9]{0,5})?[a-z0-9/@\\\\?#%.:]{0,12}",
            native in any::<bool>(),
        ) {
            for registered in ["https://app.example/cb", "http://127.0.0.1/cb", "http://[::1]:80/cb"] {
                let uri = RedirectUri::parse(registered).unwrap();
                if uri.matches(&text, native) && text != registered {
                    prop_assert!(native);
                    let (a, b) = (url::Url::parse(registered).unwrap(), url::Url::parse(&text).unwrap());
                    prop_assert_eq!((a.scheme(), a.host(), a.path(), a.query()), (b.scheme(), b.host(), b.path(), b.query()));
                    prop_assert!(b.username().is_empty() && b.fragment().is_none());
                }
            }
        }

        #[test]
        fn matching_never_panics(text in ".{0,60}", native in any::<bool>()) {
            let uri = RedirectUri::parse("http://127.0.0.1/cb").unwrap();
            prop_assert!(!uri.matches(&text, native) || text.starts_with("http://127.0.0.1"));
        }
    }
}
