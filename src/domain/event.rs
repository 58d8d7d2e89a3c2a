//! Audit events: what happened, the actor and the target. Each is written in the transaction of the change it records.

use serde::{Deserialize, Serialize};

use super::ids::{ClientId, EventId, UserId};
use crate::env::Timestamp;

macro_rules! event_kinds {
    ($($variant:ident => $name:literal, $words:literal;)+) => {
        /// The kind of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum EventKind {
            $(#[serde(rename = $name)] $variant,)+
        }

        impl EventKind {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the stable name used by `export` and filters.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Returns the text shown to users.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self { $(Self::$variant => $words,)+ }
            }

            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.name() == name)
            }
        }
    };
}

event_kinds! {
    SignedIn => "sign_in", "Signed in";
    SignInFailed => "sign_in.failed", "Sign-in refused";
    AppEntered => "sign_in.app", "Signed in to an app behind a gate";
    SignedOut => "sign_out", "Signed out";
    SessionEnded => "session.ended", "Session ended";
    PasswordChanged => "password.changed", "Password changed";
    PasskeyAdded => "passkey.added", "Passkey added";
    PasskeyRemoved => "passkey.removed", "Passkey removed";
    ConsentGiven => "consent.given", "App allowed";
    ConsentDenied => "consent.denied", "App not allowed";
    ConsentRevoked => "consent.revoked", "App removed";
    TokenReused => "token.reused", "Copied token refused, access ended";
    RequestRefused => "request.refused", "App's request refused";
    AccessRefused => "access.refused", "Person may not use the app";
    PasswordRefused => "password.refused", "Current password was wrong";
    UserCreated => "user.created", "Person added";
    UserUpdated => "user.updated", "Person changed";
    UserAdopted => "user.adopted", "Account adopted from who signed up";
    UserDisabled => "user.disabled", "Person turned off";
    UserEnabled => "user.enabled", "Person turned on";
    UserDeleted => "user.deleted", "Person deleted";
    GroupCreated => "group.created", "Group added";
    GroupDeleted => "group.deleted", "Group deleted";
    ClientCreated => "client.created", "App added";
    ClientUpdated => "client.updated", "App changed";
    ClientSecretRotated => "client.secret_rotated", "App's secret replaced";
    ClientDisabled => "client.disabled", "App turned off";
    ClientEnabled => "client.enabled", "App turned on";
    ClientDeleted => "client.deleted", "App deleted";
    InitialAccessCreated => "registration_token.created", "Registration token made";
    InitialAccessRevoked => "registration_token.revoked", "Registration token revoked";
    ApiKeyCreated => "api_key.created", "API key made";
    ApiKeyRevoked => "api_key.revoked", "API key revoked";
    ApiCreated => "api.created", "API added";
    ApiUpdated => "api.updated", "API changed";
    ApiDeleted => "api.deleted", "API deleted";
    ClientKeysExpired => "client.keys_expired", "App's keys too old to be used";
    LogoutUndelivered => "logout.undelivered", "App not told of a sign-out";
    ProxyAddressUnreadable => "proxy.address_unreadable", "Proxy’s client address not readable";
    KeyRotated => "key.rotated", "Signing key replaced";
    KeyRetired => "key.retired", "Signing key withdrawn";
}

impl EventKind {
    /// The kinds that record a rejection or a failure.
    pub const FAILURES: &'static [Self] = &[
        Self::SignInFailed,
        Self::TokenReused,
        Self::RequestRefused,
        Self::AccessRefused,
        Self::PasswordRefused,
        Self::ClientKeysExpired,
        Self::LogoutUndelivered,
    ];

    #[must_use]
    pub fn is_failure(self) -> bool {
        Self::FAILURES.contains(&self)
    }
}

/// The actor of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Signet itself, in a scheduled job.
    System,
    /// An operator at the server's command line.
    CommandLine,
    User(UserId),
    Client(ClientId),
    /// An unauthenticated requester.
    Anonymous,
}

impl Actor {
    /// Returns `system`, `cli`, `user:…`, `client:…` or `anonymous`.
    #[must_use]
    pub fn to_stored(&self) -> String {
        match self {
            Self::System => "system".to_owned(),
            Self::CommandLine => "cli".to_owned(),
            Self::User(id) => format!("user:{id}"),
            Self::Client(id) => format!("client:{id}"),
            Self::Anonymous => "anonymous".to_owned(),
        }
    }

    /// Parses the form of [`Self::to_stored`]. Unknown text, which Signet did not write, becomes [`Self::Anonymous`].
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        match text.split_once(':') {
            Some(("user", id)) => id.parse().map_or(Self::Anonymous, Self::User),
            Some(("client", id)) => ClientId::parse(id).map_or(Self::Anonymous, Self::Client),
            _ if text == "system" => Self::System,
            _ if text == "cli" => Self::CommandLine,
            _ => Self::Anonymous,
        }
    }
}

/// The origin of a request, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestOrigin {
    pub address: String,
    pub user_agent: String,
    pub request_id: String,
}

#[derive(Clone, Debug)]
pub struct Event {
    pub id: EventId,
    pub at: Timestamp,
    pub kind: EventKind,
    pub actor: Actor,
    /// The user that the event concerns.
    pub user: Option<UserId>,
    pub client: Option<ClientId>,
    pub origin: RequestOrigin,
    /// Further details as text, never a secret.
    pub detail: String,
}
