//! The program at a terminal (CONTRACT "Program"): what each command does, prints and exits with.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;

use reqwest::Client as Http;
use serde_json::{Value, json};

use crate::support::program::{Program, within};
use crate::support::{CALLBACK, PASSWORD, SECRET};

/// The contract's example, without what belongs to the gate.
fn example() -> Value {
    json!({
        "groups": [{ "name": "staff" }],
        "users": [{ "username": "alice", "password": PASSWORD, "email": "alice@example.com",
                    "email_verified": true, "name": "Alice Example", "groups": ["staff"], "admin": false }],
        "apis": [{ "identifier": "https://api.example.com", "name": "Example API", "scopes": ["read", "write"] }],
        "clients": [{ "client_id": "web", "client_secret": SECRET, "client_name": "Web",
                      "redirect_uris": [CALLBACK], "post_logout_redirect_uris": [],
                      "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
                      "response_types": ["code"], "token_endpoint_auth_method": "client_secret_basic",
                      "scope": "openid profile email offline_access", "consent": "required" }],
    })
}

async fn with_example() -> Program {
    let program = Program::new().await;
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
async fn the_first_start_prints_a_set_up_link_and_the_next_one_none() {
    let program = Program::new().await;
    let url = program.url();
    let first = program.serve(&[]);
    let link = first.line.strip_prefix(&format!("Signet is at {url}. Make the first administrator: ")).unwrap();
    assert!(link.starts_with(&format!("{url}/setup?token=")), "{link}");
    assert_eq!((status(&program, "/readyz").await, status(&program, "/livez").await), (200, 200));
    let key = program.data().join("master.key");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let browser = program.browser();
    let page = browser.open(link).await.ok().unwrap();
    assert_eq!(page.name(), "setup");
    let fields = [("username", "alice"), ("password", PASSWORD), ("name", ""), ("email", "")];
    let home = browser.submit(&page, &fields).await.ok().unwrap();
    assert_eq!(home.status, 200, "{}", home.html);
    assert_eq!(browser.open(link).await.ok().unwrap().status, 400, "the link works once");
    first.stop();
    let second = program.serve(&["serve"]);
    assert_eq!(second.line, format!("Signet is at {url}"));
    assert_eq!(program.json(&["user", "list", "--json"])[0]["admin"], true);
    second.stop();
}

#[tokio::test]
async fn a_link_that_was_replaced_by_a_newer_start_is_worth_nothing() {
    let program = Program::new().await;
    let first = program.serve(&[]);
    let old = first.line.rsplit(' ').next().unwrap().to_owned();
    first.stop();
    let second = program.serve(&[]);
    let new = second.line.rsplit(' ').next().unwrap();
    assert_ne!(old, new);
    let browser = program.browser();
    assert_eq!(browser.open(&old).await.ok().unwrap().status, 400);
    assert_eq!(browser.open(new).await.ok().unwrap().name(), "setup");
}

#[tokio::test]
async fn a_stop_lets_the_request_in_flight_finish() {
    let program = with_example().await;
    let server = program.serve(&["serve"]);
    let body = format!("grant_type=client_credentials&client_id=web&client_secret={SECRET}");
    let (now, later) = body.split_at(20);
    let mut connection = TcpStream::connect(program.address).unwrap();
    // post is not the client's method: the answer is a refusal in the protocol's own form, and whole.
    let head = "POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    write!(connection, "{head}Content-Length: {}\r\n\r\n{now}", body.len()).unwrap();
    // Whatever is asked after it has been taken up is answered after it.
    assert_eq!(status(&program, "/livez").await, 200);
    server.signal("TERM");
    within(5, || async { TcpStream::connect(program.address).is_err() }).await;
    write!(connection, "{later}").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("invalid_client"), "{answer}");
    assert_eq!(server.ended(), (Some(0), String::new()));
}

#[tokio::test]
async fn an_address_that_is_taken_is_said_in_one_line() {
    let program = Program::new().await;
    let _taken = std::net::TcpListener::bind(program.address).unwrap();
    let line = program.run(&["serve"]).refused();
    assert!(line.contains(&program.address.to_string()) && line.contains("SIGNET_LISTEN"), "{line}");
}

