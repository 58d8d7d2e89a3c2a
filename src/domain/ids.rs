//! Identifiers, each kind a type of its own, so that a session's id can never be handed in as a user's.

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
    /// A person; the public `sub` too.
    UserId,
    /// What one authorization came to: a family of refresh tokens and the access tokens beside it.
    GrantId,
    /// A browser session as relying parties know it (`sid`); never the value of the cookie.
    SessionId,
    /// An accepted authorization request that waits for a person.
    InteractionId,
    /// A passkey, for its own pages; its credential id is another thing.
    PasskeyId,
    /// An audit event.
    EventId,
    /// An initial access token (RFC 7591 §3) in lists; never the token.
    InitialAccessId,
    /// An API key in lists; never the key.
    ApiKeyId,
    /// Something that has to arrive elsewhere.
    DeliveryId,
}

/// `client_id` (RFC 6749 §2.2): printable ASCII without what would have to be escaped in Basic credentials.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(String);

impl ClientId {
    /// # Errors
    /// A sentence that says what a client id may be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/".contains(&b);
        // No browser asks for an address whose last part is one of these.
        if matches!(text, "" | "." | "..") || text.len() > 255 || !text.bytes().all(allowed) {
            return Err("client_id has 1 to 255 characters out of A-Z a-z 0-9 - . _ ~ : /");
        }
        Ok(Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it may be the address of a metadata document.
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

/// The absolute URI that names an API in `resource` and in a token's `aud`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiId(String);

impl ApiId {
    /// # Errors
    /// A sentence that says what is wrong (RFC 8707 §2: absolute, no fragment).
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
