//! Resolves a URL to addresses that may be reached. The name is looked up once, each address is checked, and
//! the connection goes to a checked address. A name server that responds differently the second time (DNS
//! rebinding) is not asked again.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

use super::OutboundError;
use super::address::is_public;
use super::dns::DnsResolver;
use crate::config::OutboundAllow;

/// The allowed destinations: the public internet with https, and the exceptions in the settings.
#[derive(Clone)]
pub(super) struct AddressPolicy {
    allow: Arc<OutboundAllow>,
}

/// A URL that passed all checks that need no lookup of its name.
pub(super) struct Target {
    pub url: Url,
    pub host: String,
    pub plain: bool,
}

impl AddressPolicy {
    pub(super) fn new(allow: OutboundAllow) -> Self {
        Self { allow: Arc::new(allow) }
    }

    /// Checks a URL without a lookup. All ports are allowed: the request uses TLS, which no other protocol
    /// accepts as its own, and there are reasons to publish keys at a port such as 8443.
    pub(super) fn target(&self, url: &str) -> Result<Target, OutboundError> {
        let url = Url::parse(url).map_err(|_| OutboundError::NotAUrl)?;
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(OutboundError::NotHttps),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::Userinfo);
        }
        // The parser has normalized every spelling of an IP address (0x7f.1, 017700000001, ①27.0.0.1).
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(name)) if plain && !self.allows_plain_http(name) => return Err(OutboundError::NotHttps),
            Some(Host::Domain(_)) => None,
            None => return Err(OutboundError::NotAUrl),
        };
        if let Some(address) = address
            && !self.permit(false, plain, address)
        {
            return Err(if plain { OutboundError::NotHttps } else { OutboundError::Address });
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        Ok(Target { url, host, plain })
    }

    fn names(&self, host: &str) -> bool {
        self.allow.hosts.iter().any(|allowed| allowed == host)
    }

    /// Returns whether plain http is allowed to this host. If networks are allowed, any name may resolve into
    /// one of them.
    fn allows_plain_http(&self, host: &str) -> bool {
        self.names(host) || !self.allow.networks.is_empty()
    }

    fn permit(&self, named: bool, plain: bool, address: IpAddr) -> bool {
        named || self.allow.networks.contains(address) || (!plain && is_public(address))
    }

    async fn resolve(&self, names: &DnsResolver, host: &str, plain: bool) -> Result<Vec<SocketAddr>, OutboundError> {
        let named = self.names(host);
        let found = names.lookup(host).await?;
        let permitted: Vec<_> = found.into_iter().filter(|address| self.permit(named, plain, *address)).collect();
        if permitted.is_empty() {
            return Err(OutboundError::Address);
        }
        // The client sets the port of the URL.
        Ok(permitted.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
    }
}

/// The resolver of the HTTP client for one URL source and scheme. It is never called for IP addresses.
pub(super) struct PolicyResolver {
    pub rules: AddressPolicy,
    pub names: Arc<DnsResolver>,
    pub plain: bool,
}

impl Resolve for PolicyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, names, plain) = (self.rules.clone(), self.names.clone(), self.plain);
        Box::pin(async move {
            match rules.resolve(&names, name.as_str(), plain).await {
                Ok(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Err(error) => Err(Box::new(error) as Box<dyn Error + Send + Sync>),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::AddressPolicy;
    use crate::config::OutboundAllow;
    use crate::outbound::OutboundError;
    use crate::outbound::dns::DnsResolver;

    fn rules(allow: &[&str]) -> AddressPolicy {
        AddressPolicy::new(serde_json::from_value::<OutboundAllow>(serde_json::json!(allow)).unwrap())
    }

    fn refusal(rules: &AddressPolicy, url: &str) -> Option<OutboundError> {
        rules.target(url).err()
    }

    #[test]
    fn url_must_be_https_and_public() {
        use OutboundError::{Address, NotAUrl, NotHttps, Userinfo};
        let rules = rules(&[]);
        for (url, why) in [
            ("", NotAUrl),
            ("https://", NotAUrl),
            ("https:///", NotAUrl),
            ("//example.com/", NotAUrl),
            ("https://exa mple.com/", NotAUrl),
            ("https://256.256.256.256/", NotAUrl),
            ("http://example.com/", NotHttps),
            ("ftp://example.com/", NotHttps),
            ("file:///etc/passwd", NotHttps),
            ("gopher://example.com/", NotHttps),
            ("data:application/json,{}", NotHttps),
            ("http://127.0.0.1/", NotHttps),
            ("http://8.8.8.8/", NotHttps),
            ("https://user@example.com/", Userinfo),
            ("https://:pw@example.com/", Userinfo),
            ("https://example.com@127.0.0.1/", Userinfo),
            ("https://127.0.0.1/", Address),
            ("https://127.1/", Address),
            ("https://0x7f.1/", Address),
            ("https://2130706433/", Address),
            ("https://0177.0.0.1/", Address),
            ("https://①②⑦.0.0.1/", Address),
            ("https://127.0.0.1./", Address),
            ("https://%31%32%37.0.0.1/", Address),
            ("https://0/", Address),
            ("https://[::]/", Address),
            ("https://[::1]:8443/", Address),
            ("https://[::ffff:127.0.0.1]/", Address),
            ("https://[::ffff:7f00:1]/", Address),
            ("https://[64:ff9b::a9fe:a9fe]/", Address),
            ("https://169.254.169.254/latest/meta-data/", Address),
            ("https://192.168.0.1\\@example.com/", Address),
        ] {
            assert_eq!(refusal(&rules, url), Some(why), "{url}");
        }
        for url in ["https://example.com/a?b#c", "https://example.com:8443/", "https://8.8.8.8/", "HTTPS://EXAMPLE.COM"]
        {
            assert_eq!(refusal(&rules, url), None, "{url}");
        }
    }

    #[test]
    fn allowed_hosts_may_be_private_and_plain_http() {
        let rules = rules(&["10.1.0.0/16", "::1", "app.intranet"]);
        for url in [
            "http://10.1.2.3/",
            "https://10.1.2.3/",
            "http://[::1]:8080/",
            "http://app.intranet/",
            "http://other.intranet/",
        ] {
            assert_eq!(refusal(&rules, url), None, "{url}");
        }
        for url in ["http://10.2.0.1/", "https://10.2.0.1/", "http://8.8.8.8/", "http://u@10.1.2.3/"] {
            assert!(refusal(&rules, url).is_some(), "{url}");
        }
    }

    #[tokio::test]
    async fn host_name_is_judged_by_its_addresses() {
        use OutboundError::{Address, UnknownHost};
        let names = &DnsResolver::new(Vec::new());
        let localhost = |rules: AddressPolicy, plain| async move { rules.resolve(names, "localhost", plain).await };
        assert_eq!(localhost(rules(&[]), false).await, Err(Address));
        assert_eq!(localhost(rules(&["10.0.0.0/8", "intranet"]), true).await, Err(Address));
        let found = localhost(rules(&["127.0.0.1"]), true).await.unwrap();
        assert!(found.iter().all(|at| at.ip().to_string() == "127.0.0.1"), "{found:?}");
        assert!(!localhost(rules(&["localhost"]), true).await.unwrap().is_empty());
        assert_eq!(rules(&[]).resolve(names, "no-such-host.invalid", false).await, Err(UnknownHost));
    }
}
