//! A user: the username for sign-in and the standard claims of OpenID Connect Core §5.1.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::ids::UserId;
use super::printable::is_hidden;
use crate::env::Timestamp;

/// A username for sign-in: NFKC, lower case, without invisible characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Username(String);

impl Username {
    /// Parses and folds a username.
    ///
    /// # Errors
    /// Returns a sentence that says what a username may be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let name = Self::folded(text);
        let allowed = |c: char| c.is_alphanumeric() || "-._@+".contains(c);
        if name.is_empty() || name.chars().count() > 100 {
            return Err("must have 1 to 100 characters");
        }
        if !name.chars().all(allowed) || name.chars().any(is_invisible_letter) {
            return Err("may have letters, digits and - . _ @ + only; leave out spaces");
        }
        // Programs behind a gate use the username as a file name and on command lines.
        if name.starts_with(['-', '.']) || !name.chars().any(char::is_alphanumeric) {
            return Err("must begin with neither - nor . and have a letter or a digit");
        }
        Ok(Self(name))
    }

    /// Returns the canonical form, which is equal for equivalent spellings.
    #[must_use]
    pub fn folded(text: &str) -> String {
        text.trim().nfkc().collect::<String>().to_lowercase()
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hangul fillers, the only invisible characters that count as letters and remain after NFKC.
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

/// The standard claims of a user (OpenID Connect Core §5.1), as UserInfo returns them.
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

/// Parses a group's name. It has no commas, since headers join groups by commas, and no hidden or reordering
/// characters.
///
/// # Errors
/// Returns a sentence that says what a group's name may be.
pub fn group_name(text: &str) -> Result<String, &'static str> {
    let name: String = text.trim().nfkc().collect();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(|c| c == ',' || is_hidden(c)) {
        return Err("a group's name has 1 to 100 characters, no comma and no control or invisible character");
    }
    Ok(name)
}

/// A PHC string (`$argon2id$…`). `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl PasswordHash {
    /// Returns what the cost of verifying the hash depends on: the estimated cost in twelve digits, then the algorithm,
    /// its parameters and the length of the output, without salt and hash. Hashes with equal texts take the same time,
    /// and the texts sort by cost.
    #[must_use]
    pub fn cost_class(&self) -> String {
        let parts: Vec<&str> = self.0.split('$').skip(1).collect();
        let kind = match parts.as_slice() {
            // bcrypt: $2b$12$, then salt and hash in one.
            [version, cost, _] if version.starts_with('2') => format!("{version}${cost}"),
            [known @ .., _, hash] => {
                // Argon2's associated data and key id differ per user.
                let own = |part: &&str| !part.starts_with("data=") && !part.starts_with("keyid=");
                let known: Vec<String> =
                    known.iter().map(|part| part.split(',').filter(own).collect::<Vec<_>>().join(",")).collect();
                format!("{}${}", known.join("$"), hash.len())
            }
            _ => String::new(),
        };
        format!("{:012}${kind}", self.estimated_cost().min(999_999_999_999))
    }

    /// Returns the approximate nanoseconds for verifying the hash on a core of 2020. The estimate orders kinds of
    /// hashes. How long each takes is measured.
    fn estimated_cost(&self) -> u64 {
        let mut parts = self.0.split('$').skip(1);
        let algorithm = parts.next().unwrap_or_default();
        let parts: Vec<&str> = parts.collect();
        let parameter = |name: &str| {
            let all = parts.iter().flat_map(|part| part.split(','));
            let value = all.filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name)?.1;
            value.parse::<u64>().ok()
        };
        let power = |exponent: u64| 1_u64 << exponent.min(40);
        match algorithm {
            // Memory in KiB times passes.
            "argon2id" | "argon2i" | "argon2d" => {
                parameter("m").unwrap_or(4096).saturating_mul(parameter("t").unwrap_or(3)).saturating_mul(650)
            }
            // 128 · r · N bytes for each lane (RFC 7914 §2).
            "scrypt" => {
                let blocks = power(parameter("ln").unwrap_or(17)).saturating_mul(parameter("r").unwrap_or(8));
                blocks.saturating_mul(parameter("p").unwrap_or(1)).saturating_mul(380)
            }
            "pbkdf2-sha1" | "pbkdf2-sha224" | "pbkdf2-sha256" | "pbkdf2-sha384" | "pbkdf2-sha512" => {
                let block = match algorithm {
                    "pbkdf2-sha1" => 20,
                    "pbkdf2-sha224" => 28,
                    "pbkdf2-sha384" => 48,
                    "pbkdf2-sha512" => 64,
                    _ => 32,
                };
                let blocks = parameter("l").unwrap_or(32).div_ceil(block);
                parameter("i").unwrap_or(600_000).saturating_mul(blocks).saturating_mul(400)
            }
            // SHA-crypt, for a short password.
            "5" | "6" => parameter("rounds").unwrap_or(5_000).saturating_mul(900),
            // bcrypt, also over SHA-256 (`r=12`, or `2b,12`): each step doubles the work.
            _ => {
                let cost = || parts.first()?.rsplit(',').next()?.parse().ok();
                power(parameter("r").or_else(cost).unwrap_or(12)).saturating_mul(60_000)
            }
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
    /// Whether the email address was entered at sign-up and never confirmed. The user cannot sign in with it, and
    /// another user may have the same address.
    pub email_unconfirmed: bool,
    pub password: Option<PasswordHash>,
    pub password_changed_at: Option<Timestamp>,
    pub admin: bool,
    pub disabled: bool,
    /// Whether the user signed up and no administrator has adopted the account. The holder of its credentials is
    /// unknown, so the account gets no rights and no groups.
    pub self_registered: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl User {
    /// Returns the display name, or the username if there is none.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.profile.name.as_deref().unwrap_or_else(|| self.username.as_str())
    }

    /// Returns the email address that is unique to the user, with which the user can sign in.
    #[must_use]
    pub fn sign_in_email(&self) -> Option<&str> {
        let vouched_for = !self.email_unconfirmed || self.profile.email_verified;
        self.profile.email.as_deref().filter(|_| vouched_for)
    }

    /// Returns the names with which the user signs in: the username and the unique email address.
    pub fn sign_in_names(&self) -> impl Iterator<Item = String> {
        self.sign_in_email().map(Username::folded).into_iter().chain([self.username.as_str().to_owned()])
    }

    /// Returns the text that distinguishes users with the same name.
    #[must_use]
    pub fn email_or_username(&self) -> &str {
        self.profile.email.as_deref().unwrap_or_else(|| self.username.as_str())
    }
}

/// The claims about a user that the gate forwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSummary {
    pub username: Username,
    pub name: Option<String>,
    /// Only an address that is unique to the user.
    pub email: Option<String>,
    pub groups: Vec<String>,
}

impl UserSummary {
    #[must_use]
    pub fn from_user(user: &User, groups: Vec<String>) -> Self {
        Self {
            username: user.username.clone(),
            name: user.profile.name.clone(),
            email: user.sign_in_email().map(ToOwned::to_owned),
            groups,
        }
    }
}
