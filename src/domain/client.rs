//! A client (an app): its id, what it says of itself, and what is kept of its secret.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::client_metadata::{ApplicationType, ClientMetadata, ConsentPolicy, GrantType, ResponseType};
use super::ids::ClientId;
use super::secret::{Digest, from_base64url};
use super::signature_key::SignatureKey;
use crate::env::Timestamp;

/// Characters of a client secret, unless it was imported: shorter ones are chosen by people, and a keyed hash alone would
/// not guard those.
pub const MIN_SECRET_LENGTH: usize = 32;

/// What is kept of a client's secret, as `keys::client_secret` makes it: a salted, keyed hash behind the name of its key, or
/// the secret sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientSecretAtRest(pub String);

impl ClientSecretAtRest {
    pub const HASHED: &str = "hmac-sha256$";
    /// Of an imported secret with fewer than [`MIN_SECRET_LENGTH`] characters.
    pub const HASHED_SHORT: &str = "short-hmac-sha256$";
    pub const SEALED: &str = "sealed$";

    /// Whether the master key gets the secret back.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.0.starts_with(Self::SEALED)
    }

    /// Whether the secret can be guessed, and is to be replaced.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.0.starts_with(Self::HASHED_SHORT)
    }

    /// Returns the name of the key, the salt and the hash, where it is one.
    #[must_use]
    pub fn hash_parts(&self) -> Option<(&str, Vec<u8>, Vec<u8>)> {
        let hashed = self.0.strip_prefix(Self::HASHED).or_else(|| self.0.strip_prefix(Self::HASHED_SHORT))?;
        let (key, rest) = hashed.split_once('$')?;
        let (salt, hash) = rest.split_once('$')?;
        Some((key, from_base64url(salt)?, from_base64url(hash)?))
    }

    /// Whether it has one of the forms; anything else would be kept and never match.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        if let Some(jwe) = self.0.strip_prefix(Self::SEALED) {
            return jwe.split('.').count() == 5 && jwe.split('.').all(|part| from_base64url(part).is_some());
        }
        self.hash_parts().is_some_and(|(_, _, hash)| hash.len() == 32)
    }
}

impl std::fmt::Debug for ClientSecretAtRest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret at rest]")
    }
}

/// What a client is to people, as its metadata says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// Runs on a server and can keep a secret.
    Web,
    /// Runs in a browser, on a phone or on a desk: public, PKCE always (RFC 8252 §8.1).
    Browser,
    /// Acts for itself, nobody signs in.
    Machine,
}

impl ClientKind {
    pub const ALL: [Self; 3] = [Self::Web, Self::Browser, Self::Machine];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Browser => "browser",
            Self::Machine => "machine",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How a client came to be here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationKind {
    /// An administrator made it.
    Admin,
    /// It registered itself (RFC 7591): nobody here has checked what it says of itself.
    Dynamic,
    /// Its id is the address of its metadata document (OAuth Client ID Metadata Document): it is not kept.
    MetadataDocument,
}

impl RegistrationKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Dynamic => "dynamic",
            Self::MetadataDocument => "document",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Admin, Self::Dynamic, Self::MetadataDocument].into_iter().find(|way| way.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub id: ClientId,
    pub meta: ClientMetadata,
    pub secret: Option<ClientSecretAtRest>,
    /// By which it signs requests to other people's APIs.
    pub signature_keys: Vec<SignatureKey>,
    pub disabled: bool,
    pub registration_kind: RegistrationKind,
    /// Of the token with which it manages its own registration (RFC 7592 §3).
    pub registration_token: Option<Digest>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The version with which it was made: no client of the same id before or after it has the same. 0 where it is not kept.
    pub incarnation: i64,
    /// Incremented by what ends its access; 0 where it was not read to authenticate it, and nothing is issued to it.
    pub version: i64,
    /// Incremented by every change of its settings.
    pub settings_version: i64,
}

impl Client {
    /// Whether its secret was imported, can be guessed, and is to be replaced.
    #[must_use]
    pub fn has_short_secret(&self) -> bool {
        self.secret.as_ref().is_some_and(ClientSecretAtRest::is_short)
    }

    /// The client that its metadata document, read at that time, speaks of.
    #[must_use]
    pub fn from_document(id: ClientId, meta: ClientMetadata, read_at: Timestamp) -> Self {
        Self {
            id,
            meta,
            secret: None,
            signature_keys: Vec::new(),
            disabled: false,
            registration_kind: RegistrationKind::MetadataDocument,
            registration_token: None,
            created_at: read_at,
            updated_at: read_at,
            incarnation: 0,
            version: 0,
            settings_version: 0,
        }
    }

