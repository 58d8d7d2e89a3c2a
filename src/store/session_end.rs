//! The one way for a browser session to end, whoever ends it: its row goes, every node hears of it if something was issued
//! in it, what hangs on it is revoked (but for offline access: OpenID Connect Core §11, Back-Channel Logout §2.7), and each
//! client that takes part in it is to be told, by a row in the queue of the same transaction.
//!
//! Next door: [`super::sessions`], [`super::session_uses`], [`super::session_clients`], [`super::deliveries`],
//! [`super::passkey_removal`].

use super::grants::{self, GrantSelector};
use super::{ChangeEvent, Result, Tx, clients, deliveries, session_clients, session_uses, sessions};
use crate::domain::delivery::{Delivery, Destination};
use crate::domain::ids::{ClientId, PasskeyId, SessionId, UserId};
use crate::domain::participant::Participant;
use crate::domain::session::Session;

/// In one statement: a sweep ends many sessions at once.
const MAX_CLIENTS_PER_STATEMENT: usize = 1000;

/// What has ended.
#[derive(Debug, Default)]
pub struct EndedSession {
    /// Where the session was still there.
    pub session: Option<Session>,
    pub participants: Vec<Participant>,
}

/// Ends one session, and what is left of it where it has gone already.
pub async fn one(tx: &Tx, id: SessionId) -> Result<EndedSession> {
    let session = sessions::delete(tx, id).await?;
    let participants = session_clients::take(tx, &[id]).await?;
    follow(tx, &[id], &participants).await?;
    Ok(EndedSession { session, participants })
}

/// Ends somebody's sessions, all or all but one; their ids.
pub async fn of_user(tx: &Tx, user: UserId, but: Option<SessionId>) -> Result<Vec<SessionId>> {
    let ended = sessions::delete_of_user(tx, user, but).await?;
    let participants = session_clients::take_of_user(tx, user, but).await?;
    follow(tx, &ended, &participants).await?;
    Ok(ended)
}

/// Ends the sessions that a user began with a passkey, with that one or with any; how many.
pub(super) async fn end_sessions_of_passkey(tx: &Tx, user: UserId, passkey: Option<PasskeyId>) -> Result<u64> {
    let ended = sessions::delete_of_passkey(tx, user, passkey).await?;
    let participants = session_clients::take(tx, &ended).await?;
    follow(tx, &ended, &participants).await?;
    Ok(ended.len() as u64)
}

/// Ends the least recently used sessions of a user, so that there are at most `most` with `new`.
pub async fn beyond(tx: &Tx, user: UserId, new: SessionId, most: u32) -> Result<()> {
    for session in sessions::beyond(tx, user, new, u64::from(most).saturating_sub(1)).await? {
        one(tx, session).await?;
    }
    Ok(())
}

/// Ends a batch of those that have expired; how many rows went.
pub(super) async fn expired(tx: &Tx, most: u64) -> Result<u64> {
    let ended = sessions::delete_expired(tx, most).await?;
    let mut participants = session_clients::take(tx, &ended).await?;
    participants.extend(session_clients::take_orphaned(tx, most).await?);
    follow(tx, &ended, &participants).await?;
    Ok((ended.len() + participants.len()) as u64)
}

async fn follow(tx: &Tx, ended: &[SessionId], participants: &[Participant]) -> Result<()> {
    for session in ended {
        grants::revoke(tx, GrantSelector::Session(*session)).await?;
    }
    // What was issued is remembered everywhere until it has expired; a session in which nothing was issued is in no token.
    for session in session_uses::take(tx, ended).await? {
        tx.publish(ChangeEvent::Ended(session.into())).await?;
    }
    deliveries::enqueue(tx, logout_deliveries(tx, participants).await?).await
}

/// What is sent where, to those that have an address for it.
async fn logout_deliveries(tx: &Tx, participants: &[Participant]) -> Result<Vec<(Delivery, Destination)>> {
    let mut ids: Vec<ClientId> = participants.iter().map(|participant| participant.client.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut told = Vec::new();
    for some in ids.chunks(MAX_CLIENTS_PER_STATEMENT) {
        for client in clients::by_ids(tx.conn(), some).await? {
            let Some(to) = Destination::for_client(&client) else { continue };
            let of_client = participants.iter().filter(|participant| participant.client == client.id);
            told.extend(of_client.map(|participant| (Delivery::Logout(participant.clone()), to.clone())));
        }
    }
    Ok(told)
}
