//! What deployed software sends is long: `state`, `nonce` and `login_hint` of 8 KB, ID tokens of 16 KB as hints, by GET, by
//! POST and through the nginx configuration that docs/operating.md shows.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::{Value, json};
use signet::domain::secret::from_base64url;

use crate::support::nginx;
use crate::support::proxy::Proxy;
use crate::support::{Browser, CALLBACK, PASSWORD, SECRET, Server};

const MAX: usize = 8192;
const BYE: &str = "http://127.0.0.1:9999/bye";

fn pairs(server: &Server, changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let path = server.authorize(changes);
    url::form_urlencoded::parse(path.split_once('?').unwrap().1.as_bytes()).into_owned().collect()
}

fn claims(token: &Value) -> Value {
    let claims = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&from_base64url(claims).unwrap()).unwrap()
}

/// Opens the request by that method, and goes through the pages as alice.
async fn answered(server: &Server, browser: &Browser, by: &str, changes: &[(&str, &str)]) -> Value {
    let form = pairs(server, changes);
    let response = match by {
        "GET" => browser.raw(&server.authorize(changes)).await,
        // As browsers send it: a backslash stays as it is in a query.
        "bare GET" => browser.raw(&server.authorize(changes).replace("%5C", "\\")).await,
        "POST" => browser.raw_post("/oauth2/authorize", &form).await,
        _ => {
            let request = reqwest::Client::new().post(format!("{}/oauth2/par", server.url));
            let pushed = request.basic_auth("web", Some(SECRET)).form(&form).send().await.unwrap();
            assert_eq!(pushed.status(), 201, "{}", pushed.text().await.unwrap());
            let pushed: Value = pushed.json().await.unwrap();
            let uri = pushed["request_uri"].as_str().unwrap();
            browser.raw(&format!("/oauth2/authorize?client_id=web&request_uri={uri}")).await
        }
    };
    let mut shown = browser.follow(response).await;
    loop {
        shown = match shown {
            Err(callback) => return json!(callback),
            Ok(page) if page.name() == "login" => {
                let fields = [("username", "alice"), ("password", PASSWORD)];
                browser.submit(&page, &fields).await
            }
            Ok(page) if page.name() == "consent" => browser.submit(&page, &[("decision", "allow")]).await,
            Ok(page) => panic!("{by}: the page {} ({}): {}", page.name(), page.status, page.html),
        }
    }
}

/// `state`, `nonce` and `login_hint` of 8 KB in one request.
async fn long_values_come_back(server: &Server, browser: impl Fn() -> Browser, state: &str) {
    let (nonce, hint) = ("n".repeat(MAX), format!("{}@example.com", "a".repeat(MAX - 12)));
    let changes = [("state", state), ("nonce", &*nonce), ("login_hint", &*hint)];
    for by in ["GET", "POST", "PAR"] {
        let callback = answered(server, &browser(), by, &changes).await;
        assert!(callback["state"] == state, "{by}: {callback}");
        let (status, tokens) = server.redeem(callback["code"].as_str().unwrap()).await;
        assert_eq!((status, claims(&tokens["id_token"])["nonce"] == *nonce), (200, true), "{by}");
    }
}

#[tokio::test]
async fn state_nonce_and_login_hint_have_8_kb() {
    let server = Server::with_alice().await;
    long_values_come_back(&server, || server.browser(), &"s".repeat(MAX)).await;
    let long = "s".repeat(MAX + 1);
    for name in ["state", "nonce", "login_hint"] {
        for by in ["GET", "POST"] {
            let callback = answered(&server, &server.browser(), by, &[(name, long.as_str())]).await;
            assert_eq!(callback["error"], "invalid_request", "{name}");
            let text = callback["error_description"].as_str().unwrap();
            assert_eq!(text, format!("{name} is too long: at most 8192 bytes are taken."));
        }
    }
}

/// JSON takes two bytes for each of these, a form three: what is kept of an open sign-in is bounded by the values alone. In an
/// address so many quotation marks are 72 KiB, which no client library sends.
#[tokio::test]
async fn values_of_8_kb_of_quotation_marks_fit() {
    let server = Server::with_alice().await;
    let mixed = format!("{}{}", "\"".repeat(3000), "q".repeat(MAX - 3000));
    for (by, value) in
        [("POST", "\"".repeat(MAX)), ("POST", "\\".repeat(MAX)), ("bare GET", "\\".repeat(MAX)), ("GET", mixed)]
    {
        let changes = [("state", value.as_str()), ("nonce", &value), ("login_hint", &value)];
        let browser = server.browser();
        let callback = answered(&server, &browser, by, &changes).await;
        assert!(callback["state"] == value, "{by}: {callback}");
        let (status, tokens) = server.redeem(callback["code"].as_str().unwrap()).await;
        assert_eq!((status, claims(&tokens["id_token"])["nonce"] == value), (200, true), "{by}");
    }
}

