//! The document that `apply` reads and `export` prints: groups, users, APIs and clients, as JSON or TOML.
//!
//! A row has our own members beside the standard's (claims of OpenID Connect Core §5.1, client metadata of RFC 7591
//! §2); an unknown one is refused by name and line. Next door: [`super::sieve`] does that, [`super::apply`] the rest.

use std::collections::HashSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::sieve::{Own, Row, rows};
use super::signature_keys::{self, SignatureKeyRow};
use super::{FieldError, clients, profile};
use crate::domain::api::Api;
use crate::domain::client::ClientSecretAtRest;
use crate::domain::client_metadata::ClientMetadata;
use crate::domain::ids::ClientId;
use crate::domain::secret::Secret;
use crate::domain::user::{PasswordHash, Profile, Username, group_name};
use crate::identity::hash;
use crate::keys::MasterKey;

/// Everything that a file says.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Document {
    #[serde(deserialize_with = "groups")]
    pub groups: Vec<GroupRow>,
    #[serde(deserialize_with = "users")]
    pub users: Vec<UserRow>,
    #[serde(deserialize_with = "apis")]
    pub apis: Vec<Api>,
    #[serde(deserialize_with = "client_rows")]
    pub clients: Vec<ClientRow>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRow {
    pub name: String,
}

/// A person. `disabled`, `email_unproven` and the password stay as they are where the row does not speak of them; what else is left out
/// is not there.
#[derive(Debug, Serialize)]
pub struct UserRow {
    pub username: Username,
    #[serde(skip)]
    pub password: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown_hash")]
    pub password_hash: Option<PasswordHash>,
    #[serde(flatten)]
    pub profile: Profile,
    /// Whether nobody has vouched for the address yet (`domain::user`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_unproven: Option<bool>,
    pub groups: Vec<String>,
    pub admin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// A client. `disabled`, the secret and the signature keys stay as they are where the row does not speak of them.
#[derive(Debug, Serialize)]
pub struct ClientRow {
    pub client_id: ClientId,
    #[serde(skip)]
    pub client_secret: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_hash: Option<ClientSecretAtRest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_keys: Option<Vec<SignatureKeyRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    #[serde(flatten)]
    pub meta: ClientMetadata,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Toml,
}

impl Document {
    /// # Errors
    /// One line: the field, what is wrong with it, and where it stands.
    pub fn parse(text: &str, format: Format) -> Result<Self, String> {
        match format {
            // serde would take an array for a table whose names were left out, and an empty one for a document.
            Format::Json if text.trim_start().starts_with('[') => {
                let line = text.split('[').next().unwrap_or_default().matches('\n').count() + 1;
                Err(format!("a document is an object, not an array, at line {line}"))
            }
            Format::Json => serde_json::from_str(text).map_err(|error| error.to_string()),
            Format::Toml => toml::from_str(text).map_err(|error| {
                let message = error.message().trim().replace('\n', " ");
                let before = error.span().and_then(|span| text.get(..span.start));
                before.map_or_else(
                    || message.clone(),
                    |before| {
                        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                        format!("{message} at line {} column {column}", before.matches('\n').count() + 1)
                    },
                )
            }),
        }
    }

    /// What is wrong beyond the single value: rules between members, and rows that speak of the same thing.
    pub fn problems(&self) -> Vec<FieldError> {
        let mut problems = Vec::new();
        let mut named = HashSet::new();
        for (at, group) in self.groups.iter().enumerate() {
            match group_name(&group.name) {
                Ok(name) => once(&mut problems, &mut named, &format!("groups[{at}].name"), &name),
                Err(problem) => problems.push(FieldError::new(format!("groups[{at}].name"), problem)),
            }
        }
        named.clear();
        for (at, user) in self.users.iter().enumerate() {
            once(&mut problems, &mut named, &format!("users[{at}].username"), user.username.as_str());
            problems.extend(user.problems().into_iter().map(|problem| below("users", at, problem)));
        }
        named.clear();
        for (at, api) in self.apis.iter().enumerate() {
            once(&mut problems, &mut named, &format!("apis[{at}].identifier"), api.identifier.as_str());
            problems.extend(api.problems().into_iter().map(|problem| below("apis", at, problem.into())));
        }
        named.clear();
        for (at, client) in self.clients.iter().enumerate() {
            once(&mut problems, &mut named, &format!("clients[{at}].client_id"), client.client_id.as_str());
            problems.extend(client.problems().into_iter().map(|problem| below("clients", at, problem)));
        }
        named.clear();
        for (at, client) in self.clients.iter().enumerate() {
            for (key, row) in client.signature_keys.iter().flatten().enumerate() {
                let field = format!("clients[{at}].signature_keys[{key}].keyid");
                once(&mut problems, &mut named, &field, row.keyid.as_str());
            }
        }
        problems
    }

