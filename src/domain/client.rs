//! A client (an app): its id, what it says of itself, and what is kept of its secret.

use serde::{Deserialize, Serialize};

use super::client_metadata::{ApplicationType, ClientMetadata, Consent, GrantType};
use super::ids::ClientId;
use super::secret::{Digest, from_base64url};
use crate::env::Timestamp;

/// What is kept of a client's secret, as `keys::client_secret` makes it: a salted, keyed hash, or the secret sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientSecretAtRest(pub String);

impl ClientSecretAtRest {
    pub const HASHED: &str = "hmac-sha256$";
    pub const SEALED: &str = "sealed$";

    /// Whether the master key gets the secret back.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.0.starts_with(Self::SEALED)
    }

    /// Whether it has one of the two forms; anything else would be kept and never match.
    #[must_use]
    pub fn has_our_form(&self) -> bool {
        let bytes = |text| from_base64url(text).is_some();
        if let Some(jwe) = self.0.strip_prefix(Self::SEALED) {
            return jwe.split('.').count() == 5 && jwe.split('.').all(bytes);
        }
        let hashed = self.0.strip_prefix(Self::HASHED).and_then(|rest| rest.split_once('$'));
        hashed.is_some_and(|(salt, hash)| bytes(salt) && from_base64url(hash).is_some_and(|hash| hash.len() == 32))
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
pub enum Registered {
    /// An administrator made it.
    ByAdmin,
    /// It registered itself (RFC 7591): nobody here has checked what it says of itself.
    Dynamically,
    /// Its id is the address of its metadata document (OAuth Client ID Metadata Document): it is not kept.
    ByDocument,
}

impl Registered {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ByAdmin => "admin",
            Self::Dynamically => "dynamic",
            Self::ByDocument => "document",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::ByAdmin, Self::Dynamically, Self::ByDocument].into_iter().find(|way| way.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub id: ClientId,
    pub meta: ClientMetadata,
    pub secret: Option<ClientSecretAtRest>,
    pub disabled: bool,
    pub registered: Registered,
    /// Of the token with which it manages its own registration (RFC 7592 §3).
    pub registration_token: Option<Digest>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Client {
    /// The client that its metadata document, read at that time, speaks of.
    #[must_use]
    pub fn of_document(id: ClientId, meta: ClientMetadata, read_at: Timestamp) -> Self {
        Self {
            id,
            meta,
            secret: None,
            disabled: false,
            registered: Registered::ByDocument,
            registration_token: None,
            created_at: read_at,
            updated_at: read_at,
        }
    }

    /// A client of which only its address is known, its document not being at hand.
    #[must_use]
    pub fn of_address(id: ClientId) -> Self {
        Self::of_document(id, ClientMetadata::default(), Timestamp(0))
    }

    /// Where it comes from, as far as nobody here vouches for its name: the host of its id, or of its redirect URI.
    #[must_use]
    pub fn unverified_host(&self) -> Option<String> {
        match self.registered {
            Registered::ByAdmin => None,
            Registered::Dynamically => {
                let first = self.meta.redirect_uris.first()?;
                first.host().or_else(|| first.as_str().split_once(':').map(|(scheme, _)| scheme.to_owned()))
            }
            Registered::ByDocument => {
                let id = url::Url::parse(self.id.as_str()).ok()?;
                Some(id[url::Position::BeforeHost..url::Position::AfterPort].to_owned())
            }
        }
    }

    /// What people read; the id where it has no name.
    #[must_use]
    pub fn shown_name(&self) -> &str {
        if self.meta.client_name.is_empty() { self.id.as_str() } else { &self.meta.client_name }
    }

    #[must_use]
    pub fn kind(&self) -> ClientKind {
        if !self.meta.begins_in_a_browser() && !self.meta.allows(GrantType::DeviceCode) {
            ClientKind::Machine
        } else if self.meta.is_public() {
            ClientKind::Browser
        } else {
            ClientKind::Web
        }
    }

    #[must_use]
    pub fn is_native(&self) -> bool {
        self.meta.application_type == ApplicationType::Native
    }

    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.meta.consent == Consent::Trusted && self.is_verified()
    }

    /// Whether somebody here has vouched for what it says of itself.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.registered == Registered::ByAdmin
    }

    /// RFC 9700 §2.1.1: always for public clients, for confidential ones where they ask for it.
    #[must_use]
    pub fn needs_pkce(&self) -> bool {
        self.meta.is_public() || self.meta.require_pkce
    }

    /// Whether `sent` is one of its redirect URIs.
    #[must_use]
    pub fn redirects_to(&self, sent: &str) -> bool {
        self.meta.redirect_uris.iter().any(|uri| uri.matches(sent, self.is_native()))
    }

    #[must_use]
    pub fn logs_out_to(&self, sent: &str) -> bool {
        self.meta.post_logout_redirect_uris.iter().any(|uri| uri.matches(sent, self.is_native()))
    }
}
