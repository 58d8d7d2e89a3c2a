//! T23 (Keycloak CVE-2026-9798): an imported client secret can be short enough to be guessed, so that wrong ones are counted,
//! also of many requests at once. A secret of ours cannot be guessed, and no stranger locks its client out.

use serde_json::json;
use signet::manage::AuditContext;
use signet::manage::apply::{ApplyOptions, apply};
use signet::manage::document::{Document, DocumentFormat};

use super::http;
use crate::support::{SECRET, Server};

const SHORT: &str = "hunter2";

async fn with_short_secrets() -> Server {
    let server = Server::start_with(|config| {
        config.trusted_proxies = serde_json::from_value(json!("127.0.0.1,::1")).unwrap();
    })
    .await;
    let client = |id: &str| json!({ "client_id": id, "client_secret": SHORT, "grant_types": ["client_credentials"] });
    let document = json!({ "imported": true, "clients": [client("old"), client("other")] }).to_string();
    let document = Document::parse(&document, DocumentFormat::Json).unwrap();
    apply(&server.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default()).await.unwrap();
    server.client("web", json!({})).await;
    server
}

async fn status(server: &Server, client: &str, secret: &str, from: &str) -> u16 {
    let request = http().post(format!("{}/oauth2/token", server.url)).basic_auth(client, Some(secret));
    let request = request.header("x-forwarded-for", from).form(&[("grant_type", "client_credentials")]);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn wrong_tries_for_a_short_client_secret_are_counted() {
    let server = with_short_secrets().await;
    for _ in 0..3 {
        assert_eq!(status(&server, "old", SHORT, "203.0.113.9").await, 200, "what was right is not counted");
    }
    let burst = (0..120).map(|at| {
        let (server, guess) = (&server, format!("guess{at}"));
        async move { status(server, "old", &guess, "203.0.113.9").await }
    });
    let answers = futures::future::join_all(burst).await;
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), 100, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 20, "{answers:?}");
    assert_eq!(status(&server, "old", SHORT, "203.0.113.9").await, 200, "nobody locks out what was right there before");
    assert_eq!(status(&server, "old", "guess0", "203.0.113.9").await, 429);
    let guesses = (0..100).map(|at| {
        let (server, guess) = (&server, format!("guess{at}"));
        async move { status(server, "old", &guess, "203.0.113.11").await }
    });
    futures::future::join_all(guesses).await;
    assert_eq!(status(&server, "old", SHORT, "203.0.113.11").await, 429, "nobody learns that it is right");
    assert_eq!(status(&server, "old", SHORT, "203.0.113.10").await, 200, "its own server stands elsewhere");
    assert_eq!(status(&server, "other", SHORT, "203.0.113.9").await, 200, "each client has its own budget");
    server.advance(901);
    assert_eq!(status(&server, "old", SHORT, "203.0.113.9").await, 200);
}

/// Callers whose address a proxy does not say readably share a budget, which is larger.
#[tokio::test]
async fn unreadable_addresses_lock_nobody_out() {
    let server = with_short_secrets().await;
    for at in 0..110 {
        assert_eq!(status(&server, "old", &format!("guess{at}"), "unknown").await, 401);
    }
    assert_eq!(status(&server, "old", SHORT, "_hidden").await, 200);
}

#[tokio::test]
async fn wrong_tries_for_a_long_client_secret_lock_nobody_out() {
    let server = with_short_secrets().await;
    for at in 0..110 {
        assert_eq!(status(&server, "web", &format!("guess{at}"), "203.0.113.9").await, 401);
    }
    assert_eq!(status(&server, "web", SECRET, "203.0.113.9").await, 200);
}
