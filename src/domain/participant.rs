//! A client that takes part in a browser session: one that got something in it, and has an address to be told of its end
//! (OpenID Connect Back-Channel Logout §2.1, Front-Channel Logout §2).

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::ids::{ClientId, SessionId, UserId};
use super::session::Session;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    pub client: ClientId,
    pub user: UserId,
    pub session: SessionId,
}

impl Participant {
    /// Nothing for a client that nobody can tell.
    #[must_use]
    pub fn of(client: &Client, session: &Session) -> Option<Self> {
        let meta = &client.meta;
        let can_be_told = meta.backchannel_logout_uri.is_some() || meta.frontchannel_logout_uri.is_some();
        can_be_told.then(|| Self { client: client.id.clone(), user: session.user, session: session.id })
    }
}
