//! What one person has allowed which client, and taking it back: the app has to ask again, and what it holds is void.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{AuditContext, ManageError, Manager, RequiredRole, Result};
use crate::domain::client::Client;
use crate::domain::event::EventKind;
use crate::domain::ids::{ClientId, UserId};
use crate::domain::permissions::Permissions;
use crate::domain::version::VersionedEntity;
use crate::env::Timestamp;
use crate::store::{Store, StoreError, clients, consents, grants, versions};

/// A client that may use somebody's account, or one of ours that they may open.
pub struct ConnectedClient {
    pub client: Arc<Client>,
    pub permissions: Permissions,
    /// Nothing where it holds nothing that could be taken back.
    pub since: Option<Timestamp>,
}

/// Apps that a list shows without their having anything.
const MAX_APPS_WITHOUT_ACCESS: u64 = 100;

/// What was allowed on the consent page, what apps of our own, for which nobody is asked, hold on to, and those of them
/// that are opened from here.
pub async fn connected(store: &Store, user: UserId) -> std::result::Result<Vec<ConnectedClient>, StoreError> {
    let mut allowed: BTreeMap<ClientId, (Permissions, Timestamp)> = consents::of_user(store.read(), user)
        .await?
        .into_iter()
        .map(|given| (given.client, (given.allowed, given.created_at)))
        .collect();
    for grant in grants::of_user(store.read(), user, store.env().now()).await? {
        let entry = allowed.entry(grant.authorization.client.clone());
        let (permissions, since) = entry.or_insert_with(|| (Permissions::default(), grant.created_at));
        *permissions = permissions.union(&grant.authorization.permissions);
        *since = (*since).min(grant.created_at);
    }
    let mut all = Vec::new();
    for (id, (permissions, since)) in allowed {
        let client = match store.authority().client(store, &id).await? {
            Some(client) => client,
            // Its document is not needed to take back what it has; a client that was deleted has nothing any more.
            None if id.is_web_address() => Arc::new(Client::from_address(id)),
            None => continue,
        };
        all.push(ConnectedClient { client, permissions, since: Some(since) });
    }
    for client in clients::launchable_by(store.read(), user, MAX_APPS_WITHOUT_ACCESS).await? {
        if all.iter().all(|listed| listed.client.id != client.id) {
            all.push(ConnectedClient { client: Arc::new(client), permissions: Permissions::default(), since: None });
        }
    }
    Ok(all)
}

pub async fn revoke(manager: &Manager, by: &AuditContext, user: UserId, client: ClientId) -> Result<()> {
    manager
        .transact(by, RequiredRole::UserOrAdministrator(user), move |tx, recorder| {
            Box::pin(async move {
                // What is being issued to the client comes to its end first, and its grant is found below.
                versions::lock_user_for_update(tx, user).await?;
                versions::revoke(tx, &VersionedEntity::Consent(user, client.clone())).await?;
                let allowed = consents::delete(tx, user, &client).await?;
                // A trusted client has grants without consent.
                let granted = grants::revoke(tx, grants::GrantSelector::Consent(user, &client)).await?;
                if !allowed && granted == 0 {
                    return Err(ManageError::NotFound(format!("access of {client} to take back")));
                }
                recorder.about(tx, EventKind::ConsentRevoked, (Some(user), Some(&client)), String::new()).await
            })
        })
        .await
}
