//! A client that takes part in a browser session: one that got something in it, and has an address to be told of its end
//! (OpenID Connect Back-Channel Logout §2.1, Front-Channel Logout §2).

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::ids::{ClientId, SessionId, UserId};
use super::session::Session;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    pub client: ClientId,
    /// Of the client: one made anew under its id has taken part in nothing.
    pub incarnation: i64,
    pub user: UserId,
    pub session: SessionId,
}

impl Participant {
    /// Nothing for a client that nobody can tell.
    #[must_use]
    pub fn for_client(client: &Client, session: &Session) -> Option<Self> {
        client.meta.has_logout_uri().then(|| Self {
            client: client.id.clone(),
            incarnation: client.incarnation,
            user: session.user,
            session: session.id,
        })
    }

    /// Whether this enabled client is the one that took part.
    #[must_use]
    pub fn is_same_client(&self, client: &Client) -> bool {
        client.id == self.client && client.incarnation == self.incarnation && !client.disabled
    }
}
