//! What Signet asks of addresses that strangers name: whatever is there, it is let go of in bounded time and
//! memory, and nobody else waits for it.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use signet::config::Config;
use signet::outbound::{OutboundClient, OutboundError};

use crate::support::authority::Authority;
use crate::support::receiver::{self, Answer, Receiver};

/// One that may go to 127.0.0.1.
fn near() -> OutboundClient {
    let mut config = Config::default();
    receiver::reachable(&mut config);
    OutboundClient::new(&config).unwrap()
}

/// Gives up soon; only for what would last for ever.
fn impatient() -> OutboundClient {
    near().with_timeout(Duration::from_millis(300))
}

async fn refusal(outbound: &OutboundClient, url: &str) -> OutboundError {
    outbound.get(url, "application/json").await.unwrap_err()
}

#[tokio::test]
async fn an_answer_comes_with_its_type_and_its_age() {
    let there = Receiver::start().await;
    there.answer("/keys", Answer::json(&json!({ "keys": [] })).header("cache-control", "max-age=300"));
    let fetched = near().get(&there.at("/keys?a=b#c"), "application/json").await.unwrap();
    assert_eq!(fetched.body, br#"{"keys":[]}"#);
    assert_eq!((fetched.content_type.as_deref(), fetched.max_age), (Some("application/json"), Some(300)));
    let [asked] = &there.requests("/keys")[..] else { panic!("asked once") };
    assert_eq!(asked.headers["accept"], "application/json");
    for never in ["cookie", "authorization", "referer", "accept-encoding"] {
        assert!(!asked.headers.contains_key(never), "{never}");
    }
    there.answer("/logout", Answer::status(204));
    assert_eq!(near().post_form(&there.at("/logout"), &[("logout_token", "a&b")]).await, Ok(204));
    let asked = there.requests("/logout");
    assert_eq!((asked[0].method.as_str(), asked[0].form()["logout_token"].as_str()), ("POST", "a&b"));
}

#[tokio::test]
async fn what_is_slow_huge_packed_or_elsewhere_is_let_go_of() {
    let there = Receiver::start().await;
    let packed =
        Answer::body("application/json", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0]).header("content-encoding", "gzip");
    let (most, more) = (vec![b' '; 256 * 1024], vec![b' '; 256 * 1024 + 1]);
    for (path, answer, why) in [
        ("/huge", Answer::body("application/json", more), OutboundError::TooLarge),
        ("/endless", Answer::endless(), OutboundError::TooLarge),
        ("/packed", packed, OutboundError::Packed),
        ("/moved", Answer::status(302).header("location", there.at("/secret")), OutboundError::Status(302)),
        ("/kept", Answer::status(307).header("location", "http://169.254.169.254/"), OutboundError::Status(307)),
        ("/created", Answer::status(201), OutboundError::Status(201)),
        ("/broken", Answer::status(500), OutboundError::Status(500)),
    ] {
        there.answer(path, answer);
        assert_eq!(refusal(&near(), &there.at(path)).await, why, "{path}");
    }
    assert!(there.requests("/secret").is_empty(), "no redirect is followed");
    assert_eq!(near().post_form(&there.at("/moved"), &[]).await, Ok(302));
    assert!(there.requests("/secret").is_empty(), "nor with a form");
    for (path, answer) in [("/drips", Answer::drips()), ("/silence", Answer::silence())] {
        there.answer(path, answer);
        assert_eq!(refusal(&impatient(), &there.at(path)).await, OutboundError::Slow, "{path}");
    }
    there.answer("/most", Answer::body("application/json", most));
    assert_eq!(near().get(&there.at("/most"), "*/*").await.unwrap().body.len(), 256 * 1024);
    there.answer("/drips", Answer::drips());
    assert_eq!(near().post_form(&there.at("/endless"), &[]).await, Ok(200), "an endless answer to a form is not read");
}

