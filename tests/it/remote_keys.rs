//! Keys that clients publish at an address of theirs: fetched as seldom as can be, whoever asks for them how often, and
//! never at somebody else's cost.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use signet::config::Config;
use signet::domain::jwks::JwkSet;
use signet::env::Timestamp;
use signet::keys::remote::{KeyQuery, KeySource, RemoteKeys, RemoteKeysError};
use signet::outbound::{OutboundClient, OutboundError, UrlSource};

use crate::support::receiver::{self, Answer, Receiver};

const PATH: &str = "/keys";

/// A client's address, what is kept of it, and a clock that is moved.
struct Known {
    there: Receiver,
    keys: RemoteKeys,
    now: Timestamp,
}

impl Known {
    async fn new(answer: Answer) -> Self {
        let there = Receiver::start().await;
        there.answer(PATH, answer);
        Self { there, keys: RemoteKeys::new(&near()), now: Timestamp::from_seconds(1_800_000_000) }
    }

    async fn fetch(&self, kid: Option<&str>) -> Result<Arc<JwkSet>, RemoteKeysError> {
        self.keys.get(source("app", &self.there.at(PATH)), kid.into(), self.now).await
    }

    async fn get(&self, kid: Option<&str>) -> Option<Arc<JwkSet>> {
        self.fetch(kid).await.ok()
    }

    async fn has(&self, kid: &str) -> bool {
        self.get(Some(kid)).await.is_some_and(|keys| keys.has_kid(kid))
    }

    fn advance(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds);
    }

    fn fetches(&self) -> usize {
        self.there.requests(PATH).len()
    }
}

fn source<'a>(owner: &'a str, url: &'a str) -> KeySource<'a> {
    KeySource { owner, url, named_by: UrlSource::Administrator }
}

/// One that may go to 127.0.0.1.
fn near() -> OutboundClient {
    let mut config = Config::default();
    receiver::reachable(&mut config);
    OutboundClient::new(&config).unwrap()
}

fn set(kids: &[&str]) -> Value {
    let keys: Vec<Value> = kids.iter().map(|kid| json!({ "kty": "EC", "kid": kid })).collect();
    json!({ "keys": keys })
}

fn answer(kids: &[&str]) -> Answer {
    Answer::json(&set(kids))
}

/// As long as the answer says, but a minute at least and twelve hours at most.
#[tokio::test]
async fn a_set_is_kept_as_long_as_it_says_within_bounds() {
    for (says, seconds) in [
        (None, 3600),
        (Some("max-age=300"), 300),
        (Some("no-store"), 60),
        (Some("max-age=1"), 60),
        (Some("max-age=31536000"), 43_200),
    ] {
        let answer = says.into_iter().fold(answer(&["a"]), |answer, says| answer.header("cache-control", says));
        let mut known = Known::new(answer).await;
        assert!(known.has("a").await);
        known.advance(seconds - 1);
        assert!(known.has("a").await && known.get(None).await.is_some());
        assert_eq!(known.fetches(), 1, "{says:?}");
        known.advance(1);
        assert!(known.has("a").await);
        assert_eq!(known.fetches(), 2, "{says:?}");
        let asked = &known.there.requests(PATH)[0];
        assert_eq!(asked.headers["accept"], "application/jwk-set+json, application/json");
    }
}

/// Whoever signs with a key that nobody knows makes one request every five seconds, whatever the key is called; nor does a
/// client that has just changed its keys wait longer, although made-up ones were looked for.
#[tokio::test]
async fn an_unknown_key_is_looked_for_every_five_seconds() {
    let mut known = Known::new(answer(&["old"])).await;
    assert!(known.has("old").await);
    for kid in 0..100 {
        assert!(!known.has(&kid.to_string()).await);
    }
    assert_eq!(known.fetches(), 2, "at once the first time: a client may just have changed its keys");
    known.there.answer(PATH, answer(&["old", "new"]));
    known.advance(4);
    assert!(!known.has("new").await);
    assert_eq!(known.fetches(), 2);
    known.advance(1);
    assert!(known.has("old").await);
    assert_eq!(known.fetches(), 2, "what is there needs no fetch");
    assert!(known.has("new").await, "a key that has come is found within five seconds");
    assert!(known.has("new").await && known.has("old").await && !known.has("none").await);
    assert_eq!(known.fetches(), 3);
    known.there.answer(PATH, answer(&["new"]));
    known.advance(5);
    assert!(!known.has("none").await && !known.has("old").await, "one that has gone is gone");
    assert_eq!(known.fetches(), 4);
    known.there.answer(PATH, Answer::status(503));
    known.advance(5);
    assert!(!known.has("none").await);
    known.advance(59);
    assert!(!known.has("none").await && known.has("new").await);
    assert_eq!(known.fetches(), 5, "a host that fails is asked once a minute");
}

#[tokio::test]
async fn of_twenty_at_once_one_asks() {
    let known = Known::new(answer(&["a"])).await;
    assert_eq!(join_all((0..20).map(|_| known.has("a"))).await, [true; 20]);
    assert_eq!(known.fetches(), 1);
    let known = Known::new(Answer::status(500)).await;
    assert_eq!(join_all((0..20).map(|_| known.has("a"))).await, [false; 20]);
    assert_eq!(known.fetches(), 1, "nor does a failure make them all ask");
}

