//! A client (an app): its id, what it says of itself, and the hash of its secret.

use serde::{Deserialize, Serialize};

use super::client_metadata::{ApplicationType, ClientMetadata, Consent};
use super::ids::ClientId;
use crate::env::Timestamp;

/// A salted, keyed hash of a client secret (DESIGN: a slow hash would only slow every token request).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientSecretHash(pub String);

impl std::fmt::Debug for ClientSecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hash]")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub id: ClientId,
    pub meta: ClientMetadata,
    pub secret: Option<ClientSecretHash>,
    pub disabled: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Client {
    /// What people read; the id where it has no name.
    #[must_use]
    pub fn shown_name(&self) -> &str {
        if self.meta.client_name.is_empty() { self.id.as_str() } else { &self.meta.client_name }
    }

    #[must_use]
    pub fn is_native(&self) -> bool {
        self.meta.application_type == ApplicationType::Native
    }

    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.meta.consent == Consent::Trusted
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
