//! Issuers that hang, trickle, answer with nonsense or go away, and keys that come and go meanwhile.

use std::time::Duration;

use serde_json::json;
use signet::config::Issuer;
use signet::env::Env;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use super::{Inside, signet_with};
use crate::gate::ORDERS;
use crate::support::languages::Language;
use crate::support::program::within;
use crate::support::receiver::{Answer, Receiver};
use crate::support::{Server, signer};
use crate::token::claims;

/// A provider that answers as it is told, an API that asks it, and tokens of it.
struct Provided {
    provider: Receiver,
    key: signer::ClientKey,
    inside: Inside,
}

const METADATA: &str = "/.well-known/openid-configuration";

impl Provided {
    async fn start(language: Language, max_age: &str) -> Self {
        Self::start_with(language, &[("COOLDOWN", "0"), ("MAX_AGE", max_age)]).await
    }

    async fn start_with(language: Language, settings: &[(&str, &str)]) -> Self {
        let (provider, key) = (Receiver::start().await, signer::ClientKey::new("k1", "ES256"));
        let mut all = vec![("ISSUER", provider.url.as_str()), ("AUDIENCE", ORDERS)];
        all.extend(settings);
        let inside = Inside { server: Server::start().await, api: language.serve(&all).await };
        let at = Self { provider, key, inside };
        at.publishes(&[&at.key]);
        at
    }

    fn publishes(&self, keys: &[&signer::ClientKey]) {
        let mut jwks = Vec::new();
        for key in keys {
            let mut jwk = key.public_jwk();
            (jwk["alg"], jwk["use"]) = (json!("ES256"), json!("sig"));
            jwks.push(jwk);
        }
        self.provider.answer("/jwks", Answer::json(&json!({ "keys": jwks })));
    }

    fn answers(&self) {
        let metadata = json!({ "issuer": self.provider.url, "jwks_uri": self.provider.at("/jwks") });
        self.provider.answer(METADATA, Answer::json(&metadata));
    }

    fn token_by(&self, key: &signer::ClientKey) -> String {
        let now = Env::system().now().seconds();
        let claims = json!({
            "iss": self.provider.url, "aud": ORDERS, "iat": now, "exp": now + 60, "jti": "1", "sub": "web",
            "client_id": "web", "scope": "read",
        });
        key.sign_with(&json!({ "typ": "at+jwt" }), &claims)
    }

    async fn status(&self, token: &str) -> u16 {
        self.inside.with("GET", token).await.status
    }
}

/// One fetch fails for all that wait for it, and whose key is known does not wait.
#[tokio::test]
async fn while_the_issuer_hangs_requests_do_not_wait_in_turn() {
    for language in Language::ALL {
        let at = Provided::start(language, "86400").await;
        at.provider.answer(METADATA, Answer::silence());
        let good = at.token_by(&at.key);
        let all = futures::future::join_all((0..8).map(|_| at.status(&good)));
        let all = tokio::time::timeout(Duration::from_secs(9), all).await;
        assert_eq!(all.expect("one after another"), [503; 8], "{language:?}\n{}", at.inside.api.log());
        assert_eq!(at.provider.requests(METADATA).len(), 1, "{language:?}");
        at.answers();
        within(5, || async { at.status(&good).await == 200 }).await;
        at.provider.answer(METADATA, Answer::silence());
        let asked = at.provider.requests(METADATA).len();
        let unknown = at.token_by(&signer::ClientKey::new("unknown", "ES256"));
        let known = async {
            at.provider.asked(METADATA, asked + 1).await;
            let all = futures::future::join_all((0..8).map(|_| at.status(&good)));
            tokio::time::timeout(Duration::from_secs(3), all).await
        };
        let (unknown, known) = tokio::join!(at.status(&unknown), known);
        assert_eq!((unknown, known.expect("they wait")), (401, vec![200; 8]), "{language:?}");
    }
}

/// Sends a byte now and then, for ever; its address.
async fn trickler() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let head = b"HTTP/1.1 200 OK\r\nx: ".iter();
                for byte in head.chain(std::iter::repeat(&b'x')) {
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
        }
    });
    url
}

/// A timeout for each read would never pass: all of a fetch has one deadline, in its header as in its body.
#[tokio::test]
async fn a_trickling_issuer_is_given_up_at_the_deadline() {
    for language in Language::ALL {
        let at = Provided::start(language, "86400").await;
        let good = at.token_by(&at.key);
        let keys_trickle = json!({ "issuer": at.provider.url, "jwks_uri": trickler().await });
        for metadata in [Answer::drips(), Answer::json(&keys_trickle)] {
            at.provider.answer(METADATA, metadata);
            let reply = tokio::time::timeout(Duration::from_secs(9), at.inside.with("GET", &good)).await;
            let reply = reply.unwrap_or_else(|_| panic!("{language:?} is kept waiting\n{}", at.inside.api.log()));
            assert_eq!((reply.status, reply.retry_after.as_str()), (503, "5"), "{language:?}\n{}", at.inside.api.log());
            assert!(at.inside.api.log().contains("cannot be had"), "{language:?}");
        }
        at.answers();
        within(5, || async { at.status(&good).await == 200 }).await;
    }
}

