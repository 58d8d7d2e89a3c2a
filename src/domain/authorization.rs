//! An authorization: which client may act for which subject, with which permissions, and how the user signed in.
//!
//! Every grant type produces one and tokens are issued from it. It is stored with codes, grants and opaque tokens.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::certificate::Confirmation;
use super::claims_request::RequestedClaims;
use super::ids::{ClientId, GrantId, PasskeyId, SessionId, UserId};
use super::permissions::Permissions;
use super::scope::OFFLINE_ACCESS;
use super::version::{VersionedEntity, Versions};
use crate::env::Timestamp;

/// The subject of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    User(UserId),
    /// The client itself (RFC 6749 §4.4).
    Client,
}

/// A method by which a user authenticated (RFC 8176).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInMethod {
    Password,
    Passkey,
}

impl SignInMethod {
    /// Returns the authentication method references (RFC 8176 §2). A passkey with user verification proves possession
    /// of a key and, on the device, knowledge or a biometric: two factors.
    #[must_use]
    pub const fn amr(self) -> &'static [&'static str] {
        match self {
            Self::Password => &["pwd"],
            Self::Passkey => &["hwk", "user", "mfa"],
        }
    }

    /// Returns the method that the `amr` of one of Signet's own tokens describes.
    #[must_use]
    pub fn from_amr<'a>(amr: impl Iterator<Item = &'a String>) -> Self {
        let mut amr = amr;
        if amr.any(|reference| reference == "hwk") { Self::Passkey } else { Self::Password }
    }

    /// Returns the authentication context class of the method.
    #[must_use]
    pub const fn acr(self) -> Acr {
        match self {
            Self::Password => Acr::Password,
            Self::Passkey => Acr::PhishingResistant,
        }
    }
}

/// Authentication context classes, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Acr {
    #[serde(rename = "urn:signet:acr:password")]
    Password,
    /// OpenID Connect Extended Authentication Profile ACR Values §2.
    #[serde(rename = "phr")]
    PhishingResistant,
}

impl Acr {
    pub const ALL: [Self; 2] = [Self::Password, Self::PhishingResistant];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "urn:signet:acr:password",
            Self::PhishingResistant => "phr",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|acr| acr.as_str() == text)
    }
}

impl fmt::Display for Acr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When and how the user of a token signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    pub session: SessionId,
    pub auth_time: Timestamp,
    pub method: SignInMethod,
    /// The passkey of the sign-in, set only while the authorization is made. What is issued is revoked with the
    /// passkey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passkey: Option<PasskeyId>,
    /// The requested class that the sign-in satisfies. `None` if the client requested none or it is not satisfied.
    /// [`Self::acr`] is then the method's own class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_acr: Option<Acr>,
    /// The absolute end of the session, set only while the authorization is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_ends: Option<Timestamp>,
}

impl SignIn {
    #[must_use]
    pub fn acr(&self) -> Acr {
        self.told_acr.unwrap_or_else(|| self.method.acr())
    }
}

/// A party that acts for a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActingParty {
    User(UserId),
    Client(ClientId),
}

/// The current actor (RFC 8693 §4.1) and the prior actors it acts for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    pub actor: ActingParty,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Act>>,
}

impl Act {
    /// Returns the actors, the current one first.
    pub fn actors(&self) -> impl Iterator<Item = &ActingParty> {
        std::iter::successors(Some(self), |act| act.act.as_deref()).map(|act| &act.actor)
    }

    /// Returns the length of the delegation chain.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.actors().count()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    pub subject: Subject,
    pub client: ClientId,
    /// `None` if no user signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignIn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    /// The scopes, each with its API. The APIs are the audience (RFC 8707). Without any, the audience is the server's
    /// own endpoints.
    pub permissions: Permissions,
    /// Whether the grant has offline access although [`Self::permissions`], which are a part of the grant's, do not
    /// include that scope.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub part_of_offline: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Individual claims requested beside the scopes.
    #[serde(default, skip_serializing_if = "RequestedClaims::is_empty")]
    pub claims: RequestedClaims,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// The clients through which the authorization came by token exchange (RFC 8693), the last one first. Revoking the
    /// access of any of them revokes this authorization.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<ClientId>,
    /// The proof of possession that tokens issued from this require.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_to: Option<Confirmation>,
    /// The versions of [`Self::versioned_entities`] when this was made. A revocation increments one of them.
    pub versions: Versions,
}

impl Authorization {
    /// Returns the authorization of a client that acts with its own credentials.
    #[must_use]
    pub fn for_client(client: ClientId, permissions: Permissions) -> Self {
        Self {
            subject: Subject::Client,
            client,
            sign_in: None,
            grant: None,
            permissions,
            part_of_offline: false,
            nonce: None,
            claims: RequestedClaims::default(),
            act: None,
            through: Vec::new(),
            bound_to: None,
            versions: Versions::default(),
        }
    }

    /// Returns this authorization with only these permissions.
    #[must_use]
    pub fn restricted_to(self, permissions: Permissions) -> Self {
        Self { part_of_offline: self.has_offline_access() && !permissions.has_offline_access(), permissions, ..self }
    }

    /// Returns this authorization without offline access, so that it ends with its session.
    #[must_use]
    pub fn without_offline_access(self) -> Self {
        Self { part_of_offline: false, permissions: self.permissions.without(OFFLINE_ACCESS), ..self }
    }

    /// Returns whether it stays valid without its session (OpenID Connect Core §11).
    #[must_use]
    pub fn has_offline_access(&self) -> bool {
        self.part_of_offline || self.permissions.has_offline_access()
    }

    /// Returns the entities it depends on: the user, the client, the consent of the user to it, the same for each
    /// client in [`Self::through`], the APIs, and the users who act. Tokens list versions in this order.
    #[must_use]
    pub fn versioned_entities(&self) -> Vec<VersionedEntity> {
        let user = self.user();
        let mut all: Vec<VersionedEntity> = user.map(VersionedEntity::User).into_iter().collect();
        for client in std::iter::once(&self.client).chain(&self.through) {
            all.push(VersionedEntity::Client(client.clone()));
            all.extend(user.map(|user| VersionedEntity::Consent(user, client.clone())));
        }
        all.extend(self.permissions.apis.apis().cloned().map(VersionedEntity::Api));
        for actor in self.act.iter().flat_map(Act::actors) {
            match actor {
                ActingParty::User(actor) if !all.contains(&VersionedEntity::User(*actor)) => {
                    all.push(VersionedEntity::User(*actor));
                }
                ActingParty::User(_) | ActingParty::Client(_) => {}
            }
        }
        all
    }

    /// Returns the version of an entity when this was made.
    #[must_use]
    pub fn version_of(&self, of: &VersionedEntity) -> Option<i64> {
        self.versions.get(of)
    }

    /// Returns this authorization with the versions that `version` returns.
    #[must_use]
    pub fn with_versions(mut self, version: impl Fn(&VersionedEntity) -> i64) -> Self {
        let all = self.versioned_entities().into_iter();
        self.versions = all
            .map(|of| {
                let version = version(&of);
                (of, version)
            })
            .collect();
        self
    }

    /// Returns the session whose end revokes this authorization.
    #[must_use]
    pub fn bound_session(&self) -> Option<SessionId> {
        self.session().filter(|_| !self.has_offline_access())
    }

    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match self.subject {
            Subject::User(user) => Some(user),
            Subject::Client => None,
        }
    }

    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.sign_in.as_ref().map(|sign_in| sign_in.session)
    }
}
