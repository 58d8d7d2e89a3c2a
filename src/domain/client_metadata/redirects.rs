//! The application type of a client, and the redirect URIs that it may have. The rules are the same for every way to
//! register a client: `apply`, the console, the command line, dynamic registration and metadata documents.
//!
//! See also [`super::rules`], the rules for the other members, and `protocol::registration`, the further limits for
//! self-registered clients.

use url::{Host, Url};

use super::{ApplicationType, ClientMetadata, GrantType};
use crate::domain::http_host::HttpHost;
use crate::domain::redirect_uri::{RedirectKind, RedirectUri};

/// The maximum number of invalid URIs in an error, so that a long list does not cause a long response.
const MAX_NAMED_URIS: usize = 5;
const MAX_REDIRECT_URIS: usize = 50;
const MAX_HTTP_HOSTS: usize = 50;

impl ClientMetadata {
    /// Returns the stated type or else derives it from the redirect URIs: native if one has a private-use scheme, or if
    /// one is on loopback and the client has no secret. Clients seldom state their type.
    #[must_use]
    pub fn application_type(&self) -> ApplicationType {
        let tells = |uri: &RedirectUri| match uri.kind() {
            RedirectKind::PrivateUse => true,
            RedirectKind::Loopback => !self.has_secret(),
            RedirectKind::Https | RedirectKind::PlainHttp => false,
        };
        let is_native = || self.redirect_uris.iter().any(tells);
        self.application_type
            .unwrap_or_else(|| if is_native() { ApplicationType::Native } else { ApplicationType::Web })
    }

    /// Sets the type (OpenID Connect Registration §2).
    pub fn set_application_type(&mut self, stated: ApplicationType) {
        self.application_type = Some(stated);
    }

    /// Returns why the client may not have this redirect URI, or `None` if it may.
    #[must_use]
    pub fn redirect_problem(&self, uri: &RedirectUri) -> Option<&'static str> {
        match (uri.kind(), self.application_type()) {
            (RedirectKind::PlainHttp, _) if !self.is_http_host(uri) => Some(
                "must begin with https; only 127.0.0.1, [::1], localhost and hosts in http_redirect_hosts may use http",
            ),
            // Network attackers could read the tokens.
            (RedirectKind::PlainHttp, _) if self.allows(GrantType::Implicit) => {
                Some("must begin with https, since the grant type implicit sends tokens there")
            }
            (RedirectKind::PrivateUse, ApplicationType::Web) => {
                Some("must begin with https: a scheme of its own is for application_type native")
            }
            (RedirectKind::Https, ApplicationType::Native) if uri.has_loopback_host() => {
                Some("must begin with http at the loopback address, as of every native client")
            }
            _ => None,
        }
    }

    pub(super) fn redirects(&self, wrong: &mut impl FnMut(&'static str, &str)) {
        for (field, uris) in
            [("redirect_uris", &self.redirect_uris), ("post_logout_redirect_uris", &self.post_logout_redirect_uris)]
        {
            if uris.len() > MAX_REDIRECT_URIS {
                wrong(field, &format!("has more than {MAX_REDIRECT_URIS} addresses"));
            }
            for (uri, problem) in
                uris.iter().filter_map(|uri| Some((uri, self.redirect_problem(uri)?))).take(MAX_NAMED_URIS)
            {
                wrong(field, &format!("{uri} {problem}"));
            }
        }
        if self.has_redirect_flow() && self.redirect_uris.is_empty() {
            wrong("redirect_uris", "at least one redirect URI is needed for authorization_code and implicit");
        }
        if self.http_redirect_hosts.len() > MAX_HTTP_HOSTS {
            wrong("http_redirect_hosts", &format!("has more than {MAX_HTTP_HOSTS} hosts"));
        }
    }

    /// Returns the hosts of the client's redirect URIs that `named` covers.
    #[must_use]
    pub fn redirect_hosts_within(&self, named: &[HttpHost]) -> Vec<HttpHost> {
        let uris = self.redirect_uris.iter().chain(&self.post_logout_redirect_uris);
        let urls: Vec<Url> = uris.filter_map(|uri| Url::parse(uri.as_str()).ok()).collect();
        let hosts = urls.iter().filter_map(Url::host).filter(|host| named.iter().any(|named| named.covers(host)));
        let alone = |host: Host<&str>| match host {
            Host::Ipv6(address) => HttpHost::parse(&address.to_string()).ok(),
            host => HttpHost::parse(&host.to_string()).ok(),
        };
        hosts.filter_map(alone).collect()
    }

    fn is_http_host(&self, uri: &RedirectUri) -> bool {
        let url = Url::parse(uri.as_str()).ok();
        let host = url.as_ref().and_then(Url::host);
        host.is_some_and(|host| self.http_redirect_hosts.iter().any(|named| named.covers(&host)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ApplicationType;
    use crate::domain::client_metadata::ClientMetadata;

    fn of(members: &serde_json::Value) -> ClientMetadata {
        serde_json::from_value(members.clone()).unwrap()
    }

    #[test]
    fn application_type_is_inferred_from_redirect_uris() {
        for (members, native) in [
            (json!({ "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none" }), false),
            (json!({ "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none" }), true),
            (json!({ "redirect_uris": ["http://127.0.0.1/cb"] }), false),
            (json!({ "redirect_uris": ["https://app.example/cb", "com.example.app:/cb"] }), true),
            (json!({ "redirect_uris": ["cursor://cb"], "application_type": "web" }), false),
            (json!({ "redirect_uris": ["https://app.example/cb"], "application_type": "native" }), true),
        ] {
            assert_eq!(of(&members).application_type() == ApplicationType::Native, native, "{members}");
        }
    }

    #[test]
    fn redirect_uris_must_fit_application_type_and_hosts() {
        for (members, problem) in [
            (json!({ "redirect_uris": ["cursor://cb"] }), None),
            (json!({ "redirect_uris": ["cursor://cb"], "application_type": "web" }), Some("native")),
            (json!({ "redirect_uris": ["https://localhost/cb"], "application_type": "native" }), Some("http at")),
            (json!({ "redirect_uris": ["http://nas.lan/cb"] }), Some("http_redirect_hosts")),
            (json!({ "redirect_uris": ["http://nas.lan/cb"], "http_redirect_hosts": ["nas.lan"] }), None),
            (json!({ "redirect_uris": ["http://nas.lan/cb"], "http_redirect_hosts": ["tv.lan"] }), Some("hosts")),
            (
                json!({
                    "redirect_uris": ["http://nas.lan/cb"], "http_redirect_hosts": ["nas.lan"],
                    "grant_types": ["authorization_code", "implicit"],
                }),
                Some("tokens"),
            ),
            (
                json!({
                    "redirect_uris": ["https://app.example/cb"], "post_logout_redirect_uris": ["http://nas.lan/bye"],
                }),
                Some("http_redirect_hosts"),
            ),
        ] {
            let problems = of(&members).problems();
            let first = problems.first().map(|problem| problem.message.as_str());
            match problem {
                Some(says) => assert!(first.is_some_and(|text| text.contains(says)), "{members}: {first:?}"),
                None => assert_eq!(first, None, "{members}"),
            }
        }
    }
}
