//! `signet user …`: users, and their passkeys.

use clap::Subcommand;
use serde_json::json;

use super::api_key::date;
use super::{error_line, print, print_json, print_table, read_secret};
use crate::domain::ids::PasskeyId;
use crate::domain::user::{Profile, User, Username};
use crate::manage::access::{KeepOptions, RemovalSummary};
use crate::manage::export::all_users;
use crate::manage::users::{self, Adoption, NewUser};
use crate::manage::{AuditContext, ManageError, Manager, passkeys};
use crate::store::users as rows;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a user; asks for the password.
    Create(CreateUserArgs),
    /// List all users.
    List {
        #[arg(long)]
        json: bool,
    },
    /// Disable a user; all sessions and tokens end.
    Disable(UserSelector),
    /// Enable a user.
    Enable(UserSelector),
    /// Delete a user with all sessions, keys and grants.
    Delete(UserSelector),
    /// List a user's passkeys.
    Passkeys(UserSelector),
    /// Remove one of a user's passkeys and end the sessions and grants that began with it.
    RemovePasskey {
        #[command(flatten)]
        named: UserSelector,
        /// The id, as `user passkeys` prints it.
        id: String,
    },
    /// Give a user a new password and remove their passkeys, sessions, grants, API keys and consents.
    Reset {
        #[command(flatten)]
        named: UserSelector,
        /// What to keep, separated by commas. Sessions and grants that began with a removed passkey end
        /// anyway.
        #[arg(long, value_delimiter = ',', value_name = "WHAT")]
        keep: Vec<KeepOption>,
        /// Read the password from stdin instead of asking.
        #[arg(long)]
        password_stdin: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateUserArgs {
    username: String,
    #[arg(long)]
    email: Option<String>,
    /// The full name.
    #[arg(long)]
    name: Option<String>,
    /// A group of the user; may be repeated.
    #[arg(long = "group")]
    groups: Vec<String>,
    /// Make the user an administrator.
    #[arg(long)]
    admin: bool,
    /// Adopt the self-registered account of that name: its passkeys, password, API keys, sessions and
    /// grants are removed.
    #[arg(long)]
    adopt: bool,
    /// Read the password from stdin instead of asking.
    #[arg(long)]
    password_stdin: bool,
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum KeepOption {
    Passkeys,
    ApiKeys,
    Sessions,
    Grants,
    Consents,
}

#[derive(Debug, clap::Args)]
pub(super) struct UserSelector {
    username: String,
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(manager: &Manager, command: Command) -> Result<(), String> {
    let by = AuditContext::command_line();
    match command {
        Command::Create(args) => create(manager, &by, args).await,
        Command::List { json } => list(manager, json).await,
        Command::Disable(named) => {
            let user = found(manager, &named.username).await?;
            let user = users::disable(manager, &by, user.id).await.map_err(error_line)?;
            print_result(manager, &user, &named, "is turned off").await
        }
        Command::Enable(named) => {
            let user = found(manager, &named.username).await?;
            let user = users::enable(manager, &by, user.id).await.map_err(error_line)?;
            print_result(manager, &user, &named, "is turned on").await
        }
        Command::Delete(named) => {
            let user = found(manager, &named.username).await?;
            users::delete(manager, &by, user.id).await.map_err(error_line)?;
            if named.json {
                return print_json(&json!({ "id": user.id, "username": user.username, "deleted": true }));
            }
            print(&format!("{} is deleted", user.username));
            Ok(())
        }
        Command::Passkeys(named) => list_passkeys(manager, &named).await,
        Command::RemovePasskey { named, id } => remove_passkey(manager, &by, &named, &id).await,
        Command::Reset { named, keep, password_stdin } => {
            let user = found(manager, &named.username).await?;
            let password = read_secret("password", password_stdin, "--password-stdin")?;
            let keeps = |what| keep.contains(&what);
            let keep = KeepOptions {
                passkeys: keeps(KeepOption::Passkeys),
                api_keys: keeps(KeepOption::ApiKeys),
                sessions: keeps(KeepOption::Sessions),
                grants: keeps(KeepOption::Grants),
                consents: keeps(KeepOption::Consents),
            };
            let (user, removed) =
                users::reset(manager, &by, user.id, password, keep, None).await.map_err(error_line)?;
            print_result_with_removed(manager, &user, &named, "has a new password", &removed).await
        }
    }
}

async fn create(manager: &Manager, by: &AuditContext, args: CreateUserArgs) -> Result<(), String> {
    let password = read_secret("password", args.password_stdin, "--password-stdin")?;
    let profile = Profile { name: args.name, email: args.email, ..Profile::default() };
    let named = UserSelector { username: args.username.clone(), json: args.json };
    let there = match Username::parse(&args.username) {
        Ok(name) => rows::by_username(manager.store.read(), &name).await.map_err(error_line)?,
        Err(_) => None,
    };
    if let Some(user) = there.filter(|user| user.self_registered) {
        if !args.adopt {
            return Err(needs_adoption(&user));
        }
        let groups = Some(args.groups.into());
        let adoption = Adoption { profile: Some(profile.into()), groups, admin: args.admin, password: Some(password) };
        let (user, removed) = users::adopt(manager, by, user.id, adoption).await.map_err(error_line)?;
        return print_result_with_removed(manager, &user, &named, "is adopted", &removed).await;
    }
    let new =
        NewUser { username: args.username, profile, groups: args.groups, password: Some(password), admin: args.admin };
    let user = users::create(manager, by, new).await.map_err(error_line)?;
    print_result(manager, &user, &named, "is added").await
}

fn needs_adoption(user: &User) -> String {
    let error = ManageError::NeedsAdoption { username: user.username.to_string(), row: None };
    format!("there is a user {} already: {error}; say --adopt to do so", user.username)
}

async fn list_passkeys(manager: &Manager, named: &UserSelector) -> Result<(), String> {
    let user = found(manager, &named.username).await?;
    let all = passkeys::list(manager, user.id).await.map_err(error_line)?;
    if named.json {
        let rows = all.iter().map(|passkey| {
            json!({ "id": passkey.id, "name": passkey.name, "created_at": date(passkey.created_at),
                    "last_used_at": passkey.last_used_at.map(date) })
        });
        return print_json(&rows.collect::<Vec<_>>());
    }
    let rows: Vec<_> = all
        .iter()
        .map(|passkey| {
            let used = passkey.last_used_at.map_or_else(|| "never".to_owned(), date);
            [passkey.id.to_string(), passkey.name.clone(), date(passkey.created_at), used]
        })
        .collect();
    print_table(["ID", "NAME", "ADDED", "LAST USED"], &rows);
    Ok(())
}

async fn remove_passkey(manager: &Manager, by: &AuditContext, named: &UserSelector, id: &str) -> Result<(), String> {
    let user = found(manager, &named.username).await?;
    let none = || format!("{} has no passkey {id}; `signet user passkeys {}` lists them", user.username, user.username);
    let passkey: PasskeyId = id.parse().map_err(|_| none())?;
    match passkeys::remove(manager, by, user.id, passkey).await {
        Ok(ended) if named.json => {
            print_json(&json!({ "id": passkey, "removed": true, "sessions": ended.sessions, "grants": ended.grants }))
        }
        Ok(ended) => {
            print(&format!("passkey {passkey} of {} is removed; ended with it: {ended}", user.username));
            Ok(())
        }
        Err(ManageError::NotFound(_)) => Err(none()),
        Err(error) => Err(error_line(error)),
    }
}

async fn list(manager: &Manager, json: bool) -> Result<(), String> {
    let everybody = all_users(&manager.store).await.map_err(error_line)?;
    if json {
        let mut rows = Vec::new();
        for user in &everybody {
            rows.push(shown(manager, user).await?);
        }
        return print_json(&rows);
    }
    let rows: Vec<_> = everybody
        .iter()
        .map(|user| {
            let state = match (user.disabled, user.admin) {
                (true, _) => "off",
                (false, true) => "administrator",
                (false, false) if user.self_registered => "self-registered",
                (false, false) => "",
            };
            [
                user.username.to_string(),
                user.profile.name.clone().unwrap_or_default(),
                user.profile.email.clone().unwrap_or_default(),
                state.to_owned(),
            ]
        })
        .collect();
    print_table(["USERNAME", "NAME", "EMAIL", "STATE"], &rows);
    Ok(())
}

pub(super) async fn found(manager: &Manager, name: &str) -> Result<User, String> {
    let none = || format!("there is no user {name}; `signet user list` names them all");
    let name = Username::parse(name).map_err(|_| none())?;
    rows::by_username(manager.store.read(), &name).await.map_err(error_line)?.ok_or_else(none)
}

async fn print_result(manager: &Manager, user: &User, named: &UserSelector, what: &str) -> Result<(), String> {
    if named.json {
        return print_json(&shown(manager, user).await?);
    }
    print(&format!("{} {what}", user.username));
    Ok(())
}

/// Prints the result of an operation, and what it removed.
async fn print_result_with_removed(
    manager: &Manager,
    user: &User,
    named: &UserSelector,
    what: &str,
    removed: &RemovalSummary,
) -> Result<(), String> {
    if named.json {
        let mut shown = shown(manager, user).await?;
        if let Some(members) = shown.as_object_mut() {
            members.insert("removed".to_owned(), serde_json::to_value(removed).map_err(error_line)?);
        }
        return print_json(&shown);
    }
    print(&format!("{} {what}; removed: {removed}", user.username));
    Ok(())
}

async fn shown(manager: &Manager, user: &User) -> Result<serde_json::Value, String> {
    let groups = rows::groups_of(manager.store.read(), user.id).await.map_err(error_line)?;
    Ok(json!({
        "id": user.id, "username": user.username, "name": user.profile.name, "email": user.profile.email,
        "groups": groups, "admin": user.admin, "disabled": user.disabled, "self_registered": user.self_registered,
    }))
}
