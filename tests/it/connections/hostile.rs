//! Two thousand connections that want to keep the server busy, by every means at once. Meanwhile somebody
//! signs in, and what is held for the connections is bounded.

use futures::future::join_all;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::http2::{get, get_with_fields, hello};
use super::{connect_from, raise_file_limit};
use crate::support::PASSWORD;
use crate::support::authority::Authority;
use crate::support::program::{Program, Running, within};

/// What all connections together may cost, in KiB: 16 KiB each, and what strangers share.
const MAX_GROWTH: u64 = 200 * 1024;

/// Opens connections from that address that each send `bytes`, as far as they are taken.
async fn hold(program: &Program, from: &str, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let own = from.parse().unwrap();
    let mut all = Vec::new();
    for _ in 0..count {
        let stream = connect_from(own, program.address).await;
        // What the system takes at once; the rest would wait for the server, which does not read on.
        for part in bytes.chunks(32 * 1024) {
            if stream.writable().await.is_err() || stream.try_write(part).is_err() {
                break;
            }
        }
        all.push(stream);
    }
    all
}

async fn sign_in(program: &Program) -> u16 {
    let browser = program.browser();
    let login = browser.page("/login").await;
    let home = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    assert_ne!(home.name(), "login", "{}", home.html);
    home.status
}

fn with_alice(program: &Program) {
    let document = json!({ "users": [{ "username": "alice", "password": PASSWORD }] });
    program.run_with(&["apply", "-"], &document.to_string()).done();
}

fn assert_bounded(server: &Running, before: u64, what: &str) {
    let growth = server.memory().saturating_sub(before);
    assert!(growth < MAX_GROWTH, "{what}: {growth} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_hostile_connections_keep_nobody_out() {
    raise_file_limit();
    let mut program = Program::installed().await;
    for name in ["HEADER", "WRITE", "IDLE"] {
        program.set(&format!("SIGNET_CONNECTIONS__{name}_TIMEOUT"), "20");
    }
    with_alice(&program);
    let server = program.serve(&["serve"]);
    assert_eq!(sign_in(&program).await, 200);
    let before = server.memory();
    // What costs the server little to make and much to send: the test is about what is not read, not about work.
    let pipelined = b"GET /static/signet.css HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1_000);
    let unfinished = [b"GET / HTTP/1.1\r\nhost: a\r\nx: ".to_vec(), vec![b'a'; 250 * 1024]].concat();
    let closed_windows = (0..32).fold(hello(0), |all, at| [all, get(1 + 2 * at, "/static/signet.css")].concat());
    // One address holds as many as it may, which is where the browser comes from, too.
    let held = [
        hold(&program, "127.0.0.1", 700, &pipelined).await,
        hold(&program, "127.0.0.1", 700, &unfinished).await,
        hold(&program, "127.0.0.1", 600, &closed_windows).await,
    ];
    assert_eq!(sign_in(&program).await, 200);
    assert_bounded(&server, before, "2,000 hostile connections");
    // They end by themselves: nobody has read or closed anything.
    within(120, async || server.open_files() < 200).await;
    drop(held);
    assert_eq!(sign_in(&program).await, 200);
    server.stop();
}

/// Each has a request in flight that waits for its peer alone: for the rest of a body, or for a window of HTTP/2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies_and_closed_windows_keep_nobody_out() {
    raise_file_limit();
    let program = Program::installed().await;
    with_alice(&program);
    let server = program.serve(&["serve"]);
    let head = "POST /oauth2/token HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-www-form-urlencoded\r\n";
    let slow_body = format!("{head}content-length: 100\r\n\r\na").into_bytes();
    let closed_window = [hello(0), get(1, "/static/signet.css")].concat();
    for bytes in [slow_body, closed_window] {
        let held = hold(&program, "127.0.0.1", 2_000, &bytes).await;
        assert_eq!(sign_in(&program).await, 200);
        assert!(server.log().contains("connections at their limit"), "there were as many as may be");
        drop(held);
    }
    assert!(!server.log().contains("connections refused"), "{}", server.log());
    server.stop();
}

/// Header lists of fields that take one byte each on the wire, of requests that wait for room: too many fields, and as many
/// as may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_header_lists_are_bounded() {
    raise_file_limit();
    let program = Program::installed().await;
    with_alice(&program);
    let server = program.serve(&["serve"]);
    assert_eq!(sign_in(&program).await, 200);
    let before = server.memory();
    for fields in [1_000, 96] {
        let streams = (0..32).map(|at| get_with_fields(1 + 2 * at, "/static/signet.css", fields));
        let requests = streams.fold(hello(0), |all, one| [all, one].concat());
        let held = hold(&program, "127.0.0.2", 400, &requests).await;
        assert_eq!(sign_in(&program).await, 200);
        assert_bounded(&server, before, &format!("12,800 requests of {fields} fields"));
        drop(held);
    }
    server.stop();
}

/// TLS: handshakes that never end, and connections that read nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_tls_handshakes_keep_nobody_out() {
    raise_file_limit();
    let authority = Authority::new();
    let mut program = Program::installed().await;
    program.set("SIGNET_ISSUER", &format!("https://localhost:{}", program.address.port()));
    program.set("SIGNET_TLS__CERT_FILE", "cert.pem");
    program.set("SIGNET_TLS__KEY_FILE", "key.pem");
    program.set("SIGNET_CONNECTIONS__HANDSHAKE_TIMEOUT", "15");
    program.write("cert.pem", &authority.cert);
    program.write("key.pem", &authority.key);
    let server = program.serve(&["serve"]);
    let before = server.memory();
    // A record's head that promises 512 bytes of a ClientHello.
    let mut held = hold(&program, "127.0.0.2", 1_000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
    held.extend(hold(&program, "127.0.0.3", 1_000, b"").await);
    let root = reqwest::Certificate::from_pem(authority.root.as_bytes()).unwrap();
    let http = reqwest::Client::builder().tls_certs_only([root]).resolve("localhost", program.address).no_proxy();
    let response = http.build().unwrap().get(format!("{}/login", program.url())).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_bounded(&server, before, "2,000 unfinished handshakes");
    // Slowly going on with it is no way out.
    join_all(held.iter_mut().take(50).map(|stream| stream.write_all(b"a"))).await;
    within(120, async || server.open_files() < 200).await;
    server.stop();
}
