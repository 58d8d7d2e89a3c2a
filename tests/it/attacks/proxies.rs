//! The gate before other people's APIs: a yes is always a rule's yes, and for the question that was asked.
//!
//! `gate::paths` has how paths are read, `gate::nginx` what reaches an API behind the real nginx.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use signet::domain::api::Api;
use signet::manage::{AuditContext, apis};
use url::Url;

use crate::gate::nginx::address;
use crate::gate::{IDENTITY, alices_token, ask, nginx, put_api, webs_secret, with_gate};
use crate::support::Server;
use crate::support::wire::{Reply, Wire};

const CONNECTIONS: usize = 8;
/// What is put in the place of each byte: what ends, joins, quotes, encodes or begins something, somewhere.
const BYTES: &[u8] = b"\0\t \"#%&,./:;=?@A\\_a~0\x7f\x80\xff";

/// Questions that get a yes, in the words of each proxy.
const QUESTIONS: [&str; 3] = [
    "GET /gate/verify/orders HTTP/1.1\r\nHost: signet\r\nX-Original-Method: GET\r\n\
     X-Original-URL: https://orders.example.com/public/a%20b?x=1\r\n\r\n",
    "GET /gate/verify/orders HTTP/1.1\r\nHost: signet\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n\
     X-Forwarded-Host: orders.example.com:8443\r\nX-Forwarded-Uri: /public/a%20b?x=1\r\n\r\n",
    "GET /gate/verify/orders/public/a%20b?x=1 HTTP/1.1\r\nHost: orders.example.com\r\nX-Forwarded-Proto: https\r\n\r\n",
];

/// Every byte of a question changed, taken out and doubled, and each of its lines doubled, but for the lines' ends:
/// those would make it none.
fn mutations(question: &str) -> Vec<Vec<u8>> {
    let original = question.as_bytes();
    let mut all = vec![original.to_vec()];
    let places = (0..original.len()).filter(|at| !b"\r\n".contains(&original[*at]));
    for at in places {
        let with = |middle: &[u8]| [&original[..at], middle, &original[at + 1..]].concat();
        all.extend(BYTES.iter().map(|byte| with(&[*byte])));
        all.extend([with(&[]), with(&[original[at], original[at]]), with(&[original[at], b','])]);
    }
    let lines: Vec<&str> = question.split_inclusive("\r\n").collect();
    for line in &lines[1..lines.len() - 1] {
        for again in [(*line).to_owned(), line.replace("example", "evil"), line.to_lowercase(), line.replace('/', "//")]
        {
            all.push(question.replacen(line, &format!("{line}{again}"), 1).into_bytes());
            all.push(question.replacen(line, &format!("{again}{line}"), 1).into_bytes());
        }
    }
    all
}

/// Whether a question is, on its face, about a `GET` of something below `/public/`: what its rule lets anybody do. By a
/// reader of its own, and by the browsers' parser for the address (WHATWG URL).
fn allowed(question: &[u8]) -> bool {
    let text = String::from_utf8_lossy(question);
    let (line, rest) = text.split_once("\r\n").unwrap();
    let [method, target, "HTTP/1.1" | "HTTP/1.0"] = line.split(' ').collect::<Vec<_>>()[..] else { return false };
    let fields: Vec<(String, &str)> = rest
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim_matches([' ', '\t'])))
        .collect();
    let all =
        |name: &str| fields.iter().filter(|(known, _)| known == name).map(|(_, value)| *value).collect::<Vec<_>>();
    let Some(behind) = target.strip_prefix("/gate/verify/orders") else { return false };
    let (by_nginx, forwarded) = (all("x-original-url"), all("x-forwarded-uri"));
    let (method, scheme, host, target) = match (&by_nginx[..], &forwarded[..]) {
        ([url], []) if behind.is_empty() => {
            let Some((scheme, rest)) = url.split_once("://") else { return false };
            let Some((host, target)) = rest.split_once('/') else { return false };
            (all("x-original-method"), vec![scheme], vec![host], format!("/{target}"))
        }
        ([], [uri]) => {
            let is_its_query = behind.starts_with('?') && uri.ends_with(behind);
            if !(behind.is_empty() || is_its_query) {
                return false;
            }
            (all("x-forwarded-method"), all("x-forwarded-proto"), all("x-forwarded-host"), (*uri).to_owned())
        }
        // Envoy refuses a target with a fragment before it asks (CVE-2021-32779), and hyper takes it off.
        ([], []) => {
            let target = behind.split('#').next().unwrap();
            (vec![method], all("x-forwarded-proto"), all("host"), target.to_owned())
        }
        _ => return false,
    };
    let (["GET" | "HEAD"], ["http" | "https"], [host]) = (&method[..], &scheme[..], &host[..]) else { return false };
    let is_of_a_host = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    if host.is_empty() || !host.chars().all(is_of_a_host) {
        return false;
    }
    let raw = target.split('?').next().unwrap();
    let Ok(url) = Url::parse(&format!("https://host.example{target}")) else { return false };
    let segments: Vec<&str> = url.path_segments().unwrap().collect();
    let plain = target.chars().all(|c| c.is_ascii_graphic()) && !raw.contains(['\\', ';', '#']);
    plain && url.fragment().is_none() && segments[0] == "public" && segments.len() == raw.split('/').count() - 1
}

