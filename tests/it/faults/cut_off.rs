//! A node whose packets to the database are lost (PostgreSQL): it says so in time, and comes back by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use sea_orm::{ConnectionTrait as _, Database, Statement, TransactionTrait as _};
use serde_json::json;
use signet::config::DatabaseUrl;
use signet::domain::ids::ClientId;
use signet::store::apis;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::{document, http, postgres, push, status};
use crate::gate::{ask, put_api};
use crate::support::Server;
use crate::support::program::{Program, within};

/// A way to the database that can lose everything. What was connected then stays silent for ever, as after a failover.
#[derive(Clone, Default)]
struct Wire {
    cut: Arc<AtomicBool>,
    /// Connections of earlier numbers carry nothing any more.
    alive_from: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
}

impl Wire {
    async fn lay(&self, to: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (wire, address) = (self.clone(), listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let number = wire.made.fetch_add(1, Ordering::SeqCst);
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = TcpStream::connect(to).await.unwrap().into_split();
                tokio::spawn(wire.clone().carry(number, near_in, far_out));
                tokio::spawn(wire.clone().carry(number, far_in, near_out));
            }
        });
        address
    }

    async fn carry(self, number: usize, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 16_384];
        while let Ok(length) = from.read(&mut buffer).await {
            if self.cut.load(Ordering::SeqCst) || number < self.alive_from.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if length == 0 || to.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    }

    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    /// New connections work again.
    fn mend(&self) {
        self.alive_from.store(self.made.load(Ordering::SeqCst), Ordering::SeqCst);
        self.cut.store(false, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cut_off_node_answers_503_and_recovers() {
    if !postgres() {
        return;
    }
    let mut program = Program::installed().await;
    let server: url::Url = std::env::var("TEST_POSTGRES_URL").unwrap().parse().unwrap();
    let wire = Wire::default();
    let port = server.port().unwrap();
    let address = wire.lay(SocketAddr::from(([127, 0, 0, 1], port))).await;
    program.set("SIGNET_DATABASE_URL", &format!("postgres://postgres@{address}/{}", program.database_name()));
    program.run_with(&["apply", "-"], &document().to_string()).done();
    let running = program.serve(&["serve"]);
    let (http, url) = (http(), program.url());
    assert!(join_all((0..8).map(|_| push(&http, &url))).await.iter().all(|status| *status == 201));

    wire.cut();
    let began = Instant::now();
    assert!(join_all((0..12).map(|_| push(&http, &url))).await.iter().all(|status| *status == 503));
    let ready = http.get(format!("{url}/readyz")).send().await.unwrap();
    assert_eq!((ready.status().as_u16(), ready.headers().contains_key("retry-after")), (503, true));
    let took = began.elapsed();
    assert!(took < Duration::from_mins(1), "they waited {took:?}");
    wire.mend();
    within(15, || async { push(&http, &url).await == 201 }).await;
    within(15, || async { status(&http, format!("{url}/readyz")).await == 200 }).await;
    let again = join_all((0..12).map(|_| push(&http, &url))).await;
    assert!(again.iter().all(|status| *status == 201), "{again:?}");

    wire.cut();
    let stopping = Instant::now();
    running.stop();
    assert!(stopping.elapsed() < Duration::from_secs(40), "a stop is bounded: {:?}", stopping.elapsed());
}

/// What is under way when the packets are lost gets no answer, and no error either: reading is given up, and the gate
/// answers all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_under_way_has_ten_seconds() {
    if !postgres() {
        return;
    }
    let (wire, to): (_, url::Url) = (Wire::default(), std::env::var("TEST_POSTGRES_URL").unwrap().parse().unwrap());
    let address = wire.lay(SocketAddr::from(([127, 0, 0, 1], to.port().unwrap()))).await;
    let mut direct = String::new();
    let server = Server::start_with(|config| {
        config.trusted_proxies = serde_json::from_value(json!("127.0.0.1")).unwrap();
        config.database().as_str().clone_into(&mut direct);
        let name = direct.rsplit('/').next().unwrap();
        config.database_url = DatabaseUrl::try_from(format!("postgres://postgres@{address}/{name}")).ok();
    })
    .await;
    put_api(&server, json!({})).await;
    server.app.store().authority().invalidate_client_and_apis(&ClientId::parse("web").unwrap());
    let other = Database::connect(&direct).await.unwrap();
    let lock = other.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE api IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let waiting = async {
        within(4, async || {
            let sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            other.query_all_raw(Statement::from_string(other.get_database_backend(), sql)).await.unwrap().len() == 2
        })
        .await;
        wire.cut();
    };
    let reading = apis::all(server.app.store().read());
    let all = async { tokio::join!(waiting, reading, ask(&server, "orders", &[])) };
    let ((), read, answer) = tokio::time::timeout(Duration::from_secs(20), all).await.expect("both are given up");
    assert!(read.is_err());
    assert_eq!((answer.status, answer.headers.contains_key("retry-after")), (503, true));
}
