//! Many at once, on one node and on two, and a restart between: what may happen once happens once.

use futures::future::join_all;
use serde_json::{Value, json};
use signet::domain::event::EventKind;
use signet::manage::{AuditContext, users};
use signet::store::{events, sessions, users as rows};
use signet::web::pages::setup;

use super::{http, refresh, text, tokens, userinfo};
use crate::support::{CALLBACK, PASSWORD, Server, VERIFIER};

/// T4, CVE-2026-1035: of 64 redemptions of one code, on every node there is, one succeeds; and since the others are
/// replays, nothing that was issued from it lives on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_redemptions_on_all_nodes_one_succeeds() {
    let nodes = Server::with_alice().await.nodes().await;
    let code = nodes[0].code("openid offline_access").await;
    let all = join_all((0..64).map(|at| nodes[at % nodes.len()].redeem(&code))).await;
    let won: Vec<&Value> = all.iter().filter(|(status, _)| *status == 200).map(|(_, body)| body).collect();
    assert_eq!(won.len(), 1);
    assert!(all.iter().filter(|(status, _)| *status != 200).all(|(_, body)| body["error"] == "invalid_grant"));
    for node in &nodes {
        node.app.store().authority().catch_up(node.app.store()).await.unwrap();
        assert_eq!(refresh(node, &text(won[0], "refresh_token")).await.0, 400);
        assert_eq!(userinfo(node, &text(won[0], "access_token")).await, 401);
    }
}

/// T4, CVE-2026-9802: a process that starts again has forgotten nothing of what was used before.
#[tokio::test]
async fn a_replay_after_a_restart_is_still_a_replay() {
    let before = Server::with_alice().await;
    let code = before.code("openid offline_access").await;
    let first = before.redeem(&code).await.1;
    let old = text(&tokens(&before, "openid offline_access").await, "refresh_token");
    let new = text(&refresh(&before, &old).await.1, "refresh_token");
    let access = text(&tokens(&before, "openid offline_access").await, "access_token");
    assert_eq!(super::revoke(&before, "web", &access).await, 200);
    before.app.store().close().await;
    let after = before.node().await;
    after.advance(61);
    assert_eq!(after.redeem(&code).await.1["error"], "invalid_grant");
    assert_eq!(userinfo(&after, &text(&first, "access_token")).await, 401, "the code's family has ended");
    assert_eq!(refresh(&after, &old).await.1["error"], "invalid_grant");
    assert_eq!(refresh(&after, &new).await.1["error"], "invalid_grant", "the copied family has ended");
    assert_eq!(userinfo(&after, &access).await, 401, "revoked is revoked");
}

/// T4, CVE-2026-1035: a family whose end is told many times over is ended once; the feed and the events do not grow with
/// each repetition.
#[tokio::test]
async fn repeating_a_replay_fills_nothing() {
    let server = Server::with_alice().await;
    let code = server.code("openid offline_access").await;
    server.redeem(&code).await;
    for _ in 0..5 {
        assert_eq!(server.redeem(&code).await.0, 400);
    }
    let filter = events::EventFilter { kinds: vec![EventKind::TokenReused], most: 100, ..Default::default() };
    let events = events::list(server.app.store().read(), &filter).await.unwrap();
    assert_eq!(events.len(), 1);
}

/// T18, T35: an interaction that is allowed in two tabs at once ends once: there is one code, on every node, and each tab
/// leads to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_tabs_get_one_code() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    let login = browser.open(&server.authorize(&[])).await.ok().unwrap();
    let consent = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    let all = join_all((0..8).map(|_| browser.submit(&consent, &[("decision", "allow")]))).await;
    let answers: Vec<_> = all.into_iter().map(|answer| answer.err().expect("an answer to the app")).collect();
    assert!(answers.iter().all(|answer| answer.contains_key("code") && *answer == answers[0]), "{answers:?}");
    assert_eq!(server.redeem(&answers[0]["code"]).await.0, 200);
    let late = browser.submit(&consent, &[("decision", "allow")]).await.expect("a page: the code is spent");
    assert_eq!(late.name(), "signed-in");
}

