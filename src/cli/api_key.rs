//! `signet api-key …`: keys with which programs authenticate at the gate of an API.

use std::collections::HashMap;

use clap::{ArgAction, Subcommand};
use ipnet::IpNet;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::{error_line, note, print, print_json, print_table, user};
use crate::domain::api_key::{ApiKey, Owner, network};
use crate::domain::gate::GateName;
use crate::domain::ids::{ApiKeyId, ClientId, UserId};
use crate::domain::scope::Scopes;
use crate::env::Timestamp;
use crate::manage::api_keys::{self as manage, NewApiKey};
use crate::manage::{AuditContext, ManageError, Manager, apis};
use crate::store::api_keys::{self as rows, ApiKeyFilter};
use crate::store::{StoreError, users};

/// The number of rows that are read at once.
const PAGE_SIZE: u64 = 500;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a key; it is printed only once.
    Create(CreateApiKeyArgs),
    /// List the keys without their secrets, the newest first.
    List {
        #[command(flatten)]
        of: OwnerArgs,
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key; it stops working within a second.
    Revoke {
        /// The id, as the list shows it.
        id: ApiKeyId,
        #[arg(long)]
        json: bool,
    },
}

/// Whose.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(super) struct OwnerArgs {
    /// The user who owns the key.
    #[arg(long, value_name = "USERNAME")]
    user: Option<String>,
    /// The client that owns the key.
    #[arg(long, value_name = "CLIENT_ID", value_parser = ClientId::parse)]
    client: Option<ClientId>,
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("owner").args(["user", "client"]).required(true)))]
pub(super) struct CreateApiKeyArgs {
    #[command(flatten)]
    of: OwnerArgs,
    /// The name of the API's gate.
    #[arg(long, value_name = "GATE", value_parser = gate)]
    api: GateName,
    /// One of the API's scopes; may be repeated.
    #[arg(long = "scope", value_parser = Scopes::parse, action = ArgAction::Append)]
    scopes: Vec<Scopes>,
    /// A description that lists show.
    #[arg(long, default_value = "made at the command line")]
    name: String,
    /// When it expires: a number of seconds from now, a day (2027-01-31, its beginning in UTC) or a time (RFC 3339);
    /// without this it does not expire.
    #[arg(long, value_name = "WHEN", value_parser = ApiKeyExpiry::parse)]
    expires: Option<ApiKeyExpiry>,
    /// A network (CIDR) or address from which it may be used; may be repeated; without this, any address.
    #[arg(long = "allow", value_name = "CIDR", value_parser = network)]
    networks: Vec<IpNet>,
    #[arg(long)]
    json: bool,
}

