//! The issuer's keys: fetched once, again after a rotation, and good while it is away.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use signet_guard::IssuerError;

use crate::support::{self, Issuer, Key, NOW, api, get_with, guard, send, status};

#[tokio::test]
async fn keys_are_fetched_once_for_many_requests_at_once() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let api = api(&guard(&issuer, &support::clock()));
    let token = key.token(&issuer.claims());
    let all: Vec<_> = (0..20)
        .map(|_| {
            let (api, token) = (api.clone(), token.clone());
            tokio::spawn(async move { status(&api, "/me", &token).await })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), 200);
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_rotated_key_is_found_and_a_made_up_one_costs_little() {
    let (old, new) = (Key::new("old", "ES256"), Key::new("new", "ES256"));
    let issuer = Issuer::start(&[&old]).await;
    let clock = support::clock();
    let api = api(&guard(&issuer, &clock));
    assert_eq!(status(&api, "/me", &old.token(&issuer.claims())).await, 200);
    // The next one signs at once: found by its name.
    issuer.publish(&[&old, &new]);
    assert_eq!(status(&api, "/me", &new.token(&issuer.claims())).await, 200);
    assert_eq!(status(&api, "/me", &old.token(&issuer.claims())).await, 200);
    assert_eq!(issuer.asked(), 2);
    // Strangers make up names: no more than one question in five seconds.
    let stranger = Key::new("stranger", "ES256");
    for second in 0..60 {
        clock.store(NOW + second, Ordering::SeqCst);
        assert_eq!(status(&api, "/me", &stranger.token(&issuer.claims())).await, 401);
        let seconds = usize::try_from(second).unwrap();
        assert_eq!(issuer.asked(), 2 + seconds / 5, "{second}");
    }
}

#[tokio::test]
async fn a_made_up_key_hides_a_new_one_for_five_seconds() {
    let (old, new) = (Key::new("old", "ES256"), Key::new("new", "ES256"));
    let stranger = Key::new("stranger", "ES256");
    let issuer = Issuer::start(&[&old]).await;
    let clock = support::clock();
    let api = api(&guard(&issuer, &clock));
    assert_eq!(status(&api, "/me", &old.token(&issuer.claims())).await, 200);
    assert_eq!(status(&api, "/me", &stranger.token(&issuer.claims())).await, 401);
    issuer.publish(&[&old, &new]);
    clock.store(NOW + 4, Ordering::SeqCst);
    assert_eq!(status(&api, "/me", &new.token(&issuer.claims())).await, 401);
    clock.store(NOW + 5, Ordering::SeqCst);
    assert_eq!(status(&api, "/me", &new.token(&issuer.claims())).await, 200);
    assert_eq!(issuer.asked(), 3);
}

#[tokio::test]
async fn a_failed_look_up_of_a_key_is_repeated_after_a_minute() {
    let (key, stranger) = (Key::new("k", "ES256"), Key::new("stranger", "ES256"));
    let issuer = Issuer::start(&[&key]).await;
    let clock = support::clock();
    let api = api(&guard(&issuer, &clock));
    assert_eq!(status(&api, "/me", &key.token(&issuer.claims())).await, 200);
    *issuer.away.lock().unwrap() = true;
    for (second, asked) in [(0, 2), (5, 2), (59, 2), (60, 3), (119, 3)] {
        clock.store(NOW + second, Ordering::SeqCst);
        assert_eq!(status(&api, "/me", &stranger.token(&issuer.claims())).await, 401);
        assert_eq!(issuer.metadata_asked.load(Ordering::SeqCst), asked, "{second}");
    }
}

#[tokio::test]
async fn a_key_that_was_taken_out_is_forgotten_after_five_minutes() {
    let (old, new) = (Key::new("old", "ES256"), Key::new("new", "ES256"));
    let issuer = Issuer::start(&[&old]).await;
    let clock = support::clock();
    let api = api(&guard(&issuer, &clock));
    let (by_old, by_new) = (old.token(&issuer.claims()), new.token(&issuer.claims()));
    assert_eq!(status(&api, "/me", &by_old).await, 200);
    issuer.was_asked.notified().await;
    issuer.publish(&[&new]);
    clock.store(NOW + 299, Ordering::SeqCst);
    assert_eq!(status(&api, "/me", &by_old).await, 200);
    assert_eq!(issuer.asked(), 1);
    // This one is let in still, and has the keys fetched beside it; the next waits for nobody.
    clock.store(NOW + 300, Ordering::SeqCst);
    assert_eq!(status(&api, "/me", &by_old).await, 200);
    issuer.was_asked.notified().await;
    assert_eq!(issuer.asked(), 2);
    // A key that is not known is looked for behind the fetch that is under way.
    assert_eq!(status(&api, "/me", &by_new).await, 200);
    assert_eq!(status(&api, "/me", &by_old).await, 401);
}

