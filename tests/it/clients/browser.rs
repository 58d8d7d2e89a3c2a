//! A library for apps without a server, in Chromium.

use serde_json::{Value, json};

use super::{IN_ID_TOKEN, SetUp};
use crate::support::PASSWORD;
use crate::support::chromium::Chromium;
use crate::support::client_programs::ClientProgram::JavaScript;

async fn shown(browser: &Chromium, selector: &str) -> Value {
    serde_json::from_str(&browser.text(selector).await).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn oidc_client_ts_signs_in_refreshes_and_logs_out() {
    let client = json!({ "token_endpoint_auth_method": "none", "id_token_claims": IN_ID_TOKEN });
    let set_up = SetUp { client, with_secret: false, ..SetUp::new(JavaScript("oidc_client_ts")) };
    let app = set_up.start().await;
    let (browser, origin) = (Chromium::start().await, format!("{}/", app.app.url));
    browser.open(&origin).await;
    assert_eq!(shown(&browser, "#claims").await, Value::Null);
    browser.click("#login").await;
    browser.sign_in("alice", PASSWORD).await;
    browser.wait_for_page("consent").await;
    browser.click("button[name=decision][value=allow]").await;
    let claims = shown(&browser, "#claims").await;
    let alice = app.server.person("alice").await.id.to_string();
    assert_eq!(claims["sub"], alice);
    assert_eq!((&claims["name"], &claims["email"]), (&json!("Alice Example"), &json!("alice@example.com")));
    let mut successors = Vec::new();
    for _ in 0..2 {
        browser.click("#refresh").await;
        let all = shown(&browser, "#refreshed").await;
        let all = all.as_array().unwrap();
        let same = |answer: &&Value| answer["sub"] == *alice && answer["refresh_token"] == all[0]["refresh_token"];
        assert_eq!(all.iter().filter(same).count(), 8, "{all:?}");
        successors.push(all[0]["refresh_token"].as_str().unwrap().to_owned());
        browser.open(&origin).await;
    }
    assert_ne!(successors[0], successors[1]);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.click("#logout").await;
    browser.wait_for_url(&origin).await;
    assert_eq!(shown(&browser, "#claims").await, Value::Null);
    browser.open(&format!("{}/account", app.server.url)).await;
    browser.wait_for_page("login").await;
}