#[tokio::test]
async fn what_is_no_key_set_is_refused_and_not_asked_again_for_a_minute() {
    let many: Vec<String> = (0..51).map(|kid| kid.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (what, answer_given) in [
        ("slow", Answer::silence()),
        ("dripping", Answer::drips()),
        ("huge", Answer::json(&json!({ "keys": [], "padding": "x".repeat(256 * 1024) }))),
        ("endless", Answer::endless()),
        ("elsewhere", Answer::status(302).header("location", "/other")),
        ("broken", Answer::status(500)),
        ("no JSON", Answer::body("text/html", "<html>")),
        ("empty", Answer::body("application/json", "")),
        ("no set", Answer::json(&json!([]))),
        ("too many", answer(&many)),
        ("private", Answer::json(&json!({ "keys": [{ "kty": "EC", "kid": "a", "d": "AA" }] }))),
        ("fat", Answer::json(&json!({ "keys": [], "padding": "x".repeat(65 * 1024) }))),
    ] {
        let mut known = Known::new(answer_given).await;
        known.there.answer("/other", answer(&["a"]));
        known.keys = RemoteKeys::new(&near().with_timeout(Duration::from_secs(1)));
        assert!(known.get(None).await.is_none(), "{what}");
        known.there.answer(PATH, answer(&["a"]));
        known.advance(59);
        assert!(known.get(Some("a")).await.is_none(), "{what}");
        assert_eq!(known.fetches(), 1, "{what}");
        known.advance(1);
        assert!(known.has("a").await, "{what}: and when it is mended, all is well");
        assert_eq!((known.fetches(), known.there.requests("/other").len()), (2, 0), "{what}");
    }
}

/// A host that is away for hours locks nobody out. Keys that it removed count until a day after the last successful fetch
/// and no longer; the first refusal says so, for the record.
#[tokio::test]
async fn published_keys_are_used_for_a_day_at_most() {
    let mut known = Known::new(answer(&["a"])).await;
    assert!(known.has("a").await);
    for broken in [Answer::status(503), Answer::json(&json!({ "keys": 1 })), Answer::silence()] {
        known.there.answer(PATH, broken);
        known.advance(21_600);
        assert!(known.has("a").await);
    }
    assert_eq!(known.fetches(), 4);
    known.advance(21_599);
    assert!(known.has("a").await, "a second before");
    known.advance(1);
    let first = known.fetch(Some("a")).await;
    assert!(matches!(first, Err(RemoteKeysError::Expired { first: true, .. })), "{first:?}");
    let again = known.fetch(None).await;
    assert!(matches!(again, Err(RemoteKeysError::Expired { first: false, .. })), "{again:?}");
    known.there.answer(PATH, answer(&["a"]));
    known.advance(60);
    assert!(known.has("a").await, "and when it is mended, all is well");
}

/// A caller that goes away does not end the fetch that others need.
#[tokio::test]
async fn a_fetch_outlives_the_request_that_began_it() {
    let known = Known::new(Answer::silence()).await;
    let (keys, url, now) = (known.keys.clone(), known.there.at(PATH), known.now);
    let began = tokio::spawn(async move { keys.get(source("app", &url), KeyQuery::Any, now).await });
    known.there.asked(PATH, 1).await;
    began.abort();
    assert!(began.await.unwrap_err().is_cancelled());
    assert_eq!(known.fetch(None).await, Err(RemoteKeysError::Fetch(OutboundError::Slow)));
    assert_eq!(known.fetches(), 1);
}

/// Anybody can name a key that the client does not have; while its host is silent, those that are known go on.
#[tokio::test]
async fn known_keys_do_not_wait_for_unknown_ones() {
    let known = Known::new(answer(&["a"])).await;
    assert!(known.has("a").await);
    known.there.answer(PATH, Answer::silence());
    let (keys, url, now) = (known.keys.clone(), known.there.at(PATH), known.now);
    let made_up = tokio::spawn(async move { keys.get(source("app", &url), KeyQuery::Kid("made up"), now).await });
    known.there.asked(PATH, 2).await;
    assert!(known.has("a").await);
    assert!(!made_up.is_finished());
}

/// Nor do they when the set is no longer fresh: it is fetched again beside them, by one request a minute.
#[tokio::test]
async fn known_keys_do_not_wait_when_they_are_stale() {
    let mut known = Known::new(answer(&["a"])).await;
    assert!(known.has("a").await);
    known.there.answer(PATH, Answer::silence());
    known.advance(3600);
    for _ in 0..3 {
        let all = join_all((0..8).map(|_| known.has("a")));
        let all = tokio::time::timeout(Duration::from_secs(2), all).await;
        assert_eq!(all.expect("at once"), [true; 8]);
    }
    assert!(known.get(None).await.is_some());
    assert_eq!(known.fetches(), 2);
    // A host that answers at once is heard: the key that it has taken out is refused by the request that asks.
    let mut known = Known::new(answer(&["a", "b"])).await;
    assert!(known.has("a").await);
    known.there.answer(PATH, answer(&["b"]));
    known.advance(3600);
    assert!(!known.has("a").await);
}

/// However many wait for a host that never answers, the keys of another one are there at once.
#[tokio::test]
async fn a_slow_host_costs_its_own_client_alone() {
    let (slow, quick) = (Known::new(Answer::silence()).await, Receiver::start().await);
    quick.answer(PATH, answer(&["a"]));
    let (keys, now) = (slow.keys.clone(), slow.now);
    let waiting = tokio::spawn({
        let (keys, url) = (keys.clone(), slow.there.at(PATH));
        async move { join_all((0..50).map(|_| keys.get(source("slow", &url), KeyQuery::Any, now))).await }
    });
    slow.there.asked(PATH, 1).await;
    assert!(
        keys.get(source("quick", &quick.at(PATH)), KeyQuery::Kid("a"), now).await.is_ok_and(|keys| keys.has_kid("a"))
    );
    assert!(!waiting.is_finished());
    assert!(waiting.await.unwrap().iter().all(Result::is_err));
    assert_eq!(slow.fetches(), 1);
}
