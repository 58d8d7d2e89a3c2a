//! The queue of what is sent out, by itself: each row is claimed once, comes back when whoever claimed it is gone, and is
//! there if and only if what caused it is. What is sent, and what an answer means, is tested in `logout::deliveries`.

use std::collections::HashSet;

use futures::future::join_all;
use sea_orm::ConnectionTrait as _;
use signet::domain::delivery::{ClaimedDelivery, Delivery, DeliverySlots, Destination, pause_after};
use signet::domain::ids::{ClientId, SessionId, UserId};
use signet::domain::participant::Participant;
use signet::env::Timestamp;
use signet::store::{StoreError, deliveries};

use crate::support::Server;

type Queued = (Delivery, Destination);

/// Each to an origin of its own.
fn some(server: &Server, number: usize) -> Vec<Queued> {
    (0..number).map(|n| (logout(server), to(&format!("https://app-{n}.example"), true))).collect()
}

pub fn logout(server: &Server) -> Delivery {
    let env = server.app.env();
    let client = ClientId::parse("web").unwrap();
    let (user, session) = (UserId(env.uuid()), SessionId(env.uuid()));
    Delivery::Logout(Participant { client, incarnation: 1, user, session })
}

pub fn to(origin: &str, by_admin: bool) -> Destination {
    Destination { origin: origin.to_owned(), by_admin }
}

async fn enqueue(server: &Server, all: Vec<Queued>) {
    server.app.store().write(|tx| Box::pin(deliveries::enqueue(tx, all))).await.unwrap();
}

async fn claim(server: &Server, most: usize) -> Vec<ClaimedDelivery> {
    claim_for(server, true, &DeliverySlots::new(most)).await
}

pub async fn claim_for(server: &Server, by_admin: bool, places: &DeliverySlots) -> Vec<ClaimedDelivery> {
    let due = deliveries::due(server.app.store(), by_admin, places).await.unwrap();
    server.app.store().write(move |tx| Box::pin(async move { deliveries::claim(tx, &due).await })).await.unwrap()
}

