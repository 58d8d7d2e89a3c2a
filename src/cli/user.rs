//! `signet user …`: people.

use clap::Subcommand;
use serde_json::json;

use super::{ask_secret, print, print_json, print_table, said};
use crate::domain::user::{Profile, User, Username};
use crate::manage::export::every_person;
use crate::manage::people::{self, NewPerson};
use crate::manage::{By, Manager};
use crate::store::people as rows;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add somebody; the password is asked for.
    Create(Create),
    /// List everybody.
    List {
        #[arg(long)]
        json: bool,
    },
    /// Turn somebody off: no sign-in, and everything they are signed in to ends.
    Disable(Named),
    /// Turn somebody on again.
    Enable(Named),
    /// Delete somebody, with everything that is theirs.
    Delete(Named),
    /// Give somebody a new password and end everything they are signed in to.
    Reset {
        #[command(flatten)]
        named: Named,
        /// Read the password from stdin instead of asking.
        #[arg(long)]
        password_stdin: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    username: String,
    #[arg(long)]
    email: Option<String>,
    /// The whole name.
    #[arg(long)]
    name: Option<String>,
    /// A group to be in; may be repeated.
    #[arg(long = "group")]
    groups: Vec<String>,
    /// May administer.
    #[arg(long)]
    admin: bool,
    /// Read the password from stdin instead of asking.
    #[arg(long)]
    password_stdin: bool,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Named {
    username: String,
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(manager: &Manager, command: Command) -> Result<(), String> {
    let by = By::command_line();
    match command {
        Command::Create(args) => create(manager, &by, args).await,
        Command::List { json } => list(manager, json).await,
        Command::Disable(named) => {
            let user = found(manager, &named.username).await?;
            let user = people::disable(manager, &by, user.id).await.map_err(said)?;
            answer(manager, &user, &named, "is turned off").await
        }
        Command::Enable(named) => {
            let user = found(manager, &named.username).await?;
            let user = people::enable(manager, &by, user.id).await.map_err(said)?;
            answer(manager, &user, &named, "is turned on").await
        }
        Command::Delete(named) => {
            let user = found(manager, &named.username).await?;
            people::delete(manager, &by, user.id).await.map_err(said)?;
            if named.json {
                return print_json(&json!({ "id": user.id, "username": user.username, "deleted": true }));
            }
            print(&format!("{} is deleted", user.username));
            Ok(())
        }
        Command::Reset { named, password_stdin } => {
            let user = found(manager, &named.username).await?;
            let password = ask_secret("password", password_stdin, "--password-stdin")?;
            let user = people::set_password(manager, &by, user.id, password, None).await.map_err(said)?;
            answer(manager, &user, &named, "has a new password").await
        }
    }
}

async fn create(manager: &Manager, by: &By, args: Create) -> Result<(), String> {
    let password = ask_secret("password", args.password_stdin, "--password-stdin")?;
    let new = NewPerson {
        username: args.username,
        profile: Profile { name: args.name, email: args.email, ..Profile::default() },
        groups: args.groups,
        password: Some(password),
        admin: args.admin,
    };
    let user = people::create(manager, by, new).await.map_err(said)?;
    let named = Named { username: user.username.to_string(), json: args.json };
    answer(manager, &user, &named, "is added").await
}

async fn list(manager: &Manager, json: bool) -> Result<(), String> {
    let everybody = every_person(&manager.store).await.map_err(said)?;
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
    rows::by_username(manager.store.read(), &name).await.map_err(said)?.ok_or_else(none)
}

async fn answer(manager: &Manager, user: &User, named: &Named, what: &str) -> Result<(), String> {
    if named.json {
        return print_json(&shown(manager, user).await?);
    }
    print(&format!("{} {what}", user.username));
    Ok(())
}

async fn shown(manager: &Manager, user: &User) -> Result<serde_json::Value, String> {
    let groups = rows::groups_of(manager.store.read(), user.id).await.map_err(said)?;
    Ok(json!({
        "id": user.id, "username": user.username, "name": user.profile.name, "email": user.profile.email,
        "groups": groups, "admin": user.admin, "disabled": user.disabled,
    }))
}
