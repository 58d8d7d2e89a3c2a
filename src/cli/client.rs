//! `signet client …`: clients.

use clap::{ArgAction, Subcommand};
use serde_json::{Value, json};

use super::{error_line, member, note, print, print_json, print_table, read_secret, registration};
use crate::domain::api::Api;
use crate::domain::certificate::DistinguishedName;
use crate::domain::client::Client;
use crate::domain::client_metadata::{
    ApplicationType, ClientAuthMethod, ClientMetadata, ConsentPolicy, GrantType, GroupName,
};
use crate::domain::http_host::HttpHost;
use crate::domain::ids::{ApiId, ClientId};
use crate::domain::redirect_uri::RedirectUri;
use crate::domain::scope::Scopes;
use crate::domain::secret::{Secret, SecretKind};
use crate::manage::apis;
use crate::manage::clients::{self, NewClient};
use crate::manage::export::all_clients;
use crate::manage::{AuditContext, ManageError, Manager};
use crate::store::StoreError;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a client; a confidential one gets a secret, which is printed only once.
    Create(Box<CreateClientArgs>),
    /// List every client.
    List {
        #[arg(long)]
        json: bool,
    },
    /// Replace a client's secret; the new one is printed only once.
    RotateSecret {
        #[command(flatten)]
        named: ClientSelector,
        /// Read the new secret (32 characters or more) from stdin instead of generating one.
        #[arg(long)]
        secret_stdin: bool,
    },
    /// Disable a client; everything issued to it ends.
    Disable(ClientSelector),
    /// Enable a client.
    Enable(ClientSelector),
    /// Delete a client, with everything issued to it.
    Delete(ClientSelector),
    /// Create an initial access token for client registration (RFC 7591); it is printed only once.
    RegistrationToken(registration::CreateRegistrationTokenArgs),
    /// List the initial access tokens without their secrets.
    RegistrationTokens {
        #[arg(long)]
        json: bool,
    },
    /// Revoke an initial access token.
    RevokeRegistrationToken(registration::RegistrationTokenSelector),
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateClientArgs {
    /// The client id; generated if it is left out.
    #[arg(long = "id", value_name = "CLIENT_ID")]
    id: Option<String>,
    /// The name that users see.
    #[arg(long)]
    name: Option<String>,
    /// May be repeated.
    #[arg(long = "redirect-uri", value_parser = RedirectUri::parse)]
    redirect_uris: Vec<RedirectUri>,
    /// May be repeated.
    #[arg(long = "post-logout-redirect-uri", value_parser = RedirectUri::parse)]
    post_logout_redirect_uris: Vec<RedirectUri>,
    /// `authorization_code` (the default), `refresh_token`, `client_credentials`; may be repeated.
    #[arg(long = "grant-type", value_parser = member::<GrantType>)]
    grant_types: Vec<GrantType>,
    /// The scopes that it may request, separated by spaces.
    #[arg(long, default_value = "openid profile email", value_parser = Scopes::parse)]
    scope: Scopes,
    /// Scopes of one API, where another API has a scope of the same name: `"https://orders.example.com read write"`. May be
    /// repeated.
    #[arg(long, value_name = "IDENTIFIER SCOPES", value_parser = api_scopes, action = ArgAction::Append)]
    api_scopes: Vec<(ApiId, Scopes)>,
    /// An API whose tokens it may introspect, as a gateway does. May be repeated.
    #[arg(long = "introspection-api", value_name = "IDENTIFIER", value_parser = member::<ApiId>)]
    introspection_apis: Vec<ApiId>,
    /// A host whose redirect URIs may be plain http: `nas.lan`, `*.home.arpa`, `192.168.1.0/24`. May be repeated.
    #[arg(long = "http-redirect-host", value_name = "HOST", value_parser = HttpHost::parse)]
    http_redirect_hosts: Vec<HttpHost>,
    /// `client_secret_basic` (the default), `client_secret_post`, `tls_client_auth` or `none`; what needs keys is made by
    /// `signet apply`.
    #[arg(long, value_parser = member::<ClientAuthMethod>, default_value = "client_secret_basic")]
    auth_method: ClientAuthMethod,
    /// With `tls_client_auth`: the subject of its certificate, as `CN=reports,O=Example` (RFC 4514).
    #[arg(long, value_name = "DN", value_parser = distinguished_name)]
    tls_client_auth_subject_dn: Option<DistinguishedName>,
    /// Its access tokens are bound to its TLS certificate (RFC 8705).
    #[arg(long)]
    certificate_bound_tokens: bool,
    /// A public client: the same as `--auth-method none`.
    #[arg(long, conflicts_with_all = ["auth_method", "secret_stdin"])]
    public: bool,
    /// A native app, whose loopback redirect may use any port; without this the redirect URIs decide.
    #[arg(long)]
    native: bool,
    /// A first-party client: users are not asked for consent.
    #[arg(long)]
    trusted: bool,
    /// Only users in this group may use it; may be repeated; without this every user may. A missing group is created.
    #[arg(long = "allowed-group", value_name = "GROUP", value_parser = GroupName::parse)]
    allowed_groups: Vec<GroupName>,
    /// A claim that its ID tokens have as UserInfo does, if the granted scopes allow it; may be repeated.
    #[arg(long = "id-token-claim", value_name = "CLAIM")]
    id_token_claims: Vec<String>,
    /// Require PKCE although the client is confidential.
    #[arg(long)]
    require_pkce: bool,
    /// Read the secret (32 characters or more) from stdin instead of generating one.
    #[arg(long)]
    secret_stdin: bool,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ClientSelector {
    #[arg(value_parser = ClientId::parse)]
    client_id: ClientId,
    #[arg(long)]
    json: bool,
}

fn api_scopes(text: &str) -> Result<(ApiId, Scopes), String> {
    let (api, scopes) = text.trim().split_once(' ').ok_or("is an API's identifier and scopes, with spaces between")?;
    let api = ApiId::parse(api).map_err(|problem| format!("{api} {problem}"))?;
    Ok((api, Scopes::parse(scopes)?))
}

fn distinguished_name(text: &str) -> Result<DistinguishedName, String> {
    DistinguishedName::try_from(text.to_owned()).map_err(ToOwned::to_owned)
}

pub(super) async fn run(manager: &Manager, command: Command) -> Result<(), String> {
    let by = AuditContext::command_line();
    match command {
        Command::Create(args) => create(manager, &by, *args).await,
        Command::List { json } => list(manager, json).await,
        Command::RotateSecret { named, secret_stdin } => {
            let given = secret_stdin.then(|| read_secret("secret", true, "--secret-stdin")).transpose()?;
            let generated = given.is_none().then(|| SecretKind::ClientSecret.mint(manager.store.env().random()));
            let secret = given.or_else(|| generated.clone());
            let done = clients::rotate_secret(manager, &by, &named.client_id, secret).await;
            done.map_err(|error| failed(&error, named.client_id.as_str(), generated.as_ref()))?;
            handed_out(&named.client_id, generated.as_ref().map(Secret::expose), named.json, "has a new secret")
        }
        Command::RegistrationToken(args) => registration::create(manager, &by, &args).await,
        Command::RegistrationTokens { json } => registration::list(manager, json).await,
        Command::RevokeRegistrationToken(named) => registration::revoke(manager, &by, &named).await,
        Command::Disable(named) => {
            let client = clients::disable(manager, &by, &named.client_id).await.map_err(error_line)?;
            print_result(manager, &client, named.json, "is turned off").await
        }
        Command::Enable(named) => {
            let client = clients::enable(manager, &by, &named.client_id).await.map_err(error_line)?;
            print_result(manager, &client, named.json, "is turned on").await
        }
        Command::Delete(named) => {
            clients::delete(manager, &by, &named.client_id).await.map_err(error_line)?;
            if named.json {
                return print_json(&json!({ "client_id": named.client_id, "deleted": true }));
            }
            print(&format!("{} is deleted", named.client_id));
            Ok(())
        }
    }
}

async fn create(manager: &Manager, by: &AuditContext, args: CreateClientArgs) -> Result<(), String> {
    let mut meta = ClientMetadata::default();
    meta.client_name = args.name.unwrap_or_default();
    meta.redirect_uris = args.redirect_uris;
    meta.post_logout_redirect_uris = args.post_logout_redirect_uris;
    meta.scope = args.scope;
    meta.api_scopes = args.api_scopes.into_iter().collect();
    meta.introspection_apis = args.introspection_apis;
    meta.http_redirect_hosts = args.http_redirect_hosts;
    meta.token_endpoint_auth_method = if args.public { ClientAuthMethod::None } else { args.auth_method };
    meta.tls_client_auth_subject_dn = args.tls_client_auth_subject_dn;
    meta.tls_client_certificate_bound_access_tokens = args.certificate_bound_tokens;
    meta.require_pkce = args.require_pkce;
    meta.allowed_groups = args.allowed_groups;
    meta.id_token_claims = args.id_token_claims;
    if !args.grant_types.is_empty() {
        meta.grant_types = args.grant_types;
    }
    if args.native {
        meta.set_application_type(ApplicationType::Native);
    }
    if args.trusted {
        meta.consent = ConsentPolicy::Trusted;
    }
    let given = args.secret_stdin.then(|| read_secret("secret", true, "--secret-stdin")).transpose()?;
    let env = manager.store.env();
    let is_generated = given.is_none() && meta.has_secret();
    let generated = is_generated.then(|| SecretKind::ClientSecret.mint(env.random()));
    let id = args.id.unwrap_or_else(|| env.uuid().simple().to_string());
    let new = NewClient { id: Some(id.clone()), meta, secret: given.or_else(|| generated.clone()) };
    let created = clients::create(manager, by, new).await;
    let (client, _) = created.map_err(|error| failed(&error, &id, generated.as_ref()))?;
    if let Some(warning) = clients::unknown_scopes_warning(&client) {
        note(&format!("warning: {warning}"));
    }
    handed_out(&client.id, generated.as_ref().map(Secret::expose), args.json, "is added")
}

/// Returns why a command failed. If its outcome is unknown, a generated secret is included, because it may be
/// valid now.
fn failed(error: &ManageError, id: &str, generated: Option<&Secret>) -> String {
    match generated {
        Some(secret) if matches!(error, ManageError::Store(StoreError::OutcomeUnknown)) => {
            format!("{}; client_secret of {}, if it was set: {}", error_line(error), error_line(id), secret.expose())
        }
        _ => error_line(error),
    }
}

/// Prints a generated secret. It is shown only this once.
fn handed_out(id: &ClientId, secret: Option<&str>, json: bool, what: &str) -> Result<(), String> {
    if json {
        return print_json(&match secret {
            Some(secret) => json!({ "client_id": id, "client_secret": secret }),
            None => json!({ "client_id": id }),
        });
    }
    print(&format!("{id} {what}"));
    if let Some(secret) = secret {
        print(&format!("client_secret, shown only now: {secret}"));
    }
    Ok(())
}

async fn list(manager: &Manager, json: bool) -> Result<(), String> {
    let all = all_clients(&manager.store).await.map_err(error_line)?;
    if json {
        let apis = apis::all(manager).await.map_err(error_line)?;
        return print_json(&all.iter().map(|client| shown(client, &apis)).collect::<Vec<_>>());
    }
    let rows: Vec<_> = all
        .iter()
        .map(|client| {
            let kind = if client.meta.is_public() { "public" } else { "confidential" };
            let states = [(client.disabled, "off"), (client.has_short_secret(), "rotate its secret")];
            let states: Vec<&str> = states.into_iter().filter(|(holds, _)| *holds).map(|(_, state)| state).collect();
            [client.id.to_string(), client.meta.client_name.clone(), kind.to_owned(), states.join(", ")]
        })
        .collect();
    print_table(["CLIENT_ID", "NAME", "KIND", "STATE"], &rows);
    Ok(())
}

async fn print_result(manager: &Manager, client: &Client, json: bool, what: &str) -> Result<(), String> {
    if json {
        return print_json(&shown(client, &apis::all(manager).await.map_err(error_line)?));
    }
    print(&format!("{} {what}", client.id));
    Ok(())
}

/// Returns the client's metadata together with Signet's own members.
fn shown(client: &Client, apis: &[Api]) -> Value {
    let mut shown = json!(client.meta.with_unqualified_scopes(apis));
    if let Some(members) = shown.as_object_mut() {
        members.insert("client_id".to_owned(), json!(client.id));
        members.insert("disabled".to_owned(), json!(client.disabled));
        members.insert("rotate_secret".to_owned(), json!(client.has_short_secret()));
    }
    shown
}
