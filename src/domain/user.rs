//! A person: the username they sign in with and the standard claims of OpenID Connect Core §5.1.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::ids::UserId;
use super::printable::is_hidden;
use crate::env::Timestamp;

/// What a person types to sign in: NFKC, lower case, without what looks like something else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Username(String);

impl Username {
    /// # Errors
    /// A sentence that says what a username may be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let name = Self::folded(text);
        let allowed = |c: char| c.is_alphanumeric() || "-._@+".contains(c);
        if name.is_empty() || name.chars().count() > 100 {
            return Err("must have 1 to 100 characters");
        }
        if !name.chars().all(allowed) || name.chars().any(is_invisible_letter) {
            return Err("may have letters, digits and - . _ @ + only; leave out spaces");
        }
        // Programs behind a gate use it as a file name and on command lines.
        if name.starts_with(['-', '.']) || !name.chars().any(char::is_alphanumeric) {
            return Err("must begin with neither - nor . and have a letter or a digit");
        }
        Ok(Self(name))
    }

    /// The form in which two spellings of one username are the same.
    #[must_use]
    pub fn folded(text: &str) -> String {
        text.trim().nfkc().collect::<String>().to_lowercase()
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Fillers of Hangul, the only characters without a shape that count as letters and remain after NFKC.
const fn is_invisible_letter(c: char) -> bool {
    matches!(c, '\u{115f}' | '\u{1160}')
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Username {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).map_err(|problem| format!("the username {text:?} {problem}"))
    }
}

impl From<Username> for String {
    fn from(name: Username) -> Self {
        name.0
    }
}

/// The standard claims that a person has (OpenID Connect Core §5.1), as UserInfo hands them out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthdate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zoneinfo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub email_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub phone_number_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
}

/// OpenID Connect Core §5.1.1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Address {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// A group's name. Without commas, since headers carry groups joined by commas, and without characters that hide or reorder
/// what is read.
///
/// # Errors
/// A sentence that says what a group's name may be.
pub fn group_name(text: &str) -> Result<String, &'static str> {
    let name: String = text.trim().nfkc().collect();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(|c| c == ',' || is_hidden(c)) {
        return Err("a group's name has 1 to 100 characters, no comma and no control or invisible character");
    }
    Ok(name)
}

/// A PHC string (`$argon2id$…`). Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl PasswordHash {
    /// What verifying it costs depends on: algorithm, parameters and the length of the output, without salt and hash.
    /// Hashes of one kind take the same time.
    #[must_use]
    pub fn work(&self) -> String {
        let parts: Vec<&str> = self.0.split('$').skip(1).collect();
        match parts.as_slice() {
            // bcrypt: $2b$12$ and salt and hash in one.
            [version, cost, _] if version.starts_with('2') => format!("{version}${cost}"),
            [known @ .., _, hash] => {
                // argon2's associated data and key id are the user's own.
                let own = |part: &&str| !part.starts_with("data=") && !part.starts_with("keyid=");
                let known: Vec<String> =
                    known.iter().map(|part| part.split(',').filter(own).collect::<Vec<_>>().join(",")).collect();
                format!("{}${}", known.join("$"), hash.len())
            }
            _ => String::new(),
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hash]")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub username: Username,
    pub profile: Profile,
    /// The address was typed by a stranger who signed up, and nobody has vouched for it since: it signs nobody in and is
    /// kept from nobody who comes with the same one.
    pub email_unproven: bool,
    pub password: Option<PasswordHash>,
    pub password_changed_at: Option<Timestamp>,
    pub admin: bool,
    pub disabled: bool,
    /// The user signed up and no administrator has adopted the account: whoever holds its credentials is a stranger, so
    /// that it gets no rights and no groups.
    pub self_registered: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl User {
    /// What people read: the name, or the username where there is none.
    #[must_use]
    pub fn shown_name(&self) -> &str {
        self.profile.name.as_deref().unwrap_or_else(|| self.username.as_str())
    }

    /// The address that is theirs alone: they sign in with it, and nobody else may have it.
    #[must_use]
    pub fn own_email(&self) -> Option<&str> {
        let vouched_for = !self.email_unproven || self.profile.email_verified;
        self.profile.email.as_deref().filter(|_| vouched_for)
    }

    /// What tells two people of one name apart.
    #[must_use]
    pub fn shown_detail(&self) -> &str {
        self.profile.email.as_deref().unwrap_or_else(|| self.username.as_str())
    }
}

/// What others are told of somebody, by the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub username: Username,
    pub name: Option<String>,
    /// One that is theirs alone.
    pub email: Option<String>,
    pub groups: Vec<String>,
}

impl Person {
    #[must_use]
    pub fn of(user: &User, groups: Vec<String>) -> Self {
        Self {
            username: user.username.clone(),
            name: user.profile.name.clone(),
            email: user.own_email().map(ToOwned::to_owned),
            groups,
        }
    }
}