#[tokio::test]
async fn applying_the_example_again_changes_nothing_and_records_nothing() {
    let program = Program::new().await;
    program.write("example.json", &example().to_string());
    let rehearsed = program.json(&["apply", "--dry-run", "--json", "example.json"]);
    assert_eq!((rehearsed["changes"].as_array().unwrap().len(), program.count("person").await), (4, 0));
    let applied = program.json(&["apply", "--json", "example.json"]);
    assert_eq!(applied, rehearsed, "the plan was what is done");
    let events = program.count("event").await;
    assert!(events >= 4, "{events}");
    assert_eq!(program.json(&["apply", "--json", "example.json"]), json!({ "changes": [], "secrets": [] }));
    let again = program.run_with(&["apply", "-"], &example().to_string()).done();
    assert_eq!(again, "nothing to change\n");
    assert_eq!(program.count("event").await, events);
}

#[tokio::test]
async fn toml_says_the_same_as_json() {
    let program = with_example().await;
    let text = toml::to_string(&example()).unwrap();
    program.write("example.toml", &text);
    assert_eq!(program.done(&["apply", "example.toml"]), "nothing to change\n");
}

#[tokio::test]
async fn a_bad_file_names_line_and_field_and_changes_nothing() {
    let program = with_example().await;
    let before = program.done(&["export"]);
    let row = |rest: &str| format!("[[users]]\nusername = \"bob\"\n\n[[clients]]\nclient_id = \"app\"\n{rest}\n");
    for (text, named) in [
        (row("nonsense = 1"), vec!["clients[0].nonsense", "line 6"]),
        (row("redirect_uris = [\"nowhere\"]"), vec!["clients[0].redirect_uris", "line 6"]),
        (row("redirect_uris = 7"), vec!["clients[0].redirect_uris", "line 6"]),
        (
            row("client_secret = \"short\"\nredirect_uris = [\"https://app.example/cb\"]"),
            vec!["clients[0].client_secret", "line 6"],
        ),
        (row("[["), vec!["line 6"]),
        ("[[users]]\nusername = \"bob\"\npassword = \"password\"\n".to_owned(), vec!["users[0].password", "line 3"]),
        (
            "[[users]]\nusername = \"bob\"\npassword_hash = \"$1$x\"\n".to_owned(),
            vec!["users[0].password_hash", "line 3"],
        ),
        // Nothing is wrong with it alone; the address is alice's.
        (
            "[[users]]\nusername = \"bob\"\n[[users]]\nusername = \"carol\"\nemail = \"alice@example.com\"\n"
                .to_owned(),
            vec!["users[1].email", "line 5"],
        ),
    ] {
        program.write("bad.toml", &text);
        let line = program.run(&["apply", "bad.toml"]).refused();
        assert!(named.iter().all(|name| line.contains(name)) && line.contains("nothing was changed"), "{line}");
        assert!(!line.contains("short"), "{line}");
        assert_eq!(program.done(&["export"]), before, "{text}");
    }
    for (file, says) in [("missing.toml", "missing.toml"), ("example.yaml", ".toml or .json")] {
        assert!(program.run(&["apply", file]).refused().contains(says));
    }
    assert!(program.run_with(&["apply", "-"], "{").refused().contains("line 1"));
    for text in ["[]", "\n [[{ \"name\": \"staff\" }]]"] {
        let line = program.run_with(&["apply", "--prune", "-"], text).refused();
        assert!(line.contains("object") && line.contains("nothing was changed"), "{line}");
    }
    assert_eq!(program.done(&["export"]), before);
}

