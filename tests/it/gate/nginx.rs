//! The gate behind the real nginx, with the documented configuration and a plain API behind it: what comes to the API,
//! and what to the caller. Next door: [`super::traffic`], bodies and connections.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::{IDENTITY, alices_token, basic, bearer, oauth1, put_api, signatures, webs_secret, with_gate};
use crate::support::Server;
use crate::support::nginx::{HOST, example};
use crate::support::proxies::{Kind, Site};
use crate::support::proxy::Proxy;
use crate::support::receiver::{Answer, Receiver};
use crate::support::wire::{Api, Reply, once};

/// Signet, nginx and the API, with rules beside the usual ones: who may write may upload.
pub struct Gated {
    pub server: Server,
    pub nginx: Proxy,
    pub api: Api,
}

impl Gated {
    pub async fn start(mut changes: Value) -> Self {
        if changes.get("rules").is_none() {
            changes["rules"] = json!([
                { "methods": ["GET", "POST"], "path": "/public/**", "allow": "anonymous" },
                { "methods": ["GET"], "path": "/orders/**", "scopes": ["read"] },
                { "methods": ["POST", "PUT"], "path": "/uploads/**", "scopes": ["write"] },
            ]);
        }
        let (server, api) = (with_gate(changes).await, Api::start().await);
        let nginx = Kind::Nginx.start(&Site::new(address(&server.url), api.address)).await;
        Self { server, nginx, api }
    }

    async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Reply {
        once(self.nginx.address, method, target, headers, b"").await
    }
}

pub fn address(url: &str) -> SocketAddr {
    format!("127.0.0.1:{}", url.rsplit(':').next().unwrap()).parse().unwrap()
}

