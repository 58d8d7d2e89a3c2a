//! `signet key …`: the keys for signing, and those to which others encrypt.

use clap::Subcommand;
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::{error_line, print, print_json, print_table};
use crate::domain::signing_key::{KeyAlg, StoredKey};
use crate::env::Timestamp;
use crate::keys::rotation;
use crate::manage::keys::RotationOutcome;
use crate::manage::{AuditContext, Manager, keys};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the keys and their states.
    List {
        #[arg(long)]
        json: bool,
    },
    /// Make the next key the active one; the old one verifies (or decrypts) until nothing depends on it.
    Rotate {
        /// RS256, PS256, ES256, EdDSA, RSA-OAEP-256 or ECDH-ES; without it RS256 and ES256, which sign where nobody asks
        /// for anything else.
        #[arg(long, value_parser = algorithm, conflicts_with = "all")]
        alg: Option<KeyAlg>,
        /// All algorithms.
        #[arg(long)]
        all: bool,
        /// Rotate even if relying parties may not know the next key yet (they may cache the JWKS for an hour).
        #[arg(long)]
        now: bool,
        #[arg(long)]
        json: bool,
    },
    /// Remove a key at once: everything it signed becomes invalid, and nothing encrypted to it can be read.
    Retire {
        #[arg(allow_hyphen_values = true)]
        kid: String,
        #[arg(long)]
        json: bool,
    },
}

fn algorithm(text: &str) -> Result<KeyAlg, String> {
    KeyAlg::parse(text).ok_or_else(|| {
        format!("is one of {}", KeyAlg::ALL.iter().map(|alg| alg.as_str()).collect::<Vec<_>>().join(", "))
    })
}

pub(super) async fn run(manager: &Manager, command: Command) -> Result<(), String> {
    let by = AuditContext::command_line();
    // A database that no server has opened yet has no keys.
    rotation::ensure_initial_keys(&manager.store, &manager.master).await.map_err(error_line)?;
    match command {
        Command::List { json } => list(&keys::list(manager).await.map_err(error_line)?, json),
        Command::Rotate { alg, all, now, json } => {
            let algs = match alg {
                Some(alg) => vec![alg],
                None if all => KeyAlg::ALL.to_vec(),
                None => vec![KeyAlg::RS256, KeyAlg::ES256],
            };
            let mut active = Vec::new();
            for alg in algs {
                let does = if alg.signing_alg().is_some() { "signs" } else { "is encrypted to" };
                let (text, done) = match keys::rotate(manager, &by, alg, now).await.map_err(error_line)? {
                    RotationOutcome::Now(kid) => {
                        (format!("{alg}: {kid} {does} now"), json!({ "alg": alg, "kid": kid }))
                    }
                    RotationOutcome::Scheduled(kid, from) => (
                        format!(
                            "{alg}: {kid} {does} from {} on, when relying parties know it (--now: at once)",
                            date(from)
                        ),
                        json!({ "alg": alg, "kid": kid, "from": date(from) }),
                    ),
                };
                if !json {
                    print(&text);
                }
                active.push(done);
            }
            if json { print_json(&active) } else { Ok(()) }
        }
        Command::Retire { kid, json } => {
            keys::retire(manager, &by, &kid).await.map_err(error_line)?;
            if json {
                return print_json(&json!({ "kid": kid, "retired": true }));
            }
            print(&format!("{kid} is withdrawn"));
            Ok(())
        }
    }
}

fn date(at: Timestamp) -> String {
    at.date().format(&Rfc3339).unwrap_or_default()
}

fn list(keys: &[StoredKey], json: bool) -> Result<(), String> {
    if json {
        let rows: Vec<_> = keys
            .iter()
            .map(|key| {
                json!({
                    "kid": key.kid, "alg": key.alg, "state": key.state, "created_at": date(key.created_at),
                    "activated_at": key.activated_at.map(date), "retired_at": key.retired_at.map(date),
                })
            })
            .collect();
        return print_json(&rows);
    }
    let rows: Vec<_> = keys
        .iter()
        .map(|key| [key.kid.clone(), key.alg.as_str().to_owned(), key.state.as_str().to_owned(), date(key.created_at)])
        .collect();
    print_table(["KID", "ALG", "STATE", "CREATED"], &rows);
    Ok(())
}
