//! Front-Channel Logout (OpenID Connect Front-Channel Logout 1.0): which apps the last page tells, and how. That frames load
//! and the page goes on is tried in `browser::sessions`.

use serde_json::json;

use super::{address, is_signed_in, signed_in};
use crate::support::{Browser, CALLBACK, Page, Server};
use crate::token::claims;

const BYE: &str = "http://127.0.0.1:9999/bye";
const OUT: &str = "http://127.0.0.1:9999/out?tenant=a%20b";

async fn with_front_channel() -> Server {
    let server = Server::start().await;
    server.user("alice").await;
    server.client("web", json!({ "frontchannel_logout_uri": OUT })).await;
    server
}

/// The page and its policy.
async fn page(browser: &Browser, path: &str) -> (Page, String) {
    let response = browser.raw(path).await;
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    (browser.follow(response).await.expect("a page"), policy)
}

fn framed(policy: &str) -> Option<&str> {
    policy.split("; ").find_map(|part| part.strip_prefix("frame-src "))
}

/// §2: `iss` and `sid` behind the query that the address has; and the page may frame that app and nothing else.
#[tokio::test]
async fn the_last_page_frames_the_apps_of_the_session() {
    let server = with_front_channel().await;
    let (browser, hint) = signed_in(&server).await;
    let sid = claims(&hint)["sid"].as_str().unwrap().to_owned();
    let request = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE), ("state", "s t")];
    let (page, policy) = page(&browser, &address(&request)).await;
    assert_eq!((page.status, page.name().as_str()), (200, "signed-out"));
    assert!(page.has("#logged-out") && !is_signed_in(&browser).await);
    let iss = url::form_urlencoded::byte_serialize(server.url.as_bytes()).collect::<String>();
    assert_eq!(page.attribute("iframe", "src").unwrap(), format!("{OUT}&iss={iss}&sid={sid}"));
    assert_eq!(page.count("iframe"), 1);
    assert_eq!(framed(&policy), Some("http://127.0.0.1:9999"));
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("script-src 'self'"));
    // Then on, with or without a script.
    let next = format!("{BYE}?state=s+t");
    assert_eq!(page.attribute("a[data-next]", "href").unwrap(), next);
    assert!(
        page.html.contains(&format!("<noscript><meta http-equiv=\"refresh\" content=\"5;url={next}\"></noscript>"))
    );
    assert!(page.attribute("script[src*=front_channel]", "src").unwrap().starts_with("/static/front_channel.js?v="));
}

/// Where the app gave no address to go back to, the page stays.
#[tokio::test]
async fn a_page_that_leads_nowhere_stays() {
    let server = with_front_channel().await;
    let (browser, _) = signed_in(&server).await;
    let question = browser.page("/oauth2/logout").await;
    let (action, form) = question.form(&[("decision", "allow")]);
    let response = browser.raw_post(&action, &form).await;
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let page = browser.follow(response).await.ok().unwrap();
    assert_eq!((page.count("iframe"), framed(&policy)), (1, Some("http://127.0.0.1:9999")));
    assert!(!page.has("a[data-next]") && !page.html.contains("front_channel.js"));
}

/// Who took no part, has no address, was turned off, or was told already is not told.
#[tokio::test]
async fn no_other_app_is_framed() {
    let server = with_front_channel().await;
    server.client("other", json!({ "frontchannel_logout_uri": "http://127.0.0.1:9999/other" })).await;
    server.client("plain", json!({})).await;
    let (browser, hint) = signed_in(&server).await;
    browser.sign_in(&server.authorize(&[("client_id", "plain")])).await;
    let somebody_elses = server.browser();
    somebody_elses.sign_in(&server.authorize(&[("client_id", "other")])).await;
    let out = address(&[("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE)]);
    let (page_with_one, _) = page(&browser, &out).await;
    assert_eq!(page_with_one.count("iframe"), 1, "the app of this session alone");
    assert!(browser.raw(&out).await.headers().contains_key("location"), "the second time nobody is left to be told");
    // Two apps of one session; the one that is turned off is left out.
    let (browser, hint) = signed_in(&server).await;
    browser.sign_in(&server.authorize(&[("client_id", "other")])).await;
    let by = signet::manage::AuditContext::command_line();
    let other = signet::domain::ids::ClientId::parse("other").unwrap();
    signet::manage::clients::disable(&server.app.manager(), &by, &other).await.unwrap();
    let (page, policy) = page(&browser, &address(&[("id_token_hint", hint.as_str())])).await;
    assert_eq!(page.count("iframe"), 1);
    assert_eq!(framed(&policy), Some("http://127.0.0.1:9999"));
    assert!(page.attribute("iframe", "src").unwrap().starts_with("http://127.0.0.1:9999/out?"));
}

/// A host whose signs would end the policy's list of sources is no frame, and changes no policy.
#[tokio::test]
async fn an_address_cannot_change_the_policy() {
    let server = Server::start().await;
    server.user("alice").await;
    let evil = "https://app.example;script-src";
    let changes =
        json!({ "redirect_uris": [CALLBACK, format!("{evil}/cb")], "frontchannel_logout_uri": format!("{evil}/out") });
    server.client("web", changes).await;
    let (browser, hint) = signed_in(&server).await;
    let (page, policy) = page(&browser, &address(&[("id_token_hint", hint.as_str())])).await;
    assert_eq!((page.name().as_str(), page.count("iframe"), framed(&policy)), ("signed-out", 0, None));
    assert!(!policy.contains("example"));
}
