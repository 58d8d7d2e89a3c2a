//! Commands whose commit is not answered (PostgreSQL): they never claim an outcome that they do not know, and lose no
//! generated secret.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{http, postgres, with_client};
use crate::support::PASSWORD;
use crate::support::program::Program;

/// What is lost of the first commit that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// The database commits, and nobody hears of it.
    Answer,
    /// The database never hears of it, and rolls back.
    Request,
}

/// A way to the database on which one commit is lost together with its connection.
struct Lossy {
    lost: Lost,
    armed: AtomicBool,
    /// What is done in the database then, before the command can try again.
    then: Option<(DatabaseConnection, &'static str)>,
}

impl Lossy {
    async fn lay(self, to: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, way) = (listener.local_addr().unwrap(), Arc::new(self));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(to).await.unwrap();
                tokio::spawn(way.clone().carry(near, far));
            }
        });
        address
    }

    /// Closes the near end last: the command tries again when `then` is done.
    async fn carry(self: Arc<Self>, mut near: TcpStream, far: TcpStream) {
        if self.carry_until_lost(&mut near, far).await
            && let Some((db, sql)) = &self.then
        {
            db.execute_unprepared(sql).await.unwrap();
        }
    }

    /// Returns whether this connection was the one that is lost; its far end is closed then.
    async fn carry_until_lost(&self, near: &mut TcpStream, mut far: TcpStream) -> bool {
        let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
        loop {
            tokio::select! {
                read = near.read(&mut asked) => {
                    let Ok(length @ 1..) = read else { return false };
                    let commits = asked[..length].windows(6).any(|bytes| bytes == b"COMMIT");
                    let loses = commits && self.armed.swap(false, Ordering::SeqCst);
                    if loses && self.lost == Lost::Request {
                        return true;
                    }
                    if far.write_all(&asked[..length]).await.is_err() {
                        return false;
                    }
                    if loses {
                        // Its answer has come, and goes nowhere.
                        assert!(far.read(&mut answered).await.unwrap() > 0);
                        return true;
                    }
                }
                read = far.read(&mut answered) => {
                    let Ok(length @ 1..) = read else { return false };
                    if near.write_all(&answered[..length]).await.is_err() {
                        return false;
                    }
                }
            }
        }
    }
}

/// The same program, whose first commit is lost.
async fn losing(program: &Program, lost: Lost, then: Option<(DatabaseConnection, &'static str)>) -> Program {
    let server: url::Url = std::env::var("TEST_POSTGRES_URL").unwrap().parse().unwrap();
    let to = SocketAddr::from(([127, 0, 0, 1], server.port().unwrap()));
    let address = Lossy { lost, armed: AtomicBool::new(true), then }.lay(to).await;
    let mut through = program.neighbour();
    through.set("SIGNET_DATABASE_URL", &format!("postgres://postgres@{address}/{}", program.database_name()));
    through
}

/// The status of a `client_credentials` request.
async fn token(program: &Program, client: &str, secret: &str) -> u16 {
    let request = http().post(format!("{}/oauth2/token", program.url())).basic_auth(client, Some(secret));
    request.form(&[("grant_type", "client_credentials")]).send().await.unwrap().status().as_u16()
}

/// The rest of the line after `words`.
fn after<'a>(text: &'a str, words: &str) -> &'a str {
    let rest = text.split_once(words).unwrap_or_else(|| panic!("{words}: {text}")).1;
    rest.lines().next().unwrap()
}

fn machine() -> Value {
    json!({ "client_id": "machine", "grant_types": ["client_credentials"], "scope": "profile" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_unanswered_commit_is_looked_at_again() {
    if !postgres() {
        return;
    }
    for lost in [Lost::Answer, Lost::Request] {
        let program = Program::installed().await;
        let through = losing(&program, lost, None).await;
        // The log tells of the connection that was lost.
        let said = through.run_with(&["apply", "--json", "-"], &json!({ "clients": [machine()] }).to_string());
        assert_eq!(said.code, 0, "{lost:?}: {}", said.err);
        let applied: Value = serde_json::from_str(&said.out).unwrap();
        let created = json!([{ "action": "create", "kind": "client", "name": "machine", "fields": [] }]);
        assert_eq!(applied["changes"], created, "{lost:?}");
        assert_eq!(applied["secrets"].as_array().unwrap().len(), 1, "{lost:?}");
        let secret = applied["secrets"][0]["client_secret"].as_str().unwrap();
        let _server = program.serve(&["serve"]);
        assert_eq!(token(&program, "machine", secret).await, 200, "{lost:?}: the shown secret is the client's");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refused_try_after_a_lost_commit_claims_nothing() {
    if !postgres() {
        return;
    }
    for lost in [Lost::Answer, Lost::Request] {
        let program = with_client().await;
        // Whoever reads alice's row now fails, and does not try again.
        let damage = (program.database().await, "UPDATE person SET profile = 'x'");
        let through = losing(&program, lost, Some(damage)).await;
        let document = json!({ "users": [{ "username": "alice" }], "clients": [machine()] });
        let said = through.run_with(&["apply", "-"], &document.to_string());
        assert_eq!(said.code, 1, "{lost:?}: {}{}", said.out, said.err);
        assert!(said.err.contains("not known") && !said.err.contains("nothing was changed"), "{lost:?}: {}", said.err);
        let secret = after(&said.out, "client_secret of machine, if it was created: ").to_owned();
        let there = lost == Lost::Answer;
        assert_eq!(program.count("client").await, 1 + i64::from(there), "{lost:?}");
        let _server = program.serve(&["serve"]);
        assert_eq!(token(&program, "machine", &secret).await, if there { 200 } else { 401 }, "{lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_secret_of_unknown_outcome_is_shown() {
    if !postgres() {
        return;
    }
    let create = ["client", "create", "--id", "machine", "--grant-type", "client_credentials", "--scope", "profile"];
    for (command, client) in [(&create[..], "machine"), (&["client", "rotate-secret", "web"][..], "web")] {
        for lost in [Lost::Answer, Lost::Request] {
            let program = with_client().await;
            let said = losing(&program, lost, None).await.run(command);
            assert_eq!((said.code, said.out.as_str()), (1, ""), "{command:?} {lost:?}: {}", said.err);
            assert!(said.err.contains("not known"), "{command:?} {lost:?}: {}", said.err);
            let secret = after(&said.err, &format!("client_secret of {client}, if it was set: ")).to_owned();
            let _server = program.serve(&["serve"]);
            let status = if lost == Lost::Answer { 200 } else { 401 };
            assert_eq!(token(&program, client, &secret).await, status, "{command:?} {lost:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_api_key_of_unknown_outcome_is_to_be_revoked() {
    if !postgres() {
        return;
    }
    let program = Program::installed().await;
    let api = json!({ "identifier": "https://orders.example", "scopes": ["read"], "gate": "orders",
                      "accepts": ["api_key"] });
    let document = json!({ "users": [{ "username": "alice", "password": PASSWORD }], "apis": [api] });
    program.run_with(&["apply", "-"], &document.to_string()).done();
    let create = ["api-key", "create", "--user", "alice", "--api", "orders", "--scope", "read"];
    let said = losing(&program, Lost::Answer, None).await.run(&create);
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{}", said.err);
    for words in ["not known", "signet api-key list", "signet api-key revoke"] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    let listed = program.json(&["api-key", "list", "--json"]);
    let id = listed[0]["id"].as_str().unwrap();
    assert_eq!(program.json(&["api-key", "revoke", id, "--json"])["revoked"], true);
}
