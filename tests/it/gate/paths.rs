//! T13, CVE-2026-33494: a decision on another path than the one that is served. The gate's view of a path is nginx's,
//! byte for byte, or the request is refused.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use signet::gate::GateRequest;
use signet::gate::forwarded_request::ForwardedRequest;
use signet::gate::headers::Headers;

use super::nginx::address;
use super::with_gate;
use crate::fuzz::Numbers;
use crate::support::nginx::{self, HOST};
use crate::support::proxies::{Kind, Site};
use crate::support::proxy::Proxy;
use crate::support::wire::{Api, Reply, Wire};

const FEWEST: usize = 10_000;
const CONNECTIONS: usize = 16;

/// Pieces that somebody reads in two ways, and plain ones between them.
const PIECES: [&str; 72] = [
    "/",
    "/",
    "/",
    "a",
    "b",
    "orders",
    "public",
    "admin",
    ".",
    "..",
    "...",
    "%2e",
    "%2E",
    "%2e%2e",
    ".%2e",
    "%252e",
    "%25%32%65",
    "%c0%ae",
    "%e0%80%ae",
    "%ef%bc%8e",
    "%u002e",
    "//",
    "///",
    "%2f",
    "%2F",
    "%252f",
    "%252F",
    "%25%32%66",
    "%c0%af",
    "%ef%bc%8f",
    "\\",
    "%5c",
    "%5C",
    "%255c",
    ";",
    "%3b",
    "%253b",
    ";a=b",
    "..;",
    ".;/",
    "%00",
    "%2500",
    "%01",
    "%09",
    "%0a",
    "%0d",
    "%20",
    "+",
    "%7f",
    "%80",
    "%ff",
    "%fe%ff",
    "%ed%a0%80",
    "%c3%a4",
    "ä",
    "\u{202e}",
    "%c2%85",
    "%e2%80%8b",
    "?",
    "%3f",
    "?a=/../b",
    "#",
    "%23",
    "%",
    "%%",
    "%2",
    "%zz",
    "%25",
    "~",
    "*",
    ":",
    "@",
];

/// Targets as they may stand in a request line, all different.
fn targets() -> BTreeSet<Vec<u8>> {
    let mut all: BTreeSet<Vec<u8>> = BTreeSet::new();
    // Each byte in each place: as it is, encoded once in both spellings, twice and three times.
    for byte in 0..=255_u8 {
        let encoded =
            [format!("%{byte:02x}"), format!("%{byte:02X}"), format!("%25{byte:02x}"), format!("%2525{byte:02x}")];
        let mut spelled: Vec<Vec<u8>> = encoded.map(String::into_bytes).to_vec();
        // A line's end would make it another request, or the next one's beginning.
        if !b"\r\n".contains(&byte) {
            spelled.push(vec![byte]);
        }
        for spelled in spelled {
            for (before, after) in [("/", ""), ("/a", "b"), ("/a/", "/b"), ("/a/b", ""), ("", "/a"), ("/a?", "/../b")] {
                all.insert([before.as_bytes(), &spelled, after.as_bytes()].concat());
            }
        }
    }
    // A segment of one to three dots in every spelling, between slashes in every spelling.
    let dots = [".", "%2e", "%2E", "%252e", "%c0%ae", "%ef%bc%8e"];
    let slashes = ["/", "//", "%2f", "\\", "%5c", "%252f", ";/", "/;/", "%c0%af"];
    for first in dots {
        for second in ["", ".", "%2e", "%252E", "%00"] {
            for third in ["", ".", "%2e"] {
                for slash in slashes {
                    all.insert(format!("/a{slash}{first}{second}{third}").into_bytes());
                    all.insert(format!("/a/{first}{second}{third}{slash}b").into_bytes());
                }
            }
        }
    }
    for long in [1000, 8190, 8191, 8192, 8193, 16_000, 20_000] {
        all.insert(format!("/{}", "a".repeat(long)).into_bytes());
        all.insert(format!("/a?{}", "b".repeat(long)).into_bytes());
        all.insert(format!("/{}", "%61".repeat(long / 3)).into_bytes());
        all.insert(format!("/{}", "../".repeat(long / 3)).into_bytes());
    }
    // RFC 9112 §3.2: in absolute-form, authority-form and asterisk-form, and what only looks like one of them.
    for rest in
        ["", "/", "/a", "//a", "/a/../b", "/%2e%2e/a", "?a", "?/../a", "#/a", "/a#b", ":80/a", ":80", "\\a", "/a;b"]
    {
        for start in ["http://", "HTTP://", "https://", "http:/", "http:", "//", "ftp://", "http:///", ""] {
            all.insert(format!("{start}{HOST}{rest}").into_bytes());
            all.insert(format!("{start}user@{HOST}{rest}").into_bytes());
        }
    }
    all.extend(["*", "/*", "a", "..", "/a.", "/a..", "/a./b", "/.a", "/a/.", "/a/.b"].map(|it| it.as_bytes().to_vec()));
    let mut numbers = Numbers::new(13);
    while all.len() < FEWEST {
        let count = 1 + numbers.below(9);
        let piece = |_| PIECES[numbers.below(PIECES.len())];
        let some: String = (0..count).map(piece).collect();
        all.insert(format!("/{some}").into_bytes());
    }
    all
}

