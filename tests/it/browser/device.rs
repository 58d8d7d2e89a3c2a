//! Connecting a device, in Chromium: from the address that it shows to the page that says it is connected, on a phone.

use serde_json::{Value, json};

use crate::support::chromium::Chromium;
use crate::support::{PASSWORD, Server};

#[tokio::test]
async fn a_person_connects_a_device_from_their_phone() {
    let server = Server::start().await;
    server.user("alice").await;
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    let meta = json!({
        "client_name": "Kitchen Display", "redirect_uris": [], "grant_types": [grant, "refresh_token"],
        "token_endpoint_auth_method": "none",
    });
    server.client("tv", meta).await;
    let http = reqwest::Client::new();
    let post = async |endpoint: &str, form: &[(&str, &str)]| -> Value {
        let request = http.post(format!("{}/oauth2/{endpoint}", server.url)).form(form);
        request.send().await.unwrap().json().await.unwrap()
    };
    let device = post("device_authorization", &[("client_id", "tv"), ("scope", "openid email offline_access")]).await;
    let text = |name: &str| device[name].as_str().unwrap().to_owned();
    let browser = Chromium::start().await;
    browser.set_size(320, 640).await;
    browser.open(&text("verification_uri")).await;
    browser.wait_for_page("device").await;
    assert!(!browser.overflows().await, "the page for typing");
    // The field has the focus, and takes what people type.
    browser.type_keys("bcdf ghjk").await;
    browser.press_enter("#user_code").await;
    browser.wait_for("#user_code-error").await;
    assert!(!browser.overflows().await, "the page that knows no such code");
    browser.open(&text("verification_uri_complete")).await;
    assert_eq!(browser.attribute("#user_code", "value").await, Some(text("user_code")));
    browser.click("button.primary[type=submit]").await;
    browser.sign_in("alice", PASSWORD).await;
    browser.wait_for("[data-scope=offline_access]").await;
    assert_eq!(browser.text("#device-code").await, text("user_code"));
    assert!(!browser.overflows().await, "the question");
    browser.click("button[name=decision][value=allow]").await;
    browser.wait_for("#device-allowed").await;
    assert!(!browser.overflows().await, "the answer");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    let form = [("grant_type", grant), ("client_id", "tv"), ("device_code", &text("device_code"))];
    assert!(post("token", &form).await["access_token"].is_string());
}
