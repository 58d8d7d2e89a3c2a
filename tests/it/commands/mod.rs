//! The program at a terminal: what each command does, prints and exits with.
//!
//! [`environment`] settings and paths, [`serve`] starting and stopping, [`apply`] documents, [`imports`] those from
//! elsewhere, [`daily`] people, clients and keys, [`api`] APIs, [`request`] signed requests; here what is left: usage, `migrate`, `doctor`, `healthcheck`.

mod api;
mod apply;
mod daily;
mod environment;
mod imports;
mod request;
mod serve;

use std::fs::File;

use reqwest::Client as Http;
use serde_json::{Value, json};

use crate::support::authority::Authority;
use crate::support::program::Program;
use crate::support::{CALLBACK, PASSWORD, SECRET};

/// The contract's example.
fn example() -> Value {
    json!({
        "groups": [{ "name": "staff" }],
        "users": [{ "username": "alice", "password": PASSWORD, "email": "alice@example.com",
                    "email_verified": true, "name": "Alice Example", "groups": ["staff"], "admin": false }],
        "apis": [{ "identifier": "https://api.example.com", "name": "Example API", "scopes": ["read", "write"],
                   "gate": "example", "accepts": ["bearer", "api_key", "basic", "message_signature"],
                   "rules": [{ "methods": ["GET"], "path": "/public/**", "allow": "anonymous" },
                             { "methods": ["GET"], "path": "/orders/**", "scopes": ["read"] },
                             { "methods": ["POST", "DELETE"], "path": "/orders/**", "scopes": ["write"], "groups": ["staff"] }] }],
        "clients": [{ "client_id": "web", "client_secret": SECRET, "client_name": "Web",
                      "redirect_uris": [CALLBACK], "post_logout_redirect_uris": [],
                      "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
                      "response_types": ["code"], "token_endpoint_auth_method": "client_secret_basic",
                      "scope": "openid profile email offline_access", "consent": "required" }],
    })
}

async fn with_example() -> Program {
    let program = Program::installed().await;
    program.write("example.json", &example().to_string());
    program.done(&["apply", "example.json"]);
    program
}

async fn token_status(program: &Program, secret: &str) -> u16 {
    let request = Http::new().post(format!("{}/oauth2/token", program.url())).basic_auth("web", Some(secret));
    request.form(&[("grant_type", "client_credentials")]).send().await.unwrap().status().as_u16()
}

async fn status(program: &Program, path: &str) -> u16 {
    Http::new().get(format!("{}{path}", program.url())).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn wrong_usage_is_two_and_no_secret_is_an_argument() {
    let program = Program::installed().await;
    for arguments in [
        vec!["nonsense"],
        vec!["serve", "--nonsense"],
        vec!["apply"],
        vec!["user"],
        vec!["user", "create", "alice", "--password", PASSWORD],
        vec!["client", "create", "--secret", SECRET],
        vec!["client", "create", "--redirect-uri", "nowhere"],
        vec!["key", "rotate", "--alg", "none"],
    ] {
        let said = program.run(&arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}");
    }
    assert_eq!(program.run(&["--version"]).code, 0);
    for (setting, value, named) in [
        ("SIGNET_NONSENSE", "1", "nonsense"),
        ("SIGNET_LOG__NONSENSE", "1", "nonsense"),
        ("SIGNET_LISTEN", "nowhere", "listen"),
        ("SIGNET_ISSUER", "http://id.example.com", "issuer"),
        ("SIGNET_TRUSTED_PROXIES", "0.0.0.0/0", "trusted_proxies"),
        ("SIGNET_TRUSTED_PROXIES", "0.0.0.0/1,128.0.0.0/1", "trusted_proxies"),
        ("SIGNET_CLIENT_CERTIFICATE_HEADER", "Client-Cert", "trusted_proxies"),
        ("SIGNET_CLIENT_CERTIFICATE_HEADER", "a b", "client_certificate_header"),
        ("SIGNET_LIFETIMES__CODE", "601", "lifetimes.code"),
        ("SIGNET_LIFETIMES__CODE", "soon", "lifetimes.code"),
        ("SIGNET_LOG__FORMAT", "xml", "log.format"),
        ("SIGNET_TLS__CERT_FILE", "cert.pem", "tls.key_file"),
        ("SIGNET_MASTER_KEY", "c2hvcnQ=", "master key"),
        ("SIGNET_DATABASE_URL", "mysql://root:hunter2@localhost/x", "database_url"),
    ] {
        let mut other = program.neighbour();
        other.set(setting, value);
        let line = other.run(&["key", "list"]).refused();
        assert!(line.to_lowercase().contains(named) && !line.contains("hunter2"), "{setting}: {line}");
    }
    program.write("signet.toml", "issuer = \"https://id.example.com\"\n[lifetimes]\nnonsense = 1\n");
    let line = program.run(&["migrate"]).refused();
    assert!(line.contains("nonsense") && line.contains("signet.toml"), "{line}");
    assert!(program.run(&["migrate", "--config", "missing.toml"]).refused().contains("missing.toml"));
}

/// What a full disk has swallowed was no success.
#[tokio::test]
async fn output_that_nobody_takes_is_a_failure_said_in_one_line() {
    let program = with_example().await;
    for command in [["export"].as_slice(), &["client", "list"], &["key", "list", "--json"], &["doctor"]] {
        let line = program.run_into(command, File::create("/dev/full").unwrap()).refused();
        assert!(line.contains("output"), "{line}");
    }
}

#[tokio::test]
async fn migrate_brings_the_schema_up_to_date_and_refuses_a_newer_one() {
    use sea_orm::ConnectionTrait as _;
    let program = Program::new().await;
    assert!(program.done(&["migrate"]).contains("up to date"));
    assert!(program.done(&["migrate"]).contains("up to date"));
    let db = program.database().await;
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 0)";
    db.execute_unprepared(newer).await.unwrap();
    db.close().await.unwrap();
    let line = program.run(&["serve"]).refused();
    assert!(line.contains("m9999_later") && line.contains("newer"), "{line}");
}

