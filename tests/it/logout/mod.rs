//! How a session ends, and who hears of it: RP-Initiated, Back-Channel and Front-Channel Logout, Session Management.

mod absolute_end;
mod backchannel;
mod deliveries;
mod frontchannel;
mod rp_initiated;
mod session_management;

pub use backchannel::sign_out;
use serde_json::Value;

use crate::support::{Browser, Server};

/// The address of a logout request.
fn address(parameters: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("/oauth2/logout?{query}")
}

/// Alice signs in to `web` in a browser of her own; what `web` got.
async fn tokens_in_a_browser(server: &Server, scope: &str) -> (Browser, Value) {
    let browser = server.browser();
    let callback = browser.sign_in(&server.authorize(&[("scope", scope)])).await;
    let (_, tokens) = server.redeem(&callback["code"]).await;
    (browser, tokens)
}

/// The same; the ID token.
async fn signed_in(server: &Server) -> (Browser, String) {
    let (browser, tokens) = tokens_in_a_browser(server, "openid").await;
    (browser, tokens["id_token"].as_str().unwrap().to_owned())
}

async fn is_signed_in(browser: &Browser) -> bool {
    browser.raw("/account").await.status() == 200
}