    /// A client of which only its address is known, its document not being at hand.
    #[must_use]
    pub fn from_address(id: ClientId) -> Self {
        Self::from_document(id, ClientMetadata::default(), Timestamp(0))
    }

    /// What people can judge it by where nobody here vouches for its name: the host of its document, or the place to
    /// which answers go. That is `redirect_uri` where something was asked for, since a client that lists somebody else's
    /// address beside its own must not be shown by that one; without a request its only one, or its id.
    #[must_use]
    pub fn unverified_host(&self, redirect_uri: Option<&str>) -> Option<String> {
        let of_the_only_one = || match self.meta.redirect_uris.as_slice() {
            [only] => place(only.as_str()),
            _ => None,
        };
        match self.registration_kind {
            RegistrationKind::Admin => None,
            RegistrationKind::Dynamic => {
                let place = redirect_uri.map_or_else(of_the_only_one, place);
                Some(place.unwrap_or_else(|| self.id.to_string()))
            }
            RegistrationKind::MetadataDocument => Some(place(self.id.as_str()).unwrap_or_else(|| self.id.to_string())),
        }
    }

    /// What people read; the id where it has no name.
    #[must_use]
    pub fn display_name(&self) -> &str {
        if self.meta.client_name.is_empty() { self.id.as_str() } else { &self.meta.client_name }
    }

    #[must_use]
    pub fn kind(&self) -> ClientKind {
        if !self.meta.has_redirect_flow() && !self.meta.allows(GrantType::DeviceCode) {
            ClientKind::Machine
        } else if self.meta.is_public() {
            ClientKind::Browser
        } else {
            ClientKind::Web
        }
    }

    #[must_use]
    pub fn is_native(&self) -> bool {
        self.meta.application_type() == ApplicationType::Native
    }

    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.meta.consent == ConsentPolicy::Trusted && self.is_verified()
    }

    /// Whether it is one of our own that anybody may open from here (OpenID Connect Core §4).
    #[must_use]
    pub fn is_launchable(&self) -> bool {
        self.is_trusted() && !self.disabled && self.meta.initiate_login_uri.is_some()
    }

    /// Whether somebody here has vouched for what it says of itself.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.registration_kind == RegistrationKind::Admin
    }

    /// Whether anybody could send requests as this client, or make it: it does not authenticate, or no administrator
    /// registered it. What a stranger makes the server store is limited (`store::quotas`).
    #[must_use]
    pub fn is_quota_limited(&self) -> bool {
        self.meta.is_public() || !self.is_verified()
    }

    /// RFC 9700 §2.1.1: always for public clients, for confidential ones where they ask for it.
    #[must_use]
    pub fn needs_pkce(&self) -> bool {
        self.meta.is_public() || self.meta.require_pkce
    }

    /// Whether `sent` is one of its redirect URIs.
    #[must_use]
    pub fn has_redirect_uri(&self, sent: &str) -> bool {
        self.meta.redirect_uris.iter().any(|uri| uri.matches(sent, self.is_native()))
    }

    /// Whether only the client can have an answer sent to `redirect_uri` (RFC 8252 §8.6, RFC 9700 §2.6): by an https
    /// address of its own, or because it authenticates when it redeems the code. Any program on a device can listen on a
    /// loopback port or claim a private-use scheme.
    #[must_use]
    pub fn redirect_assurances(&self, redirect_uri: &str, response_type: ResponseType) -> Vec<RedirectAssurance> {
        let authenticates = !self.meta.is_public() && response_type == ResponseType::Code;
        let by_authentication = authenticates.then_some(RedirectAssurance::ClientAuthentication);
        let by_host =
            if is_remote_https(redirect_uri) { place(redirect_uri).map(RedirectAssurance::HttpsHost) } else { None };
        by_authentication.into_iter().chain(by_host).collect()
    }

    #[must_use]
    pub fn has_post_logout_redirect_uri(&self, sent: &str) -> bool {
        self.meta.post_logout_redirect_uris.iter().any(|uri| uri.matches(sent, self.is_native()))
    }
}

/// Whether an address is https at a host that is not the device's own.
fn is_remote_https(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| url.scheme() == "https" && !url.host().is_none_or(|host| is_own_device(&host)))
}