#[tokio::test]
async fn an_odd_jwks_is_a_failure_and_is_asked_for_again() {
    for language in Language::ALL {
        let at = Provided::start(language, "86400").await;
        at.answers();
        let good = at.token_by(&at.key);
        for odd in [json!({ "keys": ["x"] }), json!({ "keys": [null] }), json!({ "keys": 7 }), json!([]), json!(null)] {
            at.provider.answer("/jwks", Answer::json(&odd));
            assert_eq!(at.status(&good).await, 503, "{language:?} {odd}\n{}", at.inside.api.log());
        }
        at.publishes(&[&at.key]);
        at.inside.is_let_in(&good).await;
    }
}

/// Though a token by an invented key was sent a moment before it was published.
#[tokio::test]
async fn a_new_key_is_found_within_seconds() {
    for language in Language::ALL {
        let at = Provided::start_with(language, &[]).await;
        at.answers();
        at.inside.is_let_in(&at.token_by(&at.key)).await;
        let invented = at.token_by(&signer::ClientKey::new("unknown", "ES256"));
        assert_eq!(at.status(&invented).await, 401, "{language:?}");
        let new = signer::ClientKey::new("k2", "ES256");
        at.publishes(&[&at.key, &new]);
        let by_new = at.token_by(&new);
        within(15, || async { at.status(&by_new).await == 200 }).await;
    }
}

/// A key that was taken out does not count for ever while the issuer is away.
#[tokio::test]
async fn keys_that_are_too_old_are_used_no_more() {
    for language in Language::ALL {
        let at = Provided::start(language, "2").await;
        at.answers();
        let good = at.token_by(&at.key);
        assert_eq!(at.status(&good).await, 200, "{language:?}\n{}", at.inside.api.log());
        at.provider.answer(METADATA, Answer::status(503));
        within(10, || async { at.status(&good).await == 503 }).await;
        at.answers();
        within(10, || async { at.status(&good).await == 200 }).await;
    }
}

/// Between the API and Signet, so that Signet can go away and come back.
struct Line {
    url: String,
    cut: watch::Sender<bool>,
}

impl Line {
    /// To where it leads is said when that is known.
    async fn start() -> (Self, oneshot::Sender<u16>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let (cut, (tell, told)) = (watch::channel(false).0, oneshot::channel());
        let is_cut = cut.subscribe();
        tokio::spawn(async move {
            let port: u16 = told.await.unwrap();
            while let Ok((mut from, _)) = listener.accept().await {
                let mut is_cut = is_cut.clone();
                tokio::spawn(async move {
                    let mut to = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    tokio::select! {
                        biased;
                        _ = is_cut.wait_for(|cut| *cut) => {}
                        _ = copy_bidirectional(&mut from, &mut to) => {}
                    }
                });
            }
        });
        (Self { url, cut }, tell)
    }
}

#[tokio::test]
async fn while_signet_is_away_the_keys_that_are_known_are_good() {
    for language in Language::ALL {
        let (line, tell) = Line::start().await;
        let issuer = line.url.clone();
        let mut server = signet_with(|config| config.issuer = Issuer::parse(&issuer).unwrap()).await;
        tell.send(server.url.rsplit(':').next().unwrap().parse().unwrap()).unwrap();
        server.url = line.url.clone();
        let inside = Inside::before(server, language, "0").await;
        let good = inside.token("read").await;
        let stranger =
            signer::ClientKey::new("unknown", "ES256").sign_with(&json!({ "typ": "at+jwt" }), &claims(&good));
        // Nothing is known yet: that is nobody's fault but the API's.
        line.cut.send_replace(true);
        let reply = inside.with("GET", &good).await;
        assert_eq!(
            (reply.status, reply.challenge.as_str(), reply.retry_after.as_str()),
            (503, "", "5"),
            "{language:?}"
        );
        assert_eq!(inside.ask("GET", "/orders", None).await.status, 401);
        line.cut.send_replace(false);
        inside.is_let_in(&good).await;
        line.cut.send_replace(true);
        // The unknown key makes it ask, in vain.
        inside.is_unknown(&stranger, "signed by a stranger").await;
        assert!(inside.api.log().matches("cannot be had").count() >= 2, "{}", inside.api.log());
        inside.is_let_in(&good).await;
        line.cut.send_replace(false);
        let newer = inside.rotate().await;
        inside.is_let_in(&newer).await;
    }
}
