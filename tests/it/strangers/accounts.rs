//! Accounts, their sessions and what is recorded of those who try to sign in.

use futures::future::join_all;
use reqwest::{Method, Response};
use signet::config::{Quotas, SignUpMode};
use signet::domain::ids::UserId;
use signet::manage::{AuditContext, users};
use signet::store::sessions;

use super::{NEIGHBOUR, ONE, OTHER, rows, server, server_with};
use crate::support::{Browser, PASSWORD, Server};

async fn sign_up(server: &Server, name: &str) -> Response {
    let browser = server.browser();
    let page = browser.page("/signup").await;
    let (action, form) = page.form(&[("username", name), ("password", PASSWORD), ("name", ""), ("email", "")]);
    browser.raw_post(&action, &form).await
}

#[tokio::test]
async fn accounts_made_by_signing_up_are_limited_in_all() {
    let quotas = Quotas { self_registered_users: 2, ..Quotas::default() };
    let server = server_with(quotas, |config| config.sign_up = SignUpMode::Open).await;
    for name in ["carol", "dave"] {
        assert_eq!(sign_up(&server, name).await.status(), 303);
    }
    let full = sign_up(&server, "erin").await;
    assert_eq!(full.status(), 429);
    assert!(full.headers().contains_key("retry-after"));
    server.user("frank").await;
    server.browser().sign_in_as("alice").await;
}

#[tokio::test]
async fn one_session_too_many_ends_the_least_recently_used() {
    let server = server(Quotas { sessions_per_user: 3, ..Quotas::default() }).await;
    let browsers: Vec<Browser> = (0..5).map(|_| server.browser()).collect();
    for browser in &browsers {
        browser.sign_in_as("alice").await;
        server.advance(1);
    }
    assert_eq!(rows(&server, "session").await, 3);
    for (at, browser) in browsers.iter().enumerate() {
        let account = browser.page("/account").await;
        assert_eq!(account.name() == "login", at < 2, "{at}: {}", account.name());
    }
}

#[tokio::test]
async fn where_very_many_counters_run_known_browsers_sign_in() {
    let server = server(Quotas { failure_counters: 4, ..Quotas::default() }).await;
    let known = server.browser();
    known.sign_in_as("alice").await;
    known.page("/oauth2/logout").await;
    let fail = async |browser: &Browser, name: &str, address: &str| {
        let (action, form) = browser.page("/login").await.form(&[("username", name), ("password", "wrong")]);
        browser.request(Method::POST, &action).header("x-forwarded-for", address).form(&form).send().await.unwrap()
    };
    let stranger = server.browser();
    assert_eq!(fail(&stranger, "bob", "192.0.2.1").await.status(), 200);
    let refused = fail(&stranger, "bob", "192.0.2.9").await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(rows(&server, "throttle").await <= 5);
    known.sign_in_as("alice").await;
    server.advance(15 * 60 + 1);
    assert_eq!(fail(&stranger, "bob", "192.0.2.9").await.status(), 200);
}

#[tokio::test]
async fn events_of_refused_sign_ins_are_limited() {
    let server = server(Quotas { failure_events_per_address: 2, failure_events: 3, ..Quotas::default() }).await;
    for (name, address, events) in
        [("a", ONE, 1), ("b", ONE, 2), ("c", NEIGHBOUR, 2), ("d", OTHER, 3), ("e", "192.0.2.1", 3)]
    {
        let browser = server.browser();
        let (action, form) = browser.page("/login").await.form(&[("username", name), ("password", "wrong")]);
        let request = browser.request(Method::POST, &action).header("x-forwarded-for", address).form(&form);
        assert_eq!(request.send().await.unwrap().status(), 200);
        assert_eq!(rows(&server, "event WHERE kind = 'sign_in.failed'").await, events, "{name}");
    }
    server.advance(86_400 + 301);
    let browser = server.browser();
    let (action, form) = browser.page("/login").await.form(&[("username", "f"), ("password", "wrong")]);
    browser.raw_post(&action, &form).await;
    assert_eq!(rows(&server, "event WHERE kind = 'sign_in.failed'").await, 4);
}

async fn sign_in(browser: &Browser, name: &str) -> Response {
    let (action, form) = browser.page("/login").await.form(&[("username", name), ("password", PASSWORD)]);
    browser.raw_post(&action, &form).await
}