    /// Secrets that were sealed under another master key: they would be kept and never match.
    pub fn sealed_elsewhere(&self, master: &MasterKey) -> Vec<FieldError> {
        let foreign = |row: &ClientRow| {
            row.client_secret_hash
                .as_ref()
                .is_some_and(|kept| kept.is_sealed() && master.open_client_secret(kept).is_none())
        };
        let problem = || FieldError::new("client_secret_hash", "was sealed under another master key");
        let of_row = |row: &ClientRow| {
            let keys = row.signature_keys.as_deref().unwrap_or_default();
            foreign(row).then(problem).into_iter().chain(signature_keys::sealed_elsewhere(keys, master))
        };
        let rows = self.clients.iter().enumerate();
        rows.flat_map(|(at, row)| of_row(row).map(move |problem| below("clients", at, problem))).collect()
    }
}

impl UserRow {
    fn problems(&self) -> Vec<FieldError> {
        let mut problems = profile::problems(&self.profile);
        if self.password.is_some() && self.password_hash.is_some() {
            problems.push(FieldError::new("password_hash", "stands beside password: give one of them"));
        }
        if let Some(Err(problem)) = self.password_hash.as_ref().map(hash::check_foreign) {
            problems.push(FieldError::new("password_hash", problem));
        }
        let wrong = self.groups.iter().filter_map(|name| group_name(name).err());
        problems.extend(wrong.map(|problem| FieldError::new("groups", problem)));
        problems
    }
}

impl ClientRow {
    fn problems(&self) -> Vec<FieldError> {
        let mut problems: Vec<FieldError> = self.meta.problems().into_iter().map(Into::into).collect();
        problems.extend(clients::secret_problem(&self.meta, self.client_secret.as_ref()));
        problems.extend(signature_keys::problems(self.signature_keys.as_deref().unwrap_or_default()));
        if let Some(hash) = &self.client_secret_hash {
            if self.client_secret.is_some() {
                problems.push(FieldError::new("client_secret_hash", "stands beside client_secret: give one of them"));
            }
            if !self.meta.has_secret() {
                problems.push(FieldError::new("client_secret_hash", "is there, but this client has no secret"));
            }
            if !hash.has_our_form() {
                problems.push(FieldError::new("client_secret_hash", "is not of the form that export prints"));
            }
        }
        problems
    }
}

fn once(problems: &mut Vec<FieldError>, named: &mut HashSet<String>, field: &str, name: &str) {
    if !named.insert(name.to_owned()) {
        problems.push(FieldError::new(field, format!("{name} stands there twice")));
    }
}

fn below(section: &str, at: usize, problem: FieldError) -> FieldError {
    FieldError::new(format!("{section}[{at}].{}", problem.field), problem.message)
}

#[expect(clippy::ref_option, reason = "serde hands over the field as it is")]
fn shown_hash<S: Serializer>(hash: &Option<PasswordHash>, serializer: S) -> Result<S::Ok, S::Error> {
    hash.as_ref().map(|hash| hash.0.as_str()).serialize(serializer)
}

#[derive(Default)]
struct OwnOfUser {
    username: Option<Username>,
    password: Option<Secret>,
    password_hash: Option<String>,
    email_unproven: Option<bool>,
    groups: Vec<String>,
    admin: bool,
    disabled: Option<bool>,
}

impl Own for OwnOfUser {
    const NAMES: &'static [&'static str] =
        &["username", "password", "password_hash", "email_unproven", "groups", "admin", "disabled"];

    fn take<'de, D: Deserializer<'de>>(&mut self, name: &str, value: D) -> Result<(), D::Error> {
        match name {
            "username" => self.username = Some(Username::deserialize(value)?),
            "password" => self.password = Some(hidden(value)?),
            "password_hash" => self.password_hash = Some(hidden(value)?),
            "email_unproven" => self.email_unproven = Some(bool::deserialize(value)?),
            "groups" => self.groups = Vec::deserialize(value)?,
            "admin" => self.admin = bool::deserialize(value)?,
            _ => self.disabled = Some(bool::deserialize(value)?),
        }
        Ok(())
    }
}

#[derive(Default)]
struct OwnOfClient {
    client_id: Option<ClientId>,
    client_secret: Option<Secret>,
    client_secret_hash: Option<ClientSecretAtRest>,
    signature_keys: Option<Vec<SignatureKeyRow>>,
    disabled: Option<bool>,
}