#[tokio::test]
async fn known_keys_are_good_for_a_day_while_the_issuer_is_away() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let clock = support::clock();
    let api = api(&guard(&issuer, &clock));
    let token = |now: i64| {
        let mut claims = issuer.claims();
        claims["iat"] = json!(now);
        claims["exp"] = json!(now + 600);
        key.token(&claims)
    };
    assert_eq!(status(&api, "/me", &token(NOW)).await, 200);
    *issuer.away.lock().unwrap() = true;
    for hours in [1, 12, 23] {
        let now = NOW + hours * 3600;
        clock.store(now, Ordering::SeqCst);
        assert_eq!(status(&api, "/me", &token(now)).await, 200, "{hours}");
        // A stranger's token is no reason for a 503.
        let stranger = Key::new("stranger", "ES256");
        assert_eq!(status(&api, "/me", &stranger.token(&issuer.claims())).await, 401, "{hours}");
    }
    assert_eq!(issuer.asked(), 1);
    // Somebody may have taken the key out since.
    clock.store(NOW + 86_400, Ordering::SeqCst);
    assert_eq!(send(&api, get_with("/me", &token(NOW + 86_400))).await.status, 503);
    *issuer.away.lock().unwrap() = false;
    clock.store(NOW + 86_405, Ordering::SeqCst);
    assert_eq!(status(&api, "/me", &token(NOW + 86_405)).await, 200);
}

/// One fetch fails for all that wait for it, and the pause after it counts from its end.
#[tokio::test]
async fn while_the_issuer_hangs_requests_share_one_fetch() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    *issuer.hangs.lock().unwrap() = true;
    let clock = support::clock();
    let api = api(&guard(&issuer, &clock));
    let token = key.token(&issuer.claims());
    let asks = || issuer.metadata_asked.load(Ordering::SeqCst);
    let all: Vec<_> = (0..20)
        .map(|_| {
            let (api, token) = (api.clone(), token.clone());
            tokio::spawn(async move { status(&api, "/me", &token).await })
        })
        .collect();
    issuer.was_asked.notified().await;
    clock.store(NOW + 30, Ordering::SeqCst);
    let all = tokio::time::timeout(Duration::from_secs(9), futures_of(all)).await.expect("one after another");
    assert!(all.iter().all(|status| *status == 503), "{all:?}");
    assert_eq!(asks(), 1);
    clock.store(NOW + 34, Ordering::SeqCst);
    assert_eq!((status(&api, "/me", &token).await, asks()), (503, 1), "the pause counts from the end");
    *issuer.hangs.lock().unwrap() = false;
    clock.store(NOW + 35, Ordering::SeqCst);
    assert_eq!((status(&api, "/me", &token).await, asks()), (200, 2));
}

/// Sends a byte now and then, for ever; its address.
async fn trickler() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".iter();
                for byte in head.chain(std::iter::repeat(&b' ')) {
                    if stream.try_write(&[*byte]).is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
    });
    address
}

/// A timeout for each read would never pass: all of a fetch has one deadline.
#[tokio::test]
async fn a_trickling_issuer_is_given_up_at_the_deadline() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let metadata = issuer.metadata.lock().unwrap().clone();
    *issuer.metadata.lock().unwrap() = json!({ "issuer": issuer.address, "jwks_uri": trickler().await });
    let clock = support::clock();
    let api = api(&guard(&issuer, &clock));
    let token = key.token(&issuer.claims());
    let answer = tokio::time::timeout(Duration::from_secs(8), send(&api, get_with("/me", &token))).await;
    let answer = answer.expect("it is given up");
    assert_eq!((answer.status, answer.header("retry-after")), (503, "5"));
    *issuer.metadata.lock().unwrap() = metadata;
    clock.store(NOW + 5, Ordering::SeqCst);
    assert_eq!(status(&api, "/me", &token).await, 200);
}

/// A caller that goes away leaves the pause behind that its made-up key has to cost.
#[tokio::test]
async fn a_caller_that_goes_away_does_not_shorten_the_pause() {
    let (key, stranger) = (Key::new("k", "ES256"), Key::new("stranger", "ES256"));
    let issuer = Issuer::start(&[&key]).await;
    let api = api(&guard(&issuer, &support::clock()));
    let (good, unknown) = (key.token(&issuer.claims()), stranger.token(&issuer.claims()));
    assert_eq!(status(&api, "/me", &good).await, 200);
    let asks = || issuer.metadata_asked.load(Ordering::SeqCst);
    issuer.was_asked.notified().await;
    *issuer.hangs.lock().unwrap() = true;
    let (other, token) = (api.clone(), unknown.clone());
    let gone = tokio::spawn(async move { status(&other, "/me", &token).await });
    issuer.was_asked.notified().await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    // This one waits for the end of that fetch, and the next one finds that it was made.
    for _ in 0..2 {
        assert_eq!((status(&api, "/me", &unknown).await, asks()), (401, 2));
    }
}