/// What nginx says that it is asked, and its `$uri`: what it would serve.
async fn telling_nginx() -> Proxy {
    let config = |own| {
        format!(
            "server {{ listen {own}; large_client_header_buffers 4 16k; keepalive_requests 1000000;\n\
             location / {{ return 200 \"$scheme://$http_host$request_uri\\n$uri\"; }} }}"
        )
    };
    nginx::start(config, &[]).await
}

/// The gate's path, asked as nginx asks; nothing where it refuses.
fn at_the_gate(url: &[u8]) -> Option<String> {
    let fields = Headers(vec![("x-original-method", b"GET"), ("x-original-url", url)]);
    let asked =
        GateRequest { gate: "orders", method: "GET", behind: None, fields: &fields, certificate: None, caller: None };
    ForwardedRequest::read(&asked).ok().map(|original| original.path)
}

#[derive(Default)]
struct Counted {
    refused_by_nginx: AtomicUsize,
    refused_by_gate: AtomicUsize,
    same: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_gate_reads_ten_thousand_paths_as_nginx_does() {
    let nginx = telling_nginx().await;
    let all: Vec<Vec<u8>> = targets().into_iter().collect();
    let counted = Arc::new(Counted::default());
    let some = |part: Vec<Vec<u8>>| {
        let (address, counted) = (nginx.address, counted.clone());
        tokio::spawn(async move {
            let mut wire = Wire::open(address).await;
            for target in part {
                let request =
                    [b"GET ", target.as_slice(), b" HTTP/1.1\r\nHost: ", HOST.as_bytes(), b"\r\n\r\n"].concat();
                let reply = wire.raw(&request).await;
                let shown = target.escape_ascii();
                let good = reply.as_ref().is_some_and(Reply::stays);
                match reply.filter(|reply| reply.status == 200) {
                    None => counted.refused_by_nginx.fetch_add(1, Ordering::Relaxed),
                    Some(reply) => {
                        let end = reply.body.iter().position(|byte| *byte == b'\n').unwrap();
                        let (url, uri) = (&reply.body[..end], &reply.body[end + 1..]);
                        match at_the_gate(url) {
                            None => counted.refused_by_gate.fetch_add(1, Ordering::Relaxed),
                            Some(path) => {
                                let uri = uri.escape_ascii().to_string();
                                assert_eq!(path.as_bytes().escape_ascii().to_string(), uri, "{shown}");
                                counted.same.fetch_add(1, Ordering::Relaxed)
                            }
                        }
                    }
                };
                if !good {
                    wire = Wire::open(address).await;
                }
            }
        })
    };
    let parts = all.chunks(all.len().div_ceil(CONNECTIONS)).map(|part| some(part.to_vec()));
    for done in futures::future::join_all(parts).await {
        done.unwrap();
    }
    let [by_nginx, by_gate, same] = [&counted.refused_by_nginx, &counted.refused_by_gate, &counted.same];
    let [by_nginx, by_gate, same] = [by_nginx, by_gate, same].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(by_nginx + by_gate + same, all.len());
    assert!(all.len() >= FEWEST && by_nginx > 500 && by_gate > 2000 && same > 500, "{by_nginx} {by_gate} {same}");
}

/// The whole way: whatever is asked, the API is asked for what is below `/public/`, as it was sent, and for nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_reaches_the_api_is_what_the_rule_allows() {
    let (server, api) = (with_gate(json!({})).await, Api::start().await);
    let nginx = Kind::Nginx.start(&Site::new(address(&server.url), api.address)).await;
    let mut numbers = Numbers::new(11);
    let (mut wire, mut let_in) = (Wire::open(nginx.address).await, 0);
    for _ in 0..1500 {
        let count = numbers.below(6);
        let more: String = (0..count).map(|_| PIECES[numbers.below(PIECES.len())]).collect();
        let start = ["/public", "/public/", "/public/a", "/%70ublic/", "/orders/../public/"][numbers.below(5)];
        let target = format!("{start}{more}");
        let request = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        let reply = wire.raw(request.as_bytes()).await;
        let good = reply.as_ref().is_some_and(Reply::stays);
        if let Some(reply) = reply.filter(|reply| reply.status == 200) {
            let_in += 1;
            assert_eq!(reply.json()["target"], target);
            // Once more by somebody else's reader (WHATWG URL), who takes dots and backslashes as browsers do.
            let url = url::Url::parse(&format!("http://{HOST}{target}")).unwrap();
            let segments: Vec<&str> = url.path_segments().unwrap().collect();
            assert!(matches!(segments[0], "public" | "%70ublic"), "{target}");
            assert_eq!(segments.len(), target.split('?').next().unwrap().split('/').count() - 1, "{target}");
        }
        if !good {
            wire = Wire::open(nginx.address).await;
        }
    }
    assert!(let_in > 100 && api.asked() == let_in, "{let_in} let in, {} asked", api.asked());
}
