//! SIGTERM: what is in flight is answered, and behind a proxy no request is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::task::JoinSet;

use super::WAIT_TIMEOUT;
use crate::faults::postgres;
use crate::gate::basic;
use crate::support::SECRET;
use crate::support::nginx;
use crate::support::program::{Program, Running, within};
use crate::support::proxy::Proxy;
use crate::support::wire::{Wire, once};

const REQUESTS: usize = 100_000;
const CONNECTIONS: usize = 32;

/// The upstreams of docs/operating.md, with these nodes' addresses, and the directives that it tells for the location.
async fn balancer(nodes: [&Program; 2]) -> Proxy {
    let guide = include_str!("../../../docs/operating.md");
    let mut blocks = guide.split("```").filter_map(|block| block.strip_prefix("nginx\n"));
    let block = blocks.find(|block| block.starts_with("upstream signet {")).expect("docs/operating.md has the block");
    let (_, location) = block.split_once("# In the location: ").expect("the location's directives");
    let mut upstream = block.to_owned();
    for (written, node) in ["10.0.0.1:8080", "10.0.0.2:8080"].into_iter().zip(nodes) {
        assert_eq!(upstream.matches(written).count(), 1, "{written} stands there once");
        upstream = upstream.replace(written, &node.address.to_string());
    }
    let config =
        |own| format!("{upstream}\nserver {{ listen {own}; keepalive_requests 1000000; location / {{ {location} }} }}");
    nginx::start(config, &[]).await
}

/// A request, and the status that answers it.
struct Asked {
    bytes: Vec<u8>,
    status: u16,
}

impl Asked {
    fn new(method: &str, path: &str, body: &str, status: u16) -> Self {
        let basic = basic("web", SECRET);
        let form = "content-type: application/x-www-form-urlencoded";
        let head = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nauthorization: {basic}\r\n{form}");
        let length = body.len();
        Self { bytes: format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes(), status }
    }
}

/// A hundred requests. Those with a body are of a kind that a proxy does not repeat by itself (RFC 9110 §9.2.2).
fn mix(token: &str) -> Vec<Asked> {
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(Asked::new("POST", "/oauth2/token", "grant_type=client_credentials", 200));
        all.push(Asked::new("POST", "/oauth2/introspect", &format!("token={token}"), 200));
    }
    all.extend((0..12).map(|_| Asked::new("POST", "/livez", "a=b", 405)));
    all.extend((0..40).map(|_| Asked::new("GET", "/.well-known/openid-configuration", "", 200)));
    all.extend((0..40).map(|_| Asked::new("GET", "/.well-known/jwks.json", "", 200)));
    all
}

/// Sends requests one after another until all of them are sent; returns those that failed.
async fn ask(nginx: std::net::SocketAddr, mix: Arc<Vec<Asked>>, sent: Arc<AtomicUsize>) -> Vec<String> {
    let (mut wire, mut failed) = (Wire::open(nginx).await, Vec::new());
    loop {
        let number = sent.fetch_add(1, Ordering::SeqCst);
        if number >= REQUESTS {
            return failed;
        }
        let Asked { bytes, status } = &mix[number % mix.len()];
        match wire.raw(bytes).await {
            Some(reply) if reply.status == *status && reply.stays() => {}
            other => {
                failed.push(format!("{}: {other:?}", String::from_utf8_lossy(bytes).lines().next().unwrap()));
                wire = Wire::open(nginx).await;
            }
        }
    }
}

/// Two nodes on one database. SQLite is for one node: there each has its own.
async fn nodes() -> [Program; 2] {
    let one = Program::installed().await;
    let mut two = if postgres() { one.neighbour() } else { Program::installed().await };
    two.set("SIGNET_ISSUER", &one.url());
    let mut nodes = [one, two];
    let client = json!({ "client_id": "web", "client_secret": SECRET, "grant_types": ["client_credentials"],
                         "scope": "openid profile email" });
    let document = json!({ "clients": [client] }).to_string();
    for node in &mut nodes {
        node.set("SIGNET_LOG__LEVEL", "error");
        node.run_with(&["apply", "-"], &document).done();
    }
    nodes
}

/// Requests of every kind, with bodies and without, while each node is stopped and started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_behind_nginx_fails_no_request() {
    let nodes = nodes().await;
    let [one, two] = &nodes;
    let mut running = [one.serve(&["serve"]), two.serve(&["serve"])];
    let nginx = balancer([one, two]).await;
    let form = b"grant_type=client_credentials";
    let credential = basic("web", SECRET);
    let headers = [("authorization", credential.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let token = once(one.address, "POST", "/oauth2/token", &headers, form).await.json();
    let mix = Arc::new(mix(token["access_token"].as_str().unwrap()));
    let sent = Arc::<AtomicUsize>::default();
    let mut asking: JoinSet<Vec<String>> =
        (0..CONNECTIONS).map(|_| ask(nginx.address, mix.clone(), sent.clone())).collect();
    let mut restarts = 0;
    for (share, node) in [(10, 0), (30, 1), (50, 0), (70, 1)] {
        within(300, async || sent.load(Ordering::SeqCst) >= REQUESTS / 100 * share).await;
        restart(&nodes[node], &mut running[node]).await;
        restarts += usize::from(sent.load(Ordering::SeqCst) < REQUESTS);
    }
    let mut failed = Vec::new();
    while let Some(one) = asking.join_next().await {
        failed.extend(one.unwrap());
    }
    assert_eq!(failed.len(), 0, "{:?}\n{}", &failed[..failed.len().min(5)], nginx.log());
    assert!(restarts >= 2, "each node was restarted under load");
}

/// Waits without keeping a thread from the requests.
async fn restart(program: &Program, running: &mut Running) {
    running.signal("TERM");
    within(60, || {
        let has_ended = running.has_ended();
        async move { has_ended }
    })
    .await;
    *running = program.serve(&["serve"]);
}

/// While a balancer notices, requests are answered, each the last of its connection.
#[tokio::test]
async fn a_drained_node_says_so_before_it_refuses() {
    let mut program = Program::installed().await;
    program.set("SIGNET_CONNECTIONS__DRAIN_DELAY", "8");
    let server = program.serve(&["serve"]);
    let mut kept = Wire::open(program.address).await;
    let livez = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
    assert!(kept.raw(livez).await.unwrap().stays());
    server.signal("TERM");
    within(20, async || once(program.address, "GET", "/readyz", &[], b"").await.status == 503).await;
    let last = kept.raw(livez).await.unwrap();
    assert_eq!((last.status, last.stays()), (200, false));
    assert!(tokio::time::timeout(WAIT_TIMEOUT, kept.raw(livez)).await.unwrap().is_none());
    assert_eq!(server.ended(), (Some(0), String::new()));
}

/// A connection that is idle at the stop may still carry one request.
#[tokio::test]
async fn a_request_on_an_idle_connection_is_answered_while_stopping() {
    let program = Program::installed().await;
    let server = program.serve(&["serve"]);
    let livez = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut kept = Wire::open(program.address).await;
    assert!(kept.raw(livez).await.unwrap().stays());
    server.signal("TERM");
    within(20, async || tokio::net::TcpStream::connect(program.address).await.is_err()).await;
    let last = kept.raw(livez).await.unwrap();
    assert_eq!((last.status, last.stays()), (200, false));
    assert_eq!(server.ended(), (Some(0), String::new()));
}
