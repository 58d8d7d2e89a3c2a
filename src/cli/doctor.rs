//! `signet doctor`: checks everything that a start depends on, and reports each problem and how to fix it.
//!
//! It changes nothing except a row and a file that it writes and deletes: it does not migrate an older schema,
//! and does not create a missing folder, database or master key.

mod file_modes;

use std::path::Path;

use super::{error_line, print};
use crate::config::Config;
use crate::env::{Env, Timestamp};
use crate::keys::master::FILE;
use crate::keys::{Keyring, MasterKey};
use crate::manage::client_addresses::newest_unreadable;
use crate::outbound::OutboundClient;
use crate::store::{self, Store, StoreError, events};

/// The number of problems found.
#[derive(Default)]
struct Findings {
    problems: usize,
}

impl Findings {
    fn report_problem(&mut self, what: &str, text: &str) {
        self.problems += 1;
        print(&format!("WRONG  {what}: {text}"));
    }
}

fn good(what: &str, text: &str) {
    print(&format!("ok     {what}: {text}"));
}

/// Prints a possible problem.
fn note(what: &str, text: &str) {
    print(&format!("note   {what}: {text}"));
}

pub(super) async fn run(file: Option<&Path>) -> Result<(), String> {
    let mut findings = Findings::default();
    match Config::load(file) {
        Ok(config) => {
            good("configuration", "every key is known and its value fits");
            let folder = data_dir(&config, &mut findings);
            addresses(&config, &mut findings);
            tls(&config, &mut findings);
            outbound(&config, &mut findings);
            modes(&config, file, &mut findings);
            if folder {
                check_stored_data(&config, &mut findings).await;
            }
        }
        Err(error) => findings.report_problem("configuration", &error_line(error)),
    }
    match findings.problems {
        0 => Ok(()),
        1 => Err("one thing is wrong, see above".to_owned()),
        more => Err(format!("{more} things are wrong, see above")),
    }
}

/// Checks whether the folder can be used. It writes a file, because permissions alone do not show read-only
/// mounts or full disks.
fn data_dir(config: &Config, findings: &mut Findings) -> bool {
    let folder = &config.data_dir;
    let tried = try_to_write(folder);
    match tried {
        Ok(()) if !folder.exists() => {
            note("data_dir", &format!("{} is not there yet: it is made at the first start", folder.display()));
            true
        }
        Ok(()) => {
            good("data_dir", &format!("{} can be written to", folder.display()));
            true
        }
        Err(error) => {
            let folder = folder.display();
            findings.report_problem(
                "data_dir",
                &format!("{folder} cannot be written to ({error}): set data_dir, or give it to this user"),
            );
            false
        }
    }
}

/// Writes a file and deletes it: in the folder or, if it does not exist, in its nearest existing ancestor.
fn try_to_write(folder: &Path) -> std::io::Result<()> {
    let folder = std::path::absolute(folder)?;
    let there = folder.ancestors().find(|above| above.exists()).unwrap_or(&folder);
    let trial = there.join(".doctor");
    std::fs::write(&trial, b"signet doctor").and_then(|()| std::fs::remove_file(&trial))
}

fn addresses(config: &Config, findings: &mut Findings) {
    let (issuer, listen) = (&config.issuer, &config.listen);
    let before = findings.problems;
    let serves_tls = config.tls.cert_file.is_some();
    if serves_tls && !issuer.is_https() {
        findings.report_problem(
            "issuer",
            &format!(
                "{} is http, but tls.cert_file makes the server speak https: set issuer to https",
                issuer.as_str()
            ),
        );
    }
    if issuer.is_https() && !serves_tls && config.trusted_proxies.is_empty() {
        note(
            "trusted_proxies",
            "the issuer is https and the server speaks http, so a proxy stands before it: name its address in trusted_proxies, or every visitor counts as that one address",
        );
    }
    let own_port = issuer.url().port_or_known_default();
    if config.trusted_proxies.is_empty() && (serves_tls || !issuer.is_https()) && own_port != Some(listen.port()) {
        note(
            "issuer",
            &format!(
                "{} has another port than listen ({listen}): right only where something forwards",
                issuer.as_str()
            ),
        );
    }
    if !issuer.is_https() && !listen.is_loopback() {
        note(
            "issuer",
            &format!(
                "{} is this machine alone, though {listen} is reachable from others: they need an https issuer",
                issuer.as_str()
            ),
        );
    }
    if issuer.domain().is_none() {
        note("issuer", "browsers make no passkeys for an address without a name: use a host name");
    }
    if let Err(error) = listen.addresses() {
        findings
            .report_problem("listen", &format!("{listen} has no address ({error}): name an address of this machine"));
    }
    if findings.problems == before {
        good("issuer", &format!("{}, served on {listen}", issuer.as_str()));
    }
}

fn tls(config: &Config, findings: &mut Findings) {
    for (name, file) in [("tls.cert_file", &config.tls.cert_file), ("tls.key_file", &config.tls.key_file)] {
        let Some(file) = file else { continue };
        match std::fs::read_to_string(file) {
            Ok(text) if text.contains("-----BEGIN ") => good(name, &file.display().to_string()),
            Ok(_) => findings.report_problem(name, &format!("{} is no PEM file", file.display())),
            Err(error) => findings.report_problem(name, &format!("{} cannot be read: {error}", file.display())),
        }
    }
}

