//! `apply`: makes everything be as a document says, all of it or nothing, in one transaction.
//!
//! What a row comes to is compared with what is there; where nothing differs, nothing is written and no event recorded.
//! Passwords are verified and hashed before the transaction begins, because argon2id in it would keep everybody waiting.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::access::Removed;
use super::document::{ClientRow, Document, UserRow};
use super::export::{every_client, every_person};
use super::people::Saving;
use super::{
    By, FieldError, ManageError, Manager, Needs, Recorder, Result, apis as api_rows, clients as client_rows, groups,
    people as person_rows, signature_keys,
};
use crate::domain::api::Api;
use crate::domain::client::Client;
use crate::domain::ids::ClientId;
use crate::domain::secret::Secret;
use crate::domain::user::{PasswordHash, User, Username};
use crate::identity::hash;
use crate::store::exclusive::{self, Exclusive};
use crate::store::{Tx, apis, clients, people};

#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Deletes what the document does not name.
    pub prune: bool,
    /// Finds out what would be done, and what would be refused, and does nothing.
    pub dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Create,
    Update,
    Delete,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedChange {
    pub action: Action,
    /// `group`, `user`, `api` or `client`.
    pub kind: &'static str,
    pub name: String,
    /// What differs, in an update.
    pub fields: Vec<String>,
    /// What the adoption of an account removed that a stranger had made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removed>,
}

#[derive(Debug, Default)]
pub struct Plan {
    pub changes: Vec<PlannedChange>,
    /// What was generated for confidential clients without a secret; empty in a dry run.
    pub secrets: Vec<(ClientId, Secret)>,
}

impl Plan {
    fn note(&mut self, action: Action, kind: &'static str, name: &str, fields: Vec<String>) {
        self.changes.push(PlannedChange { action, kind, name: name.to_owned(), fields, removed: None });
    }
}

/// What was done, or what would be.
pub async fn apply(manager: &Manager, by: &By, document: Document, options: Options) -> Result<Plan> {
    let mut problems = document.problems();
    problems.extend(document.sealed_elsewhere(&manager.master));
    if !problems.is_empty() {
        return Err(ManageError::Invalid(problems));
    }
    let passwords = new_passwords(manager, &document.users).await?;
    let surplus = if options.prune { surplus(manager, &document).await? } else { Surplus::default() };
    let own = manager.clone();
    let rehearsed: Arc<Mutex<Option<Plan>>> = Arc::default();
    let slot = rehearsed.clone();
    let done = manager
        .transact(by, Needs::Administrator, move |tx, recorder| {
            Box::pin(async move {
                let run = Run { manager: own, recorder, plan: Plan::default() };
                let plan = run.everything(tx, document, passwords, surplus).await?;
                if !options.dry_run {
                    return Ok(plan);
                }
                // A rehearsal is the real thing rolled back: it refuses whatever that would refuse.
                if let Ok(mut slot) = slot.lock() {
                    *slot = Some(Plan { secrets: Vec::new(), ..plan });
                }
                Err(ManageError::Conflict("this was a rehearsal".to_owned()))
            })
        })
        .await;
    match rehearsed.lock().ok().and_then(|mut slot| slot.take()) {
        Some(plan) => Ok(plan),
        None => done,
    }
}

/// The hash that each row with a password sets: the present one where the password is that one already.
async fn new_passwords(manager: &Manager, users: &[UserRow]) -> Result<HashMap<Username, PasswordHash>> {
    let mut hashes = HashMap::new();
    for (at, row) in users.iter().enumerate() {
        if row.password.is_none() && row.password_hash.is_none() {
            continue;
        }
        let refused = |error| ManageError::password(&format!("users[{at}].password"), error);
        let present = people::by_username(manager.store.read(), &row.username).await?.and_then(|user| user.password);
        if let Some(given) = &row.password_hash {
            let same = present.clone().filter(|present| hash::succeeds(present, given));
            hashes.insert(row.username.clone(), same.unwrap_or_else(|| given.clone()));
        }
        let Some(password) = &row.password else { continue };
        if let Some(present) = present
            && manager.hasher.verify(password.clone(), Some(&present)).await.map_err(refused)?
        {
            hashes.insert(row.username.clone(), present);
            continue;
        }
        let hash = manager.hasher.hash(password.clone()).await.map_err(refused)?;
        hashes.insert(row.username.clone(), hash);
    }
    Ok(hashes)
}

/// What is there and not named.
#[derive(Default)]
struct Surplus {
    users: Vec<User>,
    clients: Vec<Client>,
    apis: Vec<Api>,
    groups: Vec<String>,
}