/// T11, CVE-2021-32637: a gate that said 200 to an address it could not read. Every byte of a question is changed in many
/// ways, and what is let in is what the rule allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_byte_makes_a_yes_that_no_rule_says() {
    let server = with_gate(json!({})).await;
    let all: Vec<Vec<u8>> = QUESTIONS.iter().flat_map(|question| mutations(question)).collect();
    // At another address it is no question; there the front page, for one, has a 200 too.
    let is_asked = |question: &[u8]| question.windows(19).any(|it| it == b"/gate/verify/orders");
    let asked = ask_all(&server, &all, |question, reply| {
        let shown = question.escape_ascii();
        assert!(reply.status < 500, "{reply:?} to {shown}");
        let yes = (200..300).contains(&reply.status) && (is_asked(question) || reply.has("x-gate-way"));
        assert!(!yes || allowed(question), "{reply:?} to {shown}");
    })
    .await;
    for question in QUESTIONS {
        assert!(allowed(question.as_bytes()));
    }
    let let_in = all.iter().zip(asked).filter(|(question, status)| *status == 200 && is_asked(question)).count();
    assert!(all.len() > 9000 && (500..all.len() / 2).contains(&let_in), "{let_in} of {}", all.len());
}

/// T11, T15: one byte of a token is as good as none.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_byte_of_a_token_may_be_another() {
    let server = with_gate(json!({})).await;
    let token = alices_token(&server, "read").await;
    let question = |token: &[u8]| {
        let head = "GET /gate/verify/orders HTTP/1.1\r\nHost: signet\r\nX-Original-Method: GET\r\n\
                    X-Original-URL: https://orders.example.com/orders/1\r\nAuthorization: Bearer ";
        [head.as_bytes(), token, b"\r\n\r\n"].concat()
    };
    let bytes = token.as_bytes();
    let mut all = vec![question(bytes)];
    for at in 0..bytes.len() {
        let flipped = [bytes[at] ^ 1, bytes[at] ^ 0x20, b'A', b'.', b'='];
        let changed = flipped.iter().filter(|byte| **byte != bytes[at]).map(|byte| vec![*byte]);
        for middle in changed.chain([vec![], vec![bytes[at], bytes[at]]]) {
            all.push(question(&[&bytes[..at], &middle, &bytes[at + 1..]].concat()));
        }
    }
    let whole = all[0].clone();
    let statuses = ask_all(&server, &all, |question, reply| {
        assert!((reply.status == 200) == (question == whole), "{reply:?} to {}", question.escape_ascii());
    })
    .await;
    assert_eq!((statuses.len(), statuses[0]), (all.len(), 200));
}

/// What each is answered, in their order; 0 where the connection ended. `check` sees each with its answer.
async fn ask_all(server: &Server, all: &[Vec<u8>], check: impl Fn(&[u8], &Reply)) -> Vec<u16> {
    let next = Arc::new(AtomicUsize::new(0));
    let connection = async || {
        let (mut wire, mut answered) = (Wire::open(address(&server.url)).await, Vec::new());
        while let Some((at, question)) =
            Some(next.fetch_add(1, Ordering::SeqCst)).and_then(|at| Some((at, all.get(at)?)))
        {
            let reply = wire.raw(question).await;
            if let Some(reply) = &reply {
                check(question, reply);
            }
            answered.push((at, reply.as_ref().map_or(0, |reply| reply.status)));
            // A version of HTTP that keeps no connection does not say so.
            if !reply.is_some_and(|it| it.stays()) || question.windows(8).any(|it| it == b"HTTP/1.0") {
                wire = Wire::open(address(&server.url)).await;
            }
        }
        answered
    };
    let answered = futures::future::join_all((0..CONNECTIONS).map(|_| connection())).await;
    let mut answered: Vec<(usize, u16)> = answered.into_iter().flatten().collect();
    answered.sort_unstable();
    answered.into_iter().map(|(_, status)| status).collect()
}

