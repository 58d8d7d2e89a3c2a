//! `apply`: makes the database match a document. Up to 500 rows are applied in one transaction. A longer
//! document is applied in parts, each of which is one transaction.
//!
//! Each row is compared with the stored state. If nothing differs, nothing is written and no event is recorded.
//! [`sign_in_names`] compares the names that its users sign in with, [`parts`] divides a document, [`run`]
//! applies the parts one after another, and [`passwords`] hashes before a transaction begins, because argon2id
//! inside a transaction would block other writers. `ApplyTransaction`, here and in [`user_rows`], is the work
//! of one transaction.

mod parts;
mod passwords;
mod run;
mod sign_in_names;
mod user_rows;

use std::collections::{HashMap, HashSet};

use serde::Serialize;

pub use run::{ApplyControl, ApplyEnd, ApplyProgress, apply_parts};

use self::parts::DocumentPart;

use super::access::RemovalSummary;
use super::document::{ClientRow, Document};
use super::export::{all_clients, all_users};
use super::{
    AuditContext, AuditRecorder, FieldError, ManageError, Manager, Result, apis as api_rows, clients as client_rows,
    groups, signature_keys, users as user_writes,
};
use crate::domain::api::Api;
use crate::domain::client::{Client, RegistrationKind};
use crate::domain::ids::ClientId;
use crate::domain::secret::Secret;
use crate::domain::user::{PasswordHash, User, Username};
use crate::store::advisory_locks::{self, AdvisoryLock};
use crate::store::{Tx, apis, clients, users};

#[derive(Clone, Copy, Debug, Default)]
pub struct ApplyOptions {
    /// Deletes what the document does not name.
    pub prune: bool,
    /// Reports what would be done or rejected, and changes nothing.
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
    /// The names of the members that differ, in an update.
    pub fields: Vec<String>,
    /// What the adoption of a self-registered account removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<RemovalSummary>,
}

#[derive(Clone, Debug, Default)]
pub struct ApplyPlan {
    pub changes: Vec<PlannedChange>,
    /// The secrets that were generated for confidential clients without one; empty in a dry run.
    pub secrets: Vec<(ClientId, Secret)>,
    /// Changes that were made but may be unintended.
    pub warnings: Vec<String>,
}

impl ApplyPlan {
    fn note(&mut self, action: Action, kind: &'static str, name: &str, fields: Vec<String>) {
        self.changes.push(PlannedChange { action, kind, name: name.to_owned(), fields, removed: None });
    }
}

/// Applies a document and returns what was done, or what would be done.
///
/// # Errors
/// Returns an error if the document is invalid or conflicts with the stored state. A document of up to
/// [`parts::MAX_ROWS_PER_TRANSACTION`] rows is one transaction. In a longer one, the parts before the error
/// remain applied.
pub async fn apply(
    manager: &Manager,
    by: &AuditContext,
    document: Document,
    options: ApplyOptions,
) -> Result<ApplyPlan> {
    let mut all = ApplyPlan::default();
    let mut collect = |progress: ApplyProgress| {
        if let ApplyProgress::Done { plan, .. } = progress {
            all.changes.extend(plan.changes);
            all.secrets.extend(plan.secrets);
        }
        ApplyControl::GoOn
    };
    run::apply_parts(manager, by, document, options, &mut collect).await?;
    Ok(all)
}

/// The stored objects that the document does not name.
#[derive(Clone, Debug, Default)]
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
    // A group also counts as named if a user is a member of it or a client is open to it.
    let in_users = document.users.iter().flat_map(|row| row.groups.iter().cloned());
    let of_clients = document.clients.iter().flat_map(ClientRow::allowed_groups);
    let in_groups = document.groups.iter().map(|row| row.name.clone());
    let named: Vec<String> = in_groups.chain(in_users).chain(of_clients).collect();
    let named = groups::checked(&named)?;
    let mut surplus = Surplus {
        users: all_users(store).await?,
        clients: all_clients(store).await?,
        apis: apis::all(store.read()).await?,
        groups: users::all_groups(store.read()).await?,
    };
    surplus.users.retain(|user| !users.contains(&user.username));
    surplus.clients.retain(|client| !clients.contains(&client.id));
    surplus.apis.retain(|api| !apis.contains(&api.identifier));
    surplus.groups.retain(|name| !named.contains(name));
    // The longest-standing administrator comes last, and is kept if there would be no other administrator.
    surplus.users.sort_by_key(|user| std::cmp::Reverse(user.created_at));
    Ok(surplus)
}

/// The work of one transaction.
struct ApplyTransaction {
    manager: Manager,
    recorder: AuditRecorder,
    plan: ApplyPlan,
}

impl ApplyTransaction {
    /// Applies a part of a document; `passwords` maps each row with a password to the hash that it sets.
    async fn part(&mut self, tx: &Tx, part: &DocumentPart, passwords: &HashMap<Username, PasswordHash>) -> Result<()> {
        self.groups(tx, &part.groups).await?;
        self.users(tx, &part.users, passwords).await?;
        lock(tx, part).await?;
        let known = apis::all(tx.conn()).await?;
        for (at, api) in &part.apis {
            let before = known.iter().find(|known| known.identifier == api.identifier);
            let fields = api_rows::save_in(tx, &self.recorder, before, api).await;
            let fields = fields.map_err(|error| in_row("apis", *at, error))?;
            self.saved(before.is_some(), "api", api.identifier.as_str(), fields);
        }
        for (at, row) in &part.clients {
            self.client(tx, row.clone()).await.map_err(|error| in_row("clients", *at, error))?;
        }
        self.prune(tx, &part.surplus).await
    }