async fn surplus(manager: &Manager, document: &Document) -> Result<Surplus> {
    let store = &manager.store;
    let users: HashSet<&Username> = document.users.iter().map(|row| &row.username).collect();
    let clients: HashSet<&ClientId> = document.clients.iter().map(|row| &row.client_id).collect();
    let apis: HashSet<_> = document.apis.iter().map(|api| &api.identifier).collect();
    // A group that somebody is put into is named too.
    let in_users = document.users.iter().flat_map(|row| row.groups.iter().cloned());
    let named: Vec<String> = document.groups.iter().map(|row| row.name.clone()).chain(in_users).collect();
    let named = groups::checked(&named)?;
    let mut surplus = Surplus {
        users: every_person(store).await?,
        clients: every_client(store).await?,
        apis: apis::all(store.read()).await?,
        groups: people::all_groups(store.read()).await?,
    };
    surplus.users.retain(|user| !users.contains(&user.username));
    surplus.clients.retain(|client| !clients.contains(&client.id));
    surplus.apis.retain(|api| !apis.contains(&api.identifier));
    surplus.groups.retain(|name| !named.contains(name));
    // The one who has administered longest comes last, and stays where nobody else would be left.
    surplus.users.sort_by_key(|user| std::cmp::Reverse(user.created_at));
    Ok(surplus)
}

struct Run {
    manager: Manager,
    recorder: Recorder,
    plan: Plan,
}

impl Run {
    async fn everything(
        mut self,
        tx: &Tx,
        document: Document,
        mut passwords: HashMap<Username, PasswordHash>,
        surplus: Surplus,
    ) -> Result<Plan> {
        let names: Vec<String> = document.groups.into_iter().map(|row| row.name).collect();
        self.groups(tx, &names).await?;
        // Whoever becomes an administrator comes before whoever is one no longer.
        let (mut first, then): (Vec<_>, Vec<_>) =
            document.users.into_iter().enumerate().partition(|(_, row)| row.admin);
        first.extend(then);
        for (at, row) in first {
            let password = passwords.remove(&row.username);
            self.user(tx, row, password).await.map_err(|error| in_row("users", at, error))?;
        }
        lock(tx, &document.apis, &document.clients, &surplus).await?;
        let known = apis::all(tx.conn()).await?;
        for (at, api) in document.apis.iter().enumerate() {
            let before = known.iter().find(|known| known.identifier == api.identifier);
            let fields = api_rows::save_in(tx, &self.recorder, before, api).await;
            let fields = fields.map_err(|error| in_row("apis", at, error))?;
            self.saved(before.is_some(), "api", api.identifier.as_str(), fields);
        }
        for (at, row) in document.clients.into_iter().enumerate() {
            self.client(tx, row).await.map_err(|error| in_row("clients", at, error))?;
        }
        self.prune(tx, surplus).await?;
        Ok(self.plan)
    }

    fn saved(&mut self, was_there: bool, kind: &'static str, name: &str, fields: Vec<String>) {
        if !was_there {
            self.plan.note(Action::Create, kind, name, Vec::new());
        } else if !fields.is_empty() {
            self.plan.note(Action::Update, kind, name, fields);
        }
    }

    async fn groups(&mut self, tx: &Tx, names: &[String]) -> Result<()> {
        let names = groups::checked(names)?;
        let known = people::all_groups(tx.conn()).await?;
        groups::ensure_in(tx, &self.recorder, &names).await?;
        for name in names.iter().filter(|name| !known.contains(name)) {
            self.plan.note(Action::Create, "group", name, Vec::new());
        }
        Ok(())
    }

    async fn user(&mut self, tx: &Tx, row: UserRow, password: Option<PasswordHash>) -> Result<()> {
        self.groups(tx, &row.groups).await?;
        let groups = groups::checked(&row.groups)?;
        let name = row.username.clone();
        let Some(before) = people::by_username(tx.conn(), &name).await? else {
            let env = self.manager.store.env();
            let mut user = person_rows::blank(env, row.username, row.profile, password, row.admin);
            user.disabled = row.disabled.unwrap_or_default();
            user.email_unproven = row.email_unproven.unwrap_or_default();
            user.self_registered = row.self_registered == Some(true) && !row.adopt;
            person_rows::add_in(tx, &self.recorder, &user, &groups).await?;
            self.plan.note(Action::Create, "user", name.as_str(), Vec::new());
            return Ok(());
        };
        let mut after = before.clone();
        let same_email = before.profile.email == row.profile.email;
        after.email_unproven = row.email_unproven.unwrap_or(before.email_unproven && same_email);
        after.profile = row.profile;
        after.admin = row.admin;
        after.disabled = row.disabled.unwrap_or(before.disabled);
        // Signing in may have renewed the hash meanwhile.
        let renewed = |hash: &PasswordHash| before.password.clone().filter(|present| hash::succeeds(present, hash));
        let password = password.map(|hash| renewed(&hash).unwrap_or(hash));
        // Of who signed up, nothing stays that the document does not set.
        after.password = if row.adopt && before.self_registered { password } else { password.or(after.password) };
        let named_as_is = row.adopt || row.self_registered == Some(true);
        if before.self_registered && !named_as_is && person_rows::vouches(&before, &after) {
            return Err(ManageError::NeedsAdoption { username: name.to_string(), row: None });
        }
        let saving = Saving { groups: Some(groups), adopt: row.adopt, ..Saving::default() };
        let saved = person_rows::save_in(tx, &self.recorder, &before, &mut after, &saving).await?;
        self.saved(true, "user", name.as_str(), saved.fields);
        if let (Some(removed), Some(change)) = (saved.removed, self.plan.changes.last_mut()) {
            change.removed = Some(removed);
        }
        Ok(())
    }