#[tokio::test]
async fn private_addresses_are_refused_and_never_asked() {
    let there = Receiver::start().await;
    there.answer("/", Answer::json(&json!({})));
    let secured = Receiver::start_tls(&Authority::new()).await;
    secured.answer("/", Answer::json(&json!({})));
    let outbound = OutboundClient::new(&Config::default()).unwrap();
    assert_eq!(refusal(&outbound, &there.at("/")).await, OutboundError::NotHttps);
    assert_eq!(refusal(&outbound, &secured.at("/")).await, OutboundError::Address, "a name that leads to 127.0.0.1");
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "0x7f.1"] {
        let url = secured.at("/").replace("localhost", host);
        assert_eq!(refusal(&outbound, &url).await, OutboundError::Address, "{url}");
        assert_eq!(outbound.post_form(&url, &[]).await, Err(OutboundError::Address), "{url}");
    }
    assert_eq!(refusal(&outbound, "https://no-such-host.invalid/").await, OutboundError::UnknownHost);
    // An allowed network is no reason for plain http elsewhere.
    let plain_name = there.at("/").replace("127.0.0.1", "localhost");
    let mut config = Config::default();
    config.outbound.allow = serde_json::from_value(json!(["10.0.0.0/8"])).unwrap();
    assert_eq!(refusal(&OutboundClient::new(&config).unwrap(), &plain_name).await, OutboundError::Address);
    assert!(there.requests("/").is_empty() && secured.requests("/").is_empty());
    config.outbound.allow = serde_json::from_value(json!(["localhost"])).unwrap();
    assert_eq!(OutboundClient::new(&config).unwrap().get(&plain_name, "*/*").await.unwrap().body, b"{}");
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_it_is_named() {
    let authority = Authority::new();
    let there = Receiver::start_tls(&authority).await;
    there.answer("/", Answer::json(&json!({})));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let mut config = Config::default();
    receiver::reachable(&mut config);
    let OutboundError::Unreachable(why) = refusal(&OutboundClient::new(&config).unwrap(), &there.at("/")).await else {
        panic!("trusted by nobody")
    };
    assert!(why.contains("certificate"), "{why}");
    config.outbound.ca_file = Some(file.clone());
    let broken = "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n";
    for (content, what) in
        [(None, "missing"), (Some(""), "empty"), (Some("nonsense"), "no PEM"), (Some(broken), "no DER")]
    {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let error = OutboundClient::new(&config).err().expect(what);
        assert!(error.contains("outbound.ca_file") && error.contains("ca.pem"), "{what}: {error}");
    }
    std::fs::write(&file, &authority.root).unwrap();
    assert_eq!(OutboundClient::new(&config).unwrap().get(&there.at("/"), "*/*").await.unwrap().body, b"{}");
}

/// T19: as many requests to a host that never answers as anybody likes, and another host is asked meanwhile.
#[tokio::test]
async fn a_slow_host_holds_up_nobody_else() {
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    slow.answer("/", Answer::silence());
    quick.answer("/", Answer::json(&json!({})));
    let outbound = near();
    let impatient = outbound.with_timeout(Duration::from_secs(3));
    let (held, at) = (slow.at("/"), quick.at("/").replace("127.0.0.1", "localhost"));
    let all = tokio::spawn(async move { join_all((0..200).map(|_| refusal(&impatient, &held))).await });
    slow.asked("/", 4).await;
    assert_eq!(outbound.get(&at, "*/*").await.unwrap().body, b"{}");
    assert_eq!(slow.requests("/").len(), 4, "one host is asked four times at once");
    assert!(!all.is_finished());
    let all = all.await.unwrap();
    // The others waited in vain, or their turn came when the first four gave up.
    let slow = all.iter().filter(|error| **error == OutboundError::Slow).count();
    let busy = all.iter().filter(|error| **error == OutboundError::Busy).count();
    assert!(slow >= 4 && busy > 0 && slow + busy == 200, "{slow} {busy}");
}
