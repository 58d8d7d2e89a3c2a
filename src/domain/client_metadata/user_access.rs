//! Which users may use a client (`allowed_groups`), and which claims about them its ID tokens have (`id_token_claims`).
//!
//! See also `store::client_groups`, which the issuing transaction checks.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ClientMetadata;
use crate::domain::scope::{Scopes, scope_of_claim};
use crate::domain::user::group_name;

const MAX_GROUPS: usize = 100;
const MAX_CLAIMS: usize = 50;

/// A group's name in its stored form ([`group_name`]). The group need not exist.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupName(String);

impl GroupName {
    /// Parses a group's name.
    ///
    /// # Errors
    /// Returns a sentence that says what a group's name may be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        group_name(text).map(Self)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for GroupName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<GroupName> for String {
    fn from(name: GroupName) -> Self {
        name.0
    }
}

impl ClientMetadata {
    /// Returns whether a user in these groups may use the client. A deleted group still counts as named. It has no
    /// members, and the client does not become open to every user.
    #[must_use]
    pub fn admits(&self, groups: &[String]) -> bool {
        self.allowed_groups.is_empty() || self.allowed_groups.iter().any(|allowed| groups.contains(&allowed.0))
    }

    /// Returns the claims of `id_token_claims` that the scopes in `granted` allow.
    #[must_use]
    pub fn granted_id_token_claims(&self, granted: &Scopes) -> Vec<String> {
        let is_granted = |claim: &&String| scope_of_claim(claim).is_some_and(|scope| granted.contains(scope));
        self.id_token_claims.iter().filter(is_granted).cloned().collect()
    }

    pub(super) fn check_user_access(&self, wrong: &mut impl FnMut(&'static str, &str)) {
        if self.allowed_groups.len() > MAX_GROUPS {
            wrong("allowed_groups", &format!("has more than {MAX_GROUPS} groups"));
        }
        if self.id_token_claims.len() > MAX_CLAIMS {
            wrong("id_token_claims", &format!("has more than {MAX_CLAIMS} claims"));
        }
        if let Some(unknown) = self.id_token_claims.iter().find(|claim| scope_of_claim(claim).is_none()) {
            let text =
                format!("names {unknown:?}, which is not a claim about users; email and groups are, for example");
            wrong("id_token_claims", &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::domain::client_metadata::ClientMetadata;
    use crate::domain::scope::Scopes;

    fn meta(members: serde_json::Value) -> ClientMetadata {
        serde_json::from_value(members).unwrap()
    }

    #[test]
    fn client_allows_members_of_any_allowed_group() {
        for (allowed, groups, admits) in [
            (json!([]), vec![], true),
            (json!([]), vec!["staff"], true),
            (json!(["staff"]), vec![], false),
            (json!(["staff"]), vec!["Staff", "staff2"], false),
            (json!(["staff", "ops"]), vec!["guests", "ops"], true),
            (json!([" staff "]), vec!["staff"], true),
        ] {
            let groups: Vec<String> = groups.into_iter().map(ToOwned::to_owned).collect();
            assert_eq!(meta(json!({ "allowed_groups": allowed })).admits(&groups), admits, "{allowed} {groups:?}");
        }
    }

    #[test]
    fn id_token_claims_need_their_scope() {
        let meta = meta(json!({ "id_token_claims": ["groups", "email", "name"] }));
        for (granted, claims) in
            [("openid", vec![]), ("openid email", vec!["email"]), ("openid profile groups", vec!["groups", "name"])]
        {
            assert_eq!(meta.granted_id_token_claims(&Scopes::parse(granted).unwrap()), claims, "{granted}");
        }
    }
}
