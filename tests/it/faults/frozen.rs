//! A process that is stopped inside a transaction (PostgreSQL): the others go on.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use serde_json::json;
use tokio::time::sleep;

use super::{http, postgres, push, token, with_client};
use crate::support::SECRET;
use crate::support::program::{Program, Running};

/// How many transactions of `database` wait for their client.
async fn silent(db: &DatabaseConnection) -> i64 {
    let sql = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() \
               AND state = 'idle in transaction' AND backend_xid IS NOT NULL";
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap().unwrap();
    row.try_get("", "n").unwrap()
}

/// A command stopped at work: in a transaction that has written many rows and many entries of the feed.
async fn stopped_in_a_transaction(node: &Program, db: &DatabaseConnection) -> Running {
    for attempt in 0..20 {
        let groups: Vec<_> = (0..200).map(|n| json!({ "name": format!("g{attempt}-{n}") })).collect();
        let users = json!([{ "username": "alice", "name": format!("Alice {attempt}"), "groups": [groups[0]["name"]] }]);
        let document = json!({ "groups": groups, "users": users });
        node.write("many.json", &document.to_string());
        let applying = node.start(&["apply", "many.json"]);
        let until = Instant::now() + Duration::from_secs(5);
        while silent(db).await == 0 && Instant::now() < until {}
        applying.signal("STOP");
        sleep(Duration::from_millis(20)).await;
        if silent(db).await > 0 {
            return applying;
        }
        applying.signal("CONT");
        applying.ended();
    }
    panic!("it was never stopped in a transaction");
}

/// For nine seconds tokens are revoked and requests pushed on both of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_frozen_in_a_transaction_stops_nobody() {
    if !postgres() {
        return;
    }
    let first = with_client().await;
    let (second, third) = (first.neighbour(), first.neighbour());
    let _running = [first.serve(&["serve"]), second.serve(&["serve"])];
    let (http, db) = (http(), first.database().await);
    let frozen = stopped_in_a_transaction(&third, &db).await;
    let since = Instant::now();
    let (mut late, mut late_errors, mut slowest) = (0, 0, Duration::ZERO);
    while since.elapsed() < Duration::from_secs(9) {
        for url in [first.url(), second.url()] {
            let began = Instant::now();
            let (status, issued) = token(&http, &url).await;
            let revoking = http.post(format!("{url}/oauth2/revoke")).basic_auth("web", Some(SECRET));
            let form = [("token", issued["access_token"].as_str().unwrap_or_default())];
            let revoked = revoking.form(&form).send().await.unwrap().status().as_u16();
            slowest = slowest.max(began.elapsed());
            let pushed = push(&http, &url).await;
            if since.elapsed() > Duration::from_secs(5) {
                late += 3;
                let errors = [status == 200, revoked == 200, pushed == 201].iter().filter(|done| !**done).count();
                late_errors += errors;
            }
        }
    }
    assert!(slowest < Duration::from_secs(5), "a revocation took {slowest:?}");
    assert!(late > 50 && late_errors * 100 < late, "{late_errors} of {late} requests failed after five seconds");
    // The server has ended the transaction, and with it the locks.
    assert_eq!(silent(&db).await, 0);
    first.done(&["user", "disable", "alice"]);
    frozen.signal("CONT");
    assert_eq!(frozen.ended().0, Some(0), "what was rolled back is done again");
    assert!(first.count("person_group").await >= 200, "and is not only said to be");
}

/// A node that is stopped while it holds the migrations' lock keeps nobody from starting.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_held_migration_lock_does_not_stop_a_start() {
    if !postgres() {
        return;
    }
    let program = with_client().await;
    let holder = program.database().await;
    let locking = holder.begin_and_lock().await;
    let server = program.serve(&["serve"]);
    assert_eq!(token(&http(), &program.url()).await.0, 200);
    server.stop();
    drop(locking);
}

/// The locks of `store::advisory_locks`, all of them held by a node that has fallen silent: its transaction has the time limits
/// that nodes give theirs, so the database ends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_silent_holder_of_locks_delays_nobody_for_long() {
    if !postgres() {
        return;
    }
    let program = with_client().await;
    let admins = json!([{ "username": "olga", "admin": true }, { "username": "omar", "admin": true }]);
    program.run_with(&["apply", "-"], &json!({ "users": admins }).to_string()).done();
    let _server = program.serve(&["serve"]);
    let holder = program.database().await;
    let (locking, other) = (holder.begin_and_lock_all().await, program.neighbour());
    let since = Instant::now();
    let running = [
        vec!["user", "disable", "olga"],
        vec!["client", "delete", "web"],
        vec!["api", "create", "--identifier", "https://api.example.com"],
        vec!["key", "rotate"],
    ]
    .map(|command| (other.start(&command), command));
    for (child, command) in running {
        assert_eq!(child.ended().0, Some(0), "{command:?}");
        assert!(since.elapsed() < Duration::from_secs(5), "{command:?} took {:?}", since.elapsed());
    }
    assert!(since.elapsed() > Duration::from_secs(1), "nobody waited for the locks");
    assert_eq!(token(&http(), &program.url()).await.0, 401, "the server follows");
    drop(locking);
}

trait Locking {
    async fn begin_and_lock(&self) -> sea_orm::DatabaseTransaction;
    async fn begin_and_lock_all(&self) -> sea_orm::DatabaseTransaction;
}

impl Locking for DatabaseConnection {
    async fn begin_and_lock(&self) -> sea_orm::DatabaseTransaction {
        use sea_orm::TransactionTrait as _;
        let tx = self.begin().await.unwrap();
        tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({})", 0x5349_474E_4554_i64)).await.unwrap();
        tx
    }

    async fn begin_and_lock_all(&self) -> sea_orm::DatabaseTransaction {
        let tx = self.begin_and_lock().await;
        tx.execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = '3s'").await.unwrap();
        for number in 0x5349_474E_4555_i64..=0x5349_474E_4558 {
            tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({number})")).await.unwrap();
        }
        tx
    }
}
