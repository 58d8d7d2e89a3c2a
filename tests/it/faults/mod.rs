//! What machines do to a server: full disks, frozen nodes, poolers, restored databases, damaged schemas. The program
//! itself runs, and something outside of it looks at what is really there.
//!
//! [`clocks`] that are wrong, [`cut_off`] a node without its database, [`disk`] failing writes, [`few_connections`] a database that gives few,
//! [`frozen`] a process stopped in a transaction, [`history`] another state of the database under running nodes,
//! [`long_apply`] commands that are interrupted, [`lost_commit`] a commit that is not answered, [`pooler`] `PgBouncer`, [`replaced`] another file and an older state of the same database, [`schema`] damaged schemas
//! and missing keys, [`unread_sessions`] sessions that cannot be read.
#![expect(clippy::disallowed_methods, reason = "how long something takes is measured")]

mod clocks;
mod cut_off;
mod disk;
mod few_connections;
mod frozen;
mod history;
mod long_apply;
mod lost_commit;
mod pooler;
mod replaced;
mod schema;
mod unread_sessions;

use reqwest::Client as Http;
use serde_json::{Value, json};

use crate::support::program::Program;
use crate::support::{CALLBACK, PASSWORD, SECRET};

pub fn postgres() -> bool {
    std::env::var("TEST_DATABASE").as_deref() == Ok("postgres")
}

fn document() -> Value {
    json!({
        "users": [{ "username": "alice", "password": PASSWORD }],
        "clients": [{ "client_id": "web", "client_secret": SECRET, "redirect_uris": [CALLBACK], "consent": "trusted",
                      "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
                      "scope": "profile offline_access" }],
    })
}

async fn with_client() -> Program {
    let program = Program::installed().await;
    program.run_with(&["apply", "-"], &document().to_string()).done();
    program
}

fn http() -> Http {
    Http::builder().no_proxy().build().unwrap()
}

/// The status of a `client_credentials` request, which needs nothing of the database once the client is in memory.
async fn token(http: &Http, url: &str) -> (u16, Value) {
    let request = http.post(format!("{url}/oauth2/token")).basic_auth("web", Some(SECRET));
    let answer = request.form(&[("grant_type", "client_credentials")]).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// The status of a pushed request: one durable row where it is 201.
async fn push(http: &Http, url: &str) -> u16 {
    let form = [("response_type", "code"), ("redirect_uri", CALLBACK), ("scope", "profile")];
    let request = http.post(format!("{url}/oauth2/par")).basic_auth("web", Some(SECRET)).form(&form);
    request.send().await.unwrap().status().as_u16()
}

async fn status(http: &Http, url: String) -> u16 {
    http.get(url).send().await.unwrap().status().as_u16()
}
