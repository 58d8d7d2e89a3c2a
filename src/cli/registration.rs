//! `signet client registration-token…`: initial access tokens (RFC 7591 §3), with which clients register
//! themselves.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::{error_line, print, print_json, print_table};
use crate::domain::ids::InitialAccessId;
use crate::env::Timestamp;
use crate::manage::registration;
use crate::manage::{AuditContext, Manager};
use crate::store::initial_access::InitialAccess;

#[derive(Debug, clap::Args)]
pub(super) struct CreateRegistrationTokenArgs {
    /// How many clients it may register; without this, any number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    uses: Option<i32>,
    /// How long it is valid; a week without this.
    #[arg(long, value_name = "SECONDS", default_value_t = 604_800)]
    expires_in: i64,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct RegistrationTokenSelector {
    /// The id, as the list shows it.
    id: InitialAccessId,
    #[arg(long)]
    json: bool,
}

pub(super) async fn create(
    manager: &Manager,
    by: &AuditContext,
    args: &CreateRegistrationTokenArgs,
) -> Result<(), String> {
    let created = registration::create_initial_access_token(manager, by, args.uses, args.expires_in).await;
    let (token, access) = created.map_err(error_line)?;
    if args.json {
        let mut shown = shown(&access);
        if let Some(members) = shown.as_object_mut() {
            members.insert("token".to_owned(), json!(token.expose()));
        }
        return print_json(&shown);
    }
    print(&format!("{} may be used until {}", access.id, date(access.expires_at)));
    print(&format!("initial access token, shown only now: {}", token.expose()));
    Ok(())
}

pub(super) async fn list(manager: &Manager, json: bool) -> Result<(), String> {
    let all = registration::list_initial_access_tokens(&manager.store).await.map_err(error_line)?;
    if json {
        return print_json(&all.iter().map(shown).collect::<Vec<_>>());
    }
    let uses = |access: &InitialAccess| access.uses_left.map_or_else(|| "any".to_owned(), |left| left.to_string());
    let rows: Vec<_> = all
        .iter()
        .map(|access| [access.id.to_string(), uses(access), date(access.created_at), date(access.expires_at)])
        .collect();
    print_table(["ID", "USES LEFT", "CREATED", "EXPIRES"], &rows);
    Ok(())
}

pub(super) async fn revoke(
    manager: &Manager,
    by: &AuditContext,
    named: &RegistrationTokenSelector,
) -> Result<(), String> {
    registration::revoke_access(manager, by, named.id).await.map_err(error_line)?;
    if named.json {
        return print_json(&json!({ "id": named.id, "revoked": true }));
    }
    print(&format!("{} is revoked", named.id));
    Ok(())
}

fn shown(access: &InitialAccess) -> Value {
    json!({
        "id": access.id,
        "uses_left": access.uses_left,
        "created_at": date(access.created_at),
        "expires_at": date(access.expires_at),
    })
}

fn date(at: Timestamp) -> String {
    at.date().format(&Rfc3339).unwrap_or_default()
}
