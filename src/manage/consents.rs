//! Taking back what one person allowed one client: the app has to ask again, and what it holds is void.

use super::{By, ManageError, Manager, Result};
use crate::domain::event::EventKind;
use crate::domain::ids::{ClientId, UserId};
use crate::store::{Change, Cutoff, consents, events, grants};

pub async fn revoke(manager: &Manager, by: &By, user: UserId, client: ClientId) -> Result<()> {
    let recorder = manager.recorder(by);
    manager
        .transact(move |tx| {
            Box::pin(async move {
                let allowed = consents::delete(tx, user, &client).await?;
                // A trusted client has grants without consent.
                let granted = grants::revoke(tx, grants::Of::Consent(user, &client)).await?;
                if !allowed && granted == 0 {
                    return Err(ManageError::NotFound(format!("access of {client} to take back")));
                }
                let event = recorder.event(EventKind::ConsentRevoked, Some(user), Some(&client), String::new());
                events::insert(tx, &event).await?;
                tx.tell(Change::Cutoff(Cutoff::Consent(user, client))).await?;
                Ok(())
            })
        })
        .await
}
