//! The way `session`: from the gate's 401 to our sign-in page and back to the app's host, with a ticket that is good once,
//! there, in that browser (T9, T14). Next door: [`super::session_cookie`], what the cookie is good for from then on;
//! [`super::session_proxies`], all of it behind the documented proxies.

use reqwest::redirect::Policy;
use serde_json::{Value, json};

use super::{Answer, put_api, with_gate};
use crate::attacks::corpus::mutated;
use crate::console::make_admin;
use crate::passkey::{add, signed};
use crate::support::authenticator::Authenticator;
use crate::support::{Browser, PASSWORD, Server};

pub const APP: &str = "https://app.example";

/// With an API for browsers at [`APP`] and a second origin.
pub async fn with_app() -> Server {
    with_gate(for_browsers()).await
}

pub fn for_browsers() -> Value {
    json!({ "accepts": ["bearer", "session"], "origins": [APP, "http://localhost:3000"] })
}

/// What came back from a page on the app's host: status, `Location`, and the cookies that were set.
#[derive(Debug)]
pub struct Step {
    pub status: u16,
    pub location: String,
    pub cookies: Vec<String>,
}

impl Step {
    pub fn of(response: &reqwest::Response) -> Self {
        let all = |name| response.headers().get_all(name).iter().map(|value| value.to_str().unwrap().to_owned());
        Self {
            status: response.status().as_u16(),
            location: all("location").next().unwrap_or_default(),
            cookies: all("set-cookie").collect(),
        }
    }

    /// The first cookie, as a browser sends it.
    pub fn cookie(&self) -> String {
        self.cookies[0].split(';').next().unwrap().to_owned()
    }
}

/// The proxy of the app's host passes on `/.signet/{page}`.
pub async fn at_app(server: &Server, gate: &str, origin: &str, page: &str, cookie: &str) -> Step {
    let (scheme, host) = origin.split_once("://").unwrap();
    let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let request = http.get(format!("{}/gate/session/{gate}/{page}", server.url));
    let request = request.header("x-forwarded-proto", scheme).header("x-forwarded-host", host);
    Step::of(&request.header("cookie", cookie).send().await.unwrap())
}

/// The state of a browser that begins, and where it is sent.
async fn begin(server: &Server) -> (String, String) {
    let step = at_app(server, "orders", APP, "sign-in?rd=%2Forders%2F1%3Fa%3Db", "").await;
    assert_eq!(step.status, 303, "{step:?}");
    (step.cookie(), step.location)
}

/// `callback?ticket=…` as we send a browser there in which alice is signed in.
async fn ticket(browser: &Browser, to: &str) -> String {
    let step = Step::of(&browser.raw(to).await);
    assert_eq!(step.status, 303, "{step:?}");
    step.location.strip_prefix(&format!("{APP}/.signet/")).unwrap_or_else(|| panic!("{step:?}")).to_owned()
}

/// The cookie of the gate on the app's host for whoever is signed in in that browser.
pub async fn cookie_of(server: &Server, browser: &Browser) -> String {
    let (state, to) = begin(server).await;
    let step = at_app(server, "orders", APP, &ticket(browser, &to).await, &state).await;
    assert_eq!((step.status, step.location.as_str()), (303, "https://app.example/orders/1?a=b"));
    step.cookie()
}

/// nginx asks about a request to the app's host.
pub async fn asked(server: &Server, method: &str, headers: &[(&str, &str)]) -> Answer {
    let all = [&[("x-original-method", method), ("x-original-url", "https://app.example/orders/1?x=a%20b")], headers];
    super::ask(server, "orders", &all.concat()).await
}

pub async fn alice(server: &Server) -> Browser {
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    browser
}

