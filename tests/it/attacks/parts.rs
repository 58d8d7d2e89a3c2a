//! Tokens that carry a part of a grant end exactly when the grant does: a part without `offline_access` outlives the session
//! as the whole does, and no part outlives what its client has lost.

use serde_json::{Value, json};

use super::removed::change_client;
use crate::resources::{ORDERS, with_apis};
use crate::support::Server;

async fn userinfo(server: &Server, token: &Value) -> u16 {
    let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
    request.bearer_auth(token.as_str().unwrap()).send().await.unwrap().status().as_u16()
}

async fn active(server: &Server, token: &Value) -> bool {
    let request = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url));
    let request = request.basic_auth("web", Some(crate::support::SECRET)).form(&[("token", token.as_str().unwrap())]);
    request.send().await.unwrap().json::<Value>().await.unwrap()["active"] == true
}

/// A grant with offline access whose session has ended; its refresh token.
async fn signed_out(server: &Server) -> String {
    let browser = server.browser();
    let callback = browser.sign_in(&server.authorize(&[("scope", "openid offline_access read")])).await;
    let (_, tokens) = server.redeem(&callback["code"]).await;
    let page = browser.page("/oauth2/logout").await;
    browser.submit(&page, &[("decision", "allow")]).await.ok();
    tokens["refresh_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn narrowed_token_outlives_the_session_as_its_grant_does() {
    let server = with_apis().await;
    let mut refresh = signed_out(&server).await;
    for more in [vec![("scope", "read")], vec![("scope", "openid")], vec![("resource", ORDERS)], vec![]] {
        let form = [&[("grant_type", "refresh_token"), ("refresh_token", &*refresh)][..], &more].concat();
        let (status, tokens) = server.token(&form).await;
        assert!(status == 200 && active(&server, &tokens["access_token"]).await, "{more:?}: {tokens}");
        refresh = tokens["refresh_token"].as_str().unwrap().to_owned();
    }
}

#[tokio::test]
async fn no_token_outlives_the_session_once_its_client_has_lost_offline_access() {
    let server = with_apis().await;
    let refresh = signed_out(&server).await;
    let (_, whole) = server.token(&[("grant_type", "refresh_token"), ("refresh_token", &*refresh)]).await;
    let refresh = whole["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("scope", "openid")];
    let (_, part) = server.token(&form).await;
    for tokens in [&whole, &part] {
        assert_eq!(userinfo(&server, &tokens["access_token"]).await, 200);
    }
    change_client(&server, "web", |meta| meta["scope"] = json!("openid read write count")).await;
    for tokens in [&whole, &part] {
        assert_eq!(userinfo(&server, &tokens["access_token"]).await, 401);
        assert!(!active(&server, &tokens["access_token"]).await);
    }
}

/// RFC 8707 §2: an exchange that names no API has not asked for two.
#[tokio::test]
async fn exchange_of_a_token_for_two_apis_names_one() {
    let server = with_apis().await;
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    let meta = json!({
        "grant_types": [exchange], "redirect_uris": [], "scope": "openid read count",
        "token_exchange": [{ "client": "web", "delegation": true }],
    });
    server.client("service", meta).await;
    let asked = server.authorize(&[("scope", "openid read count"), ("resource", ORDERS)]);
    let callback = server.browser().sign_in(&format!("{asked}&resource=https://stock.example.com")).await;
    let (_, both) = server.redeem(&callback["code"]).await;
    let form = [
        ("grant_type", exchange),
        ("subject_token", both["access_token"].as_str().unwrap()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    assert_eq!(server.token_as("service", &form).await.1["error"], "invalid_target");
    let (status, one) = server.token_as("service", &[&form[..], &[("resource", ORDERS)]].concat()).await;
    assert_eq!((status, &one["scope"]), (200, &json!("read")), "{one}");
}
