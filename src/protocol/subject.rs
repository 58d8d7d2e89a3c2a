//! `sub`: who a token is about, as its client knows them (OpenID Connect Core §8): the same for every client, or
//! pairwise, another one for each sector.
//!
//! Next door: `keys::pairwise`, which makes and reads pairwise ones.

use super::Provider;
use crate::domain::authorization::{Authorization, Subject};
use crate::domain::client::Client;
use crate::domain::ids::UserId;

impl Provider {
    /// The person, or the client acting for itself (RFC 9068 §2.2). `client` is the authorization's own.
    pub fn subject(&self, client: &Client, authorization: &Authorization) -> String {
        match authorization.subject {
            Subject::User(user) => self.subject_of(client, user),
            Subject::Client => authorization.client.to_string(),
        }
    }

    pub fn subject_of(&self, _client: &Client, user: UserId) -> String {
        user.to_string()
    }

    /// The person whom `client` knows as `sub`.
    pub fn known_as(&self, _client: &Client, sub: &str) -> Option<UserId> {
        sub.parse().ok()
    }
}
