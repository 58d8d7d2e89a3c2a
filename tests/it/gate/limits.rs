//! Rate limits at the gate: one bucket for each owner and API, whatever they come with; shared by nodes.

use serde_json::{Value, json};

use super::{Answer, alices_token, basic, bearer, nginx, put_api, webs_secret, with_gate};
use crate::api_keys::{alice, make, new_key};
use crate::support::{SECRET, Server};

const LIMIT: &str = r#"{ "burst": 3, "per_second": 0.5 }"#;

async fn with_limit() -> Vec<Server> {
    let limit: Value = serde_json::from_str(LIMIT).unwrap();
    with_gate(json!({ "accepts": ["bearer", "basic", "api_key"], "rate_limit": limit })).await.nodes().await
}

async fn get(server: &Server, credential: &str) -> Answer {
    nginx(server, "GET", "/orders/1", &[("authorization", credential)]).await
}

#[tokio::test]
async fn a_burst_and_then_what_comes_back_on_all_nodes_together() {
    let nodes = with_limit().await;
    let credential = webs_secret();
    for remaining in [2, 1, 0] {
        let answer = get(&nodes[remaining % nodes.len()], &credential).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy"), "\"gate\";q=3;w=6");
        assert!(answer.header("ratelimit").starts_with(&format!("\"gate\";r={remaining};t=")), "{answer:?}");
        assert_eq!(answer.header("retry-after"), "");
    }
    for node in &nodes {
        let answer = get(node, &credential).await;
        assert_eq!((answer.status, answer.meant(), answer.reason()), (403, 429, "too_many_requests"));
        assert_eq!((answer.header("retry-after"), answer.header("www-authenticate")), ("2", ""));
        assert!(answer.header("ratelimit").starts_with("\"gate\";r=0;t="));
        assert_eq!(answer.header("x-gate-subject"), "");
    }
    nodes[0].advance(2);
    let again = [get(nodes.last().unwrap(), &credential).await.status, get(&nodes[0], &credential).await.status];
    assert_eq!(again, [200, 403]);
}

#[tokio::test]
async fn of_many_at_once_the_burst_is_let_in() {
    let nodes = with_limit().await;
    let credential = webs_secret();
    let all = (0..30).map(|at| get(&nodes[at % nodes.len()], &credential));
    let answers = futures::future::join_all(all).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 3);
    assert!(answers.iter().all(|answer| answer.status == 200 || answer.meant() == 429));
}

#[tokio::test]
async fn an_owner_has_one_bucket_whatever_they_come_with() {
    let nodes = with_limit().await;
    let server = &nodes[0];
    let token = bearer(&alices_token(server, "openid read").await).1;
    let key = async || make(server, new_key(alice(server).await, "orders")).await.unwrap().0.expose().to_owned();
    let (first, second) = (key().await, key().await);
    for credential in [&token, &format!("Bearer {first}"), &basic("alice", &second)] {
        assert_eq!(get(server, credential).await.status, 200);
    }
    for credential in [&token, &format!("Bearer {first}")] {
        assert_eq!(get(server, credential).await.meant(), 429);
    }
    // Another owner, another API, an anonymous rule: each has its own.
    assert_eq!(get(server, &webs_secret()).await.status, 200);
    assert_eq!(nginx(server, "GET", "/public/a", &[]).await.status, 200);
    crate::api_keys::put_api(server, "stock", &["basic"]).await;
    let asked = [
        ("x-original-method", "GET"),
        ("x-original-url", "https://stock.example/"),
        ("authorization", &basic("web", SECRET)),
    ];
    let elsewhere = super::ask(server, "stock", &asked).await;
    assert_eq!((elsewhere.reason(), elsewhere.header("ratelimit")), ("no_rule", ""), "that API has no limit");
}

/// Guessing is limited by address; who has the right credential is not kept out by it.
#[tokio::test]
async fn who_is_nobody_is_counted_by_address() {
    let nodes = with_limit().await;
    let server = &nodes[0];
    let wrong = basic("web", &"x".repeat(40));
    let from = async |address: &str, credential: &str| {
        let headers = [("authorization", credential), ("x-forwarded-for", address)];
        nginx(server, "GET", "/orders/1", &headers).await.meant()
    };
    for status in [401, 401, 401, 429, 429] {
        assert_eq!(from("192.0.2.1", &wrong).await, status);
    }
    assert_eq!(from("192.0.2.2", &wrong).await, 401);
    assert_eq!(from("192.0.2.1", &webs_secret()).await, 200);
    let anonymous = [("x-forwarded-for", "192.0.2.1")];
    assert_eq!(nginx(server, "GET", "/public/a", &anonymous).await.meant(), 429);
    for _ in 0..5 {
        assert_eq!(
            nginx(server, "GET", "/orders/1", &anonymous).await.meant(),
            401,
            "who brings nothing guesses nothing"
        );
    }
}

#[tokio::test]
async fn a_limit_that_is_changed_holds_at_once_and_full_buckets_are_swept() {
    let nodes = with_limit().await;
    let server = &nodes[0];
    for _ in 0..4 {
        get(server, &webs_secret()).await;
    }
    put_api(server, json!({ "rate_limit": { "burst": 100, "per_second": 100.0 } })).await;
    assert_eq!(get(server, &webs_secret()).await.status, 200);
    put_api(server, json!({})).await;
    assert_eq!(get(server, &webs_secret()).await.header("ratelimit"), "", "no limit, no word of one");
    // Nodes may have clocks that are ten minutes apart.
    server.advance(661);
    let sweep = signet::store::sweep::once(server.app.store(), 86_400).await.unwrap();
    assert!(nodes.len() == 1 || sweep > 0);
}

/// Callers whose address the proxy does not say readably are not counted together: each would keep out all the others.
#[tokio::test]
async fn callers_without_a_readable_address_share_no_bucket() {
    let nodes = with_limit().await;
    let unreadable = [("x-forwarded-for", "unknown")];
    for headers in [&unreadable[..], &[]] {
        for at in 0..20 {
            let answer = nginx(&nodes[at % nodes.len()], "GET", "/public/a", headers).await;
            assert_eq!((answer.status, answer.header("ratelimit")), (200, ""), "{headers:?}");
        }
    }
    let known = [("x-forwarded-for", "192.0.2.1")];
    for status in [200, 200, 200, 429] {
        assert_eq!(nginx(&nodes[0], "GET", "/public/a", &known).await.meant(), status);
    }
    // Who is known is counted wherever they are.
    let credential = webs_secret();
    let headers = [("authorization", credential.as_str()), ("x-forwarded-for", "unknown")];
    for status in [200, 200, 200, 429] {
        assert_eq!(nginx(&nodes[0], "GET", "/orders/1", &headers).await.meant(), status);
    }
}
