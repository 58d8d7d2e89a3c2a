//! Who a request is from: what the guard has found out, for the handlers behind it.

use serde_json::{Map, Value};

use crate::signed::Caller;

/// How somebody has shown who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// By an access token of the issuer (RFC 9068).
    Token,
    /// By the signature of the request (RFC 9421).
    Signature,
}

/// An extension of every request that is let in.
#[derive(Clone, Debug)]
pub struct Identity {
    credential_kind: CredentialKind,
    subject: String,
    client: Option<String>,
    scopes: Vec<String>,
    groups: Vec<String>,
    claims: Map<String, Value>,
}

impl Identity {
    /// Of claims that are verified.
    pub(crate) fn from_token(subject: String, claims: Map<String, Value>) -> Self {
        let text = |name| claims.get(name).and_then(Value::as_str);
        let listed = claims.get("groups").and_then(Value::as_array);
        Self {
            credential_kind: CredentialKind::Token,
            subject,
            client: text("client_id").map(str::to_owned),
            scopes: text("scope")
                .unwrap_or_default()
                .split(' ')
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .collect(),
            groups: listed.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
            claims,
        }
    }

    pub(crate) fn from_caller(caller: Caller) -> Self {
        let Caller { subject, client, scopes, groups, .. } = caller;
        Self { credential_kind: CredentialKind::Signature, subject, client, scopes, groups, claims: Map::new() }
    }

    #[must_use]
    pub fn credential_kind(&self) -> CredentialKind {
        self.credential_kind
    }

    /// The person, or the client that acts for itself.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The client through which it came.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    #[must_use]
    pub fn has_scope(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope == name)
    }

    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|name| name == group)
    }

    /// All claims of the token; none of a signature.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}
