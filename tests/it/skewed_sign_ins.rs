//! Sign-ins on nodes whose clocks are five minutes apart: how old a session is, and whether its sign-in was by the strongest
//! method, does not depend on the node that was asked.

use serde_json::json;

use crate::passkey::add;
use crate::support::authenticator::Authenticator;
use crate::support::{Browser, PASSWORD, Server};

const SKEWS: [i64; 2] = [300, -300];
const HERE: &str = "/account/passkeys";

/// Whether the sign-in is recent and strong enough for a new passkey.
async fn may_add(browser: &Browser) -> bool {
    let page = browser.page(HERE).await;
    match browser.ask(&page, "/account/passkeys/options").await.status().as_u16() {
        200 => true,
        403 => false,
        status => panic!("{status}"),
    }
}

#[tokio::test]
async fn a_password_is_weaker_than_a_passkey_of_any_node() {
    for skew in SKEWS {
        let server = Server::with_alice().await;
        let other = server.skewed_node(skew).await;
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        add(&browser.at(&other), &mut Authenticator::new(&server.url)).await;
        assert!(may_add(&browser).await && may_add(&browser.at(&other)).await, "{skew}: added in this very session");
        let thief = server.browser();
        thief.sign_in_as("alice").await;
        assert!(!may_add(&thief).await && !may_add(&thief.at(&other)).await, "{skew}");
        thief.at(&other).sign_in_as("alice").await;
        assert!(!may_add(&thief).await && !may_add(&thief.at(&other)).await, "{skew}");
    }
}

#[tokio::test]
async fn a_sign_in_is_as_recent_on_every_node() {
    let server = Server::with_alice().await;
    for skew in SKEWS {
        let other = server.skewed_node(skew).await;
        for (here, there) in [(&server, &other), (&other, &server)] {
            let browser = here.browser();
            browser.sign_in_as("alice").await;
            server.advance(15 * 60 - 1);
            assert!(may_add(&browser).await && may_add(&browser.at(there)).await, "{skew}");
            server.advance(2);
            assert!(!may_add(&browser).await && !may_add(&browser.at(there)).await, "{skew}");
        }
    }
}

#[tokio::test]
async fn max_age_is_the_same_on_every_node() {
    let server = Server::with_alice().await;
    server.client("trusted", json!({ "consent": "trusted" })).await;
    let request = server.authorize(&[("client_id", "trusted"), ("max_age", "60"), ("prompt", "none")]);
    for skew in SKEWS {
        let other = server.skewed_node(skew).await;
        for (here, there) in [(&server, &other), (&other, &server)] {
            let browser = here.browser();
            browser.sign_in_as("alice").await;
            server.advance(59);
            assert!(browser.at(there).open(&request).await.err().unwrap().contains_key("code"), "{skew}");
            server.advance(2);
            assert_eq!(browser.at(there).open(&request).await.err().unwrap()["error"], "login_required", "{skew}");
        }
        // A sign-in that the request asked for is fresh, wherever it is made.
        let browser = server.browser();
        let login =
            browser.open(&server.authorize(&[("client_id", "trusted"), ("prompt", "login")])).await.ok().unwrap();
        let (action, form) = login.form(&[("username", "alice"), ("password", PASSWORD)]);
        let there = browser.at(&other);
        let callback = there.follow(there.raw_post(&action, &form).await).await;
        assert!(callback.err().unwrap().contains_key("code"), "{skew}");
    }
}

#[tokio::test]
async fn an_interrupted_form_waits_as_long_on_every_node() {
    let server = Server::with_alice().await;
    for skew in SKEWS {
        let other = server.skewed_node(skew).await;
        for (here, there) in [(&server, &other), (&other, &server)] {
            let browser = here.browser();
            browser.sign_in_as("alice").await;
            server.advance(15 * 60 + 1);
            for (wait, status) in [(15 * 60 - 1, 422), (15 * 60, 409)] {
                let page = browser.page("/account/password").await;
                let fields = [("current", PASSWORD), ("password", "short")];
                let question =
                    browser.submit_at(&page, "form[action='/account/password']", &fields).await.ok().unwrap();
                assert_eq!(question.status, 403, "{skew}");
                server.advance(wait);
                let (action, form) = question.form(&[("username", "alice"), ("password", PASSWORD)]);
                assert_eq!(browser.at(there).raw_post(&action, &form).await.status(), status, "{skew} {wait}");
                server.advance(15 * 60 + 1);
            }
        }
    }
}

/// Two hours idle by the database's clock, on whatever node.
#[tokio::test]
async fn a_session_idles_as_long_on_every_node() {
    let server = Server::with_alice().await;
    for skew in SKEWS {
        let other = server.skewed_node(skew).await;
        for (here, there) in [(&server, &other), (&other, &server)] {
            let browser = here.browser();
            browser.sign_in_as("alice").await;
            server.advance(2 * 3600 - 1);
            assert_eq!(browser.at(there).page("/account").await.name(), "account", "{skew}");
            server.advance(2 * 3600);
            assert_eq!(browser.page("/account").await.name(), "login", "{skew}");
        }
    }
}

/// Codes of one node are redeemed at the other, seconds before and after the session's absolute end.
#[tokio::test]
async fn a_session_ends_at_the_same_moment_on_every_node() {
    for skew in SKEWS {
        let server = Server::with_alice().await;
        let other = server.skewed_node(skew).await;
        let lifetime = server.app.config.lifetimes.session;
        let browser = server.browser();
        browser.sign_in(&server.authorize(&[("scope", "openid")])).await;
        for _ in 1..lifetime / 1800 {
            server.advance(1800);
            browser.page("/account").await;
        }
        server.advance(1800 - 10);
        let mut codes = Vec::new();
        for node in [&server, &other] {
            let there = browser.at(node);
            codes.push(there.sign_in(&server.authorize(&[("scope", "openid")])).await["code"].clone());
            codes.push(there.sign_in(&server.authorize(&[("scope", "openid")])).await["code"].clone());
        }
        assert_eq!(other.redeem(&codes[0]).await.0, 200, "{skew}");
        assert_eq!(server.redeem(&codes[2]).await.0, 200, "{skew}");
        server.advance(11);
        assert_eq!(other.redeem(&codes[1]).await.1["error"], "invalid_grant", "{skew}");
        assert_eq!(server.redeem(&codes[3]).await.1["error"], "invalid_grant", "{skew}");
    }
}
