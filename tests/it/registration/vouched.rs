//! Redirect URIs that the settings vouch for (`registration_policy.redirect_schemes`, `http_redirect_hosts`), of clients that
//! register themselves and of clients with metadata documents. Next door: [`super::narrowing`], what is left of the rest.

use reqwest::Method;
use serde_json::{Value, json};
use signet::config::RegistrationMode;
use signet::domain::http_host::HttpHost;
use signet::domain::ids::ClientId;

use super::{ask, managed, register};
use crate::support::Server;
use crate::support::receiver::{Answer, Receiver, reachable};

const GOOD: &str = "https://app.example/cb";

/// Where registration is open and the settings vouch for these.
async fn vouching(schemes: &[&str], hosts: &[&str]) -> Server {
    let texts = |all: &[&str]| all.iter().map(ToString::to_string).collect();
    let server = Server::start_with(|config| {
        config.registration = RegistrationMode::Open;
        config.registration_policy.redirect_schemes = texts(schemes);
        config.registration_policy.http_redirect_hosts = texts(hosts);
        reachable(config);
    })
    .await;
    server.user("alice").await;
    server
}

fn app(uris: &[&str]) -> Value {
    json!({ "redirect_uris": uris, "token_endpoint_auth_method": "none" })
}

/// Whether an authorization request with that redirect URI gets to the sign-in page.
async fn is_accepted(server: &Server, client: &str, uri: &str) -> bool {
    let asked = server.authorize(&[("client_id", client), ("redirect_uri", uri), ("scope", "openid")]);
    match server.browser().page(&asked).await.name().as_str() {
        "login" => true,
        "error" => false,
        other => panic!("{client} {uri}: the page {other}"),
    }
}

/// The settings vouch for what any app or host could claim: apps that register themselves have such addresses then.
#[tokio::test]
async fn settings_vouch_for_schemes_and_http_hosts() {
    let server = vouching(&["cursor"], &["*.home.arpa"]).await;
    for uri in ["cursor://auth/callback", "http://nas.home.arpa:8123/cb"] {
        let (status, answer) = register(&server, &app(&[uri])).await;
        assert_eq!((status, &answer["redirect_uris"]), (201, &json!([uri])), "{answer}");
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        let id = answer["client_id"].as_str().unwrap();
        let asked = server.authorize(&[("client_id", id), ("redirect_uri", uri), ("scope", "openid")]);
        assert_eq!(browser.page(&asked).await.name(), "consent", "{uri}");
        let (path, token) = managed(&answer);
        let changed = json!({ "client_id": id, "redirect_uris": [uri, "https://app.example/cb"], "token_endpoint_auth_method": "none" });
        let changed = ask(&server, Method::PUT, &path, Some(token), Some(&changed)).await;
        assert_eq!(changed.json::<Value>().await.unwrap()["redirect_uris"], json!([uri, "https://app.example/cb"]));
    }
    for uri in ["vscode://auth/callback", "cursors://a/b", "http://home.arpa/cb", "http://nas.lan/cb"] {
        let (status, answer) = register(&server, &app(&[uri])).await;
        assert_eq!((status, &answer["error"]), (400, &json!("invalid_redirect_uri")), "{uri}: {answer}");
        let (status, answer) = register(&server, &app(&[uri, "http://127.0.0.1/cb"])).await;
        assert_eq!((status, &answer["redirect_uris"]), (201, &json!(["http://127.0.0.1/cb"])), "{uri}");
    }
}

/// One bad address costs the client neither the good one nor its host; of the settings it gets that host and nothing more.
#[tokio::test]
async fn a_vouched_host_stays_when_another_uri_is_refused() {
    let server = vouching(&[], &["*.home.arpa", "192.168.1.0/24", "nas.lan"]).await;
    for (good, bad, hosts) in [
        (&["http://nas.home.arpa:8123/cb"][..], &["http://app.example/cb"][..], &["nas.home.arpa"][..]),
        (&["http://192.168.1.7/cb"], &["http://192.168.2.7/cb", "cursor://callback"], &["192.168.1.7"]),
        (
            &["http://nas.lan/cb", "http://a.b.home.arpa/cb"],
            &["http://home.arpa/cb", "http://nas.lan.evil.example/cb", "http://evilnas.lan/cb"],
            &["nas.lan", "a.b.home.arpa"],
        ),
        (&[GOOD], &["http://tv.lan/cb", "https://app.example/#fragment"], &[]),
    ] {
        let sent: Vec<&str> = bad.iter().chain(good).copied().collect();
        let mut body = app(&sent);
        body["post_logout_redirect_uris"] = json!(sent);
        let (status, answer) = register(&server, &body).await;
        assert_eq!(status, 201, "{sent:?}: {answer}");
        for member in ["redirect_uris", "post_logout_redirect_uris"] {
            assert_eq!(answer[member], json!(good), "{member}");
        }
        let id = answer["client_id"].as_str().unwrap();
        for (uris, accepted) in [(good, true), (bad, false)] {
            for uri in uris {
                assert_eq!(is_accepted(&server, id, uri).await, accepted, "{uri}");
            }
        }
        let client = server.app.provider.client(&ClientId::parse(id).unwrap()).await.unwrap().unwrap();
        let kept: Vec<&str> = client.meta.http_redirect_hosts.iter().map(HttpHost::as_str).collect();
        assert_eq!(kept, hosts, "not the network or the names that the settings have");
    }
}

/// A scheme is that scheme: neither one that begins alike or is written otherwise, nor one that a browser acts on.
#[tokio::test]
async fn no_scheme_but_those_of_the_settings_is_registered() {
    let server = vouching(&["cursor"], &[]).await;
    let there = Receiver::start().await;
    for (at, (uri, allowed)) in [
        ("cursor://auth/callback", true),
        ("cursor:/callback", true),
        ("cursors://auth/callback", false),
        ("curso://auth/callback", false),
        ("cursor-beta://auth/callback", false),
        ("cursor+ssh://auth/callback", false),
        ("Cursor://auth/callback", false),
        ("CURSOR://auth/callback", false),
        ("vscode://cursor/callback", false),
        ("javascript://cursor/%0aalert(1)", false),
        ("JavaScript:alert(1)", false),
        ("data:text/html,cursor://", false),
        ("file:///cursor/callback", false),
        ("http://cursor/callback", false),
        ("intent://cursor/callback", false),
    ]
    .into_iter()
    .enumerate()
    {
        let (status, answer) = register(&server, &app(&[uri])).await;
        assert_eq!(status, if allowed { 201 } else { 400 }, "{uri}: {answer}");
        let sent = [uri, GOOD];
        let left = if allowed { &sent[..] } else { &sent[1..] };
        let (status, answer) = register(&server, &app(&sent)).await;
        assert_eq!((status, &answer["redirect_uris"]), (201, &json!(left)), "{uri}");
        let path = format!("/{at}.json");
        let mut document = app(&sent);
        document["client_id"] = json!(there.at(&path));
        there.answer(&path, Answer::json(&document));
        for id in [answer["client_id"].as_str().unwrap(), &there.at(&path)] {
            assert_eq!(is_accepted(&server, id, uri).await, allowed, "{id}: {uri}");
            assert!(is_accepted(&server, id, GOOD).await, "{id}: {GOOD} beside {uri}");
        }
    }
}
