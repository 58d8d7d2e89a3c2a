//! Bodies and connections through the real nginx, and a gate that is not there. Next door: [`super::nginx`], who gets
//! through and what is said.

use base64::Engine as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::nginx::{Gated, address, got};
use super::{ORDERS, alices_token, bearer, webs_secret};
use crate::support::SECRET;
use crate::support::nginx::HOST;
use crate::support::program::{Program, within};
use crate::support::proxies::{Kind, Site};
use crate::support::receiver::{Answer, Receiver};
use crate::support::wire::{Api, Wire, once};

#[tokio::test]
async fn bodies_reach_the_api_whole() {
    let gated = Gated::start(json!({})).await;
    let secret = webs_secret();
    let body: Vec<u8> = (0..1 << 20).map(|at: u32| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(&body));
    let mut wire = Wire::open(gated.nginx.address).await;
    for (method, target) in [("POST", "/uploads/1"), ("PUT", "/uploads/1"), ("POST", "/public/a"), ("GET", "/orders/1")]
    {
        let reply = wire.send(method, target, &[("authorization", &secret)], &body).await;
        assert_eq!((reply.status, &reply.json()["sha256"]), (200, &json!(digest)), "{method} {target}");
    }
    let head = wire.send("HEAD", "/orders/1", &[("authorization", &secret)], &body).await;
    assert_eq!((head.status, head.body.len(), gated.api.asked()), (200, 0, 5));
    // In chunks, whose length nobody says before.
    let mut request = format!("POST /uploads/1 HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {secret}\r\n").into_bytes();
    request.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    for chunk in body.chunks(100_000) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let reply = wire.raw(&request).await.unwrap();
    assert_eq!((reply.status, &reply.json()["sha256"]), (200, &json!(digest)));
    // One that is refused does not leave its body behind as the next request.
    let refused = wire.send("POST", "/uploads/1", &[], &body).await;
    assert_eq!(refused.status, 401);
    if refused.stays() {
        assert_eq!(wire.send("GET", "/public/a", &[], b"").await.status, 200);
    }
    assert!(gated.api.asked() <= 7);
}

/// The question is a GET without a body, whatever is asked about, and carries what a signature may be over.
#[tokio::test]
async fn the_gate_is_asked_without_the_body() {
    let (gate, api) = (Receiver::start().await, Api::start().await);
    let nginx = Kind::Nginx.start(&Site::new(address(&gate.url), api.address)).await;
    gate.answer("/gate/verify/orders", Answer::status(200));
    let sent = [("content-digest", "sha-256=:YQ==:"), ("signature-input", "a=()"), ("signature", "a=:YQ==:")];
    for (method, body) in [("POST", vec![b'x'; 1 << 20]), ("DELETE", vec![]), ("HEAD", vec![])] {
        assert_eq!(once(nginx.address, method, "/a?b=%2F", &sent, &body).await.status, 200);
        let asked = gate.requests("/gate/verify/orders").pop().unwrap();
        let header = |name: &str| asked.headers.get_all(name).iter().map(|it| it.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!((asked.method.as_str(), asked.body.len()), ("GET", 0));
        assert_eq!((header("content-length"), header("transfer-encoding")), (vec![], vec![]));
        assert_eq!(header("x-original-method"), [method]);
        assert_eq!(header("x-original-url"), ["http://orders.example.com/a?b=%2F"]);
        assert_eq!(header("x-forwarded-for"), ["127.0.0.1"]);
        for (name, value) in sent {
            assert_eq!(header(name), [value]);
        }
    }
}

/// Connections are kept on both sides of nginx; who somebody is, is not.
#[tokio::test]
async fn many_on_one_connection_are_not_mixed_up() {
    let gated = Gated::start(json!({})).await;
    let token = bearer(&alices_token(&gated.server, "openid read").await).1;
    let alice = gated.server.person("alice").await.id.to_string();
    let secret = webs_secret();
    let callers = [
        ("/orders/1", Some(token.as_str()), 200, Some(alice.as_str())),
        ("/orders/1", Some(secret.as_str()), 200, Some("web")),
        ("/orders/1", None, 401, None),
        ("/public/a", None, 200, None),
        ("/orders/1", Some("Bearer nonsense"), 401, None),
        ("/nowhere", Some(&token), 403, None),
    ];
    let connection = async |first: usize| {
        let mut wire = Wire::open(gated.nginx.address).await;
        for turn in 0..callers.len() * 5 {
            let (target, credential, status, subject) = callers[(first + turn * (first + 1)) % callers.len()];
            let headers: Vec<_> = credential.iter().map(|it| ("authorization", *it)).collect();
            let reply = wire.send("GET", target, &headers, b"").await;
            assert_eq!(reply.status, status, "{target} {credential:?}");
            assert!(reply.stays());
            if status == 200 {
                assert_eq!(got(&reply, "x-gate-subject"), subject.into_iter().collect::<Vec<_>>());
            }
        }
    };
    tokio::join!(connection(0), connection(1), connection(2), connection(3));
}

/// While Signet is stopped nothing reaches the API, and when it is back everything is as before.
#[tokio::test]
async fn a_gate_that_goes_away_and_comes_back() {
    let mut program = Program::installed().await;
    program.set("SIGNET_TRUSTED_PROXIES", "127.0.0.1");
    program.write(
        "things.json",
        &json!({
            "apis": [{ "identifier": ORDERS, "name": "Orders", "scopes": ["read"], "gate": "orders",
                       "accepts": ["basic"], "rules": [{ "methods": ["GET"], "path": "/orders/**", "scopes": ["read"] },
                                                       { "methods": ["GET"], "path": "/public/**", "allow": "anonymous" }] }],
            "clients": [{ "client_id": "web", "client_secret": SECRET, "client_name": "Web",
                          "grant_types": ["client_credentials"], "scope": "read" }],
        })
        .to_string(),
    );
    program.done(&["apply", "things.json"]);
    let api = Api::start().await;
    let nginx = Kind::Nginx.start(&Site::new(program.address, api.address)).await;
    let known = webs_secret();
    let ask = async |wire: &mut Wire, target: &str| wire.send("GET", target, &[("authorization", &known)], b"").await;
    for round in 1..=2 {
        let running = program.serve(&[]);
        within(20, async || ask(&mut Wire::open(nginx.address).await, "/orders/1").await.status == 200).await;
        let mut wire = Wire::open(nginx.address).await;
        assert_eq!(ask(&mut wire, "/orders/1").await.status, 200);
        if round == 1 {
            running.stop();
        } else {
            running.kill();
        }
        let asked = api.asked();
        for target in ["/orders/1", "/public/a", "/nowhere"] {
            let reply = ask(&mut wire, target).await;
            assert_eq!((reply.status, reply.header("retry-after")), (503, "5"), "{target}");
            if !reply.stays() {
                wire = Wire::open(nginx.address).await;
            }
        }
        assert_eq!(api.asked(), asked);
    }
}
