//! Nobody locks an address out (T54): each kind of secret has budgets of its own, and what was right before keeps its own.

use futures::stream::{StreamExt as _, iter};
use serde_json::json;

use super::guessing::{behind_a_proxy, fail_from};
use crate::device::{ask, text, tv};
use crate::support::{Browser, PASSWORD, Server};

/// A code of a device from that address, typed in a browser that has opened the page.
async fn type_code(server: &Server, browser: &Browser, form: &[(String, String)], code: &str, address: &str) -> u16 {
    let mut form = form.to_vec();
    form.push(("user_code".to_owned(), code.to_owned()));
    let url = format!("{}/device", server.url);
    let request = browser.request(reqwest::Method::POST, &url).header("x-forwarded-for", address).form(&form);
    request.send().await.unwrap().status().as_u16()
}

/// T54: made-up codes of devices stop codes there, and no password; wrong passwords stop passwords there, and no code.
#[tokio::test]
async fn codes_and_passwords_have_budgets_of_their_own() {
    let server = behind_a_proxy().await;
    let (address, elsewhere) = ("192.0.2.7", "192.0.2.8");
    for at in 0..101 {
        // A browser each, since each has a budget too.
        let browser = server.browser();
        let form = browser.page("/device").await.form(&[]).1;
        let status = type_code(&server, &browser, &form, "BCDF-GHJK", address).await;
        assert_eq!(status, if at < 100 { 200 } else { 429 }, "code {at}");
    }
    let browser = server.browser();
    let form = browser.page("/login").await.form(&[]).1;
    let mut right = form.clone();
    right.extend([("username", "alice"), ("password", PASSWORD)].map(|(name, value)| (name.into(), value.into())));
    let sign_in = browser.request(reqwest::Method::POST, "/login").header("x-forwarded-for", address).form(&right);
    assert_eq!(sign_in.send().await.unwrap().status(), 303, "a password goes on");
    // The other way round.
    let tries = iter(0..101).map(|at| {
        let (server, browser) = (&server, server.browser());
        async move {
            let form = browser.page("/login").await.form(&[]).1;
            fail_from(server, &browser, &form, &format!("name{at}"), elsewhere).await.status().as_u16()
        }
    });
    let all: Vec<u16> = tries.buffer_unordered(4).collect().await;
    assert_eq!(all.iter().filter(|status| **status == 429).count(), 1, "{all:?}");
    let stranger = server.browser();
    let form = stranger.page("/device").await.form(&[]).1;
    assert_eq!(type_code(&server, &stranger, &form, "BCDF-GHJK", elsewhere).await, 200, "a code goes on");
}

/// In a browser that has signed in before, too, the limit does not tell which email address belongs to a username.
#[tokio::test]
async fn known_browser_does_not_link_an_email_to_a_username() {
    let server = behind_a_proxy().await;
    let (browser, address) = (server.browser(), "192.0.2.7");
    browser.sign_in_as("alice").await;
    browser.page("/oauth2/logout").await;
    let form = browser.page("/login").await.form(&[]).1;
    for at in 0..11 {
        let status = fail_from(&server, &browser, &form, "alice", address).await.status().as_u16();
        assert_eq!(status == 429, at == 10, "{at}: {status}");
    }
    for name in ["alice@example.com", "bob@example.com", "bob"] {
        assert_ne!(fail_from(&server, &browser, &form, name, address).await.status().as_u16(), 429, "{name}");
    }
}

/// T54: a browser that has signed in before does so again, whatever strangers at its address did.
#[tokio::test]
async fn a_known_browser_signs_in_from_an_address_that_ran_out() {
    let server = behind_a_proxy().await;
    let address = "192.0.2.7";
    let (known, stranger) = (server.browser(), server.browser());
    known.sign_in_as("alice").await;
    known.page("/oauth2/logout").await;
    let form = stranger.page("/login").await.form(&[]).1;
    for at in 0..101 {
        fail_from(&server, &stranger, &form, &format!("name{at}"), address).await;
    }
    assert_eq!(fail_from(&server, &stranger, &form, "another", address).await.status(), 429);
    let mut form = known.page("/login").await.form(&[]).1;
    form.extend([("username", "alice"), ("password", PASSWORD)].map(|(name, value)| (name.into(), value.into())));
    let sign_in = known.request(reqwest::Method::POST, "/login").header("x-forwarded-for", address).form(&form);
    assert_eq!(sign_in.send().await.unwrap().status(), 303);
    // As somebody else it is a stranger there.
    let form = known.page("/login").await.form(&[]).1;
    assert_eq!(fail_from(&server, &known, &form, "another", address).await.status(), 429);
}

/// T54: who is signed in, or has connected a device in this browser, types codes where strangers may not any more.
#[tokio::test]
async fn a_known_browser_types_codes_from_an_address_that_ran_out() {
    let server = behind_a_proxy().await;
    let address = "192.0.2.7";
    tv(&server, "tv", json!({})).await;
    let code = async || -> String { text(&ask(&server, "openid").await, "user_code").to_owned() };
    let (signed_in, connected) = (server.browser(), server.browser());
    signed_in.sign_in_as("alice").await;
    let form = connected.page("/device").await.form(&[]).1;
    assert_eq!(type_code(&server, &connected, &form, &code().await, "192.0.2.9").await, 303);
    for _ in 0..101 {
        let browser = server.browser();
        let form = browser.page("/device").await.form(&[]).1;
        type_code(&server, &browser, &form, "BCDF-GHJK", address).await;
    }
    for (who, browser, status) in
        [("signed in", &signed_in, 303), ("connected", &connected, 303), ("a stranger", &server.browser(), 429)]
    {
        let form = browser.page("/device").await.form(&[]).1;
        assert_eq!(type_code(&server, browser, &form, &code().await, address).await, status, "{who}");
    }
}
