//! Requests that another site makes a browser send. They come without its `SameSite=Lax` cookies, so to the server each
//! looks like the first one of a new browser.

use reqwest::{Method, Response};
use serde_json::json;

use super::limits::ROUTES;
use super::{http, open_server};
use crate::support::{PASSWORD, Server};

/// What browsers say of a form on another site: those with Fetch Metadata, and those without.
const FOREIGN: [&[(&str, &str)]; 4] = [
    &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
    &[("origin", "null"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
    &[("origin", "https://evil.example")],
    &[("origin", "null")],
];

/// Pages of signed-in users that are in no other table of routes.
const MORE_PATHS: [&str; 6] =
    ["/account", "/account/password", "/account/passkeys", "/account/sessions", "/admin", "/admin/clients"];

fn cookies(response: &Response) -> Vec<String> {
    response.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

async fn ask(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = http().request(method, format!("{}{path}", server.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.form(&[("username", "alice"), ("password", PASSWORD)]).send().await.unwrap()
}

/// T45: a cross-site POST replaced the browser's cookie, and with it every sign-in that was open there.
#[tokio::test]
async fn a_cross_site_post_sets_no_cookie_at_any_route() {
    let server = open_server().await;
    let paths = ROUTES.iter().map(|route| route.path).chain(MORE_PATHS);
    for path in paths {
        for headers in FOREIGN {
            let response = ask(&server, Method::POST, path, headers).await;
            assert_eq!(cookies(&response), Vec::<String>::new(), "POST {path} with {headers:?}");
        }
    }
    let own = ask(&server, Method::POST, "/oauth2/authorize", &[]).await;
    assert!(!cookies(&own).is_empty(), "a new browser gets its cookie");
}

/// The same in a frame or for an image; a link, which takes the cookies along, may give a new browser its first.
#[tokio::test]
async fn only_a_navigation_from_another_site_sets_cookies() {
    let server = open_server().await;
    let path = server.authorize(&[]);
    for (mode, destination, may_set) in [
        ("navigate", "document", true),
        ("navigate", "iframe", false),
        ("no-cors", "image", false),
        ("cors", "empty", false),
    ] {
        let headers = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", mode), ("sec-fetch-dest", destination)];
        let response = ask(&server, Method::GET, &path, &headers).await;
        assert_eq!(!cookies(&response).is_empty(), may_set, "{mode} {destination}");
    }
}

/// T45: what was begun before another site's form came goes on after it.
#[tokio::test]
async fn an_open_sign_in_survives_a_cross_site_post() {
    let server = Server::start().await;
    server.user("alice").await;
    server.client("web", json!({ "consent": "trusted" })).await;
    let browser = server.browser();
    let login = browser.page(&server.authorize(&[])).await;
    // The browser leaves its cookies out, and keeps what the answer sets.
    for headers in FOREIGN {
        let answer = ask(&server, Method::POST, "/oauth2/authorize", headers).await;
        assert_eq!(cookies(&answer), Vec::<String>::new());
    }
    let callback = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await;
    assert!(callback.is_err_and(|callback| callback.contains_key("code")));
}
