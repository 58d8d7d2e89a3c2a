//! `signet api …`: APIs, and the rules of their gates.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::{error_line, member, print, print_json, print_table, read_text, shown};
use crate::domain::api::{Api, ApiId};
use crate::domain::client_metadata::TokenFormat;
use crate::domain::gate::{CredentialKind, GateName, RateLimit, Rule};
use crate::domain::scope::Scopes;
use crate::domain::web_address::AppOrigin;
use crate::manage::apis;
use crate::manage::{AuditContext, Manager};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add an API.
    Create(Box<CreateApiArgs>),
    /// List every API.
    List {
        #[arg(long)]
        json: bool,
    },
    /// Show one API with its rules.
    Show(ApiSelector),
    /// Change the named members of an API and remove those that --unset names; the others stay.
    Update(Box<UpdateApiArgs>),
    /// Delete an API: its tokens end, and its gate denies every request.
    Delete(ApiSelector),
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateApiArgs {
    /// The absolute URI that names it in `resource` and in a token's `aud`; it never changes.
    #[arg(long, value_name = "URI", value_parser = member::<ApiId>)]
    identifier: ApiId,
    #[command(flatten)]
    members: ApiMemberArgs,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct UpdateApiArgs {
    #[arg(value_parser = member::<ApiId>)]
    identifier: ApiId,
    /// Remove a member before others are set; may be repeated.
    #[arg(long, value_name = "MEMBER", value_enum)]
    unset: Vec<UnsettableMember>,
    #[command(flatten)]
    members: ApiMemberArgs,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ApiSelector {
    #[arg(value_parser = member::<ApiId>)]
    identifier: ApiId,
    #[arg(long)]
    json: bool,
}

/// What an API may be without, by its name in documents.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum UnsettableMember {
    Scopes,
    /// Back to `jwt`
    AccessTokenFormat,
    /// Back to the setting `lifetimes.access_token`
    AccessTokenLifetime,
    /// With `accepts`, `origins` and `rules`, which are for a gate
    Gate,
    /// Back to `bearer`; with `origins`, which are for `session`
    Accepts,
    Origins,
    /// Then nobody passes
    Rules,
    RateLimit,
}

impl UnsettableMember {
    fn unset_in(self, api: &mut Api) {
        match self {
            Self::Scopes => api.scopes = Scopes::default(),
            Self::AccessTokenFormat => api.access_token_format = None,
            Self::AccessTokenLifetime => api.access_token_lifetime = None,
            Self::Gate => {
                api.gate = None;
                api.rules.clear();
                Self::Accepts.unset_in(api);
            }
            Self::Accepts => {
                api.accepts.clear();
                api.origins.clear();
            }
            Self::Origins => api.origins.clear(),
            Self::Rules => api.rules.clear(),
            Self::RateLimit => api.rate_limit = None,
        }
    }
}

#[derive(Debug, clap::Args)]
struct ApiMemberArgs {
    /// The name that users see.
    #[arg(long)]
    name: Option<String>,
    /// A scope of the API; may be repeated. The scopes named are all that it has.
    #[arg(long = "scope", value_name = "SCOPE", value_parser = one_scope)]
    scopes: Vec<String>,
    /// Whether clients that registered themselves, or are known by their metadata document, may ask for it.
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    self_registered_clients: Option<bool>,
    /// The last part of the address at which proxies ask, `/gate/verify/GATE`.
    #[arg(long, value_parser = member::<GateName>)]
    gate: Option<GateName>,
    /// A kind of credential: `bearer` (the default), `api_key`, `basic`, `message_signature`, `session`, `oauth1`,
    /// `mtls`; may be repeated.
    #[arg(long = "accept", value_name = "WAY", value_parser = member::<CredentialKind>)]
    accepts: Vec<CredentialKind>,
    /// The origin of a browser app, such as `https://app.example.com`; for `--accept session`, may be repeated.
    #[arg(long = "origin", value_name = "ORIGIN", value_parser = member::<AppOrigin>)]
    origins: Vec<AppOrigin>,
    /// A file with the rules in order: a JSON array as in `apply`; - reads it from stdin.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// The lifetime of its access tokens, in seconds.
    #[arg(long, value_name = "SECONDS")]
    lifetime: Option<i64>,
    /// `jwt` or `opaque`.
    #[arg(long, value_parser = member::<TokenFormat>)]
    format: Option<TokenFormat>,
    /// The burst: requests at once, for each owner of a credential.
    #[arg(long, value_name = "REQUESTS", requires = "rate")]
    burst: Option<u32>,
    /// The rate: requests per second after the burst; may have a decimal point.
    #[arg(long, value_name = "PER_SECOND", requires = "burst")]
    rate: Option<f64>,
    /// Whether its gate passes a signed token to the API.
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    upstream_token: Option<bool>,
}

fn one_scope(text: &str) -> Result<String, String> {
    match Scopes::parse(text)?.iter().collect::<Vec<_>>().as_slice() {
        [one] if *one == text => Ok(text.to_owned()),
        _ => Err("one scope; repeat --scope for more".to_owned()),
    }
}

impl ApiMemberArgs {
    /// Sets the given members of `api`.
    fn apply_to(self, rules: Option<Vec<Rule>>, api: &mut Api) {
        if let Some(name) = self.name {
            api.name = name;
        }
        if !self.scopes.is_empty() {
            api.scopes = self.scopes.into_iter().collect();
        }
        if !self.accepts.is_empty() {
            api.accepts = self.accepts;
            if !api.allows_credential(CredentialKind::Session) {
                api.origins.clear();
            }
        }
        if !self.origins.is_empty() {
            api.origins = self.origins;
        }
        if let Some(rules) = rules {
            api.rules = rules;
        }
        if let (Some(burst), Some(per_second)) = (self.burst, self.rate) {
            api.rate_limit = Some(RateLimit { burst, per_second });
        }
        api.gate = self.gate.or(api.gate.take());
        api.access_token_lifetime = self.lifetime.or(api.access_token_lifetime);
        api.access_token_format = self.format.or(api.access_token_format);
        api.upstream_token = self.upstream_token.unwrap_or(api.upstream_token);
        api.self_registered_clients = self.self_registered_clients.unwrap_or(api.self_registered_clients);
    }
}

pub(super) async fn run(manager: &Manager, command: Command) -> Result<(), String> {
    let by = AuditContext::command_line();
    match command {
        Command::Create(args) => {
            let rules = args.members.rules.as_deref().map(read_rules).transpose()?;
            let mut api = Api::new(args.identifier);
            args.members.apply_to(rules, &mut api);
            apis::create(manager, &by, api.clone()).await.map_err(error_line)?;
            print_result(&api, args.json, "is added")
        }
        Command::List { json } => list(manager, json).await,
        Command::Show(named) => show(manager, &named).await,
        Command::Update(args) => {
            let UpdateApiArgs { identifier, unset, members, json } = *args;
            let rules = members.rules.as_deref().map(read_rules).transpose()?;
            let edit = move |api: &mut Api| {
                for member in unset {
                    member.unset_in(api);
                }
                members.apply_to(rules, api);
            };
            let api = apis::update(manager, &by, &identifier, edit).await.map_err(error_line)?;
            print_result(&api, json, "is changed")
        }
        Command::Delete(named) => {
            apis::delete(manager, &by, named.identifier.clone()).await.map_err(error_line)?;
            if named.json {
                return print_json(&json!({ "identifier": named.identifier, "deleted": true }));
            }
            print(&format!("{} is deleted", named.identifier.as_str()));
            Ok(())
        }
    }
}

fn read_rules(file: &Path) -> Result<Vec<Rule>, String> {
    let text = read_text(file)?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}; nothing was changed", shown(file)))
}

