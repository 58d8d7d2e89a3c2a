//! What a route asks for beyond knowing who it is.

use std::fmt;

use crate::identity::Identity;

/// One thing that is needed: a scope or a group, or one of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement(Vec<Condition>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Scope(String),
    Group(String),
}

/// That the token has this scope.
#[must_use]
pub fn scope(name: impl Into<String>) -> Requirement {
    Requirement(vec![Condition::Scope(name.into())])
}

/// That the person is in this group, by the claim `groups` (RFC 9068 §2.2.3.1).
#[must_use]
pub fn group(name: impl Into<String>) -> Requirement {
    Requirement(vec![Condition::Group(name.into())])
}

impl Requirement {
    /// Either of the two.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(crate) fn is_met(&self, who: &Identity) -> bool {
        self.0.iter().any(|one| match one {
            Condition::Scope(name) => who.has_scope(name),
            Condition::Group(name) => who.is_in(name),
        })
    }

    /// The scopes that it names, for a challenge (RFC 6750 §3).
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|one| match one {
            Condition::Scope(name) => Some(name.as_str()),
            Condition::Group(_) => None,
        })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, one) in self.0.iter().enumerate() {
            let before = if at == 0 { "" } else { " or " };
            match one {
                Condition::Scope(name) => write!(f, "{before}the scope {name}")?,
                Condition::Group(name) => write!(f, "{before}the group {name}")?,
            }
        }
        Ok(())
    }
}
