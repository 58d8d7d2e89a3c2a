//! The subject of tokens, `sub`, as the client sees it (OpenID Connect Core §8): public, the same for every client, or
//! pairwise, different for each sector. `sid`, the ids of grants and the subjects in `act` follow the same rule.
//! Clients with public subjects form one sector with unchanged ids.
//!
//! See also: `keys::pairwise`, which computes and decodes pairwise identifiers.

use serde::Serialize;

use super::Provider;
use crate::domain::authorization::{Act, ActingParty, Authorization, Subject};
use crate::domain::client::Client;
use crate::domain::client_metadata::SubjectType;
use crate::domain::ids::{GrantId, SessionId, UserId};
use crate::keys::pairwise;

impl Provider {
    /// Returns the user, or the client if it acts for itself (RFC 9068 §2.2). `client` is the client of the
    /// authorization.
    pub fn subject(&self, client: &Client, authorization: &Authorization) -> String {
        match authorization.subject {
            Subject::User(user) => self.user_subject(client, user),
            Subject::Client => authorization.client.to_string(),
        }
    }

    pub fn user_subject(&self, client: &Client, user: UserId) -> String {
        match sector(client) {
            Some(sector) => pairwise::sub(&self.master, &sector, user),
            None => user.to_string(),
        }
    }

    /// Returns the user whom `client` knows as `sub`. The user may not exist: any text of the right form decodes to
    /// some id.
    pub fn user_by_subject(&self, client: &Client, sub: &str) -> Option<UserId> {
        match sector(client) {
            Some(sector) => pairwise::user(&self.master, &sector, sub),
            None => sub.parse().ok(),
        }
    }

    /// Returns the `sid` by which `client` knows a session.
    pub fn sid_of(&self, client: &Client, session: SessionId) -> String {
        match sector(client) {
            Some(sector) => pairwise::sid(&self.master, &sector, session),
            None => session.to_string(),
        }
    }

    /// Returns the session that `client` knows by `sid`; `None` if the client never got that `sid`.
    pub fn session_by_sid(&self, client: &Client, sid: &str) -> Option<SessionId> {
        match sector(client) {
            Some(sector) => pairwise::session(&self.master, &sector, sid),
            None => sid.parse().ok(),
        }
    }

    /// Returns the name of a grant in access tokens of `client`.
    pub fn grant_name(&self, client: &Client, grant: GrantId) -> String {
        match sector(client) {
            Some(sector) => pairwise::grant_name(&self.master, &sector, grant),
            None => grant.to_string(),
        }
    }

    /// Returns the grant for a name in access tokens of `client`.
    pub fn grant_by_name(&self, client: &Client, name: &str) -> Option<GrantId> {
        match sector(client) {
            Some(sector) => pairwise::grant(&self.master, &sector, name),
            None => name.parse().ok(),
        }
    }

    /// Returns the claim `ver` of a token of `client`: the versions in decimal, separated by commas.
    ///
    /// Two pairwise clients could correlate these, so theirs are encrypted. The claim is always a string: libraries
    /// that pass claims on as headers or variables cannot represent a list of numbers.
    pub fn versions_claim(&self, client: &Client, versions: &[i64]) -> String {
        match sector(client) {
            Some(sector) => pairwise::versions(&self.master, &sector, self.env.random(), versions),
            None => versions.iter().map(i64::to_string).collect::<Vec<_>>().join(","),
        }
    }

    /// Returns the versions in a claim `ver`; `None` if the client had another sector when the token was issued.
    pub fn parse_versions_claim(&self, client: &Client, claim: &str) -> Option<Vec<i64>> {
        match sector(client) {
            Some(sector) => pairwise::versions_of(&self.master, &sector, claim),
            None => claim.split(',').map(|version| version.parse().ok()).collect(),
        }
    }

    /// Returns the claim `act` (RFC 8693 §4.1) of a token of `client`: users by the subject that the client sees,
    /// clients by their id.
    pub fn act_claim(&self, client: &Client, act: &Act) -> ActClaim {
        ActClaim {
            sub: match &act.actor {
                ActingParty::User(user) => self.user_subject(client, *user),
                ActingParty::Client(id) => id.to_string(),
            },
            act: act.act.as_ref().map(|act| Box::new(self.act_claim(client, act))),
        }
    }
}

/// The claim `act`: who acts for the subject of a token, and the previous actors.
#[derive(Clone, Debug, Serialize)]
pub struct ActClaim {
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Box<ActClaim>>,
}

/// Returns the sector of a client with pairwise subjects. The metadata rules ensure that there is one.
fn sector(client: &Client) -> Option<String> {
    (client.meta.subject_type == SubjectType::Pairwise).then(|| client.meta.sector().unwrap_or_default())
}
