//! Families of refresh tokens (RFC 6749 §6, RFC 9700 §2.2.2 and §4.14.2): repeats within the grace window agree, a copy
//! ends the family, and what else ends it.

use futures::future::join_all;
use serde_json::{Value, json};
use signet::domain::event::EventKind;
use signet::domain::ids::SessionId;
use signet::store::{events, sessions};

use crate::support::oauth2_proxy::OAuth2Proxy;
use crate::support::{CALLBACK, SECRET, Server, VERIFIER};
use crate::token::claims;

/// What the record says of a token that was refused without ending the family.
const STRAGGLER: &str = "an old refresh token was refused that parallel requests had just used";
const OFFLINE: &str = "openid email offline_access";

async fn refresh_as(server: &Server, client: &str, token: &str) -> (u16, Value) {
    server.token_as(client, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

async fn refresh(server: &Server, token: &str) -> (u16, Value) {
    refresh_as(server, "web", token).await
}

fn refresh_token(answer: &Value) -> String {
    answer["refresh_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// The answer to a first redemption by `client`.
async fn redeemed(server: &Server, client: &str, scope: &str) -> Value {
    let path = server.authorize(&[("client_id", client), ("scope", scope)]);
    let code = server.browser().sign_in(&path).await["code"].clone();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let (status, answer) = server.token_as(client, &form).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn first(server: &Server) -> String {
    refresh_token(&redeemed(server, "web", OFFLINE).await)
}

async fn is_active(server: &Server, token: &str) -> bool {
    let request = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url));
    let answer = request.basic_auth("web", Some(SECRET)).form(&[("token", token)]).send().await.unwrap();
    answer.json::<Value>().await.unwrap()["active"] == true
}

async fn reuse_events(server: &Server) -> Vec<String> {
    let filter = events::EventFilter { kinds: vec![EventKind::TokenReused], most: 100, ..Default::default() };
    let found = events::list(server.app.store().read(), &filter).await.unwrap();
    found.into_iter().map(|event| event.detail).collect()
}

#[tokio::test]
async fn a_repeat_within_the_window_gets_the_same_successor() {
    let server = Server::with_alice().await;
    let old = first(&server).await;
    let (_, answer) = refresh(&server, &old).await;
    let (successor, access) = (refresh_token(&answer), answer["access_token"].as_str().unwrap().to_owned());
    assert_ne!(successor, old);
    for seconds in [0, 30, 30] {
        server.advance(seconds);
        let (status, answer) = refresh(&server, &old).await;
        assert_eq!((status, refresh_token(&answer)), (200, successor.clone()));
        assert_ne!(answer["access_token"], access.as_str(), "an access token of its own");
    }
    assert!(is_active(&server, &access).await);
    assert!(is_active(&server, &successor).await);
    assert_eq!(refresh(&server, &successor).await.0, 200);
    assert_eq!(reuse_events(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_repeat_after_the_window_ends_the_family() {
    let server = Server::with_alice().await;
    let old = first(&server).await;
    let (_, answer) = refresh(&server, &old).await;
    server.advance(61);
    assert_eq!(refresh(&server, &old).await.1["error"], "invalid_grant");
    assert_eq!(refresh(&server, &refresh_token(&answer)).await.1["error"], "invalid_grant");
    assert!(!is_active(&server, answer["access_token"].as_str().unwrap()).await);
    assert_eq!(reuse_events(&server).await, ["an old refresh token was used"]);
}

/// RFC 9700 §4.14.2: whoever used the successor had the answer, so the token before it is no lost reply and is never
/// accepted. It ends the family, unless parallel requests used it and its successor was first used a moment ago.
#[tokio::test]
async fn a_token_two_generations_old_is_refused() {
    let (server, mut stragglers) = (Server::with_alice().await, 0);
    for (requests, seconds, goes_on) in
        [(1, 0, false), (1, 2, false), (1, 11, false), (2, 0, true), (2, 1, false), (2, 3, false), (2, 30, false)]
    {
        let case = format!("{requests} requests, after {seconds} s");
        let before = reuse_events(&server).await.len();
        let oldest = first(&server).await;
        let old = refresh_token(&refresh(&server, &oldest).await.1);
        for _ in 1..requests {
            assert_eq!(refresh_token(&refresh(&server, &oldest).await.1), old);
        }
        let (_, answer) = refresh(&server, &old).await;
        let current = refresh_token(&answer);
        server.advance(seconds);
        assert_eq!(refresh(&server, &oldest).await.1["error"], "invalid_grant", "{case}");
        assert_eq!(is_active(&server, answer["access_token"].as_str().unwrap()).await, goes_on, "{case}");
        assert_eq!(refresh(&server, &current).await.0 == 200, goes_on, "{case}");
        let events = reuse_events(&server).await;
        assert_eq!(events.len(), before + 1, "{case}");
        stragglers += usize::from(goes_on);
        assert_eq!(events.iter().filter(|detail| *detail == STRAGGLER).count(), stragglers, "{case}");
    }
}

/// A thief who rotates a stolen token twice at once does not shut its owner out without a trace: the owner's next request
/// ends what the thief has.
#[tokio::test]
async fn a_thief_who_rotates_twice_at_once_is_ended_by_the_owner() {
    let server = Server::with_alice().await;
    let stolen = first(&server).await;
    let second = refresh_token(&refresh(&server, &stolen).await.1);
    let third = refresh_token(&refresh(&server, &second).await.1);
    assert_eq!(refresh(&server, &stolen).await.1["error"], "invalid_grant");
    assert_eq!(refresh(&server, &third).await.1["error"], "invalid_grant");
    assert_eq!(reuse_events(&server).await, ["an old refresh token was used"]);
}

/// A client whose cookie is refreshed each second, with parallel requests and one that comes a generation later still.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn quick_parallel_refreshes_never_end_the_family() {
    let nodes = Server::with_alice().await.nodes().await;
    for pause in [0, 1] {
        let mut token = first(&nodes[0]).await;
        let mut straggler: Option<String> = None;
        for round in 0..40 {
            let all = join_all((0..4).map(|at| refresh(&nodes[at % nodes.len()], &token))).await;
            assert!(all.iter().all(|(status, _)| *status == 200), "round {round}, {pause} s: {all:?}");
            if let Some(old) = straggler {
                assert_eq!(refresh(&nodes[0], &old).await.1["error"], "invalid_grant");
            }
            let next = refresh_token(&all[0].1);
            assert!(all.iter().all(|(_, answer)| refresh_token(answer) == next), "round {round}, {pause} s");
            straggler = Some(std::mem::replace(&mut token, next));
            nodes[0].advance(pause);
        }
    }
    assert!(
        reuse_events(&nodes[0]).await.iter().all(|detail| detail == STRAGGLER),
        "the record tells of each straggler"
    );
}

#[tokio::test]
async fn the_grace_window_is_a_setting_and_a_clients_own() {
    let server = Server::start_with(|config| config.lifetimes.refresh_token_grace = 20).await;
    server.user("alice").await;
    server.client("web", json!({})).await;
    server.client("none", json!({ "refresh_token_grace": 0 })).await;
    server.client("long", json!({ "refresh_token_grace": 600 })).await;
    for (client, within, after) in [("web", 20, 21), ("none", 0, 1), ("long", 600, 601)] {
        for (seconds, expected) in [(within, 200), (after, 400)] {
            let old = refresh_token(&redeemed(&server, client, OFFLINE).await);
            assert_eq!(refresh_as(&server, client, &old).await.0, 200);
            server.advance(seconds);
            assert_eq!(refresh_as(&server, client, &old).await.0, expected, "{client} after {seconds} s");
        }
    }
}

#[tokio::test]
async fn a_client_without_rotation_keeps_its_refresh_token() {
    let server = Server::with_alice().await;
    server.client("kept", json!({ "refresh_token_rotation": "never" })).await;
    let token = refresh_token(&redeemed(&server, "kept", OFFLINE).await);
    for _ in 0..3 {
        // The refresh token's own lifetime is 30 days from its last use.
        server.advance(20 * 86_400);
        let all = join_all((0..4).map(|_| refresh_as(&server, "kept", &token))).await;
        assert!(all.iter().all(|(status, answer)| *status == 200 && refresh_token(answer) == token), "{all:?}");
    }
    server.advance(31 * 86_400);
    assert_eq!(refresh_as(&server, "kept", &token).await.1["error"], "invalid_grant");
    assert_eq!(reuse_events(&server).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rotation_and_grace_are_what_documents_say() {
    let server = Server::start().await;
    let program = |meta: Value| {
        let mut client = json!({ "client_id": "web", "redirect_uris": [CALLBACK] });
        client.as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
        signet::manage::document::Document::parse(
            &json!({ "clients": [client] }).to_string(),
            signet::manage::document::DocumentFormat::Json,
        )
    };
    let refused = program(json!({ "token_endpoint_auth_method": "none", "refresh_token_rotation": "never" }));
    let problems = refused.unwrap().problems();
    assert_eq!(problems[0].field, "clients[0].refresh_token_rotation");
    assert!(problems[0].message.contains("never needs a client that authenticates"), "{problems:?}");
    let members = json!({ "refresh_token_rotation": "never", "refresh_token_grace": 5 });
    assert!(program(members.clone()).unwrap().problems().is_empty());
    server.client("web", members).await;
    let exported = signet::manage::export::export(&server.app.manager()).await.unwrap();
    let exported = serde_json::to_value(exported).unwrap();
    assert_eq!(exported["clients"][0]["refresh_token_rotation"], "never");
    assert_eq!(exported["clients"][0]["refresh_token_grace"], 5);
}

#[tokio::test]
async fn a_refresh_token_ends_with_its_session() {
    let server = Server::with_alice().await;
    let session_lifetime = server.app.config.lifetimes.session;
    for (scope, survives) in [("openid", false), (OFFLINE, true)] {
        let answer = redeemed(&server, "web", scope).await;
        let session: SessionId = claims(answer["id_token"].as_str().unwrap())["sid"].as_str().unwrap().parse().unwrap();
        let ends = sessions::by_id(server.app.store().read(), session).await.unwrap().unwrap().expires_at;
        let mut token = refresh_token(&answer);
        for _ in 1..session_lifetime / 3600 {
            server.advance(3600);
            let (status, answer) = refresh(&server, &token).await;
            assert_eq!(status, 200, "{answer}");
            token = refresh_token(&answer);
        }
        server.advance(ends.since(server.app.env().now()) / 1000);
        assert_eq!(is_active(&server, &token).await, survives, "{scope}");
        assert_eq!(refresh(&server, &token).await.0 == 200, survives, "{scope}");
    }
}

/// T4, CVE-2026-9802: 64 parallel refreshes with one token, on every node there is, agree on one successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_refreshes_on_all_nodes_agree() {
    let nodes = Server::with_alice().await.nodes().await;
    let mut token = first(&nodes[0]).await;
    for _ in 0..3 {
        let all = join_all((0..64).map(|at| refresh(&nodes[at % nodes.len()], &token))).await;
        assert!(all.iter().all(|(status, _)| *status == 200), "{all:?}");
        token = refresh_token(&all[0].1);
        assert!(all.iter().all(|(_, answer)| refresh_token(answer) == token));
        nodes[0].advance(600);
    }
    assert_eq!(reuse_events(&nodes[0]).await, Vec::<String>::new());
}

/// T43: a superseded token passed as a lost reply, and thief and owner alternated for 16 refreshes without an event. A
/// thief who repeats within two seconds of the owner's own refresh looks like a parallel request.
#[tokio::test]
async fn a_thief_and_an_owner_in_turn_are_noticed() {
    let server = Server::with_alice().await;
    for pause in [3, 4, 6, 10, 11, 15, 16, 29, 31, 45, 60, 61, 300] {
        let before = reuse_events(&server).await.len();
        let stolen = first(&server).await;
        let mut tokens = [stolen.clone(), stolen];
        for at in 0..16 {
            server.advance(pause);
            let (status, answer) = refresh(&server, &tokens[at % 2]).await;
            if status != 200 {
                break;
            }
            tokens[at % 2] = refresh_token(&answer);
        }
        assert_eq!(reuse_events(&server).await.len(), before + 1, "with {pause} s between them");
        for token in tokens {
            assert_eq!(refresh(&server, &token).await.0, 400, "with {pause} s between them");
        }
    }
}

/// T37: the window is judged by the database's clock, whatever the nodes' own clocks say.
#[tokio::test]
async fn skewed_clocks_of_nodes_change_no_window() {
    let server = Server::with_alice().await;
    for skew in [300, -300] {
        let other = server.skewed_node(skew).await;
        for (rotates, repeats) in [(&server, &other), (&other, &server)] {
            for (seconds, expected) in [(0, 200), (60, 200), (61, 400)] {
                let old = first(&server).await;
                let (status, answer) = refresh(rotates, &old).await;
                assert_eq!(status, 200, "{answer}");
                server.advance(seconds);
                let (status, repeated) = refresh(repeats, &old).await;
                assert_eq!(status, expected, "{skew} s off, after {seconds} s: {repeated}");
                if expected == 200 {
                    assert_eq!(refresh_token(&repeated), refresh_token(&answer));
                }
            }
        }
    }
}

/// It redirects whoever is not signed in, and refreshes what is older than a second by its own clock.
const WITHOUT_PAGES: [&str; 4] = [
    "--skip-provider-button",
    "--cookie-refresh=1s",
    "--scope=openid email offline_access",
    "--code-challenge-method=S256",
];

/// oauth2-proxy keeps its tokens in a cookie and takes no lock: each of the parallel requests of a page refreshes by
/// itself with the same refresh token.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_requests_through_oauth2_proxy_keep_the_session() {
    let server = Server::with_alice().await;
    let proxy = OAuth2Proxy::start(&server, &WITHOUT_PAGES).await;
    let mut cookies = proxy.sign_in(&server).await;
    for _ in 0..12 {
        // It refreshes what is older than a second by its own clock.
        let answers = proxy.get_once_old(&cookies, 24).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "{:?}", proxy.log());
        assert!(answers.iter().filter(|answer| !answer.cookies.is_empty()).count() > 1, "{:?}", proxy.log());
        cookies = answers.into_iter().rev().find(|answer| !answer.cookies.is_empty()).unwrap().cookies;
    }
    assert_eq!(reuse_events(&server).await, Vec::<String>::new());
}