/// The only one that is due.
async fn claim_one(server: &Server) -> ClaimedDelivery {
    let mut all = claim(server, 10).await;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

async fn put_off(server: &Server, claimed: ClaimedDelivery, until: Timestamp) {
    let write =
        server.app.store().write(move |tx| Box::pin(async move { deliveries::put_off(tx, &claimed, until).await }));
    write.await.unwrap();
}

async fn next_due(server: &Server) -> Option<Timestamp> {
    deliveries::next_due(server.app.store().read()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_claims_at_once_on_two_nodes_each_row_falls_to_one() {
    let server = Server::start().await;
    let other = server.node().await;
    let all = some(&server, 40);
    enqueue(&server, all.clone()).await;
    let mut claimed = Vec::new();
    loop {
        let claims = join_all((0..16).map(|n| claim(if n % 2 == 0 { &server } else { &other }, 4))).await;
        assert!(claims.iter().all(|claimed| claimed.len() <= 4));
        let before = claimed.len();
        claimed.extend(claims.into_iter().flatten());
        if claimed.len() == before {
            break;
        }
    }
    assert_eq!(claimed.iter().map(|one| one.id).collect::<HashSet<_>>().len(), claimed.len(), "twice");
    assert!(claimed.iter().all(|one| one.attempt == 1));
    assert_eq!(claimed.len(), 40);
    assert!(all.iter().all(|(what, to)| claimed.iter().any(|one| one.delivery == *what && one.destination == *to)));
    assert!(claim(&server, 40).await.is_empty() && claim(&other, 40).await.is_empty());
}

#[tokio::test]
async fn what_a_node_that_died_had_claimed_comes_back() {
    let server = Server::start().await;
    enqueue(&server, some(&server, 1)).await;
    let first = claim_one(&server).await;
    let other = server.node().await;
    server.advance(7);
    assert!(claim(&other, 10).await.is_empty());
    server.advance(1);
    let second = claim_one(&other).await;
    assert_eq!((second.id, second.attempt, &second.delivery), (first.id, 2, &first.delivery));
    // It was not dead but slow: the one that has it now decides when it is tried again.
    put_off(&server, first.clone(), server.app.env().now().plus_seconds(86_400)).await;
    server.advance(8);
    assert_eq!(claim_one(&other).await.attempt, 3);
    // But what has arrived has arrived.
    server.app.store().write(move |tx| Box::pin(async move { deliveries::remove(tx, &first).await })).await.unwrap();
    assert_eq!(next_due(&other).await, None);
}

#[tokio::test]
async fn each_failure_is_followed_by_a_longer_pause_until_it_is_given_up() {
    let server = Server::start().await;
    enqueue(&server, some(&server, 1)).await;
    let mut waited = 0;
    for attempt in 1.. {
        let claimed = claim_one(&server).await;
        assert_eq!(claimed.attempt, attempt);
        let Some(pause) = pause_after(attempt) else { break };
        put_off(&server, claimed, server.app.env().now().plus_seconds(pause)).await;
        server.advance(pause - 1);
        assert!(claim(&server, 10).await.is_empty(), "{attempt}");
        server.advance(1);
        waited += pause;
    }
    assert!((86_400..7 * 86_400).contains(&waited), "{waited}");
}

/// A row is there when its transaction is, and this node wakes by it then and no sooner.
#[tokio::test]
async fn a_transaction_that_fails_leaves_nothing_to_send() {
    let server = Server::start().await;
    let mut waits = server.app.store().authority().deliveries_wait();
    waits.mark_unchanged();
    let all = some(&server, 3);
    let write = server.app.store().write::<()>(|tx| {
        Box::pin(async move {
            deliveries::enqueue(tx, all).await?;
            Err(StoreError::UniqueViolation)
        })
    });
    assert!(write.await.is_err());
    assert_eq!((next_due(&server).await, waits.has_changed().unwrap()), (None, false));
    enqueue(&server, Vec::new()).await;
    assert!(!waits.has_changed().unwrap(), "nothing to send wakes nobody");
    enqueue(&server, some(&server, 3)).await;
    assert!(waits.has_changed().unwrap());
    assert_eq!(claim(&server, 10).await.len(), 3);
}

/// A sweep ends many sessions at once, each with many apps in it: more rows than one statement has parameters for.
#[tokio::test]
async fn a_transaction_may_cause_very_many() {
    let server = Server::start().await;
    enqueue(&server, some(&server, 20_000)).await;
    assert_eq!(claim(&server, 20).await.len(), 20);
}

/// While nodes of two versions run side by side, one of them may not know what the other one sends.
#[tokio::test]
async fn a_row_of_a_kind_that_is_not_known_keeps_nothing_waiting() {
    let server = Server::start().await;
    enqueue(&server, some(&server, 1)).await;
    let change = server.app.store().write(|tx| {
        Box::pin(async move {
            tx.conn().execute_unprepared("UPDATE delivery SET what = '{\"later\": 1}'").await?;
            Ok(())
        })
    });
    change.await.unwrap();
    enqueue(&server, some(&server, 1)).await;
    let claimed = claim_one(&server).await;
    put_off(&server, claimed, server.app.env().now().plus_seconds(3600)).await;
    assert_eq!(next_due(&server).await, Some(server.app.env().now().plus_seconds(8)), "still there, for another node");
}

/// However many rows an origin has, it gets four places; and what strangers named takes none of an administrator's.
#[tokio::test]
async fn one_origin_gets_four_places() {
    let server = Server::start().await;
    let (silent, quick) = ("https://silent.example", "https://quick.example");
    let of = |origin, by_admin, number| (0..number).map(move |_| (origin, by_admin)).collect::<Vec<_>>();
    let all = [of(silent, true, 300), of(silent, false, 300), of(quick, true, 2)].concat();
    let all = all.into_iter().map(|(origin, by_admin)| (logout(&server), to(origin, by_admin))).collect();
    enqueue(&server, all).await;
    let origins = |claimed: &[ClaimedDelivery], origin: &str| {
        claimed.iter().filter(|one| one.destination.origin == origin).count()
    };
    let mut places = DeliverySlots::new(64);
    let claimed = claim_for(&server, true, &places).await;
    assert_eq!((origins(&claimed, silent), origins(&claimed, quick), claimed.len()), (4, 2, 6));
    for one in &claimed {
        assert!(places.try_acquire(&one.destination.origin));
    }
    // While those are under way, only another origin has a place.
    enqueue(&server, vec![(logout(&server), to(quick, true)), (logout(&server), to("https://a.example", true))]).await;
    let claimed = claim_for(&server, true, &places).await;
    assert_eq!((origins(&claimed, silent), claimed.len()), (0, 2));
    places.release(silent);
    assert_eq!(claim_for(&server, true, &places).await.len(), 1);
    let claimed = claim_for(&server, false, &DeliverySlots::new(64)).await;
    assert_eq!((origins(&claimed, silent), claimed.len()), (4, 4));
}