    fn saved(&mut self, was_there: bool, kind: &'static str, name: &str, fields: Vec<String>) {
        if !was_there {
            self.plan.note(Action::Create, kind, name, Vec::new());
        } else if !fields.is_empty() {
            self.plan.note(Action::Update, kind, name, fields);
        }
    }

    async fn groups(&mut self, tx: &Tx, names: &[String]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let names = groups::checked(names)?;
        let known = users::all_groups(tx.conn()).await?;
        groups::create_missing_in(tx, &self.recorder, &names).await?;
        for name in names.iter().filter(|name| !known.contains(name)) {
            self.plan.note(Action::Create, "group", name, Vec::new());
        }
        Ok(())
    }

    async fn client(&mut self, tx: &Tx, row: ClientRow) -> Result<()> {
        self.groups(tx, &row.allowed_groups().collect::<Vec<_>>()).await?;
        let (env, master) = (self.manager.store.env().clone(), self.manager.master.clone());
        let before = clients::lock_for_update(tx, &row.client_id).await?;
        let mut after =
            before.clone().unwrap_or_else(|| client_rows::blank(&env, row.client_id.clone(), row.meta.clone()));
        after.meta = row.meta;
        client_rows::resolve_scopes(tx, &mut after.meta).await?;
        after.disabled = row.disabled.unwrap_or(after.disabled);
        if before.is_none() && row.self_registered == Some(true) {
            after.registration_kind = RegistrationKind::Dynamic;
        }
        if let Some(keys) = row.signature_keys {
            after.signature_keys = signature_keys::to_stored_keys(keys, &after.signature_keys, &master)?;
        }
        if let Some(hash) = row.client_secret_hash {
            after.secret = Some(hash);
        }
        if let Some(secret) = &row.client_secret
            && !after.secret.as_ref().is_some_and(|kept| {
                (kept.is_sealed() || !after.meta.needs_plaintext_secret())
                    && master.verify_client_secret(Some(kept), secret.expose())
            })
        {
            after.secret = Some(master.protect_client_secret(&env, secret, after.meta.needs_plaintext_secret())?);
        }
        if let Some(secret) = client_rows::ensure_secret(&env, &master, &mut after)? {
            self.plan.secrets.push((row.client_id.clone(), secret));
        }
        let fields = if let Some(before) = &before {
            client_rows::save_in(tx, &self.recorder, before, &after).await?
        } else {
            client_rows::add_in(tx, &self.recorder, &after).await?;
            Vec::new()
        };
        if before.is_none() || !fields.is_empty() {
            self.plan.warnings.extend(client_rows::unknown_scopes_warning(&after));
        }
        self.saved(before.is_some(), "client", row.client_id.as_str(), fields);
        Ok(())
    }

    async fn prune(&mut self, tx: &Tx, surplus: &Surplus) -> Result<()> {
        for user in &surplus.users {
            // Read again: the user may have been renamed or deleted since the surplus was determined.
            let now = users::lock_for_update(tx, user.id).await?;
            let Some(user) = now.as_ref().filter(|now| now.username == user.username) else { continue };
            if user_writes::is_active_admin(user) && users::count_other_admins(tx.conn(), user.id).await? == 0 {
                continue;
            }
            user_writes::remove_in(tx, &self.recorder, user).await?;
            self.plan.note(Action::Delete, "user", user.username.as_str(), Vec::new());
        }
        for client in &surplus.clients {
            if client_rows::remove_in(tx, &self.recorder, &client.id, |_| true).await? {
                self.plan.note(Action::Delete, "client", client.id.as_str(), Vec::new());
            }
        }
        for api in &surplus.apis {
            let removed = api_rows::remove_in(tx, &self.recorder, &api.identifier).await;
            if was_deleted(removed)? {
                self.plan.note(Action::Delete, "api", api.identifier.as_str(), Vec::new());
            }
        }
        for name in &surplus.groups {
            if was_deleted(groups::remove_in(tx, &self.recorder, name).await)? {
                self.plan.note(Action::Delete, "group", name, Vec::new());
            }
        }
        Ok(())
    }
}

/// Returns whether the object to delete still existed.
fn was_deleted(removed: Result<()>) -> Result<bool> {
    match removed {
        Ok(()) => Ok(true),
        Err(ManageError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes the locks that come before those of clients (`store::advisory_locks`), each in the strongest mode that
/// is needed.
async fn lock(tx: &Tx, part: &DocumentPart) -> Result<()> {
    let surplus = &part.surplus;
    let deletes_clients = !surplus.clients.is_empty();
    if !part.apis.is_empty() || !surplus.apis.is_empty() {
        apis::lock(tx).await?;
    } else if !part.clients.is_empty() || deletes_clients {
        apis::lock_shared(tx).await?;
    }
    if deletes_clients {
        advisory_locks::lock(tx, AdvisoryLock::Clients).await?;
    } else if !part.clients.is_empty() {
        advisory_locks::lock_shared(tx, AdvisoryLock::Clients).await?;
    }
    Ok(())
}

/// Prefixes the fields of an error with the row that they belong to.
fn in_row(section: &str, at: usize, error: ManageError) -> ManageError {
    let placed = |error: FieldError| {
        if error.field.contains('[') {
            error
        } else {
            FieldError::new(format!("{section}[{at}].{}", error.field), error.message)
        }
    };
    let placed = |errors: Vec<FieldError>| errors.into_iter().map(placed).collect();
    match error {
        ManageError::NeedsAdoption { username, .. } => ManageError::NeedsAdoption { username, row: Some(at) },
        ManageError::Invalid(errors) => ManageError::Invalid(placed(errors)),
        ManageError::Taken(errors) => ManageError::Taken(placed(errors)),
        error => error,
    }
}