#[tokio::test]
async fn a_browser_is_sent_to_sign_in_and_comes_back_with_a_cookie() {
    let server = with_app().await;
    let answer = asked(&server, "GET", &[("sec-fetch-mode", "navigate")]).await;
    assert_eq!((answer.status, answer.reason()), (401, "no_credential"));
    let offered = answer.header("x-gate-sign-in");
    assert_eq!(offered, "https://app.example/.signet/sign-in?rd=%2Forders%2F1%3Fx%3Da%2520b");
    let page = offered.strip_prefix("https://app.example/.signet/").unwrap();
    let begun = at_app(&server, "orders", APP, page, "").await;
    let state = &begun.cookies[0];
    assert!(state.starts_with("__Host-signet-gate-orders.state="), "{state}");
    assert!(state.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600; Secure"), "{state}");
    assert!(begun.location.starts_with(&format!("{}/gate/sign-in/orders?rd=", server.url)), "{begun:?}");
    // Another tab.
    assert_eq!(at_app(&server, "orders", APP, page, &begun.cookie()).await.cookie(), begun.cookie());

    let browser = server.browser();
    let login = browser.page(&begun.location).await;
    assert_eq!(login.name(), "login");
    let (action, form) = login.form(&[("username", "alice"), ("password", PASSWORD)]);
    let back = Step::of(&browser.raw_post(&action, &form).await).location;
    let finished = at_app(&server, "orders", APP, &ticket(&browser, &back).await, &begun.cookie()).await;
    assert_eq!((finished.status, finished.location.as_str()), (303, "https://app.example/orders/1?x=a%20b"));
    let cookie = &finished.cookies[0];
    assert!(cookie.starts_with("__Host-signet-gate-orders=ey"), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600; Secure"), "{cookie}");
    // None of our own pages' cookies gets on the app's host.
    assert_eq!((begun.cookies.len(), finished.cookies.len()), (1, 1));

    let answer = asked(&server, "GET", &[("cookie", &finished.cookie())]).await;
    let alice = server.person("alice").await.id.to_string();
    for (name, value) in [
        ("x-gate-way", "session"),
        ("x-gate-subject", alice.as_str()),
        ("x-gate-client", ""),
        ("x-gate-scope", "read write"),
        ("remote-user", "alice"),
        ("remote-email", "alice@example.com"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let out = at_app(&server, "orders", APP, "sign-out", &finished.cookie()).await;
    assert_eq!((out.status, out.location), (303, format!("{}/oauth2/logout", server.url)));
    assert!(out.cookies[0].starts_with("__Host-signet-gate-orders=; ") && out.cookies[0].contains("Max-Age=0"));
}

/// T9, CVE-2021-32786 and its like: `rd` leads to the origins of the API and nowhere else, by error page or byte for byte.
#[tokio::test]
async fn nobody_is_led_elsewhere() {
    let server = with_app().await;
    let browser = alice(&server).await;
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let state = "AAAAAAAAAAAAAAAAAAAAAA";
    let mut led = 0;
    let own = "https://app.example/orders/1";
    let others =
        ["", "/", "/orders", "https://app.example", "//app.example/", "http://app.example/", "http://localhost:3001/"];
    for rd in mutated(own).into_iter().chain(others.map(str::to_owned)) {
        let page = browser.raw(&format!("/gate/sign-in/orders?state={state}&rd={}", encode(&rd))).await;
        let step = Step::of(&page);
        if step.status == 303 {
            // What browsers make of it is at the app's origin too, and the way there is our own.
            assert_eq!(url::Url::parse(&rd).unwrap().origin().ascii_serialization(), APP, "{rd:?}");
            assert!(rd.starts_with("https://app.example/"), "{rd:?}");
            assert!(step.location.starts_with("https://app.example/.signet/callback?ticket="), "{rd:?}: {step:?}");
            led += 1;
        } else {
            assert_eq!((step.status, step.location.as_str()), (400, ""), "{rd:?}");
        }
        // On the app's host `rd` is a path.
        let step = at_app(&server, "orders", APP, &format!("sign-in?rd={}", encode(&rd)), "").await;
        let is_path = rd.starts_with('/') && !rd.starts_with("//");
        assert_eq!(step.status, if is_path && step.status == 303 { 303 } else { 400 }, "{rd:?}");
        assert!(step.location.is_empty() || step.location.starts_with(&server.url), "{rd:?}");
    }
    assert!(led > 10, "some differ in the path alone");
    // T2: nothing that is missing is taken for something.
    for query in
        ["", "rd=https%3A%2F%2Fapp.example%2F", &format!("state={state}"), &format!("rd={}&state=short", encode(own))]
    {
        assert_eq!(browser.raw(&format!("/gate/sign-in/orders?{query}")).await.status(), 400, "{query}");
    }
    for gate in ["nowhere", "Orders"] {
        let path = format!("/gate/sign-in/{gate}?state={state}&rd={}", encode(own));
        assert_eq!(browser.raw(&path).await.status(), 400, "{gate}");
    }
    put_api(&server, json!({})).await;
    let path = format!("/gate/sign-in/orders?state={state}&rd={}", encode(own));
    assert_eq!(browser.raw(&path).await.status(), 400, "a gate that takes no sessions");
}

/// T14: a ticket of somebody's is of no use to sign another browser in, nor a second time.
#[tokio::test]
async fn a_ticket_is_for_one_browser_origin_and_gate_and_once() {
    let server = with_app().await;
    let other_gate =
        json!({ "identifier": "https://stock.example.com", "gate": "stock", "accepts": ["session"], "origins": [APP] });
    put_api(&server, other_gate).await;
    let browser = alice(&server).await;
    let (state, to) = begin(&server).await;
    let (another, _) = begin(&server).await;
    let own = ticket(&browser, &to).await;
    let twice = format!("{state}; {another}");
    let renamed = state.replace("-orders", "-stock");
    let changed = own.replacen("ticket=ey", "ticket=fy", 1);
    for (why, gate, origin, page, cookies) in [
        ("no state", "orders", APP, own.as_str(), ""),
        ("another state", "orders", APP, &own, another.as_str()),
        ("two states", "orders", APP, &own, &twice),
        ("another gate", "stock", APP, &own, &renamed),
        (
            "another origin",
            "orders",
            "http://localhost:3000",
            &own,
            &state.replace("__Host-signet-gate-orders.", "signet-gate-orders.3000."),
        ),
        ("no origin of ours", "orders", "https://evil.example", &own, &state),
        ("no ticket", "orders", APP, "callback", &state),
        ("changed", "orders", APP, &changed, &state),
    ] {
        let step = at_app(&server, gate, origin, page, cookies).await;
        assert_eq!((step.status, step.cookies.len(), step.location.as_str()), (400, 0, ""), "{why}");
    }
    let cookie = at_app(&server, "orders", APP, &own, &state).await;
    assert_eq!(cookie.status, 303, "none of these has used it up");
    let again = at_app(&server, "orders", APP, &own, &state).await;
    assert_eq!((again.cookies.len(), again.location.starts_with(APP)), (0, true), "the second time: to the app alone");
    // T3: one kind of seal is not another.
    let as_ticket = format!("callback?ticket={}", cookie.cookie().split_once('=').unwrap().1);
    assert_eq!(at_app(&server, "orders", APP, &as_ticket, &state).await.status, 400);
    let as_cookie = format!("__Host-signet-gate-orders={}", own.split_once('=').unwrap().1);
    assert_eq!(asked(&server, "GET", &[("cookie", &as_cookie)]).await.status, 401);

    let late = ticket(&browser, &to).await;
    server.advance(60);
    let again = at_app(&server, "orders", APP, &late, &state).await;
    assert_eq!((again.cookies.len(), again.location.starts_with(APP)), (0, true), "after a minute");
    let left = ticket(&browser, &to).await;
    let page = browser.page("/oauth2/logout").await;
    browser.submit(&page, &[("decision", "allow")]).await.unwrap();
    let again = at_app(&server, "orders", APP, &left, &state).await;
    assert_eq!((again.cookies.len(), again.location.starts_with(APP)), (0, true), "of a session that has ended");
}

/// T4: of many redemptions at once, on all nodes, one gets the cookie.
#[tokio::test]
async fn of_many_redemptions_one_succeeds() {
    let nodes = with_app().await.nodes().await;
    let browser = alice(&nodes[0]).await;
    let (state, to) = begin(&nodes[0]).await;
    let page = ticket(&browser, &to).await;
    let all = (0..16).map(|n| at_app(&nodes[n % nodes.len()], "orders", APP, &page, &state));
    let all = futures::future::join_all(all).await;
    assert_eq!(all.iter().filter(|step| !step.cookies.is_empty()).count(), 1, "{all:?}");
}

#[tokio::test]
async fn only_a_proxy_of_ours_passes_on() {
    let server = Server::with_alice().await;
    put_api(&server, for_browsers()).await;
    for page in ["sign-in?rd=%2F", "callback?ticket=x", "sign-out"] {
        let step = at_app(&server, "orders", APP, page, "").await;
        assert_eq!((step.status, step.cookies.len()), (403, 0), "{page}");
    }
}

/// RFC 9470: a rule's `acr` leads to a stronger sign-in, which is asked for once (T17).
#[tokio::test]
async fn a_stronger_sign_in_is_asked_for() {
    let server = with_app().await;
    let mut api = for_browsers();
    api["rules"] = json!([{ "methods": ["GET"], "path": "/orders/**", "acr": "phr" }]);
    put_api(&server, api).await;
    let browser = alice(&server).await;
    let mut device = Authenticator::new(&server.url);
    add(&browser, &mut device).await;
    let weak = cookie_of(&server, &browser).await;
    server.advance(5);
    let answer = asked(&server, "GET", &[("cookie", &weak), ("accept", "text/html")]).await;
    assert_eq!((answer.status, answer.reason()), (401, "insufficient_authentication"));
    let page = answer.header("x-gate-sign-in").strip_prefix("https://app.example/.signet/").unwrap().to_owned();
    assert!(page.ends_with("&acr_values=phr"), "{page}");
    let begun = at_app(&server, "orders", APP, &page, "").await;
    let login = browser.page(&begun.location).await;
    assert_eq!(login.name(), "login", "although somebody is signed in");
    // By the password again it is no stronger: told, and not asked for in a ring.
    let told = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.expect("a page");
    assert_eq!((told.status, told.error()), (400, "unmet_authentication_requirements".to_owned()));
    let login = browser.page(&begun.location).await;
    let fields = signed(&browser, &login, &mut device).await;
    let back = Step::of(&browser.raw_post("/login/passkey/finish", &fields).await).location;
    let strong = at_app(&server, "orders", APP, &ticket(&browser, &back).await, &begun.cookie()).await.cookie();
    assert_eq!(asked(&server, "GET", &[("cookie", &strong)]).await.status, 200);
    assert_eq!(asked(&server, "GET", &[("cookie", &weak)]).await.status, 401, "the cookie of before is what it was");
}

/// Told of once for each session and app, to the administrator and to the person; that it goes on, unseen, is no news.
#[tokio::test]
async fn a_sign_in_is_in_the_events() {
    let server = with_app().await;
    server.user("carol").await;
    make_admin(&server, "carol").await;
    let admin = server.browser();
    admin.sign_in_as("carol").await;
    let rows = async |query: &str| admin.page(&format!("/admin/events?kind=sign_in.app{query}")).await;
    let browser = alice(&server).await;
    let (state, to) = begin(&server).await;
    let page = ticket(&browser, &to).await;
    assert_eq!(at_app(&server, "orders", APP, &page, "").await.status, 400);
    assert_eq!(rows("").await.count("tbody > tr"), 0, "nobody has got in yet");
    assert_eq!(at_app(&server, "orders", APP, &page, &state).await.status, 303);
    assert_eq!(at_app(&server, "orders", APP, &page, &state).await.cookies.len(), 0, "the second time");
    let row = rows("&q=alice").await;
    assert_eq!(row.count("tbody > tr"), 1);
    for text in ["Signed in to an app behind a gate: https://app.example", "Alice Example", "127.0.0.1", "sign_in.app"]
    {
        assert!(row.text("tbody tr").contains(text), "{text}: {}", row.text("tbody tr"));
    }
    let activity = browser.page("/account").await.text("main");
    assert!(activity.contains("Signed in to an app") && activity.contains(APP), "{activity}");

    server.advance(600);
    cookie_of(&server, &browser).await;
    assert_eq!(rows("").await.count("tbody > tr"), 1, "the same session at the same app");
    cookie_of(&server, &alice(&server).await).await;
    assert_eq!(rows("").await.count("tbody > tr"), 2, "another browser");
}
