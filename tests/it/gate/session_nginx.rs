//! A browser at an app behind the documented nginx, which passes `/.signet/` on to us: the whole way of a sign-in and back
//! out, and what a person reads there when it cannot go on. Next door: [`super::session`], each step by itself.

use serde_json::json;

use super::nginx::{address, got};
use super::session::Step;
use super::{put_api, with_gate};
use crate::support::nginx::Nginx;
use crate::support::wire::{Api, Reply};
use crate::support::{Browser, PASSWORD, Page, Server};

/// The app's nginx and its origin, before an API that anybody's session is good for.
async fn with_app_behind_nginx() -> (Server, Api, Nginx, String) {
    let (server, api) = (with_gate(json!({})).await, Api::start().await);
    let app = Nginx::gate_at("127.0.0.1", address(&server.url), api.address).await;
    let origin = format!("http://{}", app.address);
    put_api(&server, json!({ "accepts": ["bearer", "session"], "origins": [origin] })).await;
    (server, api, app, origin)
}

/// Somebody's browser without JavaScript at the app, whatever hosts it is sent to.
async fn go(browser: &Browser, mut to: String) -> (u16, String, String) {
    loop {
        let request = browser.request(reqwest::Method::GET, &to).header("accept", "text/html");
        let response = request.send().await.unwrap();
        match response.headers().get("location") {
            Some(next) => to = response.url().join(next.to_str().unwrap()).unwrap().into(),
            None => return (response.status().as_u16(), response.url().to_string(), response.text().await.unwrap()),
        }
    }
}

/// The documented nginx before an app on another host than ours, all the way.
#[tokio::test]
async fn behind_nginx_a_person_signs_in_and_out() {
    let (server, _api, app, origin) = with_app_behind_nginx().await;
    let browser = server.browser();
    let (status, shown, html) = go(&browser, format!("{origin}/orders/1?a=b")).await;
    assert!(
        status == 200 && shown.starts_with(&format!("{}/login?next=", server.url)),
        "{status} {shown}\n{}",
        app.log()
    );
    let login = Page { status, path: "/login".to_owned(), html };
    let (action, form) = login.form(&[("username", "alice"), ("password", PASSWORD)]);
    let back = Step::of(&browser.raw_post(&action, &form).await).location;
    let (status, shown, json) = go(&browser, back).await;
    assert_eq!((status, shown), (200, format!("{origin}/orders/1?a=b")));
    let reply = Reply { status, headers: Vec::new(), body: json.into_bytes() };
    assert_eq!((got(&reply, "x-gate-way"), got(&reply, "remote-user")), (vec!["session".into()], vec!["alice".into()]));
    assert_eq!(got(&reply, "cookie"), [""; 0], "the cookies of the gate end here");
    // The app's own cookies come through, wherever the gate's stand between them.
    let gates = ["signet-gate-orders.state=x", "signet-gate-others=y"];
    for (sent, left) in [
        (format!("a=1; {}; b=2", gates[0]), "a=1; b=2"),
        (format!("a=1; {}; {}; b=2", gates[0], gates[1]), "a=1; b=2"),
        (format!("{}; a=1; __Host-{}", gates[0], gates[1]), "a=1;"),
        // More than nginx takes out one by one: none comes through.
        (format!("{}; signet-gate-a=1; signet-gate-b=2; a=1", gates[0]), ""),
        (
            format!("a=1;{};b=signet-gate-orders; xsignet-gate-a=1", gates[1]),
            "a=1;b=signet-gate-orders; xsignet-gate-a=1",
        ),
    ] {
        let reply = crate::support::wire::once(
            app.address,
            "GET",
            "/public/a",
            &[("cookie", &sent), ("host", &app.address.to_string())],
            b"",
        )
        .await;
        assert_eq!(got(&reply, "cookie").concat().trim(), left, "{sent}");
    }
    // A form of the app's own, and one of another site's; a script that is not sent anywhere.
    let url = format!("{origin}/orders/1");
    put_api(
        &server,
        json!({ "accepts": ["session"], "origins": [origin],
                             "rules": [{ "methods": ["POST", "GET"], "path": "/**" }] }),
    )
    .await;
    for (site, status) in [("same-origin", 200), ("cross-site", 401)] {
        let request = browser.request(reqwest::Method::POST, &url).header("sec-fetch-site", site);
        assert_eq!(request.send().await.unwrap().status(), status, "{site}");
    }
    let (status, shown, html) = go(&browser, format!("{origin}/.signet/sign-out")).await;
    assert_eq!((status, shown.as_str()), (200, format!("{}/oauth2/logout", server.url).as_str()));
    let page = Page { status, path: "/oauth2/logout".to_owned(), html };
    browser.submit(&page, &[("decision", "allow")]).await.unwrap();
    let request = browser.request(reqwest::Method::GET, &url).header("sec-fetch-mode", "cors");
    assert_eq!(request.send().await.unwrap().status(), 401);
    let (_, shown, _) = go(&browser, url).await;
    assert!(shown.starts_with(&format!("{}/login?", server.url)), "{shown}");
}

/// What goes wrong on the app's host is told in a page of ours, whose files are found there: only `/.signet/` is ours.
#[tokio::test]
async fn a_page_on_the_apps_host_has_its_style_there() {
    let (server, _api, app, origin) = with_app_behind_nginx().await;
    let browser = server.browser();
    let long = format!("callback?ticket={}", "a".repeat(15_000));
    for (page, status) in [("callback?ticket=x", 400), ("sign-in?rd=//evil.example", 400), ("a/b", 404), (&long, 431)] {
        let request = browser.request(reqwest::Method::GET, &format!("{origin}/.signet/{page}"));
        // Beside a cookie that fills the headers up to what we read, and nginx still takes.
        let cookie = if status == 431 { "a".repeat(3000) } else { String::new() };
        let response = request.header("cookie", format!("a={cookie}")).send().await.unwrap();
        assert_eq!(response.status(), status, "{page}\n{}", app.log());
        let page = Page { status, path: String::new(), html: response.text().await.unwrap() };
        assert_eq!(page.name(), "error");
        let icon = page.attribute(".seal use", "href").unwrap();
        assert!(icon.starts_with("/.signet/static/icons.svg?v=") && icon.ends_with("#warning"), "{icon}");
        for (selector, name, kind) in [
            ("link[rel=stylesheet]", "href", "text/css"),
            ("link[rel=icon]", "href", "image/svg+xml"),
            ("script[src]", "src", "text/javascript"),
            (".seal use", "href", "image/svg+xml"),
        ] {
            let file = page.attribute(selector, name).unwrap();
            let response = browser.raw(&format!("{origin}{file}")).await;
            assert_eq!(response.status(), 200, "{file}");
            assert_eq!(response.headers()["content-type"], kind, "{file}");
            assert!(response.headers()["cache-control"].to_str().unwrap().contains("immutable"), "{file}");
            let here = browser.raw(&file.replace("/.signet/", "/")).await;
            assert_eq!(response.bytes().await.unwrap(), here.bytes().await.unwrap(), "{file}");
        }
        assert_eq!(page.attribute("a.brand", "href"), Some(format!("{}/", server.url)), "the way to our own host");
    }
    assert_eq!(browser.raw(&format!("{origin}/.signet/static/nothing.css")).await.status(), 404);
    let own = browser.page("/nowhere").await;
    assert!(own.attribute("link[rel=stylesheet]", "href").unwrap().starts_with("/static/signet.css?v="));
}
