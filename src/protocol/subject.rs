//! `sub`: who a token is about, as its client knows them (OpenID Connect Core §8): the same for every client, or
//! pairwise, another one for each sector. `sid`, the ids of grants and the subjects in `act` follow the same rule: clients
//! with public subjects are one sector with the ids as they are.
//!
//! Next door: `keys::pairwise`, which makes and reads pairwise ones.

use serde::Serialize;

use super::Provider;
use crate::domain::authorization::{Act, ActingParty, Authorization, Subject};
use crate::domain::client::Client;
use crate::domain::client_metadata::SubjectType;
use crate::domain::ids::{GrantId, SessionId, UserId};
use crate::keys::pairwise;

impl Provider {
    /// The person, or the client acting for itself (RFC 9068 §2.2). `client` is the authorization's own.
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

    /// The person whom `client` knows as `sub`. There need not be one: any text of the right form reads as some id.
    pub fn user_by_subject(&self, client: &Client, sub: &str) -> Option<UserId> {
        match sector(client) {
            Some(sector) => pairwise::user(&self.master, &sector, sub),
            None => sub.parse().ok(),
        }
    }

    /// The `sid` by which `client` knows a session.
    pub fn sid_of(&self, client: &Client, session: SessionId) -> String {
        match sector(client) {
            Some(sector) => pairwise::sid(&self.master, &sector, session),
            None => session.to_string(),
        }
    }

    /// The session that `client` knows by `sid`; `None` where the client never got that `sid`.
    pub fn session_by_sid(&self, client: &Client, sid: &str) -> Option<SessionId> {
        match sector(client) {
            Some(sector) => pairwise::session(&self.master, &sector, sid),
            None => sid.parse().ok(),
        }
    }

    /// The name of a grant in access tokens of `client`.
    pub fn grant_name(&self, client: &Client, grant: GrantId) -> String {
        match sector(client) {
            Some(sector) => pairwise::grant_name(&self.master, &sector, grant),
            None => grant.to_string(),
        }
    }

    /// The grant that access tokens of `client` name so.
    pub fn grant_by_name(&self, client: &Client, name: &str) -> Option<GrantId> {
        match sector(client) {
            Some(sector) => pairwise::grant(&self.master, &sector, name),
            None => name.parse().ok(),
        }
    }

    /// The claim `ver` of a token of `client`: the versions in decimal, separated by commas. Two pairwise clients could compare
    /// these, so theirs are encrypted. It is a string either way: libraries that pass claims on as headers or variables
    /// have no form for a list of numbers.
    pub fn versions_claim(&self, client: &Client, versions: &[i64]) -> String {
        match sector(client) {
            Some(sector) => pairwise::versions(&self.master, &sector, self.env.random(), versions),
            None => versions.iter().map(i64::to_string).collect::<Vec<_>>().join(","),
        }
    }

    /// The versions that a claim `ver` carries; `None` where the client had another sector then.
    pub fn parse_versions_claim(&self, client: &Client, claim: &str) -> Option<Vec<i64>> {
        match sector(client) {
            Some(sector) => pairwise::versions_of(&self.master, &sector, claim),
            None => claim.split(',').map(|version| version.parse().ok()).collect(),
        }
    }

    /// The claim `act` (RFC 8693 §4.1) of a token of `client`: users as that client knows them, clients by their id.
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

/// Who acts for the subject of a token, and for whom they acted themselves.
#[derive(Clone, Debug, Serialize)]
pub struct ActClaim {
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Box<ActClaim>>,
}

/// The sector of a client with pairwise subjects. Its metadata's rules see to it that there is one.
fn sector(client: &Client) -> Option<String> {
    (client.meta.subject_type == SubjectType::Pairwise).then(|| client.meta.sector().unwrap_or_default())
}
