//! Scopes (RFC 6749 §3.3) and the claims that the standard ones grant (OpenID Connect Core §5.4).

use std::fmt;

use indexmap::IndexSet;
use serde::{Deserialize, Serialize};

/// `openid`: marks an OpenID Connect request.
pub const OPENID: &str = "openid";
/// Requests a refresh token that outlives the browser session (OpenID Connect Core §11).
pub const OFFLINE_ACCESS: &str = "offline_access";
/// The identity scopes, which need no API. Discovery publishes all of them.
pub const STANDARD_SCOPES: [&str; 7] = [OPENID, "profile", "email", "address", "phone", "groups", OFFLINE_ACCESS];

/// The claims of each identity scope (OpenID Connect Core §5.4). `groups` is an extension of Signet.
pub const CLAIMS: [(&str, &[&str]); 5] = [
    (
        "profile",
        &[
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
    ),
    ("email", &["email", "email_verified"]),
    ("address", &["address"]),
    ("phone", &["phone_number", "phone_number_verified"]),
    ("groups", &["groups"]),
];

/// Returns the scope that a claim belongs to. Requesting the claim alone needs the same permission.
#[must_use]
pub fn scope_of_claim(claim: &str) -> Option<&'static str> {
    CLAIMS.iter().find(|(_, claims)| claims.contains(&claim)).map(|(scope, _)| *scope)
}

/// Unique scope values in the order of the request. Parsing and comparing take linear time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scopes(IndexSet<String>);

impl Scopes {
    /// Parses space-separated scopes.
    ///
    /// # Errors
    /// Returns an error if a value has a character outside of `scope-token` (RFC 6749 §3.3).
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut scopes = IndexSet::new();
        for value in text.split(' ').filter(|value| !value.is_empty()) {
            if !value.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
                return Err("a scope has printable ASCII characters without quotation mark and backslash");
            }
            if !scopes.contains(value) {
                scopes.insert(value.to_owned());
            }
        }
        Ok(Self(scopes))
    }

    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Returns whether `other` has every value of this set.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// Returns the values for which `keep` holds.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|scope| keep(scope)).cloned().collect())
    }

    /// Adds the values that are missing here.
    pub fn add(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    /// Returns the values of both sets without duplicates.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Scopes {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Scopes> for String {
    fn from(scopes: Scopes) -> Self {
        scopes.to_string()
    }
}

impl<S: Into<String>> FromIterator<S> for Scopes {
    fn from_iter<I: IntoIterator<Item = S>>(values: I) -> Self {
        Self(values.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Scopes;

    /// A quadratic parser needs minutes for this. Ten seconds leave room for a slow machine.
    #[test]
    fn scope_parsing_takes_linear_time() {
        let text: Vec<String> = (0..200_000).map(|n| format!("s{n}")).collect();
        let text = text.join(" ");
        #[expect(clippy::disallowed_methods, reason = "a duration is measured")]
        let begun = Instant::now();
        let scopes = Scopes::parse(&text).unwrap();
        assert!(scopes.is_subset(&scopes) && scopes.union(&scopes) == scopes);
        assert_eq!(scopes.to_string(), text, "in the order they came");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn repeated_scopes_count_once() {
        assert_eq!(Scopes::parse(" b a  b a ").unwrap().to_string(), "b a");
        assert!(Scopes::parse("a\"b").is_err());
    }
}