/// T12, CVE-2026-40575, CVE-2023-36456, CVE-2024-47070: what was forwarded, in words that are not the proxy's alone. Said
/// twice, joined by commas, in two ways, or not at all: refused.
#[tokio::test]
async fn what_is_not_said_once_by_the_proxy_is_not_believed() {
    let server = with_gate(json!({})).await;
    let public = "https://orders.example.com/public/a";
    let by_nginx = [("x-original-method", "GET"), ("x-original-url", public)];
    let forwarded = [
        ("x-forwarded-method", "GET"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "orders.example.com"),
        ("x-forwarded-uri", "/public/a"),
    ];
    for good in [&by_nginx[..], &forwarded[..]] {
        assert_eq!(ask(&server, "orders", good).await.status, 200);
        for at in 0..good.len() {
            let (name, value) = good[at];
            let joined = format!("{value}, {value}");
            let without: Vec<_> = good.iter().filter(|it| it.0 != name).copied().collect();
            let with = async |more: &[(&'static str, &str)]| ask_with(&server, &without, more).await;
            // A header that a hop before has dropped, since Connection named it.
            assert_refused(with(&[]).await, name);
            assert_refused(with(&[(name, "")]).await, name);
            assert_refused(with(&[(name, value), (name, value)]).await, name);
            assert_refused(with(&[(name, value), (name, "/orders/1")]).await, name);
            assert_refused(with(&[(name, &joined)]).await, name);
        }
    }
    for mixed in [forwarded[0], forwarded[3]] {
        assert_refused(ask_with(&server, &by_nginx, &[mixed]).await, mixed.0);
    }
    // Addresses and hosts that a caller may have begun decide nothing.
    for idle in
        [("x-forwarded-for", "203.0.113.9, 127.0.0.1"), ("x-forwarded-host", "evil"), ("forwarded", "for=1.2.3.4")]
    {
        let (_, reason) = ask_with(&server, &[by_nginx[0], ("x-original-url", "https://a/orders/1")], &[idle]).await;
        assert_eq!(reason, "no_credential", "{idle:?}");
    }
}

async fn ask_with(server: &Server, some: &[(&'static str, &str)], more: &[(&'static str, &str)]) -> (u16, String) {
    let answer = ask(server, "orders", &[some, more].concat()).await;
    assert!(answer.status == 200 || IDENTITY.iter().all(|name| !answer.headers.contains_key(*name)));
    (answer.meant(), answer.reason().to_owned())
}

fn assert_refused((status, reason): (u16, String), name: &str) {
    assert!(status == 400 && matches!(reason.as_str(), "malformed_request" | "ambiguous_path"), "{name}: {reason}");
}

/// T13, CVE-2026-33496, CVE-2021-32701: an answer that was kept for one question and served to another. The same credentials
/// at two APIs, for other methods, paths and scopes, in changing order and again: each question has its own answer.
#[tokio::test]
async fn an_answer_is_for_its_own_question_alone() {
    let server = with_gate(json!({})).await;
    let second: Value = json!({
        "identifier": "https://stock.example.com", "name": "Stock", "scopes": ["count"], "gate": "stock",
        "accepts": ["bearer"], "rules": [{ "methods": ["GET"], "path": "/orders/**", "scopes": ["count"] }],
    });
    let second: Api = serde_json::from_value(second).unwrap();
    apis::put(&server.app.manager(), &AuditContext::command_line(), second).await.unwrap();
    server.client("both", json!({ "scope": "openid read write count", "consent": "trusted" })).await;
    let form = |scope| [("grant_type", "client_credentials"), ("scope", scope)];
    let bearer = async |scope: &'static str| {
        let (_, answer) = server.token_as("both", &form(scope)).await;
        format!("Bearer {}", answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")))
    };
    let [reads, writes, counts] = [bearer("read").await, bearer("write").await, bearer("count").await];
    let secret = webs_secret();
    let questions = [
        ("orders", "GET", "/orders/1", &reads, 200),
        ("orders", "DELETE", "/orders/1", &reads, 403),
        ("orders", "GET", "/orders/1", &writes, 403),
        ("orders", "GET", "/me", &writes, 200),
        ("orders", "GET", "/orders/1", &counts, 401),
        ("orders", "GET", "/orders/1", &secret, 200),
        ("orders", "GET", "/elsewhere", &secret, 403),
        ("stock", "GET", "/orders/1", &reads, 401),
        ("stock", "GET", "/orders/1", &counts, 200),
        ("stock", "HEAD", "/orders/1", &counts, 200),
        ("stock", "POST", "/orders/1", &counts, 403),
        ("stock", "GET", "/orders/1", &secret, 401),
    ];
    for step in [1, 5, 7, 11] {
        for turn in 0..questions.len() {
            let (gate, method, path, credential, status) = questions[turn * step % questions.len()];
            let url = format!("https://orders.example.com{path}");
            let headers =
                [("x-original-method", method), ("x-original-url", &url), ("authorization", credential.as_str())];
            let answer = ask(&server, gate, &headers).await;
            assert_eq!(answer.status, status, "{method} {path} at {gate} in steps of {step}");
        }
    }
    // What is changed is obeyed by the next question.
    put_api(&server, json!({ "accepts": ["basic"] })).await;
    assert_eq!(nginx(&server, "GET", "/orders/1", &[("authorization", &reads)]).await.status, 401);
    put_api(&server, json!({ "identifier": crate::gate::ORDERS, "scopes": ["write"], "rules": [] })).await;
    let answer = nginx(&server, "GET", "/orders/1", &[("authorization", &reads)]).await;
    assert_eq!(answer.status, 401, "the API has lost all that the token was good for");
}
