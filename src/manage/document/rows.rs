//! The rows of a document: our own members beside the standard ones (claims of OpenID Connect Core §5.1, client
//! metadata of RFC 7591 §2). They are read member by member, so that an error for an unknown one has its name
//! and line.
//!
//! See also [`crate::manage::row_reader`], which splits a row.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::api::Api;
use crate::domain::client::ClientSecretAtRest;
use crate::domain::client_metadata::ClientMetadata;
use crate::domain::ids::ClientId;
use crate::domain::secret::Secret;
use crate::domain::user::{PasswordHash, Profile, Username, group_name};
use crate::identity::foreign_hash;
use crate::manage::row_reader::{OwnMembers, SplitRow, hidden, rows};
use crate::manage::signature_keys::{self, SignatureKeyRow};
use crate::manage::{FieldError, clients, profile};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRow {
    pub name: String,
}

/// A user. `disabled`, `email_unproven`, `self_registered` and the password keep their values if the row omits
/// them. Any other omitted member is cleared.
#[derive(Clone, Debug, Serialize)]
pub struct UserRow {
    pub username: Username,
    /// Relying parties get the username in this claim, so it must be equal to it.
    #[serde(skip)]
    pub preferred_username: Option<String>,
    #[serde(skip)]
    pub password: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_hash")]
    pub password_hash: Option<PasswordHash>,
    #[serde(flatten)]
    pub profile: Profile,
    /// Whether the email address is not verified yet (`domain::user`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_unproven: Option<bool>,
    pub groups: Vec<String>,
    pub admin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Whether the account is self-registered. It applies when the row creates the user; later only an adoption
    /// changes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_registered: Option<bool>,
    /// Adopts a self-registered account: removes everything that the document does not set.
    #[serde(skip)]
    pub adopt: bool,
}

/// A client. `disabled`, the secret and the signature keys keep their values if the row omits them.
#[derive(Clone, Debug, Serialize)]
pub struct ClientRow {
    pub client_id: ClientId,
    #[serde(skip)]
    pub client_secret: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_hash: Option<ClientSecretAtRest>,
    /// The secret comes from another system and may be short.
    #[serde(skip)]
    pub imported: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_keys: Option<Vec<SignatureKeyRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Whether the client registered itself. It applies when the row creates the client, which then gets no
    /// more trust than it had where it was exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_registered: Option<bool>,
    #[serde(flatten)]
    pub meta: ClientMetadata,
}

impl UserRow {
    pub(super) fn problems(&self) -> Vec<FieldError> {
        let mut problems = profile::problems(&self.profile);
        if self.preferred_username.as_deref().is_some_and(|name| Username::folded(name) != self.username.as_str()) {
            let text = "differs from username, which is what apps get as preferred_username: leave it out";
            problems.push(FieldError::new("preferred_username", text));
        }
        if self.password.is_some() && self.password_hash.is_some() {
            problems.push(FieldError::new("password_hash", "stands beside password: give one of them"));
        }
        if let Some(Err(problem)) = self.password_hash.as_ref().map(foreign_hash::check) {
            problems.push(FieldError::new("password_hash", problem));
        }
        if self.self_registered == Some(true) && !self.adopt && (self.admin || !self.groups.is_empty()) {
            problems
                .push(FieldError::new("self_registered", "is true, and such an account has no groups and no rights"));
        }
        let wrong = self.groups.iter().filter_map(|name| group_name(name).err());
        problems.extend(wrong.map(|problem| FieldError::new("groups", problem)));
        problems
    }
}

impl ClientRow {
    /// Returns the names of the groups to which the client is open.
    pub(in crate::manage) fn allowed_groups(&self) -> impl Iterator<Item = String> {
        self.meta.allowed_groups.iter().map(ToString::to_string)
    }

    /// Returns what is wrong with the row; `imported` is the flag of the document for all its clients.
    pub(super) fn problems(&self, imported: bool) -> Vec<FieldError> {
        let mut problems: Vec<FieldError> = self.meta.problems().into_iter().map(Into::into).collect();
        problems.extend(clients::secret_problem(
            &self.meta,
            self.client_secret.as_ref(),
            Some(imported || self.imported),
        ));
        problems.extend(signature_keys::problems(self.signature_keys.as_deref().unwrap_or_default()));
        if let Some(hash) = &self.client_secret_hash {
            if self.client_secret.is_some() {
                problems.push(FieldError::new("client_secret_hash", "stands beside client_secret: give one of them"));
            }
            if !self.meta.has_secret() {
                problems.push(FieldError::new("client_secret_hash", "is there, but this client has no secret"));
            }
            if !hash.is_well_formed() {
                problems.push(FieldError::new("client_secret_hash", "is not of the form that export prints"));
            }
        }
        problems
    }
}

#[expect(clippy::ref_option, reason = "serde hands over the field as it is")]
fn serialize_hash<S: Serializer>(hash: &Option<PasswordHash>, serializer: S) -> Result<S::Ok, S::Error> {
    hash.as_ref().map(|hash| hash.0.as_str()).serialize(serializer)
}

