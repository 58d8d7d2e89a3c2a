//! What the gate answers: who it is, or why not, in words that the caller can act on. Why in a word (`X-Gate-Reason`) is
//! for the proxy's log and the console; nothing of it says which part of a secret was wrong.
//!
//! Next door: [`super::challenge`], what a caller is told to send instead.

use std::sync::Arc;

use super::challenge;
use crate::domain::api::Api;
use crate::domain::authorization::Acr;
use crate::domain::gate::Way;
use crate::domain::ids::{ClientId, UserId};
use crate::domain::scope::Scopes;
use crate::domain::user::Person;
use crate::env::Timestamp;

#[derive(Debug)]
pub enum Verdict {
    /// Let in: somebody, or nobody in particular where the rule says anybody.
    Pass(Option<Box<Identity>>),
    Refuse(Refusal),
}

/// Who asks, however they proved it.
#[derive(Clone, Debug)]
pub struct Identity {
    pub way: Way,
    /// As the client knows them; a client that acts for itself by its `client_id`.
    pub subject: String,
    pub client: Option<ClientId>,
    pub user: Option<UserId>,
    pub person: Option<Arc<Person>>,
    /// Of this API.
    pub scopes: Scopes,
    pub acr: Option<Acr>,
    pub auth_time: Option<Timestamp>,
}

impl Identity {
    #[must_use]
    pub fn groups(&self) -> &[String] {
        self.person.as_deref().map_or(&[], |person| &person.groups)
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    UntrustedProxy,
    UnknownGate,
    TooLarge,
    MalformedRequest,
    AmbiguousPath,
    MalformedCredential,
    TwoCredentials,
    NoCredential,
    InvalidCredential,
    NoRule,
    InsufficientScope,
    MissingGroup,
    InsufficientAuthentication,
}

impl Reason {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UntrustedProxy => "untrusted_proxy",
            Self::UnknownGate => "unknown_gate",
            Self::TooLarge => "too_large",
            Self::MalformedRequest => "malformed_request",
            Self::AmbiguousPath => "ambiguous_path",
            Self::MalformedCredential => "malformed_credential",
            Self::TwoCredentials => "two_credentials",
            Self::NoCredential => "no_credential",
            Self::InvalidCredential => "invalid_credential",
            Self::NoRule => "no_rule",
            Self::InsufficientScope => "insufficient_scope",
            Self::MissingGroup => "missing_group",
            Self::InsufficientAuthentication => "insufficient_authentication",
        }
    }

    /// RFC 6750 §3.1; a stronger sign-in is 401 (RFC 9470 §3).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::UnknownGate => 404,
            // RFC 6585 §5.
            Self::TooLarge => 431,
            Self::MalformedRequest | Self::AmbiguousPath | Self::MalformedCredential | Self::TwoCredentials => 400,
            Self::NoCredential | Self::InvalidCredential | Self::InsufficientAuthentication => 401,
            Self::UntrustedProxy | Self::NoRule | Self::InsufficientScope | Self::MissingGroup => 403,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Refusal {
    pub reason: Reason,
    /// A sentence for the caller.
    pub text: String,
    /// The value of `WWW-Authenticate`; nothing where no other credential would help.
    pub challenge: Option<String>,
    /// What the rule asks for.
    pub scopes: Scopes,
    pub acr: Option<Acr>,
}

impl Refusal {
    #[must_use]
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into(), challenge: None, scopes: Scopes::default(), acr: None }
    }

    #[must_use]
    pub(super) fn needing(self, scopes: Scopes) -> Self {
        Self { scopes, ..self }
    }

    #[must_use]
    pub(super) fn at_least(self, acr: Acr) -> Self {
        Self { acr: Some(acr), ..self }
    }

    /// With what this API would take instead.
    #[must_use]
    pub(super) fn for_api(mut self, api: &Api) -> Self {
        self.challenge = challenge::of(api, &self);
        self
    }
}
