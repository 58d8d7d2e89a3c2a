//! A client: its id, its metadata and its stored secret.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::client_metadata::{ApplicationType, ClientMetadata, ConsentPolicy, GrantType, ResponseType};
use super::ids::ClientId;
use super::secret::{Digest, from_base64url};
use super::signature_key::SignatureKey;
use crate::env::Timestamp;

/// The minimum length of a client secret in characters, except for imported ones. Shorter secrets are chosen by users,
/// and a keyed hash alone does not protect those.
pub const MIN_SECRET_LENGTH: usize = 32;

/// A client's secret as stored. `keys::client_secret` makes it: a salted, keyed hash prefixed with the id of its key,
/// or the sealed secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientSecretAtRest(pub String);

impl ClientSecretAtRest {
    pub const HASHED: &str = "hmac-sha256$";
    /// The prefix for an imported secret with fewer than [`MIN_SECRET_LENGTH`] characters.
    pub const HASHED_SHORT: &str = "short-hmac-sha256$";
    pub const SEALED: &str = "sealed$";

    /// Returns whether the master key can recover the secret.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.0.starts_with(Self::SEALED)
    }

    /// Returns whether the secret is short enough to be guessed and should be replaced.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.0.starts_with(Self::HASHED_SHORT)
    }

    /// Returns the key id, the salt and the hash, or `None` if this is not a hash.
    #[must_use]
    pub fn hash_parts(&self) -> Option<(&str, Vec<u8>, Vec<u8>)> {
        let hashed = self.0.strip_prefix(Self::HASHED).or_else(|| self.0.strip_prefix(Self::HASHED_SHORT))?;
        let (key, rest) = hashed.split_once('$')?;
        let (salt, hash) = rest.split_once('$')?;
        Some((key, from_base64url(salt)?, from_base64url(hash)?))
    }

    /// Returns whether the text has one of the known forms. Any other text would be stored and never match.
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

/// The kind of a client as shown to administrators, derived from its metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// Runs on a server and can keep a secret.
    Web,
    /// Runs in a browser or as a native app. It is a public client and always uses PKCE (RFC 8252 §8.1).
    Browser,
    /// Acts for itself, without a user.
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

/// How a client was registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationKind {
    /// An administrator registered it.
    Admin,
    /// It registered itself (RFC 7591). No administrator has verified its metadata.
    Dynamic,
    /// Its id is the URL of its metadata document (OAuth Client ID Metadata Document). It is not stored.
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
    /// The keys with which the client signs requests to APIs behind the gate.
    pub signature_keys: Vec<SignatureKey>,
    pub disabled: bool,
    pub registration_kind: RegistrationKind,
    /// The digest of the registration access token (RFC 7592 §3).
    pub registration_token: Option<Digest>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The `version` at creation, unique among all clients of the same id. 0 if the client is not stored.
    pub incarnation: i64,
    /// Incremented by every change that revokes the client's access. 0 if the client was not read for authentication,
    /// in which case no tokens are issued to it.
    pub version: i64,
    /// Incremented by every change of its settings.
    pub settings_version: i64,
}

impl Client {
    /// Returns whether the secret was imported, is short enough to be guessed and should be replaced.
    #[must_use]
    pub fn has_short_secret(&self) -> bool {
        self.secret.as_ref().is_some_and(ClientSecretAtRest::is_short)
    }

    /// Returns the client that a metadata document describes. `read_at` is the time at which the document was read.
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

    /// Returns a client of which only the id, the URL of its metadata document, is known.
    #[must_use]
    pub fn from_address(id: ClientId) -> Self {
        Self::from_document(id, ClientMetadata::default(), Timestamp(0))
    }

    /// Returns the host by which users can judge a client whose name no administrator has verified, or `None` for a
    /// verified client. It is the host of the metadata document or of the redirect URI.
    ///
    /// A dynamically registered client is shown by the requested `redirect_uri`, so that it cannot be shown by another
    /// party's URI that it lists beside its own. Without a request, it is shown by its only redirect URI or else by its
    /// id.
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

    /// Returns the client's name, or its id if it has no name.
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

    /// Returns whether users may start the client from their account page (OpenID Connect Core §4).
    #[must_use]
    pub fn is_launchable(&self) -> bool {
        self.is_trusted() && !self.disabled && self.meta.initiate_login_uri.is_some()
    }

    /// Returns whether an administrator has verified the client's metadata.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.registration_kind == RegistrationKind::Admin
    }

    /// Returns whether anonymous parties could send requests as this client or register it: it does not authenticate,
    /// or no administrator registered it. What such clients can store is limited (`store::quotas`).
    #[must_use]
    pub fn is_quota_limited(&self) -> bool {
        self.meta.is_public() || !self.is_verified()
    }

    /// Returns whether PKCE is required: always for public clients, and for confidential ones that opt in (RFC 9700
    /// §2.1.1).
    #[must_use]
    pub fn needs_pkce(&self) -> bool {
        self.meta.is_public() || self.meta.require_pkce
    }

    /// Returns whether `sent` matches one of the client's redirect URIs.
    #[must_use]
    pub fn has_redirect_uri(&self, sent: &str) -> bool {
        self.meta.redirect_uris.iter().any(|uri| uri.matches(sent, self.is_native()))
    }

    /// Returns the reasons why only this client can receive a response at `redirect_uri` (RFC 8252 §8.6, RFC 9700
    /// §2.6): an https URI of its own, or client authentication when it redeems the code. Any program on a device can
    /// listen on a loopback port or claim a private-use scheme.
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

/// Returns whether the URI is https and its host is not the local device.
fn is_remote_https(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| url.scheme() == "https" && !url.host().is_none_or(|host| is_own_device(&host)))
}

/// Returns whether the host denotes the local device, in any spelling.
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
    // 0.0.0.0 and `::` denote the local device, too; `::1` is read as 0.0.0.1 here.
    matches!(address, IpAddr::V4(address) if address.is_loopback() || address.octets()[0] == 0)
}

/// A reason why a redirect can reach only its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectAssurance {
    /// The client authenticates when it redeems the code.
    ClientAuthentication,
    /// The host of an https URI, with its port.
    HttpsHost(String),
}

/// Returns the host of a URI with its port, or the scheme of a private-use URI, whose host can be any text.
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
            // A front-channel response does not involve client authentication.
            assert_eq!(!confidential.redirect_assurances(uri, ResponseType::IdToken).is_empty(), by_address, "{uri}");
        }
    }
}
