//! The gate settings of an API (docs/gate.md): the gate's name, the accepted kinds of credentials, and the rules, of
//! which the first match decides. This module has the values and their validation. It does not evaluate requests.
//!
//! See also [`super::api`], the API with these settings, and [`super::gate_path`], the path patterns.

use serde::{Deserialize, Serialize};

use super::authorization::Acr;
use super::client_metadata::MemberError;
use super::gate_path::PathPattern;
use super::scope::Scopes;
use super::user::group_name;

/// The last segment of `/gate/verify/{gate}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GateName(String);

impl GateName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for GateName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty() || text.len() > 63 || !text.bytes().all(allowed) {
            return Err(format!("the gate {text:?} must have 1 to 63 characters out of a-z 0-9 -"));
        }
        Ok(Self(text))
    }
}

impl From<GateName> for String {
    fn from(name: GateName) -> Self {
        name.0
    }
}

/// The kinds of credentials with which a caller may authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    Bearer,
    ApiKey,
    Basic,
    /// RFC 9421.
    MessageSignature,
    /// The browser session of a signed-in user.
    Session,
    /// RFC 5849.
    Oauth1,
    /// RFC 8705 §2: the certificate of the TLS connection, which the proxy forwards.
    Mtls,
}

impl CredentialKind {
    pub const ALL: [Self; 7] =
        [Self::Bearer, Self::ApiKey, Self::Basic, Self::MessageSignature, Self::Session, Self::Oauth1, Self::Mtls];

    /// The name in documents and in the header `X-Gate-Way`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::ApiKey => "api_key",
            Self::Basic => "basic",
            Self::MessageSignature => "message_signature",
            Self::Session => "session",
            Self::Oauth1 => "oauth1",
            Self::Mtls => "mtls",
        }
    }
}

/// Callers that need no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allow {
    Anonymous,
}

/// A rule for requests with one of `methods` at `path`. A request needs every scope, one of the groups and at least the
/// `acr`, each if the rule names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub methods: Vec<String>,
    pub path: PathPattern,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Allow>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// RFC 9470.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<Acr>,
}

/// The rate limit of each credential owner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    pub burst: u32,
    pub per_second: f64,
}

impl RateLimit {
    pub(super) fn is_valid(&self) -> bool {
        (1..=1_000_000).contains(&self.burst) && (0.000_01..=1_000_000.0).contains(&self.per_second)
    }
}

impl Rule {
    /// Returns what the rule requires of a caller, as text that follows "it asks for".
    #[must_use]
    pub fn requirements(&self) -> String {
        if self.allow.is_some() {
            return "nothing: anybody gets in".to_owned();
        }
        let several = |one: &str, many: &str, names: &[String], between: &str| match names {
            [] => None,
            [name] => Some(format!("{one} {name}")),
            names => Some(format!("{many} {}", names.join(between))),
        };
        let parts = [
            several("the scope", "all of the scopes", &self.scopes, ", "),
            several("the group", "one of the groups", &self.groups, ", "),
            self.acr.map(|acr| format!("a sign-in of at least {acr}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "a credential, whoever it is".to_owned() } else { parts.join(", and ") }
    }

    /// Returns the violations in this rule, reported for the member `rules` of an API with `scopes`.
    #[must_use]
    pub fn problems(&self, scopes: &Scopes) -> Vec<MemberError> {
        let path = self.path.as_str();
        let mut problems = Vec::new();
        let mut wrong = |message: String| problems.push(MemberError::new("rules", message));
        let method =
            |text: &String| !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_uppercase());
        if self.methods.is_empty() || !self.methods.iter().all(method) {
            wrong(format!("the rule for {path} needs methods, in capital letters"));
        }
        for scope in self.scopes.iter().filter(|scope| !scopes.contains(scope)) {
            wrong(format!("the rule for {path} has {scope:?}, which is no scope of this API"));
        }
        for problem in self.groups.iter().filter_map(|group| group_name(group).err()) {
            wrong(format!("the rule for {path}: {problem}"));
        }
        if self.allow.is_some() && !(self.scopes.is_empty() && self.groups.is_empty() && self.acr.is_none()) {
            wrong(format!("the rule for {path} lets anybody in, and asks for something"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::GateName;

    #[test]
    fn gate_name_is_one_url_segment() {
        assert!(GateName::try_from("orders-2".to_owned()).is_ok());
        for bad in ["", "Orders", "a/b", "a.b", "ä"] {
            assert!(GateName::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
