//! How nginx, Traefik, Caddy and Envoy ask, what each is told, and who may not ask (T10 to T13).

use serde_json::json;

use super::{Answer, IDENTITY, alices_token, ask, bearer, nginx, with_gate};
use crate::support::Server;

#[tokio::test]
async fn each_proxy_asks_in_its_own_way() {
    let server = with_gate(json!({})).await;
    let token = alices_token(&server, "read").await;
    let (name, token) = bearer(&token);
    let credential = (name, token.as_str());
    let answer = nginx(&server, "GET", "/orders/1?x=%2f", &[credential]).await;
    assert_eq!((answer.status, answer.header("x-gate-way")), (200, "bearer"));
    let forwarded = [
        ("x-forwarded-method", "GET"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "orders.example.com"),
        ("x-forwarded-uri", "/orders/1"),
        credential,
    ];
    assert_eq!(ask(&server, "orders", &forwarded).await.status, 200);
    // Caddy leaves the original's query where it asks; another one is of another request.
    let caddy = forwarded.map(|(name, value)| (name, if name == "x-forwarded-uri" { "/orders/1?x=1" } else { value }));
    assert_eq!(ask(&server, "orders?x=1", &caddy).await.status, 200);
    assert_eq!(ask(&server, "orders?x=2", &caddy).await.reason(), "malformed_request");
    let envoy = async |path: &str, method: reqwest::Method| {
        let request = reqwest::Client::new().request(method, format!("{}/gate/verify/orders{path}", server.url));
        let request = request.header("x-forwarded-proto", "https").header("host", "orders.example.com");
        Answer::of(request.header(name, &token).send().await.unwrap()).await
    };
    for (path, method, status, reason) in [
        ("/orders/1", reqwest::Method::GET, 200, ""),
        ("/orders/1?x=1", reqwest::Method::HEAD, 200, ""),
        ("/orders/", reqwest::Method::GET, 200, ""),
        ("/", reqwest::Method::GET, 403, "no_rule"),
        ("/orders/1", reqwest::Method::PUT, 403, "no_rule"),
        ("/orders/a;b", reqwest::Method::GET, 400, "ambiguous_path"),
        ("/orders/a%2fb", reqwest::Method::GET, 400, "ambiguous_path"),
    ] {
        let answer = envoy(path, method.clone()).await;
        assert_eq!((answer.status, answer.reason()), (status, reason), "{method} {path}");
    }
}

/// nginx's `auth_request` makes a 500 of everything but 2xx, 401 and 403.
#[tokio::test]
async fn nginx_is_told_what_it_understands() {
    let server = with_gate(json!({})).await;
    for (gate, headers, meant, reason) in [
        (
            "orders",
            vec![("x-original-method", "GET"), ("x-original-url", "https://a/orders/../x")],
            400,
            "ambiguous_path",
        ),
        (
            "orders",
            vec![("x-original-method", "GET"), ("x-original-url", "https://a\\b/orders")],
            400,
            "malformed_request",
        ),
        ("orders", vec![("x-original-url", "https://a/orders")], 400, "malformed_request"),
        ("nowhere", vec![("x-original-method", "GET"), ("x-original-url", "https://a/orders")], 404, "unknown_gate"),
    ] {
        let answer = ask(&server, gate, &headers).await;
        assert_eq!((answer.status, answer.meant(), answer.reason()), (403, meant, reason), "{headers:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!((&answer.body["status"], &answer.body["reason"]), (&json!(meant), &json!(reason)));
        assert_eq!(answer.body["request_id"], answer.header("x-request-id"));
        assert!(answer.body["detail"].as_str().unwrap().ends_with('.'));
    }
    let answer = nginx(&server, "GET", "/orders/1", &[]).await;
    assert_eq!((answer.status, answer.header("x-gate-status")), (401, ""));
    // The others are told as it is.
    let forwarded = [
        ("x-forwarded-method", "GET"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "a"),
        ("x-forwarded-uri", "/a//b"),
    ];
    assert_eq!(ask(&server, "orders", &forwarded).await.status, 400);
}

/// T12: nobody but the proxies that the settings name, whatever they say of themselves.
#[tokio::test]
async fn who_is_no_proxy_of_ours_learns_nothing() {
    let server = Server::with_alice().await;
    super::put_api(&server, json!({})).await;
    for target in ["/public/a", "/orders/1"] {
        for gate in ["orders", "nowhere"] {
            let url = format!("https://orders.example.com{target}");
            let headers =
                [("x-original-method", "GET"), ("x-original-url", url.as_str()), ("x-forwarded-for", "127.0.0.1")];
            let answer = ask(&server, gate, &headers).await;
            assert_eq!((answer.status, answer.reason()), (403, "untrusted_proxy"));
            assert!(IDENTITY.iter().all(|name| !answer.headers.contains_key(*name)));
        }
    }
}

/// What a caller sent by these names is overwritten, by a proxy that copies what is there and by one that clears nothing.
#[tokio::test]
async fn every_answer_that_lets_in_has_every_identity_header() {
    let server = with_gate(json!({})).await;
    let forged: Vec<(&str, &str)> = IDENTITY.iter().map(|name| (*name, "root")).collect();
    let answer = nginx(&server, "GET", "/public/a", &forged).await;
    assert_eq!(answer.status, 200);
    for name in IDENTITY {
        let expected = if name == "x-gate-way" { "anonymous" } else { "" };
        assert_eq!(answer.headers.get(name).map(String::as_str), Some(expected), "{name}");
    }
}

/// Header blocks of up to 64 KB are read, and what is longer is refused in words.
#[tokio::test]
async fn long_headers_are_read_and_longer_ones_refused() {
    let server = with_gate(json!({})).await;
    let (long, longer) = ("a".repeat(60_000), "a".repeat(66_000));
    assert_eq!(nginx(&server, "GET", "/public/a", &[("cookie", &long)]).await.status, 200);
    let many: Vec<(String, &str)> = (0..1000).map(|at| (format!("x-{at}"), "1")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(nginx(&server, "GET", "/public/a", &many).await.status, 200);
    let answer = nginx(&server, "GET", "/public/a", &[("cookie", &longer)]).await;
    assert_eq!((answer.status, answer.meant(), answer.reason()), (403, 431, "too_large"));
}
