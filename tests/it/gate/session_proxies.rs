//! A browser at an app behind the real proxies, with the configurations of docs/gate.md, which pass `/.signet/` on to Signet:
//! sign-in, the way back to the page, sign-out, and the pages that say why it cannot go on. Next door: [`super::session`], each
//! step by itself.

use serde_json::json;

use super::nginx::{address, got};
use super::session::Step;
use super::{put_api, with_gate};
use crate::support::proxies::{Kind, Site};
use crate::support::proxy::Proxy;
use crate::support::wire::{Api, Reply, once};
use crate::support::{Browser, PASSWORD, Page, Server};

/// A proxy at an app's host and origin, before an API that every user's session opens.
struct App {
    server: Server,
    proxy: Proxy,
    origin: String,
    _api: Api,
}

impl App {
    async fn behind(kind: Kind) -> Self {
        let (server, api) = (with_gate(json!({})).await, Api::start().await);
        let site = Site { host: "127.0.0.1", ..Site::new(address(&server.url), api.address) };
        let proxy = kind.start(&site).await;
        let origin = site.url(proxy.address);
        put_api(&server, json!({ "accepts": ["bearer", "session"], "origins": [origin] })).await;
        Self { server, proxy, origin, _api: api }
    }
}

/// Follows redirects to any host, as a browser without JavaScript.
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

/// The app is on another host than Signet.
#[tokio::test]
async fn behind_each_proxy_a_user_signs_in_and_out() {
    for kind in Kind::ALL {
        let app = App::behind(kind).await;
        signs_in_and_out(kind, &app).await;
    }
}

async fn signs_in_and_out(kind: Kind, app: &App) {
    let (server, origin) = (&app.server, &app.origin);
    let browser = server.browser();
    let (status, shown, html) = go(&browser, format!("{origin}/orders/1?a=b")).await;
    assert!(
        status == 200 && shown.starts_with(&format!("{}/login?next=", server.url)),
        "{kind:?} {status} {shown}\n{}",
        app.proxy.log()
    );
    let login = Page { status, path: "/login".to_owned(), html };
    let (action, form) = login.form(&[("username", "alice"), ("password", PASSWORD)]);
    let back = Step::of(&browser.raw_post(&action, &form).await).location;
    let (status, shown, json) = go(&browser, back).await;
    assert_eq!((status, shown), (200, format!("{origin}/orders/1?a=b")), "{kind:?}\n{}", app.proxy.log());
    let reply = Reply { status, headers: Vec::new(), body: json.into_bytes() };
    let told = (got(&reply, "x-gate-way"), got(&reply, "remote-user"));
    assert_eq!(told, (vec!["session".into()], vec!["alice".into()]), "{kind:?}");
    let cookie = got(&reply, "cookie").concat();
    match kind {
        Kind::Nginx => assert_eq!(cookie, "", "the cookies of the gate end here"),
        Kind::Caddy => assert!(cookie.split("; ").all(|it| it == "gate="), "their values do: {cookie}"),
        // As docs/gate.md says: neither takes a cookie out.
        Kind::Envoy | Kind::Traefik => assert!(cookie.contains("signet-gate-orders"), "{kind:?} {cookie}"),
    }
    // A form of the app's own, and one of another site's; a script that is not sent anywhere.
    let url = format!("{origin}/orders/1");
    put_api(
        server,
        json!({ "accepts": ["session"], "origins": [origin],
                             "rules": [{ "methods": ["POST", "GET"], "path": "/**" }] }),
    )
    .await;
    for (site, status) in [("same-origin", 200), ("cross-site", 401)] {
        let request = browser.request(reqwest::Method::POST, &url).header("sec-fetch-site", site);
        assert_eq!(request.send().await.unwrap().status(), status, "{kind:?} {site}");
    }
    let (status, shown, html) = go(&browser, format!("{origin}/.signet/sign-out")).await;
    assert_eq!((status, shown), (200, format!("{}/oauth2/logout", server.url)), "{kind:?}");
    let page = Page { status, path: "/oauth2/logout".to_owned(), html };
    browser.submit(&page, &[("decision", "allow")]).await.unwrap();
    let request = browser.request(reqwest::Method::GET, &url).header("sec-fetch-mode", "cors");
    assert_eq!(request.send().await.unwrap().status(), 401, "{kind:?}");
    let (_, shown, _) = go(&browser, url).await;
    assert!(shown.starts_with(&format!("{}/login?", server.url)), "{kind:?} {shown}");
}

/// The app's own cookies come through, wherever the gate's stand between them.
#[tokio::test]
async fn nginx_takes_the_gates_cookies_out() {
    let app = App::behind(Kind::Nginx).await;
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
        let host = app.proxy.address.to_string();
        let headers = [("cookie", sent.as_str()), ("host", &host)];
        let reply = once(app.proxy.address, "GET", "/public/a", &headers, b"").await;
        assert_eq!(got(&reply, "cookie").concat().trim(), left, "{sent}");
    }
}

/// What goes wrong on the app's host is told in a page of ours, whose files are found there: only `/.signet/` is ours.
#[tokio::test]
async fn a_page_on_the_apps_host_has_its_style_there() {
    for kind in Kind::ALL {
        let app = App::behind(kind).await;
        pages_have_their_style(kind, &app).await;
    }
}

async fn pages_have_their_style(kind: Kind, app: &App) {
    let (server, origin) = (&app.server, &app.origin);
    let browser = server.browser();
    let long = format!("callback?ticket={}", "a".repeat(15_000));
    for (page, status) in [("callback?ticket=x", 400), ("sign-in?rd=//evil.example", 400), ("a/b", 404), (&long, 431)] {
        let request = browser.request(reqwest::Method::GET, &format!("{origin}/.signet/{page}"));
        // Beside lines that fill the headers beyond what we read, and nginx still takes.
        let [cookie, more] = if status == 431 { [15_000, 6_000] } else { [0, 0] }.map(|length| "a".repeat(length));
        let request = request.header("cookie", format!("a={cookie}")).header("x-long", &cookie).header("x-more", more);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{kind:?} {page}\n{}", app.proxy.log());
        let page = Page { status, path: String::new(), html: response.text().await.unwrap() };
        assert_eq!(page.name(), "error");
        let icon = page.attribute(".seal use", "href").unwrap();
        assert!(icon.starts_with("/.signet/static/icons.svg?v=") && icon.ends_with("#warning"), "{icon}");
        for (selector, name, content_type) in [
            ("link[rel=stylesheet]", "href", "text/css"),
            ("link[rel=icon]", "href", "image/svg+xml"),
            ("script[src]", "src", "text/javascript"),
            (".seal use", "href", "image/svg+xml"),
        ] {
            let file = page.attribute(selector, name).unwrap();
            let response = browser.raw(&format!("{origin}{file}")).await;
            assert_eq!(response.status(), 200, "{file}");
            assert_eq!(response.headers()["content-type"], content_type, "{file}");
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
