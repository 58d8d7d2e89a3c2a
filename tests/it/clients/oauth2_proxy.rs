//! oauth2-proxy, which signs users in for what is behind it. It keeps the tokens in its cookie, refreshes them as requests
//! come, and has no endpoint for back-channel logout: its session ends with the next refresh.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Url;
use serde_json::json;

use super::{Visit, visit};
use crate::logout;
use crate::support::oauth2_proxy::OAuth2Proxy;
use crate::support::{Browser, Server};

/// The option by which it refreshes what is older than a second by its own clock. It does not refresh without one.
const REFRESH: &str = "--cookie-refresh=1s";

/// The page of the proxy that names the signed-in user.
fn user_page(proxy: &OAuth2Proxy) -> String {
    format!("{}/oauth2/userinfo", proxy.app.url)
}

async fn check_alice(server: &Server, shown: &Visit) {
    assert_eq!(shown.status, 200, "{shown:?}");
    let (user, id) = (shown.json(), server.person("alice").await.id.to_string());
    assert_eq!((&user["user"], &user["email"]), (&json!(id), &json!("alice@example.com")), "{user}");
}

/// A browser in which alice is signed in at the proxy, whose session is due for a refresh.
async fn signed_in(server: &Server, proxy: &OAuth2Proxy) -> Browser {
    let browser = server.browser();
    let shown = visit(&browser, &proxy.app.url).await;
    assert!(shown.status == 403 && shown.text.contains("/oauth2/start"), "its sign-in page: {shown:?}");
    let shown = visit(&browser, &format!("{}/oauth2/start?rd=/oauth2/userinfo", proxy.app.url)).await;
    assert_eq!(shown.url, user_page(proxy), "{}", proxy.log());
    check_alice(server, &shown).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    browser
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn oauth2_proxy_signs_in_refreshes_and_logs_out() {
    let server = Server::with_alice().await;
    let issuer = server.url.strip_prefix("http://").unwrap();
    let proxy = OAuth2Proxy::start(&server, &[REFRESH, &format!("--whitelist-domain={issuer}")]).await;
    let browser = signed_in(&server, &proxy).await;
    let user_page = user_page(&proxy);
    for shown in join_all((0..8).map(|_| visit(&browser, &user_page))).await {
        check_alice(&server, &shown).await;
    }
    let log = proxy.log();
    assert!(log.contains("Refreshing session") && !log.contains("Unable to refresh"), "{log}");
    // Its documentation: the page that ends the session at the provider is the `rd` of the sign-out.
    let home = format!("{}/", proxy.app.url);
    let parameters = [("client_id", "proxy"), ("post_logout_redirect_uri", home.as_str())];
    let end_session = Url::parse_with_params(&format!("{}/oauth2/logout", server.url), parameters).unwrap();
    let sign_out = format!("{}/oauth2/sign_out", proxy.app.url);
    let sign_out = Url::parse_with_params(&sign_out, [("rd", end_session.as_str())]).unwrap();
    let shown = visit(&browser, sign_out.as_str()).await;
    assert_eq!((shown.url, shown.status), (home, 403), "{}", proxy.log());
    assert_eq!(visit(&browser, &user_page).await.status, 401, "the proxy's session has ended");
    assert_eq!(browser.page("/account").await.name(), "login", "the session has ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn oauth2_proxy_ends_with_the_session_at_its_next_refresh() {
    let server = Server::with_alice().await;
    let proxy = OAuth2Proxy::start(&server, &[REFRESH]).await;
    let browser = signed_in(&server, &proxy).await;
    logout::sign_out(&browser).await;
    assert_eq!(visit(&browser, &user_page(&proxy)).await.status, 401, "{}", proxy.log());
}
