//! The consents of a user to clients, and their revocation: the client has to ask again, and its tokens are
//! revoked.

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

/// A client that has access to a user's account, or a first-party client that the user may open.
pub struct ConnectedClient {
    pub client: Arc<Client>,
    pub permissions: Permissions,
    /// `None` if the client has no access that could be revoked.
    pub since: Option<Timestamp>,
}

/// The maximum number of listed clients without access.
const MAX_APPS_WITHOUT_ACCESS: u64 = 100;

/// Returns the clients that the user consented to, the first-party clients (which need no consent) with active
/// grants, and the first-party clients that the user can open.
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
            // The client's metadata document is not needed to revoke its access. A deleted client has no
            // access.
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
                // This waits for a grant that is being issued to the client, so that it is found below.
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