/// A program that signs in without end, each time as a new browser or in the same one, leaves a bounded number of sessions
/// and events behind.
#[tokio::test]
async fn a_user_signs_in_so_often_an_hour() {
    let server = server(Quotas { sign_ins_per_user: 3, ..Quotas::default() }).await;
    let first = server.browser();
    for browser in [&first, &first, &server.browser()] {
        assert_eq!(sign_in(browser, "alice").await.status(), 303);
    }
    let refused = sign_in(&server.browser(), "alice").await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    let page = refused.text().await.unwrap();
    assert!(page.contains("signed in too often within the last hour") && page.contains("wait 61 minutes"), "{page}");
    assert_eq!(sign_in(&first, "alice").await.status(), 429, "over a session of the user's");
    assert_eq!(first.page("/account").await.name(), "account", "which goes on");
    server.user("bob").await;
    assert_eq!(sign_in(&server.browser(), "bob").await.status(), 303, "another user");
    assert_eq!((rows(&server, "session").await, rows(&server, "event WHERE kind = 'sign_in'").await), (3, 4));
    server.advance(3_600);
    assert_eq!(sign_in(&server.browser(), "alice").await.status(), 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sign_ins_at_once_are_counted_one_by_one() {
    let server = server(Quotas { sign_ins_per_user: 3, ..Quotas::default() }).await;
    let browsers: Vec<Browser> = (0..8).map(|_| server.browser()).collect();
    let all = join_all(browsers.iter().map(|browser| sign_in(browser, "alice"))).await;
    let signed_in = all.iter().filter(|answer| answer.status() == 303).count();
    assert_eq!((signed_in, rows(&server, "session").await), (3, 3));
    assert!(all.iter().all(|answer| [303, 429].contains(&answer.status().as_u16())));
}

async fn end_all(server: &Server, user: UserId) -> usize {
    users::end_sessions(&server.app.manager(), &AuditContext::command_line(), user, None).await.unwrap()
}

/// Every node remembers the end of a session for a day, but only of one that a token can name.
#[tokio::test]
async fn the_end_of_a_session_without_apps_is_not_remembered() {
    const ENDED: &str = "change_feed WHERE kind = 'ended'";
    let server = server(Quotas::default()).await;
    let alice = server.person("alice").await.id;
    for _ in 0..3 {
        server.browser().sign_in_as("alice").await;
    }
    assert_eq!((end_all(&server, alice).await, rows(&server, ENDED).await), (3, 0));
    server.browser().sign_in(&server.authorize(&[])).await;
    server.browser().sign_in_as("alice").await;
    assert_eq!(rows(&server, "session_use").await, 1);
    let session = sessions::of_user(server.app.store().read(), alice, server.app.env().now()).await.unwrap();
    assert_eq!(session.len(), 2);
    assert_eq!((end_all(&server, alice).await, rows(&server, ENDED).await), (2, 1));
    assert_eq!(rows(&server, "session_use").await, 0);
}

/// The first refusal of a window is recorded although others have used up the limit, from a reserve that has a limit too.
#[tokio::test]
async fn ends_of_budgets_have_a_reserve_of_their_own() {
    let server = server(Quotas { failure_events_per_address: 20, failure_events: 40, ..Quotas::default() }).await;
    let fail = async |name: &str, address: &str| {
        let browser = server.browser();
        let (action, form) = browser.page("/login").await.form(&[("username", name), ("password", "wrong")]);
        let request = browser.request(Method::POST, &action).header("x-forwarded-for", address).form(&form);
        request.send().await.unwrap().status().as_u16()
    };
    // From each address 40 failures and four budgets that end: 20 events and a tenth more.
    for (address, in_all) in [(ONE, 22), (OTHER, 44), ("192.0.2.1", 44)] {
        for name in ["a", "b", "c", "d"].map(|name| format!("{name} at {address}")) {
            for _ in 0..10 {
                assert_eq!(fail(&name, address).await, 200);
            }
            assert_eq!(fail(&name, address).await, 429);
            assert_eq!(fail(&name, NEIGHBOUR).await, 429, "counted by what was typed");
        }
        assert_eq!(rows(&server, "event WHERE kind = 'sign_in.failed'").await, in_all, "{address}");
    }
    assert!(rows(&server, "event WHERE detail = 'too many tries'").await >= 4);
}
