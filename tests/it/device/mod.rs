//! Devices without a browser (RFC 8628): [`grant`] what they get, [`pages`] what their people see, and who may decide.
//! Here is a device that asks and polls.

mod grant;
mod pages;

use serde_json::{Value, json};

use crate::support::{Browser, Page, Server};

pub const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// One with alice and a public client `tv`.
pub async fn with_tv() -> Server {
    let server = Server::start().await;
    server.user("alice").await;
    tv(&server, "tv", json!({})).await;
    server
}

pub async fn tv(server: &Server, id: &str, changes: Value) {
    let mut meta = json!({
        "client_name": "Kitchen Display",
        "redirect_uris": [],
        "grant_types": [GRANT, "refresh_token"],
        "token_endpoint_auth_method": "none",
    });
    meta.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    server.client(id, meta).await;
}

pub async fn post(server: &Server, endpoint: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{}/oauth2/{endpoint}", server.url));
    let response = request.header("user-agent", "KitchenOS (Linux)").form(form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// What the device shows and polls with.
pub async fn ask(server: &Server, scope: &str) -> Value {
    let (status, answer) = post(server, "device_authorization", &[("client_id", "tv"), ("scope", scope)]).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

pub fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("{name} in {answer}"))
}

pub async fn poll(server: &Server, device: &Value) -> (u16, Value) {
    let form = [("grant_type", GRANT), ("client_id", "tv"), ("device_code", text(device, "device_code"))];
    post(server, "token", &form).await
}

/// A poll that is refused, with its error.
pub async fn refused(server: &Server, device: &Value) -> String {
    let (status, answer) = poll(server, device).await;
    assert_eq!(status, 400, "{answer}");
    text(&answer, "error").to_owned()
}

/// The page that asks, in a browser in which alice is signed in.
pub async fn question(browser: &Browser, device: &Value) -> Page {
    let page = browser.page("/device").await;
    browser.submit(&page, &[("user_code", text(device, "user_code"))]).await.expect("a page")
}

pub async fn decide(server: &Server, device: &Value, decision: &str) -> Browser {
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let question = question(&browser, device).await;
    let done = browser.submit(&question, &[("decision", decision)]).await.expect("a page");
    assert!(done.has(if decision == "allow" { "#device-allowed" } else { "#device-denied" }), "{}", done.html);
    browser
}
