//! Documents whose hosts are away: what is the client's fault and what is not, how long a document counts that is known, and
//! who waits for it.

use std::time::Duration;

use serde_json::{Value, json};
use signet::domain::ids::ClientId;

use super::Place;
use crate::support::name_server::NameServer;
use crate::support::program::within;
use crate::support::receiver::Answer;

/// What is not the client's fault is no `invalid_client`, by which an app would throw its tokens away: 503, and come back.
#[tokio::test]
async fn a_document_that_cannot_be_fetched_now_is_503() {
    let names = NameServer::start().await;
    let place = Place::with(|config| names.used_by(config)).await;
    place.receiver.answer("/failing", Answer::status(502));
    place.receiver.answer("/many", Answer::status(429));
    place.receiver.answer("/silent", Answer::silence());
    for id in [
        &place.receiver.at("/failing"),
        &place.receiver.at("/many"),
        &place.receiver.at("/silent"),
        "http://127.0.0.1:9/client.json",
        "https://app.silent.test/client.json",
    ] {
        for _ in 0..2 {
            let page = place.page(id).await;
            assert_eq!((page.status, page.error().as_str()), (503, "temporarily_unavailable"), "{id}");
            let response = place.refresh_with(id, "sgr_x").await;
            assert!(response.headers().contains_key("retry-after"), "{id}");
            assert_eq!(response.status(), 503, "{id}");
            assert_eq!(response.json::<Value>().await.unwrap()["error"], "temporarily_unavailable", "{id}");
        }
    }
    // The host is there again, and says that there is none.
    place.receiver.answer("/failing", Answer::status(404));
    place.server.advance(10);
    let id = place.receiver.at("/failing");
    assert_eq!(place.refresh_with(&id, "sgr_x").await.status(), 401);
    assert_eq!(place.page(&id).await.status, 400);
}

/// A node that has just started knows no document; an app that refreshes there while its host is away keeps its tokens.
#[tokio::test]
async fn a_restarted_node_answers_503_while_the_host_is_away() {
    let place = Place::new().await;
    let id = place.publish("/client.json");
    let (_, tokens) = place.redeem(&id, &place.code(&id, &[]).await).await;
    place.receiver.answer("/client.json", Answer::status(503));
    let restarted = Place { server: place.server.node().await, receiver: place.receiver };
    let (status, answer) = restarted.refresh(&id, &tokens).await;
    assert_eq!((status, &answer["error"]), (503, &json!("temporarily_unavailable")));
    restarted.publish("/client.json");
    restarted.server.advance(10);
    assert_eq!(restarted.refresh(&id, &tokens).await.0, 200);
}

/// Known documents answer at once while their host hangs, and one request asks it, whoever goes away meanwhile.
#[tokio::test]
async fn a_known_document_does_not_wait_for_its_host() {
    let place = Place::new().await;
    let id = place.publish("/client.json");
    assert!(place.known(&id).await);
    place.receiver.answer("/client.json", Answer::silence());
    place.server.advance(3600);
    for _ in 0..5 {
        let known = tokio::time::timeout(Duration::from_secs(2), place.known(&id)).await;
        assert!(known.expect("at once"));
    }
    assert_eq!(place.receiver.requests("/client.json").len(), 2);
}

/// A caller that goes away does not end the fetch that others need.
#[tokio::test]
async fn a_fetch_outlives_the_request_that_began_it() {
    let place = Place::new().await;
    place.receiver.answer("/client.json", Answer::silence());
    let id = ClientId::parse(&place.receiver.at("/client.json")).unwrap();
    let provider = place.server.app.provider.clone();
    let (began, asked) = (provider.clone(), id.clone());
    let began = tokio::spawn(async move { began.client(&asked).await.map(drop) });
    place.receiver.asked("/client.json", 1).await;
    began.abort();
    assert!(began.await.unwrap_err().is_cancelled());
    assert!(provider.client(&id).await.is_err());
    assert_eq!(place.receiver.requests("/client.json").len(), 1);
}

/// However often there was no room to ask its host, a document counts for a day.
#[tokio::test]
async fn a_document_is_good_for_a_day_whatever_fails() {
    let place = Place::new().await;
    let id = place.publish("/client.json");
    assert!(place.known(&id).await);
    place.receiver.answer("/client.json", Answer::silence());
    for (seconds, expected) in [(86_399, "login"), (1, "error")] {
        place.server.advance(seconds);
        // One host gets four requests at once: these take them, and there are others before ours.
        let silent: Vec<String> = (0..8).map(|n| format!("/{expected}-{n}")).collect();
        for path in &silent {
            place.receiver.answer(path, Answer::silence());
        }
        let ids: Vec<String> = silent.iter().map(|path| place.receiver.at(path)).collect();
        let waiting = futures::future::join_all(ids.iter().map(|id| place.page(id)));
        let asked = async {
            let requests = || silent.iter().map(|path| place.receiver.requests(path).len()).sum::<usize>();
            within(5, || async { requests() == 4 }).await;
            place.page(&id).await
        };
        let (_, page) = tokio::join!(waiting, asked);
        assert_eq!(page.name(), expected);
        assert_eq!(page.status, if expected == "error" { 503 } else { 200 });
    }
}