impl Own for OwnOfClient {
    const NAMES: &'static [&'static str] =
        &["client_id", "client_secret", "client_secret_hash", "signature_keys", "disabled"];

    fn take<'de, D: Deserializer<'de>>(&mut self, name: &str, value: D) -> Result<(), D::Error> {
        match name {
            "client_id" => self.client_id = Some(ClientId::deserialize(value)?),
            "client_secret" => self.client_secret = Some(hidden(value)?),
            "client_secret_hash" => self.client_secret_hash = Some(hidden(value)?),
            "signature_keys" => self.signature_keys = Some(Vec::deserialize(value)?),
            _ => self.disabled = Some(bool::deserialize(value)?),
        }
        Ok(())
    }
}

/// A secret; serde's own error would repeat a value that is no text.
fn hidden<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<T, D::Error> {
    T::deserialize(value).map_err(|_| serde::de::Error::custom("must be text in quotation marks"))
}

/// The same where it need not be there.
pub(super) fn hidden_one<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    hidden(value).map(Some)
}

fn missing<E: serde::de::Error>(section: &str, at: usize, field: &str) -> E {
    E::custom(format!("{section}[{at}].{field}: is missing"))
}

fn groups<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<GroupRow>, D::Error> {
    Ok(rows(deserializer, "groups")?.into_iter().map(|row: Row<(), _>| row.flat).collect())
}

fn apis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Api>, D::Error> {
    Ok(rows(deserializer, "apis")?.into_iter().map(|row: Row<(), _>| row.flat).collect())
}

fn users<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<UserRow>, D::Error> {
    let rows: Vec<Row<OwnOfUser, Profile>> = rows(deserializer, "users")?;
    let users = rows.into_iter().enumerate().map(|(at, Row { own, flat })| {
        Ok(UserRow {
            username: own.username.ok_or_else(|| missing("users", at, "username"))?,
            password: own.password,
            password_hash: own.password_hash.map(PasswordHash),
            profile: flat,
            email_unproven: own.email_unproven,
            groups: own.groups,
            admin: own.admin,
            disabled: own.disabled,
        })
    });
    users.collect()
}

fn client_rows<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ClientRow>, D::Error> {
    let rows: Vec<Row<OwnOfClient, ClientMetadata>> = rows(deserializer, "clients")?;
    let clients = rows.into_iter().enumerate().map(|(at, Row { own, flat })| {
        Ok(ClientRow {
            client_id: own.client_id.ok_or_else(|| missing("clients", at, "client_id"))?,
            client_secret: own.client_secret,
            client_secret_hash: own.client_secret_hash,
            signature_keys: own.signature_keys,
            disabled: own.disabled,
            meta: flat,
        })
    });
    clients.collect()
}

#[cfg(test)]
mod tests {
    use super::{Document, Format};

    #[test]
    fn a_bad_document_names_the_field_and_the_line() {
        for (text, format, field, line) in [
            (
                "{\"clients\": [{\"client_id\": \"a\",\n \"nonsense\": 1}]}",
                Format::Json,
                "clients[0].nonsense",
                "line 2",
            ),
            (
                "{\"clients\": [{\"client_id\": \"a\",\n \"redirect_uris\": [\"http://x.example\"]}]}",
                Format::Json,
                "clients[0].redirect_uris",
                "line 2",
            ),
            (
                "{\"users\": [{\"username\": \"a\"},\n {\"username\": \"b\",\n\"admin\": 1}]}",
                Format::Json,
                "users[1].admin",
                "line 3",
            ),
            ("[[users]]\nusername = \"a\"\nnonsense = 1\n", Format::Toml, "users[0].nonsense", "line 3"),
            ("[[users]]\nusername = \"a\"\nemail_verified = 1\n", Format::Toml, "users[0].email_verified", "line 3"),
            ("[[clients]]\nclient_id = \"a b\"\n", Format::Toml, "clients[0].client_id", "line 2"),
        ] {
            let error = Document::parse(text, format).unwrap_err();
            assert!(error.contains(field) && error.contains(line), "{error}");
        }
        assert!(Document::parse("{\"clients\": [{}]}", Format::Json).unwrap_err().contains("clients[0].client_id"));
    }

    #[test]
    fn rules_between_members_and_rows_name_their_place() {
        let text = r#"{"users": [{"username": "a"}, {"username": "A"}],
            "clients": [{"client_id": "a", "client_secret": "short", "redirect_uris": ["https://a.example/cb"]}]}"#;
        let problems = Document::parse(text, Format::Json).unwrap().problems();
        let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["users[1].username", "clients[0].client_secret"]);
    }
}
