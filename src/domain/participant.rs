//! A client that takes part in a browser session: it was issued something in it and has a logout URI (OpenID Connect
//! Back-Channel Logout §2.1, Front-Channel Logout §2).

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::ids::{ClientId, SessionId, UserId};
use super::session::Session;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    pub client: ClientId,
    /// The incarnation of the client. A new client with the same id has not taken part.
    pub incarnation: i64,
    pub user: UserId,
    pub session: SessionId,
}

impl Participant {
    /// Returns `None` for a client without a logout URI.
    #[must_use]
    pub fn for_client(client: &Client, session: &Session) -> Option<Self> {
        client.meta.has_logout_uri().then(|| Self {
            client: client.id.clone(),
            incarnation: client.incarnation,
            user: session.user,
            session: session.id,
        })
    }

    /// Returns whether this enabled client is the one that took part.
    #[must_use]
    pub fn is_same_client(&self, client: &Client) -> bool {
        client.id == self.client && client.incarnation == self.incarnation && !client.disabled
    }
}
