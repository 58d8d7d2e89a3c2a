//! A registered API: an audience of tokens (`resource`, RFC 8707) with its scopes.
//!
//! See also [`super::scope`], the scopes of no API.

use serde::{Deserialize, Serialize};

pub use super::ids::ApiId;

use super::client_metadata::{MemberError, TokenFormat};
use super::gate::{CredentialKind, GateName, RateLimit, Rule};
use super::scope::{STANDARD_SCOPES, Scopes};
use super::web_address::AppOrigin;

const MAX_ORIGINS: usize = 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    pub identifier: ApiId,
    #[serde(default)]
    pub name: String,
    /// Empty for an API that requires only a token for it.
    #[serde(default, with = "scope_list")]
    pub scopes: Scopes,
    /// Whether clients that are self-registered or known by their metadata document may request it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub self_registered_clients: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_format: Option<TokenFormat>,
    /// In seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_lifetime: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateName>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepts: Vec<CredentialKind>,
    /// The origins of the API's browser apps, whose requests may authenticate with a session.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<AppOrigin>,
    /// The first rule that matches a request decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Whether the gate forwards a token of its own to the API.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upstream_token: bool,
    /// Distinguishes the API from an earlier one with the same identifier.
    #[serde(skip)]
    pub version: i64,
}

impl Api {
    /// Returns an API with only an identifier.
    #[must_use]
    pub fn new(identifier: ApiId) -> Self {
        Self {
            identifier,
            name: String::new(),
            scopes: Scopes::default(),
            self_registered_clients: false,
            access_token_format: None,
            access_token_lifetime: None,
            gate: None,
            accepts: Vec::new(),
            origins: Vec::new(),
            rules: Vec::new(),
            rate_limit: None,
            upstream_token: false,
            version: 0,
        }
    }

    #[must_use]
    pub fn display_name(&self) -> &str {
        if self.name.is_empty() { self.identifier.as_str() } else { &self.name }
    }

    /// Returns whether the API's gate accepts credentials of that kind. The default is Signet's own tokens.
    #[must_use]
    pub fn allows_credential(&self, way: CredentialKind) -> bool {
        if self.accepts.is_empty() { way == CredentialKind::Bearer } else { self.accepts.contains(&way) }
    }

    /// Returns whether the API's gate accepts API keys: in their own header or, with Basic, as the password.
    #[must_use]
    pub fn allows_api_keys(&self) -> bool {
        self.gate.is_some()
            && (self.allows_credential(CredentialKind::ApiKey) || self.allows_credential(CredentialKind::Basic))
    }

    /// Returns the violations of the rules between members. Parsing has checked the members themselves.
    #[must_use]
    pub fn problems(&self) -> Vec<MemberError> {
        let mut problems = Vec::new();
        for scope in self.scopes.iter().filter(|scope| STANDARD_SCOPES.contains(scope)) {
            problems.push(MemberError::new("scopes", format!("{scope} is a scope of OpenID Connect itself")));
        }
        if self.access_token_lifetime.is_some_and(|seconds| !(30..=86_400).contains(&seconds)) {
            problems.push(MemberError::new("access_token_lifetime", "is a number of seconds from 30 to 86400"));
        }
        problems.extend(self.rules.iter().flat_map(|rule| rule.problems(&self.scopes)));
        if self.rate_limit.is_some_and(|limit| !limit.is_valid()) {
            problems.push(MemberError::new(
                "rate_limit",
                "needs a burst of 1 to 1000000 and a rate of 0.00001 to 1000000 in a second",
            ));
        }
        match (self.allows_credential(CredentialKind::Session), self.origins.as_slice()) {
            (true, []) => problems.push(MemberError::new("origins", "is missing: session is for apps in browsers")),
            (false, [_, ..]) => problems.push(MemberError::new("origins", "is for an API that accepts session")),
            (_, origins) if origins.len() > MAX_ORIGINS => {
                problems.push(MemberError::new("origins", "has more than 20"));
            }
            _ => {}
        }
        if self.gate.is_none() && !(self.accepts.is_empty() && self.rules.is_empty()) {
            problems.push(MemberError::new("gate", "is missing: accepts and rules are for a gate"));
        }
        problems
    }
}

/// Serializes scopes as a list: `"scopes": ["read", "write"]`. Elsewhere scopes are one space-separated string.
mod scope_list {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Scopes;

    pub fn serialize<S: Serializer>(scopes: &Scopes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(scopes.iter())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Scopes, D::Error> {
        Vec::<String>::deserialize(deserializer)?
            .into_iter()
            .map(|text| match Scopes::parse(&text) {
                Ok(one) if one.iter().count() == 1 => Ok(text),
                _ => Err(D::Error::custom(format!("{text:?} is no scope"))),
            })
            .collect()
    }
}