#[derive(Default)]
struct UserOwnMembers {
    username: Option<Username>,
    preferred_username: Option<String>,
    password: Option<Secret>,
    password_hash: Option<String>,
    email_unproven: Option<bool>,
    groups: Vec<String>,
    admin: bool,
    disabled: Option<bool>,
    self_registered: Option<bool>,
    adopt: bool,
}

impl OwnMembers for UserOwnMembers {
    const NAMES: &'static [&'static str] = &[
        "username",
        "preferred_username",
        "password",
        "password_hash",
        "email_unproven",
        "groups",
        "admin",
        "disabled",
        "self_registered",
        "adopt",
    ];

    fn take<'de, D: Deserializer<'de>>(&mut self, name: &str, value: D) -> Result<(), D::Error> {
        match name {
            "username" => self.username = Some(Username::deserialize(value)?),
            "preferred_username" => self.preferred_username = Some(String::deserialize(value)?),
            "password" => self.password = Some(hidden(value)?),
            "password_hash" => self.password_hash = Some(hidden(value)?),
            "email_unproven" => self.email_unproven = Some(bool::deserialize(value)?),
            "groups" => self.groups = Vec::deserialize(value)?,
            "admin" => self.admin = bool::deserialize(value)?,
            "self_registered" => self.self_registered = Some(bool::deserialize(value)?),
            "adopt" => self.adopt = bool::deserialize(value)?,
            _ => self.disabled = Some(bool::deserialize(value)?),
        }
        Ok(())
    }
}

#[derive(Default)]
struct ClientOwnMembers {
    client_id: Option<ClientId>,
    client_secret: Option<Secret>,
    client_secret_hash: Option<ClientSecretAtRest>,
    imported: bool,
    signature_keys: Option<Vec<SignatureKeyRow>>,
    disabled: Option<bool>,
    self_registered: Option<bool>,
}

impl OwnMembers for ClientOwnMembers {
    const NAMES: &'static [&'static str] = &[
        "client_id",
        "client_secret",
        "client_secret_hash",
        "imported",
        "signature_keys",
        "disabled",
        "self_registered",
    ];

    fn take<'de, D: Deserializer<'de>>(&mut self, name: &str, value: D) -> Result<(), D::Error> {
        match name {
            "client_id" => self.client_id = Some(ClientId::deserialize(value)?),
            "client_secret" => self.client_secret = Some(hidden(value)?),
            "client_secret_hash" => self.client_secret_hash = Some(hidden(value)?),
            "imported" => self.imported = bool::deserialize(value)?,
            "signature_keys" => self.signature_keys = Some(Vec::deserialize(value)?),
            "self_registered" => self.self_registered = Some(bool::deserialize(value)?),
            _ => self.disabled = Some(bool::deserialize(value)?),
        }
        Ok(())
    }
}

fn missing<E: serde::de::Error>(section: &str, at: usize, field: &str) -> E {
    E::custom(format!("{section}[{at}].{field}: is missing"))
}

pub(super) fn groups<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<GroupRow>, D::Error> {
    Ok(rows(deserializer, "groups")?.into_iter().map(|row: SplitRow<(), _>| row.flat).collect())
}

pub(super) fn apis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Api>, D::Error> {
    Ok(rows(deserializer, "apis")?.into_iter().map(|row: SplitRow<(), _>| row.flat).collect())
}

pub(super) fn users<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<UserRow>, D::Error> {
    let rows: Vec<SplitRow<UserOwnMembers, Profile>> = rows(deserializer, "users")?;
    let users = rows.into_iter().enumerate().map(|(at, SplitRow { own, flat })| {
        Ok(UserRow {
            username: own.username.ok_or_else(|| missing("users", at, "username"))?,
            preferred_username: own.preferred_username,
            password: own.password,
            password_hash: own.password_hash.as_deref().map(foreign_hash::canonical),
            profile: flat,
            email_unproven: own.email_unproven,
            groups: own.groups,
            admin: own.admin,
            disabled: own.disabled,
            self_registered: own.self_registered,
            adopt: own.adopt,
        })
    });
    users.collect()
}

pub(super) fn client_rows<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ClientRow>, D::Error> {
    let rows: Vec<SplitRow<ClientOwnMembers, ClientMetadata>> = rows(deserializer, "clients")?;
    let clients = rows.into_iter().enumerate().map(|(at, SplitRow { own, flat })| {
        Ok(ClientRow {
            client_id: own.client_id.ok_or_else(|| missing("clients", at, "client_id"))?,
            client_secret: own.client_secret,
            client_secret_hash: own.client_secret_hash,
            imported: own.imported,
            signature_keys: own.signature_keys,
            disabled: own.disabled,
            self_registered: own.self_registered,
            meta: flat,
        })
    });
    clients.collect()
}