async fn futures_of(all: Vec<tokio::task::JoinHandle<u16>>) -> Vec<u16> {
    let mut done = Vec::new();
    for one in all {
        done.push(one.await.unwrap());
    }
    done
}

#[tokio::test]
async fn known_keys_do_not_wait_while_the_issuer_hangs() {
    let (key, stranger) = (Key::new("k", "ES256"), Key::new("stranger", "ES256"));
    let issuer = Issuer::start(&[&key]).await;
    let clock = support::clock();
    let api = api(&guard(&issuer, &clock));
    let (good, unknown) = (key.token(&issuer.claims()), stranger.token(&issuer.claims()));
    assert_eq!(status(&api, "/me", &good).await, 200);
    issuer.was_asked.notified().await;
    *issuer.hangs.lock().unwrap() = true;
    clock.store(NOW + 300, Ordering::SeqCst);
    let other = api.clone();
    let waiting = tokio::spawn(async move { status(&other, "/me", &unknown).await });
    issuer.was_asked.notified().await;
    for _ in 0..20 {
        assert_eq!(status(&api, "/me", &good).await, 200);
    }
    assert!(!waiting.is_finished());
    assert_eq!(waiting.await.unwrap(), 401);
}

#[tokio::test]
async fn without_any_key_nobody_is_let_in_and_it_is_asked_again() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    *issuer.away.lock().unwrap() = true;
    let clock = support::clock();
    let guard = guard(&issuer, &clock);
    let api = api(&guard);
    let token = key.token(&issuer.claims());
    let answer = send(&api, get_with("/me", &token)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "5"));
    assert_eq!(answer.header("www-authenticate"), "");
    // What is no token asks nobody.
    assert_eq!(status(&api, "/me", "x").await, 401);
    *issuer.away.lock().unwrap() = false;
    clock.store(NOW + 4, Ordering::SeqCst);
    assert_eq!(status(&api, "/me", &token).await, 503);
    clock.store(NOW + 5, Ordering::SeqCst);
    assert_eq!(status(&api, "/me", &token).await, 200);
}

/// OpenID Connect Discovery §4.3.
#[tokio::test]
async fn metadata_of_another_issuer_are_not_believed() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let guard = guard(&issuer, &support::clock());
    let api = api(&guard);
    let set = |metadata| *issuer.metadata.lock().unwrap() = metadata;
    let keys = format!("{}/keys", issuer.address);
    set(json!({ "issuer": "https://id.example.com", "jwks_uri": keys }));
    assert!(matches!(guard.ready().await, Err(IssuerError::Other(_))));
    set(json!({ "issuer": issuer.address, "jwks_uri": "http://keys.example.com/" }));
    assert!(matches!(guard.ready().await, Err(IssuerError::NotSecure(_))));
    set(json!({ "issuer": issuer.address }));
    assert!(matches!(guard.ready().await, Err(IssuerError::Unreadable(_))));
    set(json!({ "issuer": issuer.address, "jwks_uri": format!("{}/nothing", issuer.address) }));
    assert!(matches!(guard.ready().await, Err(IssuerError::Status(_, 404))));
    assert_eq!(status(&api, "/me", &key.token(&issuer.claims())).await, 503);
    set(json!({ "issuer": issuer.address, "jwks_uri": keys }));
    guard.ready().await.unwrap();
    assert_eq!(status(&api, "/me", &key.token(&issuer.claims())).await, 200);
}

#[tokio::test]
async fn keys_that_verify_no_tokens_are_passed_over() {
    let (good, other) = (Key::new("good", "ES256"), Key::new("other", "ES256"));
    let issuer = Issuer::start(&[]).await;
    let with = |name: &str, value| {
        let mut jwk = other.jwk();
        jwk[name] = value;
        jwk
    };
    *issuer.keys.lock().unwrap() = vec![
        json!(7),
        json!({ "kty": "new", "kid": "other" }),
        json!({ "kty": "oct", "kid": "other", "k": "AAAA" }),
        with("use", json!("enc")),
        with("alg", json!("RS256")),
        with("crv", json!("P-384")),
        with("kid", json!(null)),
        good.jwk(),
        // A second one of a name is not the first.
        {
            let mut jwk = other.jwk();
            jwk["kid"] = json!("good");
            jwk
        },
    ];
    let api = api(&guard(&issuer, &support::clock()));
    assert_eq!(status(&api, "/me", &good.token(&issuer.claims())).await, 200);
    assert_eq!(status(&api, "/me", &other.token(&issuer.claims())).await, 401);
    let renamed = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "good" });
    assert_eq!(status(&api, "/me", &other.token_with(&renamed, &issuer.claims())).await, 401);
    assert!(Arc::strong_count(&good) > 0);
}
