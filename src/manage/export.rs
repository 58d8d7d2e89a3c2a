//! Exports the present state in the format that `apply` reads. Secrets are exported only as hashes.
//!
//! [`all_users`] and [`all_clients`] read in pages; `apply --prune` uses them too.

use super::document::{ClientRow, Document, GroupRow, UserRow};
use super::signature_keys::SignatureKeyRow;
use super::{Manager, Result};
use crate::domain::client::{Client, RegistrationKind};
use crate::domain::user::User;
use crate::store::{Store, apis, clients, users};

const PAGE_SIZE: u64 = 500;

pub async fn export(manager: &Manager) -> Result<Document> {
    let store = &manager.store;
    let groups = users::all_groups(store.read()).await?.into_iter().map(|name| GroupRow { name }).collect();
    let mut users = Vec::new();
    for user in all_users(store).await? {
        users.push(UserRow {
            groups: users::groups_of(store.read(), user.id).await?,
            username: user.username,
            preferred_username: None,
            password: None,
            password_hash: user.password,
            email_unproven: user.email_unconfirmed.then_some(true),
            profile: user.profile,
            admin: user.admin,
            disabled: user.disabled.then_some(true),
            self_registered: user.self_registered.then_some(true),
            adopt: false,
        });
    }
    let apis = apis::all(store.read()).await?;
    let clients = all_clients(store).await?.into_iter().map(|client| ClientRow {
        client_id: client.id,
        client_secret: None,
        client_secret_hash: client.secret,
        imported: false,
        signature_keys: Some(client.signature_keys.into_iter().map(SignatureKeyRow::of).collect::<Vec<_>>())
            .filter(|keys| !keys.is_empty()),
        disabled: client.disabled.then_some(true),
        self_registered: (client.registration_kind == RegistrationKind::Dynamic).then_some(true),
        meta: client.meta.with_unqualified_scopes(&apis),
    });
    let clients = clients.collect();
    Ok(Document { groups, users, apis, clients, imported: false })
}

pub async fn all_users(store: &Store) -> Result<Vec<User>> {
    let mut all: Vec<User> = Vec::new();
    loop {
        let after = all.last().map(|user| user.username.clone());
        let filter = users::UserFilter { after, most: PAGE_SIZE, ..users::UserFilter::default() };
        let page = users::list(store.read(), &filter).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

pub async fn all_clients(store: &Store) -> Result<Vec<Client>> {
    let mut all: Vec<Client> = Vec::new();
    loop {
        let after = all.last().map(|client| (client.display_name().to_owned(), client.id.clone()));
        let filter = clients::ClientFilter { after, most: PAGE_SIZE, ..clients::ClientFilter::default() };
        let page = clients::list(store.read(), &filter).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}
