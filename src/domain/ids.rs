//! Identifiers. Each kind has its own type, so that a session's id cannot be passed as a user's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )+};
}

uuid_ids! {
    /// A user, also the public `sub`.
    UserId,
    /// A grant: one authorization with its refresh token family and access tokens.
    GrantId,
    /// A browser session as relying parties see it (`sid`). It is never the value of the cookie.
    SessionId,
    /// An accepted authorization request that waits for the user.
    InteractionId,
    /// A passkey, in this server's pages. It is not the credential id.
    PasskeyId,
    /// An audit event.
    EventId,
    /// An initial access token (RFC 7591 §3) in lists. It is not the token itself.
    InitialAccessId,
    /// An API key in lists. It is not the key itself.
    ApiKeyId,
    /// An outgoing message that must be delivered.
    DeliveryId,
}

/// `client_id` (RFC 6749 §2.2): printable ASCII without characters that need escaping in Basic credentials.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(String);

impl ClientId {
    /// Parses a client id.
    ///
    /// # Errors
    /// Returns a sentence that says what a client id may be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/".contains(&b);
        // Browsers remove these segments from a URL, so the id could not be its last segment.
        if matches!(text, "" | "." | "..") || text.len() > 255 || !text.bytes().all(allowed) {
            return Err("client_id has 1 to 255 characters out of A-Z a-z 0-9 - . _ ~ : /");
        }
        Ok(Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the id may be the URL of a metadata document.
    #[must_use]
    pub fn is_web_address(&self) -> bool {
        self.0.starts_with("https://") || self.0.starts_with("http://")
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ClientId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0
    }
}

/// The absolute URI that identifies an API in `resource` and in a token's `aud`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiId(String);

impl ApiId {
    /// Parses an identifier.
    ///
    /// # Errors
    /// Returns a sentence that describes the problem (RFC 8707 §2: absolute, no fragment).
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > 500 || !text.bytes().all(|b| matches!(b, 0x21..=0x7e)) {
            return Err("is a URI of at most 500 characters");
        }
        if text.contains('#') || url::Url::parse(text).is_err() {
            return Err("is an absolute URI without a fragment (RFC 8707 section 2)");
        }
        Ok(Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ApiId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).map_err(|problem| format!("the identifier {text:?} {problem}"))
    }
}

impl From<ApiId> for String {
    fn from(id: ApiId) -> Self {
        id.0
    }
}
