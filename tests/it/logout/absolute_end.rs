//! The absolute end of a session that is in use until then (OpenID Connect Back-Channel Logout §2.7).

use serde_json::json;
use signet::server::background::Maintenance;

use super::backchannel::{arrived, with_receiver};
use super::is_signed_in;
use crate::support::{SECRET, Server};

async fn is_active(server: &Server, token: &str) -> bool {
    let request = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url));
    let request = request.basic_auth("web", Some(SECRET)).form(&[("token", token)]);
    request.send().await.unwrap().json::<serde_json::Value>().await.unwrap()["active"] == true
}

#[tokio::test]
async fn a_session_in_use_ends_at_its_absolute_end() {
    let (server, receiver) = with_receiver(json!({})).await;
    let lifetime = server.app.config.lifetimes.session;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[("scope", "openid")])).await;
    for _ in 1..lifetime / 1800 {
        server.advance(1800);
        assert!(is_signed_in(&browser).await);
    }
    server.advance(1800 - 120);
    assert!(is_signed_in(&browser).await);
    let code = browser.sign_in(&server.authorize(&[("scope", "openid")])).await["code"].clone();
    let (_, tokens) = server.redeem(&code).await;
    let token = tokens["access_token"].as_str().unwrap();
    assert!(is_active(&server, token).await);
    server.advance(121);
    Maintenance::default().once(&server.app).await;
    server.deliver().await;
    assert!(!is_active(&server, token).await);
    let userinfo = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url)).bearer_auth(token);
    assert_eq!(userinfo.send().await.unwrap().status(), 401);
    assert_eq!(arrived(&receiver).len(), 1);
}
