//! What an authorization came to: who let which client have what, and how they had signed in.
//!
//! One value that every grant produces and the mint turns into tokens; it is stored with codes, grants and opaque tokens.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::certificate::Confirmation;
use super::claims_request::RequestedClaims;
use super::ids::{ClientId, GrantId, PasskeyId, SessionId, UserId};
use super::permissions::Permissions;
use super::scope::OFFLINE_ACCESS;
use super::version::{VersionedEntity, Versions};
use crate::env::Timestamp;

/// Whose authority a token carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    User(UserId),
    /// The client for itself (RFC 6749 §4.4).
    Client,
}

/// One way in which a person proved who they are (RFC 8176).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInMethod {
    Password,
    Passkey,
}

impl SignInMethod {
    /// Authentication method references (RFC 8176 §2). A passkey with user verification is possession of a key and,
    /// on the device, knowledge or a body: two factors.
    #[must_use]
    pub const fn amr(self) -> &'static [&'static str] {
        match self {
            Self::Password => &["pwd"],
            Self::Passkey => &["hwk", "user", "mfa"],
        }
    }

    /// The method of which a token of ours tells these references.
    #[must_use]
    pub fn from_amr<'a>(amr: impl Iterator<Item = &'a String>) -> Self {
        let mut amr = amr;
        if amr.any(|reference| reference == "hwk") { Self::Passkey } else { Self::Password }
    }

    /// The class that the sign-in reaches.
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

/// When and how the person of a token signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    pub session: SessionId,
    pub auth_time: Timestamp,
    pub method: SignInMethod,
    /// The passkey it was made with, known while the authorization is made: what comes of it ends with the passkey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passkey: Option<PasskeyId>,
    /// The class to tell where the app asked for some and the sign-in meets one; the method's own otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_acr: Option<Acr>,
    /// The absolute end of the session, known while the authorization is made.
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

/// Who acts for the subject (RFC 8693 §4.1), and for whom they acted themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    pub actor: ActingParty,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Act>>,
}

impl Act {
    /// Those who act, the last one first.
    pub fn actors(&self) -> impl Iterator<Item = &ActingParty> {
        std::iter::successors(Some(self), |act| act.act.as_deref()).map(|act| &act.actor)
    }

    /// How many act one for another.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.actors().count()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    pub subject: Subject,
    pub client: ClientId,
    /// Absent where no person signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignIn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    /// The scopes, each with its API; the APIs are the audience (RFC 8707), and without any it is our own endpoints.
    pub permissions: Permissions,
    /// That the grant has offline access, of which this is a part without that scope.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub part_of_offline: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Single claims beside what the scopes say.
    #[serde(default, skip_serializing_if = "RequestedClaims::is_empty")]
    pub claims: RequestedClaims,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// The clients through which it came by token exchange (RFC 8693), the last one first: what ends their access ends
    /// this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<ClientId>,
    /// What has to be proved beside a token that comes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_to: Option<Confirmation>,
    /// Of everything in [`Self::versioned`], as it was when this was made. A revocation increments one of them.
    pub versions: Versions,
}

impl Authorization {
    /// What a client gets by its own credentials alone.
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

    /// The part of it with these permissions.
    #[must_use]
    pub fn restricted_to(self, permissions: Permissions) -> Self {
        Self { part_of_offline: self.has_offline_access() && !permissions.has_offline_access(), permissions, ..self }
    }

    /// The same without offline access: it ends with its session.
    #[must_use]
    pub fn without_offline_access(self) -> Self {
        Self { part_of_offline: false, permissions: self.permissions.without(OFFLINE_ACCESS), ..self }
    }

    /// Whether it goes on without its session (OpenID Connect Core §11).
    #[must_use]
    pub fn has_offline_access(&self) -> bool {
        self.part_of_offline || self.permissions.has_offline_access()
    }

    /// What it depends on: the user, the client, what the user has allowed it, the same for each client through which it
    /// came, the APIs, and the users who act. The order is that of the versions in tokens.
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

    /// The version it was made under of one thing it depends on.
    #[must_use]
    pub fn version_of(&self, of: &VersionedEntity) -> Option<i64> {
        self.versions.get(of)
    }

    /// The same with the versions that `version` says.
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

    /// The session whose end ends it.
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
