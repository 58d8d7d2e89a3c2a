//! PostgreSQL with few connections to give: three nodes, a command and an operator's `psql` fit into the defaults of
//! `database.pool_size` under `max_connections = 40`.

use std::sync::Arc;

use futures::future::join_all;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use tokio::sync::Barrier;

use super::{document, http, postgres, push};
use crate::support::program::Program;

/// `max_connections = 40` without the three that PostgreSQL reserves for superusers.
const CONNECTIONS: i64 = 37;
const ROLE: &str = "signet_few_connections";

/// A program whose database belongs to a role that may open that many connections.
async fn limited() -> Program {
    let mut program = Program::new().await;
    let admin = program.database().await;
    for statement in [
        format!("DROP ROLE IF EXISTS {ROLE}"),
        format!("CREATE ROLE {ROLE} LOGIN CONNECTION LIMIT {CONNECTIONS}"),
        format!("ALTER DATABASE {} OWNER TO {ROLE}", program.database_name()),
    ] {
        admin.execute_unprepared(&statement).await.unwrap();
    }
    let server = url::Url::parse(&std::env::var("TEST_POSTGRES_URL").unwrap()).unwrap();
    let (host, port) = (server.host_str().unwrap(), server.port().unwrap());
    let url = format!("postgres://{ROLE}@{host}:{port}/{}", program.database_name());
    program.set("SIGNET_DATABASE_URL", &url);
    program
}

async fn open_connections(db: &DatabaseConnection) -> i64 {
    let sql = format!("SELECT count(*) AS n FROM pg_stat_activity WHERE usename = '{ROLE}'");
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap().unwrap();
    row.try_get("", "n").unwrap()
}

/// Every pool is used to its end at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_nodes_and_psql_fit_into_forty_connections() {
    if !postgres() {
        return;
    }
    let first = limited().await;
    first.run_with(&["apply", "-"], &document().to_string()).done();
    let (second, third) = (first.neighbour(), first.neighbour());
    let _running = [&first, &second, &third].map(|node| node.serve(&["serve"]));
    let psql = first.database().await;
    psql.execute_unprepared("SELECT 1").await.unwrap();
    let (http, start) = (http(), Arc::new(Barrier::new(90)));
    let pushing = (0..90).map(|n| {
        let (http, start, url) = (http.clone(), start.clone(), [&first, &second, &third][n % 3].url());
        tokio::spawn(async move {
            start.wait().await;
            let mut statuses = Vec::new();
            for _ in 0..5 {
                statuses.push(push(&http, &url).await);
            }
            statuses
        })
    });
    let pushing = tokio::spawn(join_all(pushing.collect::<Vec<_>>()));
    first.done(&["user", "list"]);
    let statuses: Vec<u16> = pushing.await.unwrap().into_iter().flat_map(Result::unwrap).collect();
    assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
    let open = open_connections(&psql).await;
    assert!((25..=CONNECTIONS).contains(&open), "{open} connections: the pools were not full, or too many");
    first.database().await.execute_unprepared("SELECT 1").await.expect("one is left for another psql");
}
