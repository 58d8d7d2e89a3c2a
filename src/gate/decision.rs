//! The decision of the gate: the authenticated identity, or the reason for the denial in words that the caller can act
//! on. The reason code (`X-Gate-Reason`) is meant for the proxy's log and the console. It never says which part of a
//! secret was wrong.
//!
//! See also [`super::challenge`], the `WWW-Authenticate` value of a denial.

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
    /// The request is allowed. `None` where the rule allows anonymous requests and the request is not authenticated.
    Pass(Option<Box<Identity>>),
    Deny(Denial),
}

/// The authenticated caller, independent of the kind of credential.
#[derive(Clone, Debug)]
pub struct Identity {
    pub credential_kind: CredentialKind,
    /// The subject as the client sees it; the `client_id` for a client that acts on its own behalf.
    pub subject: String,
    pub client: Option<ClientId>,
    pub user: Option<UserId>,
    pub user_summary: Option<Arc<UserSummary>>,
    /// The granted scopes of this API.
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
        /// The reason for a denial.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $variant,)+
        }

        impl Reason {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the reason code used in `X-Gate-Reason` and in the metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Returns the HTTP status (RFC 6750 §3.1). An insufficient authentication level is 401 (RFC 9470 §3).
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
    /// The address has sent so many wrong credentials that further ones are not checked.
    TooManyFailures => "too_many_failures", 429;
}

#[derive(Clone, Debug)]
pub struct Denial {
    pub reason: Reason,
    /// A sentence for the caller.
    pub text: String,
    /// The value of `WWW-Authenticate`; `None` if no other credential would help.
    pub challenge: Option<String>,
    /// The URL at which a browser signs in.
    pub sign_in: Option<String>,
    /// The scopes that the rule requires.
    pub scopes: Box<Scopes>,
    pub acr: Option<Acr>,
    /// Seconds (RFC 9110 §10.2.3).
    pub retry_after: Option<NonZeroU32>,
    /// The kind of credential that the caller presented, if known.
    pub tried: Option<CredentialKind>,
    /// The authenticated identity, if authentication succeeded.
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

    /// Adds the challenge with the kinds of credentials that this API accepts.
    #[must_use]
    pub(super) fn for_api(mut self, api: &Api) -> Self {
        self.challenge = challenge::of(api, &self);
        self
    }
}
