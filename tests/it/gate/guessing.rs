//! Guessing secrets and API keys at the gate (T23): bounded by address on all nodes together, without a limit of the API's,
//! and of no harm to who has the right one.

use serde_json::json;
use signet::domain::api_key::ApiKeySecret;

use super::{Answer, basic, nginx, put_api, webs_secret, with_gate};
use crate::api_keys::{alice, make, new_key};
use crate::budgets::Statements;
use crate::support::Server;

const MAX_FAILURES: usize = 100;

async fn with_secrets() -> Server {
    with_gate(json!({ "accepts": ["bearer", "basic", "api_key"] })).await
}

async fn from(server: &Server, address: &str, credential: &str) -> Answer {
    nginx(server, "GET", "/orders/1", &[("authorization", credential), ("x-forwarded-for", address)]).await
}

/// A secret that nobody has, another one each time.
fn wrong(number: usize) -> String {
    basic("web", &format!("{number:040}"))
}

async fn guess(server: &Server, address: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let answer = from(server, address, &wrong(number)).await;
        assert_eq!((answer.status, answer.reason()), (401, "invalid_credential"), "{number}");
    }
}

#[tokio::test]
async fn one_address_does_not_guess_without_bound() {
    let nodes = with_secrets().await.nodes().await;
    let (first, last) = (&nodes[0], nodes.last().unwrap());
    let key = make(first, new_key(alice(first).await, "orders")).await.unwrap().0;
    let key = format!("Bearer {}", key.expose());
    assert_eq!(from(first, "192.0.2.1", &key).await.status, 200);
    // Half of them keys, as good as real ones; spread over the nodes.
    guess(first, "192.0.2.1", 0..MAX_FAILURES / 2).await;
    for _ in 0..MAX_FAILURES / 2 {
        let never = format!("Bearer {}", ApiKeySecret::mint(last.app.env()).expose());
        assert_eq!(from(last, "192.0.2.1", &never).await.status, 401);
    }
    for node in &nodes {
        let answer = from(node, "192.0.2.1", &wrong(MAX_FAILURES)).await;
        assert_eq!((answer.status, answer.meant(), answer.reason()), (403, 429, "too_many_failures"));
        assert_eq!((answer.header("retry-after"), answer.header("www-authenticate")), ("901", ""));
        // The right one would tell that it is right.
        assert_eq!(from(node, "192.0.2.1", &webs_secret()).await.meant(), 429);
    }
    assert_eq!(from(first, "192.0.2.1", &key).await.status, 200, "it has been right before");
    for elsewhere in ["192.0.2.2", "2001:db8::1"] {
        assert_eq!(from(last, elsewhere, &webs_secret()).await.status, 200, "{elsewhere}");
    }
    first.advance(15 * 60);
    assert_eq!(from(first, "192.0.2.1", &webs_secret()).await.status, 200);
    assert_eq!(from(last, "192.0.2.1", &wrong(0)).await.status, 401);
}

/// Many at once get no further: past the bound not even the right one is looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_burst_does_not_pass_the_budget() {
    let server = with_secrets().await;
    let burst = (0..MAX_FAILURES + 40).map(|number| {
        let server = &server;
        async move { from(server, "192.0.2.1", &wrong(number)).await.reason().to_owned() }
    });
    let reasons = futures::future::join_all(burst).await;
    let of = |wanted: &str| reasons.iter().filter(|reason| *reason == wanted).count();
    assert_eq!((of("invalid_credential"), of("too_many_failures")), (MAX_FAILURES, 40));
    assert_eq!(from(&server, "192.0.2.1", &webs_secret()).await.meant(), 429);
}

/// Past the bound there is nothing more to do for a stranger, and who is let in costs what they cost before.
#[tokio::test]
async fn what_is_refused_or_known_asks_the_database_nothing() {
    let server = with_secrets().await;
    assert_eq!(from(&server, "2001:db8::1", &webs_secret()).await.status, 200);
    guess(&server, "2001:db8::1", 0..MAX_FAILURES).await;
    assert_eq!(from(&server, "2001:db8::2", &wrong(MAX_FAILURES)).await.meant(), 429, "the same network");
    let (statements, _guard) = Statements::record();
    for number in 0..5 {
        assert_eq!(from(&server, "2001:db8::ffff", &wrong(1000 + number)).await.meant(), 429);
        assert_eq!(from(&server, "2001:db8::1", &webs_secret()).await.status, 200);
    }
    assert_eq!(statements.take(), (vec![], vec![]));
}

#[tokio::test]
async fn a_script_that_goes_on_with_one_wrong_secret_is_counted_once() {
    let server = with_secrets().await;
    guess(&server, "192.0.2.1", 0..1).await;
    let (statements, guard) = Statements::record();
    for _ in 0..2 * MAX_FAILURES {
        guess(&server, "192.0.2.1", 0..1).await;
    }
    assert_eq!(statements.take(), (vec![], vec![]));
    drop(guard);
    guess(&server, "192.0.2.1", 1..MAX_FAILURES).await;
    assert_eq!(from(&server, "192.0.2.1", &wrong(MAX_FAILURES)).await.meant(), 429);
}

/// What is not looked at teaches nothing, and is not counted: no key, a way that the API does not take, tokens. At a rule
/// for anybody a credential is looked at, so it is.
#[tokio::test]
async fn only_what_could_be_guessed_is_counted() {
    let server = with_secrets().await;
    for number in 0..MAX_FAILURES + 10 {
        for credential in [format!("Bearer sgk_{number:038}"), format!("Bearer {number:040}")] {
            assert_eq!(from(&server, "192.0.2.1", &credential).await.status, 401, "{credential}");
        }
    }
    put_api(&server, json!({ "accepts": ["api_key"] })).await;
    guess(&server, "192.0.2.1", 0..MAX_FAILURES + 10).await;
    put_api(&server, json!({ "accepts": ["basic"] })).await;
    let public = async |credential: &str| {
        let headers = [("authorization", credential), ("x-forwarded-for", "192.0.2.1")];
        let answer = nginx(&server, "GET", "/public/a", &headers).await;
        (answer.status, answer.header("x-gate-subject").to_owned())
    };
    for number in 0..=MAX_FAILURES {
        assert_eq!(public(&wrong(number)).await, (200, String::new()), "{number}");
    }
    assert_eq!(public(&webs_secret()).await, (200, String::new()), "let in as anybody, unlooked at");
    assert_eq!(from(&server, "192.0.2.1", &webs_secret()).await.meant(), 429);
}
