//! `X-Forwarded-For` as real proxies write it, and what happens to a value that cannot be read.

use std::net::SocketAddr;

use futures::stream::{StreamExt as _, iter};
use serde_json::json;
use signet::domain::event::EventKind;
use signet::store::events;

use crate::support::program::{Program, within};
use crate::support::wire::once;
use crate::support::{Browser, Server};

async fn fail_from(server: &Server, browser: &Browser, form: &[(String, String)], name: &str, address: &str) -> u16 {
    let mut form = form.to_vec();
    form.extend([("username".to_owned(), name.to_owned()), ("password".to_owned(), "wrong wrong".to_owned())]);
    let url = format!("{}/login", server.url);
    let request = browser.request(reqwest::Method::POST, &url).header("x-forwarded-for", address);
    request.form(&form).send().await.unwrap().status().as_u16()
}

/// One of many clients whose addresses a proxy does not say readably cannot lock out the others; one account is limited all
/// the same.
#[tokio::test]
async fn clients_without_an_address_do_not_lock_out_each_other() {
    let server = Server::start_with(|config| {
        config.trusted_proxies = serde_json::from_value(json!(["127.0.0.1", "::1"])).unwrap();
    })
    .await;
    let browser = server.browser();
    let form = browser.page("/login").await.form(&[]).1;
    let tries = iter(0..120).map(|at| {
        let (server, browser, form) = (&server, &browser, &form);
        async move { fail_from(server, browser, form, &format!("name{at}"), "unknown").await }
    });
    let all: Vec<u16> = tries.buffer_unordered(8).collect().await;
    assert!(all.iter().all(|status| *status == 200), "{all:?}");
    let mut one = Vec::new();
    for _ in 0..11 {
        one.push(fail_from(&server, &browser, &form, "alice", "unknown").await);
    }
    assert_eq!(one.iter().filter(|status| **status == 429).count(), 1, "{one:?}");
    // Nor is the proxy's own address used up.
    assert_eq!(fail_from(&server, &browser, &form, "bob", "127.0.0.1").await, 200);
}

/// Clients inside of the networks of trusted proxies have their own addresses, not the proxy's.
#[tokio::test]
async fn clients_in_a_trusted_network_do_not_lock_out_each_other() {
    let server = Server::start_with(|config| {
        config.trusted_proxies = serde_json::from_value(json!(["127.0.0.1", "::1", "10.0.0.0/8"])).unwrap();
    })
    .await;
    let browser = server.browser();
    let form = browser.page("/login").await.form(&[]).1;
    let tries = iter(0..110).map(|at| {
        let (server, browser, form) = (&server, &browser, &form);
        async move { fail_from(server, browser, form, &format!("name{at}"), "10.1.2.3").await }
    });
    let all: Vec<u16> = tries.buffer_unordered(8).collect().await;
    assert!(all.contains(&429), "{all:?}");
    assert_eq!(fail_from(&server, &browser, &form, "bob", "10.1.2.4").await, 200);
    assert_eq!(fail_from(&server, &browser, &form, "carol", "10.1.2.4, 10.9.9.9").await, 200);
}

/// The record has it within a moment: it is written beside the answer.
#[tokio::test]
async fn an_unreadable_forwarded_address_is_recorded_once_an_hour() {
    let server = Server::start_with(|config| {
        config.trusted_proxies = serde_json::from_value(json!("127.0.0.1")).unwrap();
    })
    .await;
    let address: SocketAddr = server.url.replace("http://localhost", "127.0.0.1").parse().unwrap();
    let recorded = async || {
        let filter =
            events::EventFilter { kinds: vec![EventKind::ProxyAddressUnreadable], most: 9, ..Default::default() };
        events::list(server.app.store().read(), &filter).await.unwrap()
    };
    for (seconds, count) in [(0, 1), (1, 1), (3_700, 2)] {
        server.advance(seconds);
        once(address, "GET", "/livez", &[("x-forwarded-for", "1.2.3.4, client\u{202e}")], b"").await;
        within(20, async || recorded().await.len() >= count).await;
        assert_eq!(recorded().await.len(), count);
    }
    once(address, "GET", "/livez", &[("x-forwarded-for", "1.2.3.4:80")], b"").await;
    let newest = recorded().await.swap_remove(0);
    assert_eq!((newest.detail.as_str(), newest.origin.address.as_str()), ("client\\u{202e}", "127.0.0.1"));
}

#[tokio::test]
async fn an_unreadable_forwarded_address_is_logged_and_shown_by_doctor() {
    let mut program = Program::installed().await;
    program.set("SIGNET_TRUSTED_PROXIES", "127.0.0.1");
    let server = program.serve(&["serve"]);
    assert!(program.run(&["doctor"]).out.contains("database"));
    assert_eq!(program.run(&["doctor"]).code, 0);
    for _ in 0..3 {
        let reply = once(program.address, "GET", "/login", &[("x-forwarded-for", "client-7")], b"").await;
        assert_eq!(reply.status, 200);
    }
    within(20, async || program.run(&["doctor"]).code == 1).await;
    let doctor = program.run(&["doctor"]).out;
    assert!(
        doctor.contains("WRONG  trusted_proxies: the proxy 127.0.0.1 sent") && doctor.contains("(client-7)"),
        "{doctor}"
    );
    let log = server.log();
    assert_eq!(log.lines().filter(|line| line.contains("client-7")).count(), 1, "{log}");
    server.stop();
}
