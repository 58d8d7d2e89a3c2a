//! Redirect URIs: what may be registered, and when one that was sent is the one that was registered.
//!
//! RFC 6749 §3.1.2 (absolute, no fragment), RFC 9700 §4.1.3 (exact string comparison), RFC 8252 §7.1 (private-use
//! schemes) and §7.3 (a native app's loopback port may vary). Nothing here normalises: a URI is its bytes.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// A registered redirect URI (or post-logout redirect URI), exactly as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(String);

impl RedirectUri {
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > 2048 {
            return Err("is longer than 2048 characters");
        }
        // What the WHATWG parser would silently drop or turn round is where two readers of one URI come to differ.
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
            "http" if loopback(&url) => Ok(Self(text.to_owned())),
            "http" => Err("must begin with https; only 127.0.0.1, [::1] and localhost may use http"),
            // RFC 8252 §7.1: a name the app's maker owns, turned round, so that no other app claims it by accident.
            scheme if scheme.contains('.') => Ok(Self(text.to_owned())),
            _ => Err("must begin with https or, for an app on a device, with a scheme such as com.example.app"),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `sent` is this URI: byte for byte, or, for a native app on http loopback, but for the port.
    #[must_use]
    pub fn matches(&self, sent: &str, native: bool) -> bool {
        self.0 == sent || (native && same_but_for_the_port(&self.0, sent))
    }

    /// The host as people read it; nothing for an app's own scheme.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        Url::parse(&self.0).ok()?.host_str().map(ToOwned::to_owned)
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

/// RFC 8252 §7.3, on the text itself: `http://` + a loopback literal + an optional port + the identical rest.
fn same_but_for_the_port(registered: &str, sent: &str) -> bool {
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

    use super::RedirectUri;

    #[test]
    fn what_may_be_registered() {
        for good in [
            "https://app.example/cb",
            "https://app.example",
            "https://app.example/cb?tenant=a%20b",
            "http://127.0.0.1:9999/cb",
            "http://[::1]/cb",
            "http://localhost/cb",
            "com.example.app:/cb",
            "com.example.app://cb",
        ] {
            assert!(RedirectUri::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/cb",
            "app.example/cb",
            "http://app.example/cb",
            "http://127.0.0.1.evil.example/cb",
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
            "myapp:/cb",
            "//app.example/cb",
        ] {
            assert!(RedirectUri::parse(bad).is_err(), "{bad}");
        }
    }

    /// RFC 8252 §7.3.
    #[test]
    fn a_native_apps_loopback_port_may_vary_and_nothing_else() {
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
        fn what_fits_leads_a_browser_to_the_same_place(
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
        fn nothing_that_is_sent_breaks_the_comparison(text in ".{0,60}", native in any::<bool>()) {
            let uri = RedirectUri::parse("http://127.0.0.1/cb").unwrap();
            prop_assert!(!uri.matches(&text, native) || text.starts_with("http://127.0.0.1"));
        }
    }
}