/// T35, CVE-2022-23555: of two browsers with the one set-up link, one makes the administrator.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_browsers_one_makes_the_first_administrator() {
    let server = Server::start().await;
    let link = setup::link(&server.app).await.unwrap().unwrap();
    let path = link.expose().strip_prefix(&server.url).unwrap().to_owned();
    // All have the page before one sends it: a link that is used up has none.
    let opened = join_all(["alice", "bob", "carol", "dave"].map(|name| {
        let (browser, path) = (server.browser(), &path);
        async move { (name, browser.page(path).await, browser) }
    }));
    let tries = opened.await.into_iter().map(|(name, page, browser)| async move {
        let email = format!("{name}@example.com");
        let fields = [("name", name), ("email", &email), ("username", name), ("password", PASSWORD)];
        browser.submit(&page, &fields).await.ok().unwrap().name()
    });
    let pages = join_all(tries).await;
    assert_eq!(pages.iter().filter(|page| *page == "admin").count(), 1, "{pages:?}");
    assert_eq!(pages.iter().filter(|page| *page == "error").count(), 3, "{pages:?}");
    assert!(setup::link(&server.app).await.unwrap().is_none());
}

/// T5, CVE-2026-43983: somebody who is turned off, or whose password is changed, while a sign-in with the old one is on
/// its way has no session afterwards, whichever came first.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sign_in_on_its_way_does_not_outlive_what_ends_it() {
    let server = Server::with_alice().await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    for round in 0..6 {
        let id = server.user(&format!("person{round}")).await;
        let browser = server.browser();
        let login = browser.page("/login").await;
        let name = format!("person{round}");
        let fields = [("username", name.as_str()), ("password", PASSWORD)];
        let change = async {
            // As long as so many look-ups take: somewhere within the time that checking a password takes.
            for _ in 0..round * 40 {
                rows::by_id(server.app.store().read(), id).await.unwrap();
            }
            users::disable(&manager, &by, id).await.unwrap();
        };
        let (signed_in, ()) = futures::future::join(browser.submit(&login, &fields), change).await;
        assert!(signed_in.is_ok(), "a page, whichever it is");
        let alive = sessions::of_user(server.app.store().read(), id, server.app.env().now()).await.unwrap();
        assert!(alive.is_empty(), "round {round}");
        let page = browser.open("/account").await.ok().unwrap();
        assert_eq!(page.name(), "login", "round {round}");
    }
}

/// T5: sign-ins at once in one browser, whose session is to go on, are so many responses and no failure. One that comes
/// when the session has a new cookie already begins a session of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_form_sent_twice_signs_in() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    let alice = server.person("alice").await.id;
    let alive = async || sessions::of_user(server.app.store().read(), alice, server.app.env().now()).await.unwrap();
    let before = alive().await;
    let login = browser.page("/login").await;
    let all = join_all((0..4).map(|_| {
        let (action, form) = login.form(&[("username", "alice"), ("password", PASSWORD)]);
        let (browser, action, form) = (&browser, action, form);
        async move { browser.raw_post(&action, &form).await.status().as_u16() }
    }))
    .await;
    assert!(all.iter().all(|status| *status == 303), "{all:?}");
    let after = alive().await;
    assert!(before.len() == 1 && after.iter().any(|session| session.id == before[0].id), "the session goes on");
    assert!(after.len() <= 4, "{}", after.len());
    assert_eq!(browser.page("/account").await.name(), "account", "the browser is signed in");
}

/// T4 for public clients, who prove nothing but the verifier.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_public_client_redeems_once_too() {
    let server = Server::with_alice().await;
    server.client("spa", json!({ "token_endpoint_auth_method": "none" })).await;
    let browser = server.browser();
    let code = browser.sign_in(&server.authorize(&[("client_id", "spa")])).await["code"].clone();
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "spa"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let url = format!("{}/oauth2/token", server.url);
    let all = join_all((0..32).map(|_| http().post(&url).form(&form).send())).await;
    assert_eq!(all.into_iter().filter(|answer| answer.as_ref().unwrap().status() == 200).count(), 1);
}