#[tokio::test]
async fn pruning_deletes_what_is_not_named_but_for_the_last_administrator() {
    let program = with_example().await;
    program.run_with(&["user", "create", "root", "--admin", "--password-stdin"], PASSWORD).done();
    program.write("less.json", &json!({ "users": [{ "username": "bob", "groups": ["crew"] }] }).to_string());
    let plan = program.json(&["apply", "--prune", "--dry-run", "--json", "less.json"]);
    assert_eq!(plan, program.json(&["apply", "--prune", "--json", "less.json"]));
    let exported = program.json(&["export"]);
    let names = |section: &str, name: &str| -> Vec<String> {
        let rows = exported[section].as_array().unwrap();
        rows.iter().map(|row| row[name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("users", "username"), ["bob", "root"]);
    assert_eq!(names("groups", "name"), ["crew"]);
    assert_eq!((names("clients", "client_id").len(), names("apis", "identifier").len()), (0, 0));
}

#[tokio::test]
async fn a_running_server_obeys_commands() {
    let program = Program::new().await;
    let _server = program.serve(&["serve"]);
    assert_eq!(token_status(&program, SECRET).await, 401);
    program.run_with(&["apply", "-"], &example().to_string()).done();
    within(5, || async { token_status(&program, SECRET).await == 200 }).await;
    let mut changed = example();
    let other = SECRET.to_lowercase();
    changed["clients"][0]["client_secret"] = json!(other);
    program.run_with(&["apply", "-"], &changed.to_string()).done();
    within(5, || async { token_status(&program, SECRET).await == 401 && token_status(&program, &other).await == 200 })
        .await;
    program.done(&["client", "disable", "web"]);
    within(5, || async { token_status(&program, &other).await == 401 }).await;
    program.done(&["client", "enable", "web"]);
    within(5, || async { token_status(&program, &other).await == 200 }).await;
    program.done(&["client", "delete", "web"]);
    within(5, || async { token_status(&program, &other).await == 401 }).await;
}

#[tokio::test]
async fn what_is_exported_works_on_a_fresh_database_with_the_same_master_key() {
    let first = with_example().await;
    first.done(&["user", "disable", "alice"]);
    first.done(&["user", "enable", "alice"]);
    let exported = first.done(&["export"]);
    assert!(!exported.contains(PASSWORD) && !exported.contains(SECRET));
    let mut second = Program::new().await;
    let key = std::fs::read_to_string(first.data().join("master.key")).unwrap();
    second.set("SIGNET_MASTER_KEY", &key);
    second.run_with(&["apply", "-"], &exported).done();
    assert_eq!(second.done(&["export"]), exported);
    assert_eq!(second.run_with(&["apply", "-"], &exported).done(), "nothing to change\n");
    let _server = second.serve(&["serve"]);
    assert_eq!(token_status(&second, SECRET).await, 200);
    let browser = second.browser();
    let page = browser.open("/login").await.ok().unwrap();
    let home = browser.submit(&page, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    assert_eq!((home.status, home.name() == "login"), (200, false));
}

#[tokio::test]
async fn people_are_made_and_changed_by_command() {
    let program = Program::new().await;
    let create = ["user", "create", "alice", "--email", "alice@example.com", "--name", "Alice Example"];
    let made = program
        .run_with(&[&create[..], &["--group", "staff", "--admin", "--password-stdin", "--json"]].concat(), PASSWORD);
    let made: Value = serde_json::from_str(&made.done()).unwrap();
    assert_eq!(
        (&made["username"], &made["groups"], &made["admin"]),
        (&json!("alice"), &json!(["staff"]), &json!(true))
    );
    let named = |command: &str, name: &str| program.json(&["user", command, name, "--json"]);
    program.run_with(&["user", "create", "bob", "--password-stdin"], "another fine long password\n").done();
    assert_eq!(named("disable", "bob")["disabled"], true);
    assert_eq!(named("enable", "bob")["disabled"], false);
    let reset = program.run_with(&["user", "reset", "bob", "--password-stdin", "--json"], PASSWORD).done();
    assert!(!reset.contains(PASSWORD));
    assert_eq!(named("delete", "bob")["deleted"], true);
    let list = program.json(&["user", "list", "--json"]);
    assert_eq!((list.as_array().unwrap().len(), &list[0]["username"]), (1, &json!("alice")));
    assert!(program.done(&["user", "list"]).contains("administrator"));
    for (arguments, input, says) in [
        (vec!["user", "create", "alice", "--password-stdin"], PASSWORD, "already"),
        (vec!["user", "create", "bob", "--password-stdin"], "password", "password"),
        (vec!["user", "create", "bob", "--password-stdin"], "", "password"),
        (vec!["user", "create", "bob"], "", "--password-stdin"),
        (vec!["user", "create", "b b", "--password-stdin"], PASSWORD, "username"),
        (vec!["user", "disable", "alice"], "", "last administrator"),
        (vec!["user", "delete", "alice"], "", "last administrator"),
        (vec!["user", "disable", "nobody"], "", "nobody"),
        (vec!["user", "reset", "nobody", "--password-stdin"], PASSWORD, "nobody"),
    ] {
        let line = program.run_with(&arguments, input).refused();
        assert!(line.contains(says), "{arguments:?}: {line}");
    }
}

#[tokio::test]
async fn clients_are_made_and_changed_by_command_and_a_secret_is_shown_once() {
    let program = Program::new().await;
    let create = ["client", "create", "--id", "web", "--name", "Web", "--redirect-uri", CALLBACK];
    let made = program.json(
        &[&create[..], &["--grant-type", "client_credentials", "--grant-type", "authorization_code", "--json"]]
            .concat(),
    );
    let secret = made["client_secret"].as_str().unwrap().to_owned();
    assert!(secret.len() >= 32);
    let _server = program.serve(&["serve"]);
    assert_eq!(token_status(&program, &secret).await, 200);
    let rotated =
        program.json(&["client", "rotate-secret", "web", "--json"])["client_secret"].as_str().unwrap().to_owned();
    within(5, || async { token_status(&program, &rotated).await == 200 }).await;
    assert_eq!(token_status(&program, &secret).await, 401);
    let own = program.run_with(&["client", "rotate-secret", "web", "--secret-stdin", "--json"], SECRET).done();
    assert!(!own.contains(SECRET), "it is known to who typed it");
    let all =
        program.done(&["client", "list", "--json"]) + &program.done(&["export"]) + &program.done(&["client", "list"]);
    assert!([secret.as_str(), &rotated, SECRET].iter().all(|secret| !all.contains(secret)));
    let public = program.json(&["client", "create", "--id", "app", "--public", "--redirect-uri", CALLBACK, "--json"]);
    assert_eq!(public, json!({ "client_id": "app" }));
    assert_eq!(program.json(&["client", "disable", "app", "--json"])["disabled"], true);
    assert_eq!(program.json(&["client", "enable", "app", "--json"])["disabled"], false);
    assert_eq!(program.json(&["client", "delete", "app", "--json"])["deleted"], true);
    assert_eq!(program.json(&["client", "list", "--json"]).as_array().unwrap().len(), 1);
    for (arguments, input, says) in [
        (vec!["client", "create", "--id", "web", "--redirect-uri", CALLBACK], "", "web"),
        (vec!["client", "create", "--id", "new", "--redirect-uri", CALLBACK, "--secret-stdin"], "short", "32"),
        (vec!["client", "rotate-secret", "nobody"], "", "nobody"),
        (vec!["client", "delete", "nobody"], "", "nobody"),
    ] {
        let line = program.run_with(&arguments, input).refused();
        assert!(line.contains(says), "{arguments:?}: {line}");
    }
}

#[tokio::test]
async fn keys_are_listed_rotated_and_retired_by_command() {
    let program = Program::new().await;
    let _server = program.serve(&["serve"]);
    let list = program.json(&["key", "list", "--json"]);
    let of = |list: &Value, state: &str| -> Vec<String> {
        let rows = list.as_array().unwrap().iter().filter(|key| key["alg"] == "ES256" && key["state"] == state);
        rows.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(list.as_array().unwrap().len(), 6, "an active and a next one of RS256, ES256 and EdDSA");
    let rotated = program.json(&["key", "rotate", "--alg", "ES256", "--json"]);
    assert_eq!(rotated, json!([{ "alg": "ES256", "kid": of(&list, "next")[0] }]));
    let after = program.json(&["key", "list", "--json"]);
    assert_eq!((of(&after, "active"), of(&after, "retired")), (of(&list, "next"), of(&list, "active")));
    let published = |kid: String| {
        let url = format!("{}/.well-known/jwks.json", program.url());
        async move { Http::new().get(url).send().await.unwrap().text().await.unwrap().contains(&kid) }
    };
    within(5, || published(of(&after, "next")[0].clone())).await;
    let old = &of(&after, "retired")[0];
    assert!(published(old.clone()).await, "a retired key stays published");
    assert_eq!(program.json(&["key", "retire", old, "--json"]), json!({ "kid": old, "retired": true }));
    within(5, || async { !published(old.clone()).await }).await;
    assert!(program.run(&["key", "retire", "nothing"]).refused().contains("nothing"));
    assert_eq!(program.done(&["key", "list"]).lines().count(), 7);
}

#[tokio::test]
async fn wrong_usage_is_two_and_no_secret_is_an_argument() {
    let program = Program::new().await;
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
}

#[tokio::test]
async fn a_health_check_tells_a_server_that_runs_from_one_that_does_not() {
    let program = Program::new().await;
    assert!(program.run(&["healthcheck"]).refused().contains(&program.address.to_string()));
    let server = program.serve(&["serve"]);
    assert_eq!(program.done(&["healthcheck"]), "ready\n");
    server.stop();
    program.run(&["healthcheck"]).refused();
}
