//! Cookies that two servers of one host would share, that a browser does not send, and origins that it hides.

use reqwest::Method;

use super::{ALICE, server};
use crate::support::{PASSWORD, Server};

/// RFC 6265 §8.5: cookies have no ports. Two servers on one host sign nobody out of the other.
#[tokio::test]
async fn servers_on_two_ports_of_a_host_do_not_disturb_each_other() {
    let (one, other) = (Server::with_alice().await, Server::with_alice().await);
    let browser = one.browser();
    browser.sign_in_as("alice").await;
    let at_other = browser.at(&other);
    let login = at_other.page(&other.authorize(&[])).await;
    at_other.submit(&login, &ALICE).await.expect("the consent page");
    for (browser, server) in [(&browser, &one), (&at_other, &other)] {
        assert_eq!(browser.page("/account").await.status, 200, "{}", server.url);
    }
    let page = at_other.page("/oauth2/logout").await;
    at_other.submit(&page, &[("decision", "allow")]).await.expect("signed out");
    assert_eq!(browser.page("/account").await.name(), "account");
    assert_eq!(at_other.page("/account").await.name(), "login");
}

/// Privacy extensions and referrer policies hide where a form comes from: its token decides.
#[tokio::test]
async fn a_hidden_origin_is_decided_by_the_token() {
    let server = server().await;
    for origin in [None, Some("null")] {
        let browser = server.browser();
        let page = browser.page("/login").await;
        for (token, status) in [(false, 400), (true, 303)] {
            let (action, mut form) = page.form(&ALICE);
            form.retain(|(name, _)| token || name != "csrf");
            let mut request = browser.request(Method::POST, &action).form(&form);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            assert_eq!(request.send().await.unwrap().status(), status, "{origin:?}, token: {token}");
        }
        assert_eq!(browser.page("/account").await.name(), "account", "{origin:?}: the session's cookie was set");
        // Nor does the token alone help where the browser says that another site has sent it.
        let (action, form) = page.form(&ALICE);
        let request = browser.request(Method::POST, &action).header("sec-fetch-site", "cross-site").form(&form);
        assert_eq!(request.header("origin", "null").send().await.unwrap().status(), 400);
    }
}

/// A browser that sends no cookie is told so, whichever page it comes to, and keeps what it has typed.
#[tokio::test]
async fn blocked_cookies_are_recognised_and_said() {
    let server = server().await;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let begun = http.get(format!("{}{}", server.url, server.authorize(&[]))).send().await.unwrap();
    let login = begun.headers()["location"].to_str().unwrap();
    let lost = http.get(format!("{}{login}", server.url)).send().await.unwrap();
    assert_eq!(lost.status(), 400);
    let html = lost.text().await.unwrap();
    assert!(html.contains("This browser sent no cookie") && html.contains("Allow cookies"), "{html}");
    let own = http.get(format!("{}/login", server.url)).send().await.unwrap().text().await.unwrap();
    let csrf = own.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    for path in ["/login", "/device"] {
        let form = [("csrf", csrf.as_str()), ("username", "alice"), ("password", PASSWORD), ("user_code", "WDJB-MJHT")];
        let answer = http.post(format!("{}{path}", server.url)).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{path}");
        let html = answer.text().await.unwrap();
        assert!(html.contains("sent no cookie") && !html.contains(PASSWORD), "{path}: {html}");
        assert!(html.contains("value=\"alice\"") || html.contains("WDJB-MJHT"), "{path}: what was typed");
    }
}