/// An ID token of that many bytes at most, and more than 90 of a hundred of them, of a session of `browser`.
async fn long_hint(server: &Server, browser: &Browser, bytes: usize) -> String {
    // A quotation mark is two bytes in JSON, and three bytes are four in base64.
    let nonce = format!("{}{}", "\"".repeat((bytes / 4 * 3).saturating_sub(MAX + 1100)), "n".repeat(MAX));
    let nonce: String = nonce.chars().take(MAX).collect();
    let callback = answered(server, browser, "GET", &[("nonce", nonce.as_str())]).await;
    let (_, tokens) = server.redeem(callback["code"].as_str().unwrap()).await;
    let hint = tokens["id_token"].as_str().unwrap().to_owned();
    assert!((bytes / 10 * 9..=bytes).contains(&hint.len()), "{}", hint.len());
    hint
}

async fn hints_are_read(server: &Server, browser: impl Fn() -> Browser) {
    for by in ["GET", "POST", "PAR"] {
        let browser = browser();
        let hint = long_hint(server, &browser, 16 * 1024).await;
        let silent = answered(server, &browser, by, &[("id_token_hint", hint.as_str()), ("prompt", "none")]).await;
        assert!(silent["code"].is_string(), "{by}: {silent}");
        let request = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE), ("state", "x")];
        let out = if by == "POST" {
            browser.raw_post("/oauth2/logout", &request.map(|(a, b)| (a.to_owned(), b.to_owned()))).await
        } else {
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(request).finish();
            browser.raw(&format!("/oauth2/logout?{query}")).await
        };
        let to = out.headers()["location"].to_str().unwrap();
        assert_eq!((out.status().as_u16(), to), (303, format!("{BYE}?state=x").as_str()), "{by}");
        assert_eq!(browser.raw("/account").await.status(), 303, "{by}: signed out");
    }
}

#[tokio::test]
async fn id_token_hints_have_16_kb() {
    let server = Server::with_alice().await;
    hints_are_read(&server, || server.browser()).await;
}

/// What does not fit a redirect is sent again by a page of ours, with the browser's cookies.
#[tokio::test]
async fn a_long_cross_site_request_is_sent_again_by_a_page() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    for (state, page) in [("s".repeat(100), "login"), ("s".repeat(MAX), "login"), ("\"".repeat(MAX), "form-post")] {
        let form = pairs(&server, &[("state", &state)]);
        let request = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let request = request.request(Method::POST, format!("{}/oauth2/authorize", server.url)).form(&form);
        let request = request.header("origin", "https://app.example").header("sec-fetch-site", "cross-site");
        let shown = browser.follow(request.send().await.unwrap()).await.ok().unwrap();
        assert_eq!(shown.name(), page);
        if page == "form-post" {
            let login = browser.submit(&shown, &[]).await.ok().unwrap();
            assert_eq!(login.name(), "login");
            let consent = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
            let callback = browser.submit(&consent, &[("decision", "allow")]).await.err().unwrap();
            assert!(callback["state"] == state);
        }
    }
}

/// A browser with cookies of everything on the host: the refusal says what to do.
#[tokio::test]
async fn headers_too_large_name_cookies_as_the_likely_cause() {
    let server = Server::start().await;
    for (path, kind) in
        [("/login", "text/html"), ("/oauth2/authorize", "text/html"), ("/oauth2/userinfo", "application/json")]
    {
        let cookies = (0..12).map(|at| format!("c{at}={}", "a".repeat(4096))).collect::<Vec<_>>().join("; ");
        let response = server.browser().request(Method::GET, path).header("cookie", cookies).send().await.unwrap();
        assert_eq!(response.status(), 431, "{path}");
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with(kind), "{path}");
        let text = response.text().await.unwrap();
        assert!(text.contains("cookies") && text.contains("delete the cookies of this site"), "{path}: {text}");
    }
}

/// The `server` that docs/operating.md has, without TLS and with other addresses.
async fn documented_nginx(signet: &str) -> Proxy {
    let guide = include_str!("../../docs/operating.md");
    let mut blocks = guide.split("```").filter_map(|block| block.strip_prefix("nginx\n"));
    let block = blocks.find(|block| block.contains("server_name id.example.com")).unwrap();
    let filled = |own: SocketAddr| {
        let mut config = block.to_owned();
        for (written, instead) in
            [("listen 443 ssl;", format!("listen {own};")), ("http://127.0.0.1:8080;", format!("{signet};"))]
        {
            assert_eq!(config.matches(written).count(), 1, "{written} stands in the guide once");
            config = config.replace(written, &instead);
        }
        config
    };
    nginx::start(filled, &[]).await
}

#[tokio::test]
async fn the_documented_nginx_passes_long_requests_on() {
    let server = Server::with_alice().await;
    let nginx = documented_nginx(&server.url).await;
    let browser = || Browser::new(format!("http://{}", nginx.address));
    // Each of these bytes is three in an address, and in the redirect that repeats it.
    let state = "\"{".repeat(MAX / 2);
    let callback = answered(&server, &browser(), "GET", &[("state", state.as_str())]).await;
    assert!(callback["state"] == state, "{callback}: {}", nginx.log());
    long_values_come_back(&server, browser, &"s".repeat(MAX)).await;
    hints_are_read(&server, browser).await;
    let redirect = browser().raw(&server.authorize(&[("redirect_uri", CALLBACK)])).await;
    assert_eq!(redirect.status(), 303, "{}", nginx.log());
}