#[tokio::test]
async fn the_doctor_says_what_is_wrong_and_how_to_mend_it() {
    let program = Program::new().await;
    let said = program.run(&["doctor"]);
    assert_eq!((said.code, said.out.contains("WRONG")), (0, false), "{}", said.out);
    program.serve(&["serve"]).stop();
    let said = program.run(&["doctor"]);
    assert_eq!((said.code, said.out.contains("WRONG")), (0, false), "{}", said.out);
    assert!(said.out.contains("ok     signing keys"), "{}", said.out);
    let other = "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3Q=";
    let file = program.folder.path().join("file");
    std::fs::write(&file, "no certificate").unwrap();
    let file = file.to_str().unwrap();
    for (settings, wrong, mend) in [
        (vec![("SIGNET_NONSENSE", "1")], "configuration", "nonsense"),
        (vec![("SIGNET_MASTER_KEY", "c2hvcnQ=")], "master key", "32 bytes"),
        (vec![("SIGNET_MASTER_KEY", other)], "signing keys", "restore the master key"),
        (vec![("SIGNET_DATA_DIR", file)], "data_dir", "set data_dir"),
        (vec![("SIGNET_TLS__CERT_FILE", file), ("SIGNET_TLS__KEY_FILE", "gone.pem")], "tls.cert_file", "PEM"),
        (vec![("SIGNET_TLS__CERT_FILE", file), ("SIGNET_TLS__KEY_FILE", "gone.pem")], "tls.key_file", "gone.pem"),
        (vec![("SIGNET_TLS__CERT_FILE", file), ("SIGNET_TLS__KEY_FILE", file)], "issuer", "https"),
        (vec![("SIGNET_OUTBOUND__CA_FILE", file)], "outbound", "outbound.ca_file"),
        (vec![("SIGNET_OUTBOUND__CA_FILE", "gone.pem")], "outbound", "gone.pem"),
        (vec![("SIGNET_DATABASE_URL", "postgres://root:hunter2@127.0.0.1:1/x")], "database", "database_url"),
    ] {
        let mut sick = program.neighbour();
        for (name, value) in settings {
            sick.set(name, value);
        }
        let said = sick.run(&["doctor"]);
        let found = said.out.lines().any(|line| line.starts_with(&format!("WRONG  {wrong}")) && line.contains(mend));
        assert!(found, "{wrong}: {}", said.out);
        assert!(!(said.out.clone() + &said.err).contains("hunter2"));
        assert!(said.refused().contains("wrong"));
    }
    let mut healthy = program.neighbour();
    healthy.write("ca.pem", &Authority::new().root);
    healthy.set("SIGNET_OUTBOUND__CA_FILE", "ca.pem");
    assert!(healthy.done(&["doctor"]).contains("ok     outbound.ca_file: ca.pem"));
}

#[tokio::test]
async fn a_health_check_tells_a_server_that_runs_from_one_that_does_not() {
    let program = Program::installed().await;
    assert!(program.run(&["healthcheck"]).refused().contains(&program.address.to_string()));
    let server = program.serve(&["serve"]);
    assert_eq!(program.done(&["healthcheck"]), "ready\n");
    server.stop();
    program.run(&["healthcheck"]).refused();
}
