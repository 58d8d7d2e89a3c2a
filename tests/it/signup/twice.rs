//! A sign-up form that is sent again: it signs in to the account that it has made, and is no new sign-up.

use reqwest::Method;
use signet::config::SignUpMode;

use super::open;
use crate::support::{PASSWORD, Server};

/// An impatient second click: the browser drops the first answer and shows the second.
#[tokio::test]
async fn a_sign_up_form_sent_twice_signs_in_twice() {
    let server = open().await;
    for (path, target) in
        [("/signup".to_owned(), "/"), (server.authorize(&[("prompt", "create")]), "/oauth2/authorize/")]
    {
        let browser = server.browser();
        let page = browser.page(&path).await;
        let name = if target == "/" { "carol" } else { "dora" };
        let (action, form) = page.form(&[("username", name), ("password", PASSWORD)]);
        let (first, second) = tokio::join!(browser.raw_post(&action, &form), browser.raw_post(&action, &form));
        for answer in [first, second, browser.raw_post(&action, &form).await] {
            assert_eq!(answer.status(), 303, "{path}");
            assert!(answer.headers()["location"].to_str().unwrap().starts_with(target), "{path}");
        }
        let (_, other) = page.form(&[("username", name), ("password", "another good passphrase")]);
        assert_eq!(server.browser().raw_post(&action, &other).await.status(), 400, "{path}: another browser");
        assert_eq!(browser.raw_post(&action, &other).await.status(), 422, "{path}: another password");
        server.advance(61);
        assert_eq!(browser.raw_post(&action, &form).await.status(), 422, "{path}: a minute later");
    }
    assert!(server.person("carol").await.self_registered);
}

/// The second click is no further try: neither the limit of its address nor that of all accounts refuses it.
#[tokio::test]
async fn a_form_sent_twice_is_known_before_limits() {
    let server = Server::start_with(|config| {
        config.sign_up = SignUpMode::Open;
        config.quotas.self_registered_users = 1;
        config.trusted_proxies = serde_json::from_value(serde_json::json!("127.0.0.1,::1")).unwrap();
    })
    .await;
    server.user("alice").await;
    let browser = server.browser();
    let page = browser.page("/signup").await;
    let send = async |name: &str| {
        let (action, form) = page.form(&[("username", name), ("password", PASSWORD)]);
        let request = browser.request(Method::POST, &action).header("x-forwarded-for", "203.0.113.9");
        let answer = request.form(&form).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(send("carol").await.0, 303);
    assert_eq!((send("carol").await.0, send("dora").await.0), (303, 429), "no more accounts can be made");
    let mut refused = String::new();
    for _ in 0..20 {
        refused = send("dora").await.1;
    }
    assert!(refused.contains("Too many tries"), "{refused}");
    assert_eq!(send("carol").await.0, 303);
}
