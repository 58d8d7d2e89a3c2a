//! `sub`: who a token is about, as its client knows them (OpenID Connect Core §8): the same for every client, or
//! pairwise, another one for each sector.
//!
//! Next door: `keys::pairwise`, which makes and reads pairwise ones.

use super::Provider;
use crate::domain::authorization::{Authorization, Subject};
use crate::domain::client::Client;
use crate::domain::client_metadata::SubjectType;
use crate::domain::ids::UserId;
use crate::keys::pairwise;

impl Provider {
    /// The person, or the client acting for itself (RFC 9068 §2.2). `client` is the authorization's own.
    pub fn subject(&self, client: &Client, authorization: &Authorization) -> String {
        match authorization.subject {
            Subject::User(user) => self.subject_of(client, user),
            Subject::Client => authorization.client.to_string(),
        }
    }

    pub fn subject_of(&self, client: &Client, user: UserId) -> String {
        match sector(client) {
            Some(sector) => pairwise::sub(&self.master, &sector, user),
            None => user.to_string(),
        }
    }

    /// The person whom `client` knows as `sub`. There need not be one: any text of the right form reads as some id.
    pub fn known_as(&self, client: &Client, sub: &str) -> Option<UserId> {
        match sector(client) {
            Some(sector) => pairwise::user(&self.master, &sector, sub),
            None => sub.parse().ok(),
        }
    }
}

/// The sector of a client with pairwise subjects. Its metadata's rules see to it that there is one.
fn sector(client: &Client) -> Option<String> {
    (client.meta.subject_type == SubjectType::Pairwise).then(|| client.meta.sector().unwrap_or_default())
}
