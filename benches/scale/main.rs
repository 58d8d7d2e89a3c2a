//! What grows with a deployment: a document of many users, a long audit record, many revoked tokens.
//!
//! ```console
//! $ cargo bench --bench scale
//! ```
//!
//! `BENCH_USERS` (100000) are applied while alice signs in again and again; `BENCH_EVENTS` (1000000) are searched in the
//! console; `BENCH_REVOKED` (1000000) tokens are read by a node that starts. SQLite, the built program in a process of its
//! own. Next door: the bench `mint`, whose program and rows these are.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that fails says where")]

#[path = "../mint/server.rs"]
#[expect(dead_code, reason = "processor time is measured by the other bench")]
mod server;
#[path = "../mint/stock.rs"]
#[expect(dead_code, reason = "tokens are measured by the other bench")]
mod stock;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use serde_json::json;
use server::Server;
use signet::domain::secret::Secret;
use signet::domain::user::Username;
use signet::manage::AuditContext;
use signet::manage::users::{self, UserEdit};
use signet::store::users as stored;

/// Each page of the console is asked for so many times.
const TIMES: usize = 20;
/// Alice may sign in 200 times an hour (`quotas.sign_ins_per_user`).
const BETWEEN_SIGN_INS: Duration = Duration::from_millis(500);

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

#[tokio::main]
async fn main() {
    let data = tempfile::tempdir().unwrap();
    make_alice(data.path()).await;
    apply(data.path(), number("BENCH_USERS", 100_000)).await;
    search(data.path(), number("BENCH_EVENTS", 1_000_000)).await;
    start(data.path(), number("BENCH_REVOKED", 1_000_000)).await;
}

/// An administrator with a password.
async fn make_alice(data: &Path) {
    let app = stock::open(data).await;
    stock::people_and_client(&app, &stock::assertion_key()).await;
    let alice = stored::by_username(app.store().read(), &Username::parse("alice").unwrap()).await.unwrap().unwrap();
    let edit = UserEdit { admin: true, ..UserEdit::present(&alice) };
    users::update(&app.manager(), &AuditContext::command_line(), alice.id, edit).await.unwrap();
    app.store().close().await;
}

/// One document of users with password hashes from elsewhere, and how sign-ins fare meanwhile.
async fn apply(data: &Path, users: usize) {
    let hasher = signet::identity::password::Hasher::new(1);
    let hash = hasher.hash(Secret::new("a password of many users".to_owned())).await.unwrap();
    let user = |number: usize| {
        json!({ "username": format!("user{number}"), "email": format!("user{number}@example.com"), "name": "Bob Example",
                "groups": [format!("group{}", number % 20)], "password_hash": hash.0 })
    };
    let document = json!({ "users": (0..users).map(user).collect::<Vec<_>>() });
    std::fs::write(data.join("users.json"), document.to_string()).unwrap();
    let server = Server::start(data).await;
    let done = Arc::new(AtomicBool::new(false));
    let signing_in = tokio::spawn(sign_in_until(server.address, done.clone()));
    let begun = now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_signet"));
    command.args(["apply", "users.json"]).current_dir(data).env("SIGNET_DATA_DIR", data);
    let mut running = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = tokio::task::spawn_blocking(move || running.wait().unwrap()).await.unwrap();
    let took = begun.elapsed();
    assert!(status.success(), "signet apply fails");
    done.store(true, Ordering::SeqCst);
    let mut times = signing_in.await.unwrap();
    times.sort_unstable();
    println!("apply of {users} users              {took:.1?}");
    println!(
        "{} sign-ins meanwhile, none refused  {:.0?} in the middle, {:.0?} at most",
        times.len(),
        times.get(times.len() / 2).unwrap(),
        times.last().unwrap()
    );
}

async fn sign_in_until(address: std::net::SocketAddr, done: Arc<AtomicBool>) -> Vec<Duration> {
    let mut times = Vec::new();
    while !done.load(Ordering::SeqCst) {
        let begun = now();
        stock::signed_in(address).await;
        times.push(begun.elapsed());
        tokio::time::sleep(BETWEEN_SIGN_INS).await;
    }
    times
}

