//! Failing writes (`SQLite`): nothing is acknowledged that an outside reader does not find, and nothing stays broken when
//! there is space again (T47).

use std::process::Command;

use futures::future::join_all;
use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};
use signet::store::{Store, settings};

use super::{http, postgres, push, status, with_client};
use crate::support::Server;
use crate::support::program::within;

/// Rows of one round: several statements of several transactions of one commit.
const ROWS: usize = 6;

/// `PRAGMA max_page_count` makes a disk full at any page, on the server's own writing connection. Round by round the limit
/// moves through the statements of the transactions, and each time the connection has to be replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_disk_at_any_statement_loses_nothing_acknowledged() {
    if postgres() {
        return;
    }
    let server = Server::start().await;
    let store = server.app.store();
    let outside = Database::connect(server.app.config.database().as_str()).await.unwrap();
    let number = async |sql: &str, column: &str| -> i64 {
        let ask = Statement::from_string(DbBackend::Sqlite, sql);
        outside.query_one_raw(ask).await.unwrap().unwrap().try_get("", column).unwrap()
    };
    let (mut failed, mut acknowledged) = (0, Vec::new());
    for round in 0..40_i64 {
        let pages = number("PRAGMA page_count", "page_count").await + round % 20;
        pragma(store, format!("max_page_count = {pages}")).await;
        let writing = (0..ROWS).map(|row| {
            let name = format!("round {round} row {row}");
            async move {
                let (first, second) = (name.clone(), format!("{name} again"));
                let done = store.write(move |tx| {
                    Box::pin(async move {
                        settings::put(tx, &first, &"x".repeat(6000)).await?;
                        settings::put(tx, &second, &"y".repeat(6000)).await
                    })
                });
                done.await.map(|()| name)
            }
        });
        for done in join_all(writing).await {
            match done {
                Ok(name) => acknowledged.push(name),
                Err(_) => failed += 1,
            }
        }
        let rows = number("SELECT count(*) AS n FROM setting WHERE name LIKE 'round %'", "n").await;
        assert_eq!(rows, 2 * i64::try_from(acknowledged.len()).unwrap(), "round {round}");
        // As if there were space again; the connection that failed has been replaced by one without a limit anyway.
        pragma(store, "max_page_count = 1000000".to_owned()).await;
        store.write(|tx| Box::pin(async move { settings::put(tx, "settled", "").await })).await.unwrap();
    }
    assert!(failed > 20 && acknowledged.len() > 20, "{failed} failed, {} were acknowledged", acknowledged.len());
    for name in acknowledged {
        assert!(settings::value(&outside, &name).await.unwrap().is_some(), "{name} is lost");
        assert!(settings::value(&outside, &format!("{name} again")).await.unwrap().is_some(), "half of {name} is lost");
    }
}

/// Sets something of the writing connection.
async fn pragma(store: &Store, what: String) {
    let set = store.write(move |tx| {
        Box::pin(async move {
            tx.conn().execute_unprepared(&format!("PRAGMA {what}")).await?;
            Ok(())
        })
    });
    set.await.unwrap();
}

/// Read-only, as a file system becomes after an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_only_database_fails_writes_and_comes_back() {
    if postgres() {
        return;
    }
    let server = Server::start().await;
    let store = server.app.store();
    pragma(store, "query_only = 1".to_owned()).await;
    assert!(store.write(|tx| Box::pin(async move { settings::put(tx, "lost", "").await })).await.is_err());
    assert!(settings::value(store.read(), "lost").await.unwrap().is_none());
    store.write(|tx| Box::pin(async move { settings::put(tx, "kept", "").await })).await.unwrap();
    assert!(settings::value(store.read(), "kept").await.unwrap().is_some());
}

/// The file size limit of the running program makes its writes fail with EFBIG, at every page of a commit in turn; it is
/// lifted again while it runs. The count of rows is that of another process.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn io_errors_lose_nothing_acknowledged() {
    if postgres() {
        return;
    }
    let program = with_client().await;
    let server = program.serve_ignoring("XFSZ", &["serve"]);
    let (http, url) = (http(), program.url());
    let wal = program.data().join("signet.db-wal");
    let limit = |bytes: &str| {
        let pid = format!("--pid={}", server.pid());
        assert!(Command::new("prlimit").args([&pid, &format!("--fsize={bytes}:")]).status().unwrap().success());
    };
    assert_eq!(push(&http, &url).await, 201);
    let (mut acknowledged, mut refused) = (1, 0);
    for round in 0..24_u64 {
        let bytes = std::fs::metadata(&wal).unwrap().len() + round * 1031;
        limit(&bytes.to_string());
        for _ in 0..4 {
            for status in join_all((0..8).map(|_| push(&http, &url))).await {
                match status {
                    201 => acknowledged += 1,
                    503 => refused += 1,
                    other => panic!("{other}"),
                }
            }
        }
        assert!(program.count("pushed_request").await >= acknowledged, "round {round}");
        limit("unlimited");
        within(5, || async { status(&http, format!("{url}/readyz")).await == 200 }).await;
    }
    assert!(refused > 20, "{refused} were refused");
    limit("1");
    within(5, || async { status(&http, format!("{url}/readyz")).await == 503 }).await;
    assert_eq!(push(&http, &url).await, 503);
    limit("unlimited");
    within(5, || async { status(&http, format!("{url}/readyz")).await == 200 }).await;
    assert!(program.done(&["client", "list"]).contains("web"), "the command line is not locked out");
    server.stop();
    let _again = program.serve(&["serve"]);
    assert!(program.count("pushed_request").await >= acknowledged, "after a restart");
}

/// A stranger who asks all the time causes few writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readiness_writes_at_most_once_a_second() {
    let server = Server::start().await;
    let (http, before) = (http(), server.app.store().written());
    for _ in 0..20 {
        let asked = join_all((0..10).map(|_| status(&http, format!("{}/readyz", server.url)))).await;
        assert!(asked.iter().all(|status| *status == 200));
    }
    let written = server.app.store().written() - before;
    assert!((1..=10).contains(&written), "{written} writes");
}
