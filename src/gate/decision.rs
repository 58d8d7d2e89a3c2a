//! What the gate answers: who it is, or why not, in words that the caller can act on. Why in a word (`X-Gate-Reason`) is
//! for the proxy's log and the console; nothing of it says which part of a secret was wrong.
//!
//! Next door: [`super::challenge`], what a caller is told to send instead.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::challenge;
use crate::domain::api::Api;
use crate::domain::authorization::Acr;
use crate::domain::gate::CredentialKind;
use crate::domain::ids::{ClientId, UserId};
use crate::domain::scope::Scopes;
use crate::domain::user::UserSummary;
use crate::env::Timestamp;

#[derive(Debug)]
pub enum Decision {
    /// Let in: somebody, or nobody in particular where the rule says anybody.
    Pass(Option<Box<Identity>>),
    Deny(Denial),
}

/// Who asks, however they proved it.
#[derive(Clone, Debug)]
pub struct Identity {
    pub credential_kind: CredentialKind,
    /// As the client knows them; a client that acts for itself by its `client_id`.
    pub subject: String,
    pub client: Option<ClientId>,
    pub user: Option<UserId>,
    pub user_summary: Option<Arc<UserSummary>>,
    /// Of this API.
    pub scopes: Scopes,
    pub acr: Option<Acr>,
    pub auth_time: Option<Timestamp>,
}

impl Identity {
    #[must_use]
    pub fn groups(&self) -> &[String] {
        self.user_summary.as_deref().map_or(&[], |person| &person.groups)
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident => $name:literal, $status:literal;)+) => {
        /// Why a request is refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $variant,)+
        }

        impl Reason {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// As `X-Gate-Reason` and the record have it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// RFC 6750 §3.1; a stronger sign-in is 401 (RFC 9470 §3).
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
            }
        }
    };
}

reasons! {
    UntrustedProxy => "untrusted_proxy", 403;
    UnknownGate => "unknown_gate", 404;
    /// RFC 6585 §5.
    TooLarge => "too_large", 431;
    MalformedRequest => "malformed_request", 400;
    AmbiguousPath => "ambiguous_path", 400;
    MalformedCredential => "malformed_credential", 400;
    TwoCredentials => "two_credentials", 400;
    NoCredential => "no_credential", 401;
    InvalidCredential => "invalid_credential", 401;
    NoRule => "no_rule", 403;
    InsufficientScope => "insufficient_scope", 403;
    MissingGroup => "missing_group", 403;
    InsufficientAuthentication => "insufficient_authentication", 401;
    /// RFC 6585 §4.
    TooManyRequests => "too_many_requests", 429;
    /// So many wrong credentials that no further one is looked at.
    TooManyFailures => "too_many_failures", 429;
}

#[derive(Clone, Debug)]
pub struct Denial {
    pub reason: Reason,
    /// A sentence for the caller.
    pub text: String,
    /// The value of `WWW-Authenticate`; nothing where no other credential would help.
    pub challenge: Option<String>,
    /// Where a browser goes to sign in.
    pub sign_in: Option<String>,
    /// What the rule asks for.
    pub scopes: Box<Scopes>,
    pub acr: Option<Acr>,
    /// Seconds (RFC 9110 §10.2.3).
    pub retry_after: Option<NonZeroU32>,
    /// How the caller tried to prove who they are, where that is known.
    pub tried: Option<CredentialKind>,
    /// Who it was, where that was found out.
    pub identity: Option<Box<Identity>>,
}

impl Denial {
    #[must_use]
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        let (text, scopes) = (text.into(), Box::default());
        let (challenge, sign_in, acr, retry_after, tried, who) = (None, None, None, None, None, None);
        Self { reason, text, challenge, sign_in, scopes, acr, retry_after, tried, identity: who }
    }

    #[must_use]
    pub(super) fn of(self, who: Option<Identity>) -> Self {
        Self { identity: who.map(Box::new), ..self }
    }

    #[must_use]
    pub(super) fn with_required_scopes(self, scopes: Scopes) -> Self {
        Self { scopes: Box::new(scopes), ..self }
    }

    #[must_use]
    pub(super) fn with_required_acr(self, acr: Acr) -> Self {
        Self { acr: Some(acr), ..self }
    }

    /// With what this API would take instead.
    #[must_use]
    pub(super) fn for_api(mut self, api: &Api) -> Self {
        self.challenge = challenge::of(api, &self);
        self
    }
}
