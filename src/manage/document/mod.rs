//! The document that `apply` reads and `export` prints: groups, users, APIs and clients, as JSON or TOML.
//!
//! See also [`rows`], the members of its rows, [`super::row_reader`], which rejects unknown members, and
//! [`super::apply`], which applies it.

mod rows;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

pub use rows::{ClientRow, GroupRow, UserRow};

use super::{FieldError, signature_keys};
use crate::domain::api::Api;
use crate::domain::user::group_name;
use crate::keys::MasterKey;

/// The content of a file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Document {
    #[serde(deserialize_with = "rows::groups")]
    pub groups: Vec<GroupRow>,
    #[serde(deserialize_with = "rows::users")]
    pub users: Vec<UserRow>,
    #[serde(deserialize_with = "rows::apis")]
    pub apis: Vec<Api>,
    #[serde(deserialize_with = "rows::client_rows")]
    pub clients: Vec<ClientRow>,
    /// The secrets of all clients come from another system and may be short.
    #[serde(skip_serializing)]
    pub imported: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentFormat {
    Json,
    Toml,
}

impl Document {
    /// Parses a document.
    ///
    /// # Errors
    /// Returns one line: the field, what is wrong with it, and its position.
    pub fn parse(text: &str, format: DocumentFormat) -> Result<Self, String> {
        match format {
            // serde would accept an array for a table whose member names are omitted, and an empty one for a
            // document.
            DocumentFormat::Json if text.trim_start().starts_with('[') => {
                let line = text.split('[').next().unwrap_or_default().matches('\n').count() + 1;
                Err(format!("a document is an object, not an array, at line {line}"))
            }
            DocumentFormat::Json => serde_json::from_str(text).map_err(|error| error.to_string()),
            DocumentFormat::Toml => toml::from_str(text).map_err(|error| {
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

    /// Returns the problems beyond single values: rules between members, and several rows about the same
    /// object.
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
            problems.extend(client.problems(self.imported).into_iter().map(|problem| below("clients", at, problem)));
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

    /// Returns an error for each secret that was made with another master key. It would be stored and never
    /// match.
    pub fn foreign_secrets(&self, master: &MasterKey) -> Vec<FieldError> {
        let foreign = |row: &ClientRow| {
            row.client_secret_hash.as_ref().is_some_and(|kept| !master.can_verify_client_secret(kept))
        };
        let problem = || {
            let text = "was made under another master key: set master_key to that one, or say client_secret instead, or leave \
                        both out (a new client then gets a new secret, one that is here already keeps its own)";
            FieldError::new("client_secret_hash", text)
        };
        let of_row = |row: &ClientRow| {
            let keys = row.signature_keys.as_deref().unwrap_or_default();
            foreign(row).then(problem).into_iter().chain(signature_keys::foreign_sealed_secrets(keys, master))
        };
        let rows = self.clients.iter().enumerate();
        rows.flat_map(|(at, row)| of_row(row).map(move |problem| below("clients", at, problem))).collect()
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

#[cfg(test)]
mod tests {
    use super::{Document, DocumentFormat};

    #[test]
    fn a_bad_document_names_the_field_and_the_line() {
        for (text, format, field, line) in [
            (
                "{\"clients\": [{\"client_id\": \"a\",\n \"nonsense\": 1}]}",
                DocumentFormat::Json,
                "clients[0].nonsense",
                "line 2",
            ),
            (
                "{\"clients\": [{\"client_id\": \"a\",\n \"redirect_uris\": [\"https://a@x.example\"]}]}",
                DocumentFormat::Json,
                "clients[0].redirect_uris",
                "line 2",
            ),
            (
                "{\"users\": [{\"username\": \"a\"},\n {\"username\": \"b\",\n\"admin\": 1}]}",
                DocumentFormat::Json,
                "users[1].admin",
                "line 3",
            ),
            ("[[users]]\nusername = \"a\"\nnonsense = 1\n", DocumentFormat::Toml, "users[0].nonsense", "line 3"),
            (
                "[[users]]\nusername = \"a\"\nemail_verified = 1\n",
                DocumentFormat::Toml,
                "users[0].email_verified",
                "line 3",
            ),
            ("[[clients]]\nclient_id = \"a b\"\n", DocumentFormat::Toml, "clients[0].client_id", "line 2"),
        ] {
            let error = Document::parse(text, format).unwrap_err();
            assert!(error.contains(field) && error.contains(line), "{error}");
        }
        assert!(
            Document::parse("{\"clients\": [{}]}", DocumentFormat::Json).unwrap_err().contains("clients[0].client_id")
        );
    }

    #[test]
    fn rules_between_members_and_rows_name_their_place() {
        let text = r#"{"users": [{"username": "a"}, {"username": "A"}],
            "clients": [{"client_id": "a", "client_secret": "short", "redirect_uris": ["https://a.example/cb"]}]}"#;
        let problems = Document::parse(text, DocumentFormat::Json).unwrap().problems();
        let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["users[1].username", "clients[0].client_secret"]);
    }
}