async fn database(data: &Path) -> DatabaseConnection {
    Database::connect(format!("sqlite://{}", data.join("signet.db").display())).await.unwrap()
}

/// Many events of a year, and the console's pages that read them.
async fn search(data: &Path, events: usize) {
    let db = database(data).await;
    let kinds =
        "json('[\"sign_in\",\"sign_in.failed\",\"sign_out\",\"consent.given\",\"request.refused\",\"token.reused\"]')";
    let fill = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {events}),
         of_user(id, n) AS MATERIALIZED (SELECT id, row_number() OVER () - 1 FROM (SELECT id FROM person LIMIT 1000)),
         of(i, at) AS (SELECT i, unixepoch() * 1000 - ({events} - i) * (365 * 86400000 / {events}) FROM n)
         INSERT INTO event (id, at, kind, actor, user_id, client_id, address, user_agent, request_id, detail)
         SELECT unhex(printf('%012x', at)) || randomblob(10), at, json_extract({kinds}, '$[' || (i % 6) || ']'), 'anonymous',
                of_user.id, 'client' || (i % 50), '192.0.2.' || (i % 200), 'Mozilla/5.0 (X11; Linux x86_64)', 'request' || i,
                'openid profile email'
         FROM of LEFT JOIN of_user ON of_user.n = i % 1000"
    );
    db.execute_unprepared(&fill).await.unwrap();
    db.close().await.unwrap();
    let server = Server::start(data).await;
    let cookie = stock::signed_in(server.address).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let middle = events / 2;
    println!("{events} events, each page {TIMES} times      in the middle    at most");
    for (what, path) in [
        ("newest", "/admin/events".to_owned()),
        ("by kind", "/admin/events?kind=token.reused".to_owned()),
        ("by user", "/admin/events?q=user17".to_owned()),
        ("by user and kind", "/admin/events?q=user17&kind=sign_in.failed".to_owned()),
        ("by app", "/admin/events?q=client7".to_owned()),
        ("by address", "/admin/events?q=192.0.2.7".to_owned()),
        ("by request", format!("/admin/events?q=request{middle}")),
        ("by text that is there", "/admin/events?q=profile".to_owned()),
        ("by text that is not", "/admin/events?q=nothing+of+the+kind".to_owned()),
        ("by text, in all of them", "/admin/events?q=nothing+of+the+kind&days=all".to_owned()),
        ("overview", "/admin".to_owned()),
    ] {
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let begun = now();
            let answer = http.get(format!("http://{}{path}", server.address)).header("cookie", &cookie);
            let answer = answer.send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
            answer.bytes().await.unwrap();
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        println!("  {what:<38} {:>9.1?}  {:>9.1?}", times.get(TIMES / 2).unwrap(), times.last().unwrap());
    }
}

/// A node that starts while so many tokens are revoked.
async fn start(data: &Path, revoked: usize) {
    let begun = now();
    let running = ready(data).await;
    let (empty, memory) = (begun.elapsed(), resident_kib(&running));
    drop(running);
    let db = database(data).await;
    let fill = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {revoked})
         INSERT INTO revoked_token (jti, expires_at) SELECT randomblob(16), unixepoch() * 1000 + 3600000 FROM n"
    );
    db.execute_unprepared(&fill).await.unwrap();
    db.close().await.unwrap();
    let begun = now();
    let running = ready(data).await;
    let more = resident_kib(&running).saturating_sub(memory);
    println!(
        "start with {revoked} revoked tokens   {:.2?}, without them {empty:.2?}; {} bytes of memory each",
        begun.elapsed(),
        more * 1024 / u64::try_from(revoked).unwrap().max(1)
    );
}

/// A server that says that it is ready.
async fn ready(data: &Path) -> Server {
    let server = Server::start(data).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let is_ready = async || {
        let answer = http.get(format!("http://{}/readyz", server.address)).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    };
    while !is_ready().await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    server
}

/// Resident memory.
fn resident_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a duration is measured; nothing is decided by it")]
fn now() -> Instant {
    Instant::now()
}
