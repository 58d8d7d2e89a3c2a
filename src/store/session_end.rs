//! The only way for a browser session to end. Its row is deleted. Every node is notified if something was issued in it.
//! The grants that depend on it are revoked, except those with offline access (OpenID Connect Core §11, Back-Channel
//! Logout §2.7). For each participating client a logout notification is queued in the same transaction.
//!
//! See also [`super::sessions`], [`super::session_uses`], [`super::session_clients`], [`super::deliveries`] and
//! [`super::passkey_removal`].

use super::grants::{self, GrantSelector};
use super::{ChangeEvent, Result, Tx, clients, deliveries, session_clients, session_uses, sessions};
use crate::domain::delivery::{Delivery, Destination};
use crate::domain::ids::{ClientId, PasskeyId, SessionId, UserId};
use crate::domain::participant::Participant;
use crate::domain::session::Session;

/// A sweep ends many sessions at once.
const MAX_CLIENTS_PER_STATEMENT: usize = 1000;

/// The session that has ended and its participants.
#[derive(Debug, Default)]
pub struct EndedSession {
    /// `None` if the session had already been deleted.
    pub session: Option<Session>,
    pub participants: Vec<Participant>,
}

/// Ends one session. If it has already been deleted, cleans up what depends on it.
pub async fn one(tx: &Tx, id: SessionId) -> Result<EndedSession> {
    let session = sessions::delete(tx, id).await?;
    let participants = session_clients::take(tx, &[id]).await?;
    follow(tx, &[id], &participants).await?;
    Ok(EndedSession { session, participants })
}

/// Ends all sessions of a user except `but`. Returns their ids.
pub async fn of_user(tx: &Tx, user: UserId, but: Option<SessionId>) -> Result<Vec<SessionId>> {
    let ended = sessions::delete_of_user(tx, user, but).await?;
    let participants = session_clients::take_of_user(tx, user, but).await?;
    follow(tx, &ended, &participants).await?;
    Ok(ended)
}

/// Ends the sessions that a user began with one passkey, or with any. Returns their number.
pub(super) async fn end_sessions_of_passkey(tx: &Tx, user: UserId, passkey: Option<PasskeyId>) -> Result<u64> {
    let ended = sessions::delete_of_passkey(tx, user, passkey).await?;
    let participants = session_clients::take(tx, &ended).await?;
    follow(tx, &ended, &participants).await?;
    Ok(ended.len() as u64)
}

/// Ends the least recently used sessions of a user, so that at most `most` remain, including `new`.
pub async fn beyond(tx: &Tx, user: UserId, new: SessionId, most: u32) -> Result<()> {
    for session in sessions::beyond(tx, user, new, u64::from(most).saturating_sub(1)).await? {
        one(tx, session).await?;
    }
    Ok(())
}

/// Ends a batch of expired sessions. Returns the number of deleted rows.
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
    // Nodes must reject the tokens of an ended session until they expire. A session in which nothing was issued is in
    // no token.
    for session in session_uses::take(tx, ended).await? {
        tx.publish(ChangeEvent::Ended(session.into())).await?;
    }
    deliveries::enqueue(tx, logout_deliveries(tx, participants).await?).await
}

/// Returns the logout notifications for the clients that have an address for them.
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