/// The values that the API got of a header.
pub fn got(reply: &Reply, name: &str) -> Vec<String> {
    let all = reply.json()["headers"].as_array().unwrap().clone();
    let named = all.iter().filter(|field| field[0].as_str().unwrap().eq_ignore_ascii_case(name));
    named.map(|field| field[1].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_documented_is_what_is_run() {
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gate.md")).unwrap();
    let blocks: Vec<&str> = guide.split("```nginx\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.contains(&example().as_str()), "docs/gate.md shows examples/gate/nginx.conf to the letter");
}

#[tokio::test]
async fn who_may_gets_through_and_the_api_learns_who_it_is() {
    let gated = Gated::start(json!({ "upstream_token": true })).await;
    let token = bearer(&alices_token(&gated.server, "openid read").await).1;
    let alice = gated.server.person("alice").await.id.to_string();
    let reply = gated.ask("GET", "/orders/1?x=%2f&y=a+b", &[("authorization", &token)]).await;
    assert_eq!(reply.status, 200, "{reply:?}\n{}", gated.nginx.log());
    let told = reply.json();
    assert_eq!((&told["method"], &told["target"]), (&json!("GET"), &json!("/orders/1?x=%2f&y=a+b")));
    for (name, value) in [
        ("x-gate-subject", alice.as_str()),
        ("x-gate-client", "web"),
        ("x-gate-scope", "read"),
        ("x-gate-way", "bearer"),
        ("remote-user", "alice"),
        ("remote-email", "alice@example.com"),
        ("remote-name", "Alice Example"),
        ("host", HOST),
        ("x-forwarded-for", "127.0.0.1"),
    ] {
        assert_eq!(got(&reply, name), [value], "{name}");
    }
    assert_eq!(crate::token::claims(&got(&reply, "x-gate-token")[0])["sub"], alice);
    put_api(&gated.server, json!({ "upstream_token": true, "access_token_format": "opaque" })).await;
    let opaque = bearer(&alices_token(&gated.server, "read").await).1;
    assert!(!opaque.contains('.'), "{opaque}");
    let reply = gated.ask("GET", "/orders/1", &[("authorization", &opaque)]).await;
    assert_eq!((got(&reply, "x-gate-way"), got(&reply, "x-gate-subject")), (vec!["bearer".into()], vec![alice]));
    let reply = gated.ask("GET", "/orders/1", &[("authorization", &webs_secret())]).await;
    assert_eq!((got(&reply, "x-gate-way"), got(&reply, "x-gate-subject")), (vec!["basic".into()], vec!["web".into()]));
    assert_eq!(got(&reply, "remote-user"), [""; 0], "a client is no person");
    let reply = gated.ask("GET", "/public/a", &[]).await;
    assert_eq!((reply.status, got(&reply, "x-gate-way")), (200, vec!["anonymous".into()]));
    let reply = gated.ask("HEAD", "/orders/1", &[("authorization", &token)]).await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(gated.api.asked(), 5);
}

const ORIGIN: &str = "http://orders.example.com";

/// Every kind of signature, once: nginx says of the request what the caller signed.
#[tokio::test]
async fn signed_requests_get_through_once() {
    let gated = Gated::start(json!({ "accepts": ["message_signature", "oauth1"] })).await;
    let mut keys: Vec<Value> = signatures::ALGORITHMS.iter().map(|alg| signatures::registered(alg, alg)).collect();
    keys.extend(oauth1::keys());
    signatures::apply_clients(&gated.server, json!([signatures::row("web", json!(keys))])).await.unwrap();
    let mut requests = Vec::new();
    for alg in signatures::ALGORITHMS {
        let get = signatures::Signed { origin: ORIGIN, ..signatures::Signed::new(&gated.server, alg) };
        let put = signatures::Signed {
            origin: ORIGIN,
            method: "PUT",
            target: "/uploads/a%20b?x=%2f&y=a+b",
            body: Some(b"{}"),
            ..signatures::Signed::new(&gated.server, alg)
        };
        requests.extend([get, put].map(|request| (alg, request.method, request.target, request.headers())));
    }
    for (key, method) in [("mac", "HMAC-SHA256"), ("rsa", "RSA-SHA256")] {
        let header = oauth1::Call { origin: ORIGIN, ..oauth1::Call::new(&gated.server, key, method) }.header();
        requests.push((method, "GET", oauth1::TARGET, [("authorization", header)].into()));
    }
    for (what, method, target, headers) in requests {
        let body: &[u8] = if method == "PUT" { b"{}" } else { b"" };
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = once(gated.nginx.address, method, target, &headers, body).await;
        assert_eq!(reply.status, 200, "{what} {method} {reply:?}\n{}", gated.nginx.log());
        assert_eq!((got(&reply, "x-gate-client"), reply.json()["target"].as_str()), (vec!["web".into()], Some(target)));
        let asked = gated.api.asked();
        let again = once(gated.nginx.address, method, target, &headers, body).await;
        assert_eq!((again.status, gated.api.asked()), (401, asked), "{what} {method}");
        let elsewhere = once(gated.nginx.address, method, "/orders/other", &headers, body).await;
        assert_eq!((elsewhere.status, gated.api.asked()), (401, asked), "{what} {method}");
    }
}

/// A secret that reached the API could be used elsewhere by whoever runs it.
#[tokio::test]
async fn the_credential_ends_at_nginx() {
    let gated = Gated::start(json!({})).await;
    for credential in [("authorization", webs_secret()), ("x-api-key", "sgk_whatever".to_owned())] {
        let reply = gated.ask("GET", "/public/a", &[(credential.0, &credential.1)]).await;
        assert_eq!((reply.status, got(&reply, credential.0)), (200, vec![]), "{credential:?}");
    }
}

#[tokio::test]
async fn a_refusal_comes_to_the_caller_as_it_is_meant() {
    let gated = Gated::start(json!({})).await;
    let reads = bearer(&alices_token(&gated.server, "read").await).1;
    let (basic, long) = (basic("web", "wrong"), "a".repeat(16_350));
    let long: Vec<(&str, &str)> = ["x-1", "x-2", "x-3", "x-4"].iter().map(|name| (*name, long.as_str())).collect();
    let none = "realm=\"Orders\"";
    for (method, target, headers, status, reason, challenge) in [
        ("GET", "/orders/1", vec![], 401, "no_credential", none),
        (
            "GET",
            "/orders/1",
            vec![("authorization", "Bearer nonsense")],
            401,
            "invalid_credential",
            "\"invalid_token\"",
        ),
        ("GET", "/orders/1", vec![("authorization", basic.as_str())], 401, "invalid_credential", "Basic realm"),
        ("PUT", "/uploads/1", vec![("authorization", &reads)], 403, "insufficient_scope", "\"insufficient_scope\""),
        ("DELETE", "/orders/1", vec![("authorization", &reads)], 403, "no_rule", "\"insufficient_scope\""),
        ("GET", "/orders/%2e%2e/x", vec![("authorization", &reads)], 400, "ambiguous_path", ""),
        ("GET", "/orders//1", vec![("authorization", &reads)], 400, "ambiguous_path", ""),
        ("GET", "/orders/a;b", vec![], 400, "ambiguous_path", ""),
        ("GET", "/orders/1", vec![("authorization", &reads), ("x-api-key", "sgk_x")], 400, "two_credentials", none),
        ("GET", "/orders/1", vec![("signature", "a=:YQ==:")], 400, "malformed_credential", "\"invalid_request\""),
        ("GET", "/public/a", long.clone(), 431, "too_large", ""),
    ] {
        let reply = gated.ask(method, target, &headers).await;
        let (shown, problem) = (reply.header("www-authenticate"), reply.json());
        assert_eq!((reply.status, &problem["status"]), (status, &json!(status)), "{method} {target}: {reply:?}");
        assert_eq!(problem["reason"], reason, "{method} {target}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.ends_with('.') && detail.contains(' '), "a sentence to act on: {problem}");
        assert_eq!(problem["request_id"].as_str().unwrap().len(), 32, "{problem}");
        assert!(shown.contains(challenge) && challenge.is_empty() == shown.is_empty(), "{method} {target}: {shown}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    put_api(&gated.server, json!({ "gate": "others" })).await;
    let reply = gated.ask("GET", "/public/a", &[]).await;
    assert_eq!((reply.status, &reply.json()["reason"]), (404, &json!("unknown_gate")));
    assert_eq!(gated.api.asked(), 0);
}

/// 429 as the gate says it to nginx, with what tells the caller when to come again.
#[tokio::test]
async fn a_limit_that_is_reached_is_told_with_its_headers() {
    let (gate, api) = (Receiver::start().await, Api::start().await);
    let nginx = Kind::Nginx.start(&Site::new(address(&gate.url), api.address)).await;
    let limited = [("RateLimit", "\"orders\";r=0;t=7"), ("RateLimit-Policy", "\"orders\";q=5;w=10")];
    let answer =
        |status| limited.iter().fold(Answer::status(status), |answer, (name, value)| answer.header(name, *value));
    let refused = answer(403).header("X-Gate-Status", "429").header("X-Gate-Reason", "rate_limited");
    gate.answer("/gate/verify/orders", refused.header("Retry-After", "7"));
    let reply = once(nginx.address, "GET", "/orders/1", &[], b"").await;
    assert_eq!((reply.status, reply.header("retry-after"), &reply.json()["status"]), (429, "7", &json!(429)));
    assert_eq!(api.asked(), 0);
    // Who is let in sees how much is left.
    gate.answer("/gate/verify/orders", answer(200));
    for reply in [reply, once(nginx.address, "GET", "/orders/1", &[], b"").await] {
        for (name, value) in limited {
            assert_eq!(reply.header(&name.to_ascii_lowercase()), value, "{}", reply.status);
        }
    }
    assert_eq!(api.asked(), 1);
}

/// What is no clear yes lets nobody in, and is no fault of the caller's.
#[tokio::test]
async fn a_gate_that_says_anything_else_lets_nobody_in() {
    let (gate, api) = (Receiver::start().await, Api::start().await);
    let nginx = Kind::Nginx.start(&Site::new(address(&gate.url), api.address)).await;
    for status in [301, 302, 400, 404, 429, 500, 502, 503] {
        gate.answer("/gate/verify/orders", Answer::status(status).header("x-gate-subject", "root"));
        let reply = once(nginx.address, "GET", "/public/a", &[], b"").await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, "5"), "{status}");
    }
    // A status that only the gate gives to its 403 has no meaning elsewhere.
    gate.answer("/gate/verify/orders", Answer::status(403).header("X-Gate-Status", "200"));
    assert_eq!(once(nginx.address, "GET", "/public/a", &[], b"").await.status, 403);
    assert_eq!(api.asked(), 0);
}

/// `X-Gate-Subject` of `x-gate-subject`.
fn capitals(name: &str) -> String {
    let begins = |at: usize| at == 0 || name.as_bytes()[at - 1] == b'-';
    name.char_indices().map(|(at, c)| if begins(at) { c.to_ascii_uppercase() } else { c }).collect()
}

/// T12: whatever a caller calls them, and however often they stand there, these headers reach no API.
#[tokio::test]
async fn an_identity_that_the_caller_claims_never_arrives() {
    let gated = Gated::start(json!({})).await;
    let token = bearer(&alices_token(&gated.server, "openid read").await).1;
    let mut forged: Vec<(String, &str)> = Vec::new();
    for name in IDENTITY {
        let spellings = [name.to_owned(), name.to_uppercase(), capitals(name)];
        for aliased in ["-", "_", "."] {
            forged.extend(spellings.iter().map(|name| (name.replace('-', aliased), "root")));
        }
        forged.push((name.replacen('-', "_", 1), "root"));
    }
    let forged: Vec<(&str, &str)> = forged.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    for (target, credential) in [("/public/a", ""), ("/orders/1", token.as_str()), ("/orders/1", &webs_secret())] {
        for some in [forged.clone(), forged.iter().rev().copied().collect()] {
            let mut headers = some;
            if !credential.is_empty() {
                headers.push(("authorization", credential));
            }
            let reply = gated.ask("GET", target, &headers).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            assert!(!String::from_utf8_lossy(&reply.body).contains("root"), "{target}: {}", reply.json());
            // As an API reads them that makes variables of names.
            let all = reply.json()["headers"].as_array().unwrap().clone();
            let variable = |name: &str| name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            for name in IDENTITY {
                let same = all.iter().filter(|it| variable(it[0].as_str().unwrap()) == variable(name)).count();
                assert!(same <= 1, "{name} for {target}");
            }
        }
    }
    // By Connection a header can be named that a proxy is to drop: nothing that nginx has set is.
    let dropped = [("connection", "close, x-gate-subject, x-original-url"), ("authorization", token.as_str())];
    assert_eq!(got(&gated.ask("GET", "/orders/1", &dropped).await, "remote-user"), ["alice"]);
}

/// T12: what says of another request to the gate, or makes a framework serve another, is nginx's alone to say.
#[tokio::test]
async fn no_other_request_is_spoken_of_than_the_one_that_came() {
    let gated = Gated::start(json!({})).await;
    let other = [
        ("X-Original-URL", "http://orders.example.com/public/a"),
        ("X-Original-Method", "HEAD"),
        ("X-Rewrite-URL", "/public/a"),
        ("X-Forwarded-Uri", "/public/a"),
        ("X-Forwarded-Method", "HEAD"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-HTTP-Method", "DELETE"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("X-Method-Override", "DELETE"),
        ("Forwarded", "for=203.0.113.9;host=evil.example"),
        ("X-Gate-Status", "200"),
    ];
    for headers in [other.to_vec(), other.iter().flat_map(|it| [*it, *it]).collect()] {
        assert_eq!(gated.ask("GET", "/orders/1", &headers).await.status, 401);
        let reply = gated.ask("GET", "/public/b", &headers).await;
        assert_eq!((reply.status, &reply.json()["target"]), (200, &json!("/public/b")));
        for (name, value) in other {
            assert!(got(&reply, name).iter().all(|it| it != value), "{name}: {}", reply.json());
        }
    }
    let asked = gated.api.asked();
    for headers in
        [vec![("host", "evil.example")], vec![("host", "orders.example.com\\public\\a?")], vec![("host", "")]]
    {
        assert!(matches!(gated.ask("GET", "/public/a", &headers).await.status, 400 | 421), "{headers:?}");
    }
    // In absolute-form the target names a host of its own; a signature would be over what Host says.
    let reply = gated.ask("GET", &format!("http://{HOST}/public/a"), &[("host", "evil.example")]).await;
    assert_eq!((reply.status, gated.api.asked()), (421, asked));
    let reply = gated.ask("GET", &format!("http://{HOST}/public/../orders/1"), &[]).await;
    assert_eq!((reply.status, gated.api.asked()), (400, asked));
}

/// What the API says by itself is not the gate's to change.
#[tokio::test]
async fn the_apis_own_answers_pass() {
    let gated = Gated::start(json!({})).await;
    for status in ["200", "400", "401", "403", "404", "429", "500", "503"] {
        let reply = gated.ask("GET", "/public/a", &[("answer", status)]).await;
        assert_eq!(reply.status.to_string(), status);
        assert_eq!(reply.json()["target"], "/public/a");
    }
}