/// Whether every device takes the host for itself, in whatever way that is written.
fn is_own_device(host: &Host<&str>) -> bool {
    let address = match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            return name == "localhost" || name.ends_with(".localhost");
        }
        Host::Ipv4(address) => IpAddr::V4(*address),
        // `::ffff:127.0.0.1`, and `::127.0.0.1`.
        Host::Ipv6(address) => address.to_ipv4().map_or(IpAddr::V6(*address), IpAddr::V4),
    };
    // 0.0.0.0 and `::` lead to the device, too; `::1` reads as 0.0.0.1 here.
    matches!(address, IpAddr::V4(address) if address.is_loopback() || address.octets()[0] == 0)
}

/// By what a redirect is known to lead to its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectAssurance {
    /// The client authenticates for what the redirect brings it.
    ClientAuthentication,
    /// The host with its port, https.
    HttpsHost(String),
}

/// An address's host with its port, or the scheme of an app on a device, behind which any host may be written.
#[must_use]
pub fn place(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https"));
    let host = host.map(|host| url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")));
    Some(host.unwrap_or_else(|| url.scheme().to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Client, RedirectAssurance, RegistrationKind};
    use crate::domain::client_metadata::ResponseType;
    use crate::domain::ids::ClientId;
    use crate::env::Timestamp;

    #[test]
    fn unverified_client_is_shown_by_host() {
        let of = |registered, id: &str, uris: &[&str]| {
            let meta = serde_json::from_value(json!({ "redirect_uris": uris })).unwrap();
            Client {
                registration_kind: registered,
                ..Client::from_document(ClientId::parse(id).unwrap(), meta, Timestamp(0))
            }
        };
        let (bank, other) = ("https://bank.example/cb", "https://other.example:8443/cb");
        let (document, dynamic) = (RegistrationKind::MetadataDocument, RegistrationKind::Dynamic);
        for (client, asked, shown) in [
            (of(RegistrationKind::Admin, "web", &[bank]), Some(bank), None),
            (of(dynamic, "x", &[bank, other]), Some(other), Some("other.example:8443")),
            (of(dynamic, "x", &[bank, other]), None, Some("x")),
            (of(dynamic, "x", &[bank]), None, Some("bank.example")),
            (of(dynamic, "x", &["com.example.app:/cb"]), Some("com.example.app:/cb"), Some("com.example.app")),
            (of(dynamic, "x", &["com.example.app://bank.example"]), None, Some("com.example.app")),
            (of(document, "https://app.example:8443/c", &[bank]), Some(bank), Some("app.example:8443")),
        ] {
            assert_eq!(client.unverified_host(asked).as_deref(), shown, "{client:?} {asked:?}");
        }
    }

    /// RFC 8252 §8.6.
    #[test]
    fn redirect_identifies_the_client_by_https_or_authentication() {
        let of = |method: &str| {
            let meta = serde_json::from_value(json!({ "token_endpoint_auth_method": method })).unwrap();
            Client::from_document(ClientId::parse("app").unwrap(), meta, Timestamp(0))
        };
        let (public, confidential) = (of("none"), of("client_secret_basic"));
        for (uri, by_address) in [
            ("https://app.example/cb", true),
            ("http://127.0.0.1:9999/cb", false),
            ("http://[::1]/cb", false),
            ("http://localhost/cb", false),
            ("https://localhost:9999/cb", false),
            ("https://127.0.0.1/cb", false),
            ("https://app.localhost/cb", false),
            ("https://localhost.:9443/cb", false),
            ("https://app.localhost./cb", false),
            ("https://127.1/cb", false),
            ("https://[::ffff:127.0.0.1]:9443/cb", false),
            ("https://[::127.0.0.1]/cb", false),
            ("https://[::1]/cb", false),
            ("https://[::]/cb", false),
            ("https://0.0.0.0:9443/cb", false),
            ("https://[2001:db8::1]/cb", true),
            ("https://192.0.2.1/cb", true),
            ("com.example.app:/cb", false),
        ] {
            assert_eq!(!public.redirect_assurances(uri, ResponseType::Code).is_empty(), by_address, "{uri}");
            assert!(
                confidential
                    .redirect_assurances(uri, ResponseType::Code)
                    .contains(&RedirectAssurance::ClientAuthentication),
                "{uri}"
            );
            // Nobody authenticates for tokens that the browser brings along.
            assert_eq!(!confidential.redirect_assurances(uri, ResponseType::IdToken).is_empty(), by_address, "{uri}");
        }
    }
}