    async fn client(&mut self, tx: &Tx, row: ClientRow) -> Result<()> {
        let (env, master) = (self.manager.store.env().clone(), self.manager.master.clone());
        let before = clients::lock_for_update(tx, &row.client_id).await?;
        let mut after =
            before.clone().unwrap_or_else(|| client_rows::blank(&env, row.client_id.clone(), row.meta.clone()));
        after.meta = row.meta;
        client_rows::resolve_scopes(tx, &mut after.meta).await?;
        after.disabled = row.disabled.unwrap_or(after.disabled);
        if let Some(keys) = row.signature_keys {
            after.signature_keys = signature_keys::kept(keys, &after.signature_keys, &master)?;
        }
        if let Some(hash) = row.client_secret_hash {
            after.secret = Some(hash);
        }
        if let Some(secret) = &row.client_secret
            && !after.secret.as_ref().is_some_and(|kept| {
                (kept.is_sealed() || !after.meta.needs_secret_back())
                    && master.verify_client_secret(kept, secret.expose())
            })
        {
            after.secret = Some(master.keep_client_secret(&env, secret, after.meta.needs_secret_back())?);
        }
        if let Some(secret) = client_rows::complete(&env, &master, &mut after)? {
            self.plan.secrets.push((row.client_id.clone(), secret));
        }
        let fields = if let Some(before) = &before {
            client_rows::save_in(tx, &self.recorder, before, &after).await?
        } else {
            client_rows::add_in(tx, &self.recorder, &after).await?;
            Vec::new()
        };
        self.saved(before.is_some(), "client", row.client_id.as_str(), fields);
        Ok(())
    }

    async fn prune(&mut self, tx: &Tx, surplus: Surplus) -> Result<()> {
        for user in &surplus.users {
            // As it is now: somebody may have renamed or deleted the user since the surplus was found.
            let now = people::lock_for_update(tx, user.id).await?;
            let Some(user) = now.as_ref().filter(|now| now.username == user.username) else { continue };
            if person_rows::administers(user) && people::other_admins(tx.conn(), user.id).await? == 0 {
                continue;
            }
            person_rows::remove_in(tx, &self.recorder, user).await?;
            self.plan.note(Action::Delete, "user", user.username.as_str(), Vec::new());
        }
        for client in &surplus.clients {
            if client_rows::remove_in(tx, &self.recorder, &client.id, |_| true).await? {
                self.plan.note(Action::Delete, "client", client.id.as_str(), Vec::new());
            }
        }
        for api in &surplus.apis {
            api_rows::remove_in(tx, &self.recorder, &api.identifier).await?;
            self.plan.note(Action::Delete, "api", api.identifier.as_str(), Vec::new());
        }
        for name in &surplus.groups {
            groups::remove_in(tx, &self.recorder, name).await?;
            self.plan.note(Action::Delete, "group", name, Vec::new());
        }
        Ok(())
    }
}

/// Takes the locks that come before those of clients (`store::exclusive`), each in the strongest form that is needed.
async fn lock(tx: &Tx, documents_apis: &[Api], documents_clients: &[ClientRow], surplus: &Surplus) -> Result<()> {
    let deletes_clients = !surplus.clients.is_empty();
    if !documents_apis.is_empty() || !surplus.apis.is_empty() {
        apis::lock(tx).await?;
    } else if !documents_clients.is_empty() || deletes_clients {
        apis::keep(tx).await?;
    }
    if deletes_clients {
        exclusive::lock(tx, Exclusive::Clients).await?;
    } else if !documents_clients.is_empty() {
        exclusive::keep(tx, Exclusive::Clients).await?;
    }
    Ok(())
}

/// A disagreement that begins with the member at fault, and members that are wrong, said of their row.
fn in_row(section: &str, at: usize, error: ManageError) -> ManageError {
    match error {
        ManageError::Conflict(text) if text.split_once(": ").is_some_and(|(field, _)| !field.contains(' ')) => {
            ManageError::Conflict(format!("{section}[{at}].{text}"))
        }
        ManageError::NeedsAdoption { username, .. } => ManageError::NeedsAdoption { username, row: Some(at) },
        ManageError::Invalid(errors) => {
            let placed = |error: FieldError| {
                if error.field.contains('[') {
                    error
                } else {
                    FieldError::new(format!("{section}[{at}].{}", error.field), error.message)
                }
            };
            ManageError::Invalid(errors.into_iter().map(placed).collect())
        }
        error => error,
    }
}