/// Reads every certificate in the file, as a start does.
fn outbound(config: &Config, findings: &mut Findings) {
    let Some(file) = &config.outbound.ca_file else { return };
    match OutboundClient::new(config) {
        Ok(_) => good("outbound.ca_file", &format!("{} holds certificates to trust", file.display())),
        Err(error) => {
            findings.report_problem("outbound", &format!("{error} (name a PEM file with the authority's certificate)"));
        }
    }
}

/// Checks the master key, the database, and whether they belong together.
async fn check_stored_data(config: &Config, findings: &mut Findings) {
    let env = Env::system();
    let master = MasterKey::load(config);
    match &master {
        Ok(Some(_)) => good("master key", "can be read"),
        Ok(None) => {}
        Err(error) => findings.report_problem("master key", &error_line(error)),
    }
    let shown = config.database().redacted();
    let store = match Store::open_if_exists(config, env.clone()).await {
        Ok(Some(store)) => store,
        Ok(None) => {
            if matches!(master, Ok(None)) {
                note("master key", "is made at the first start");
            }
            let place = store::sqlite_path(&config.database()).map_or(shown, |path| path.display().to_string());
            note("database", &format!("{place} holds nothing yet: it is made at the first start"));
            return clock(env.clock.now(), None, findings);
        }
        Err(error @ StoreError::Unavailable(_)) => {
            findings.report_problem(
                "database",
                &format!("{shown}: {} (check database_url and that it is running)", error_line(error)),
            );
            return;
        }
        Err(error) => return findings.report_problem("database", &format!("{shown}: {}", error_line(error))),
    };
    good("database", &format!("{shown} answers, its schema is up to date"));
    match store.check_integrity().await {
        Ok(()) => good("database", "its file is sound"),
        Err(error) => findings.report_problem("database", &error_line(error)),
    }
    match store.check_ready().await {
        Ok(()) => good("database", "a row was written and deleted"),
        Err(error) => {
            findings.report_problem(
                "database",
                &format!("nothing can be written ({}): make room, or see its log", error_line(error)),
            );
        }
    }
    client_addresses(&store, findings).await;
    if let Ok(master) = master {
        check_keys_match(config, &store, master, findings).await;
    }
    let newest = events::list(store.read(), &events::EventFilter { most: 1, ..events::EventFilter::default() }).await;
    clock(env.clock.now(), newest.ok().and_then(|events| events.first().map(|event| event.at)), findings);
    store.close().await;
}

/// Checks whether running nodes could read the client address that a proxy sends.
async fn client_addresses(store: &Store, findings: &mut Findings) {
    if let Ok(Some((proxy, value))) = newest_unreadable(store).await {
        findings.report_problem(
            "trusted_proxies",
            &format!(
                "the proxy {proxy} sent an X-Forwarded-For that is no address within the last day ({value}): let it send the \
                 client's address, with or without a port"
            ),
        );
    }
}

/// Checks whether the database's keys were sealed with this master key.
async fn check_keys_match(config: &Config, store: &Store, master: Option<MasterKey>, findings: &mut Findings) {
    let master = match master {
        Some(master) => master,
        None if matches!(store.is_empty().await, Ok(true)) => return note("master key", "is made at the first start"),
        None => {
            let path = config.data_dir.join(FILE);
            return findings.report_problem(
                "master key",
                &format!(
                    "the database holds data that need it, but the setting master_key is not set and there is no file \
                     {}: restore the file from a backup",
                    path.display()
                ),
            );
        }
    };
    match Keyring::open(store, master).await {
        Ok(_) => good("signing keys", "open under the master key"),
        Err(error) => findings.report_problem("signing keys", &error_line(error)),
    }
}

/// Checks file modes, because the master key opens every secret in the database.
fn modes(config: &Config, file: Option<&Path>, findings: &mut Findings) {
    if file_modes::is_writable_by_others(config) {
        let path = config.data_dir.display();
        let text = format!("other users of this machine can replace files in {path}: chmod go-w {path}");
        return findings.report_problem("file modes", &text);
    }
    let open = file_modes::readable_by_others(config, file);
    if open.is_empty() {
        return good("file modes", "no other user can read the master key, the database, or other secrets");
    }
    let commands: Vec<String> = open.iter().map(|(path, mode)| format!("chmod {mode} {}", path.display())).collect();
    findings.report_problem(
        "file modes",
        &format!("other users of this machine can read files with secrets: {}", commands.join("; ")),
    );
}

/// Relying parties commonly tolerate a minute in `iat` and `exp`.
const MAX_CLOCK_SKEW_SECONDS: i64 = 60;
/// 2025-01-01. A clock that shows an earlier time was never set.
const MIN_PLAUSIBLE_TIME: Timestamp = Timestamp::from_seconds(1_735_689_600);

fn clock(now: Timestamp, newest: Option<Timestamp>, findings: &mut Findings) {
    if now < MIN_PLAUSIBLE_TIME {
        findings.report_problem("clock", "this machine's clock has not been set: start its time synchronisation");
    } else if newest.is_some_and(|newest| newest > now.plus_seconds(MAX_CLOCK_SKEW_SECONDS)) {
        findings.report_problem(
            "clock",
            "the newest event is in this clock's future: set the clock, or that of the node that wrote it",
        );
    } else {
        good("clock", "plausible");
    }
}