async fn list(manager: &Manager, json: bool) -> Result<(), String> {
    let all = apis::all(manager).await.map_err(error_line)?;
    if json {
        return print_json(&all);
    }
    let rows: Vec<_> = all
        .iter()
        .map(|api| {
            let ways = if api.gate.is_some() { credential_kinds(api) } else { String::new() };
            let gate = api.gate.as_ref().map(|gate| gate.as_str().to_owned()).unwrap_or_default();
            [api.identifier.as_str().to_owned(), api.name.clone(), gate, ways, api.rules.len().to_string()]
        })
        .collect();
    print_table(["IDENTIFIER", "NAME", "GATE", "WAYS", "RULES"], &rows);
    Ok(())
}

async fn show(manager: &Manager, named: &ApiSelector) -> Result<(), String> {
    let api = apis::one(manager, &named.identifier).await.map_err(error_line)?;
    if named.json {
        return print_json(&api);
    }
    print(&format!("identifier  {}", api.identifier.as_str()));
    print(&format!("name        {}", api.name));
    print(&format!("scopes      {}", api.scopes));
    if api.self_registered_clients {
        print("clients     self-registered, too");
    }
    let Some(gate) = &api.gate else { return Ok(()) };
    print(&format!("gate        {}", gate.as_str()));
    print(&format!("ways        {}", credential_kinds(&api)));
    for origin in &api.origins {
        print(&format!("origin      {}", origin.as_str()));
    }
    for (number, rule) in (1..).zip(&api.rules) {
        print(&format!(
            "rule {number}      {} {}: {}",
            rule.methods.join(" "),
            rule.path.as_str(),
            rule.requirements()
        ));
    }
    print("anything else is refused");
    Ok(())
}

fn credential_kinds(api: &Api) -> String {
    let taken: Vec<&str> =
        CredentialKind::ALL.into_iter().filter(|way| api.allows_credential(*way)).map(CredentialKind::as_str).collect();
    taken.join(" ")
}

fn print_result(api: &Api, json: bool, what: &str) -> Result<(), String> {
    if json {
        return print_json(api);
    }
    print(&format!("{} {what}", api.identifier.as_str()));
    Ok(())
}