fn gate(text: &str) -> Result<GateName, String> {
    GateName::try_from(text.to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ApiKeyExpiry {
    Seconds(i64),
    At(Timestamp),
}

impl ApiKeyExpiry {
    fn parse(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse() {
            return Ok(Self::Seconds(seconds));
        }
        let day =
            || Date::parse(text, format_description!("[year]-[month]-[day]")).map(|day| day.midnight().assume_utc());
        let at = OffsetDateTime::parse(text, &Rfc3339).or_else(|_| day());
        let at =
            at.map_err(|_| "is a number of seconds, a day (2027-01-31) or a time (2027-01-31T12:00:00Z)".to_owned())?;
        Ok(Self::At(Timestamp::from_seconds(at.unix_timestamp())))
    }
}

pub(super) async fn run(manager: &Manager, command: Command) -> Result<(), String> {
    let by = AuditContext::command_line();
    match command {
        Command::Create(args) => create(manager, &by, args).await,
        Command::List { of, json } => list(manager, of, json).await,
        Command::Revoke { id, json } => {
            let key = manage::revoke(manager, &by, id, None).await.map_err(error_line)?;
            if json {
                return print_json(&json!({ "id": key.id, "revoked": true }));
            }
            print(&format!("{} ({}) is revoked", key.id, key.name));
            Ok(())
        }
    }
}

async fn create(manager: &Manager, by: &AuditContext, args: CreateApiKeyArgs) -> Result<(), String> {
    let owner = owner(manager, args.of).await?.ok_or("say whose key it is: --user or --client")?;
    let expires_at = args.expires.map(|until| match until {
        ApiKeyExpiry::Seconds(seconds) => manager.store.env().now().plus_seconds(seconds),
        ApiKeyExpiry::At(at) => at,
    });
    let scopes = args.scopes.iter().fold(Scopes::default(), |all, more| all.union(more));
    let new = NewApiKey { owner, gate: args.api, name: args.name, scopes, expires_at, networks: args.networks };
    let (secret, key) = manage::create(manager, by, new).await.map_err(|error| not_created(&error))?;
    if lacks_scopes(manager, &key).await {
        note(&format!("warning: key {} has no scope: rules that ask for a scope refuse it. Use --scope", key.id));
    }
    if args.json {
        return print_json(&json!({ "id": key.id, "key": secret.expose() }));
    }
    let until = key.expires_at.map_or_else(|| "until it is revoked".to_owned(), |at| format!("until {}", date(at)));
    print(&format!("{} opens the gate {}, {until}", key.id, key.gate.as_str()));
    print(&format!("API key, shown only now: {}", secret.expose()));
    Ok(())
}

/// Returns why a key was not created, or how to find out whether it was.
fn not_created(error: &ManageError) -> String {
    let hint = match error {
        ManageError::Store(StoreError::OutcomeUnknown) => {
            "; the key itself is lost: if `signet api-key list` shows it, revoke it with `signet api-key revoke ID`, and \
             create another"
        }
        _ => "",
    };
    format!("{}{hint}", error_line(error))
}

/// Returns whether the key has no scope although its API has some. The key exists already, so an error here
/// must not hide it.
async fn lacks_scopes(manager: &Manager, key: &ApiKey) -> bool {
    key.scopes.is_empty() && apis::one(manager, &key.api).await.is_ok_and(|api| !api.scopes.is_empty())
}

async fn owner(manager: &Manager, of: OwnerArgs) -> Result<Option<Owner>, String> {
    match (of.user, of.client) {
        (Some(name), _) => Ok(Some(Owner::User(user::found(manager, &name).await?.id))),
        (None, client) => Ok(client.map(Owner::Client)),
    }
}

async fn list(manager: &Manager, of: OwnerArgs, json: bool) -> Result<(), String> {
    let owner = owner(manager, of).await?;
    let (mut before, mut all) = (None, Vec::new());
    loop {
        let filter = ApiKeyFilter { owner: owner.clone(), before, most: PAGE_SIZE, ..ApiKeyFilter::default() };
        let page = rows::list(manager.store.read(), &filter).await.map_err(error_line)?;
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        let names = usernames(manager, &page).await?;
        all.extend(page.into_iter().map(|key| ListedApiKey::new(key, &names)));
    }
    if json {
        return print_json(&all.iter().map(ListedApiKey::to_json).collect::<Vec<_>>());
    }
    let heading = ["ID", "OWNER", "GATE", "NAME", "SCOPE", "EXPIRES", "LAST USED"];
    print_table(heading, &all.iter().map(ListedApiKey::cells).collect::<Vec<_>>());
    Ok(())
}

async fn usernames(manager: &Manager, keys: &[ApiKey]) -> Result<HashMap<UserId, String>, String> {
    let user = |key: &ApiKey| match key.owner {
        Owner::User(id) => Some(id),
        Owner::Client(_) => None,
    };
    let ids: Vec<UserId> = keys.iter().filter_map(user).collect();
    let found = users::by_ids(manager.store.read(), &ids).await.map_err(error_line)?;
    Ok(found.into_iter().map(|user| (user.id, user.username.to_string())).collect())
}

/// A key with its owner's name.
struct ListedApiKey {
    key: ApiKey,
    kind: &'static str,
    owner: String,
}

impl ListedApiKey {
    fn new(key: ApiKey, names: &HashMap<UserId, String>) -> Self {
        let (kind, owner) = match &key.owner {
            Owner::User(id) => ("user", names.get(id).cloned().unwrap_or_else(|| id.to_string())),
            Owner::Client(id) => ("client", id.to_string()),
        };
        Self { key, kind, owner }
    }

    fn cells(&self) -> [String; 7] {
        let key = &self.key;
        let when = |at: Option<Timestamp>, never: &str| at.map_or_else(|| never.to_owned(), date);
        [
            key.id.to_string(),
            format!("{} {}", self.kind, self.owner),
            key.gate.as_str().to_owned(),
            key.name.clone(),
            key.scopes.to_string(),
            when(key.expires_at, "never"),
            when(key.last_used_at, ""),
        ]
    }

    fn to_json(&self) -> Value {
        let key = &self.key;
        json!({
            "id": key.id,
            self.kind: self.owner,
            "api": key.gate,
            "name": key.name,
            "scope": key.scopes,
            "allow": key.networks,
            "created_at": date(key.created_at),
            "expires_at": key.expires_at.map(date),
            "last_used_at": key.last_used_at.map(date),
        })
    }
}

pub(super) fn date(at: Timestamp) -> String {
    at.date().format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{ApiKeyExpiry, Timestamp};

    #[test]
    fn expiry_parses_seconds_dates_and_times() {
        for (text, end) in [
            ("3600", ApiKeyExpiry::Seconds(3600)),
            ("-5", ApiKeyExpiry::Seconds(-5)),
            ("2027-01-31", ApiKeyExpiry::At(Timestamp(1_801_353_600_000))),
            ("2027-01-31T00:00:00Z", ApiKeyExpiry::At(Timestamp(1_801_353_600_000))),
            ("2027-01-31T02:30:00.9+02:30", ApiKeyExpiry::At(Timestamp(1_801_353_600_000))),
        ] {
            assert_eq!(ApiKeyExpiry::parse(text), Ok(end), "{text}");
        }
        for bad in ["", "soon", "2027-02-30", "2027-01-31T12:00:00", "31.1.2027", "1e3", "99999999999999999999"] {
            assert!(ApiKeyExpiry::parse(bad).is_err(), "{bad}");
        }
    }
}
