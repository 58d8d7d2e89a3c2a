//! Apps' logos, fetched by us and served by us, and what pages say of apps that nobody has checked.

use serde_json::json;
use signet::config::RegistrationMode;

use crate::support::receiver::{Answer, Receiver, reachable};
use crate::support::{CALLBACK, Server};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nthe rest of it";

async fn get(server: &Server, path: &str) -> reqwest::Response {
    reqwest::get(format!("{}{path}", server.url)).await.unwrap()
}

fn header(response: &reqwest::Response, name: &str) -> String {
    response.headers()[name].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_logo_is_fetched_once_and_served_from_here() {
    let server = Server::start_with(reachable).await;
    let receiver = Receiver::start().await;
    receiver.answer("/logo.png", Answer::body("text/html", PNG));
    let links = json!({
        "logo_uri": receiver.at("/logo.png"), "policy_uri": "https://app.example.com/policy",
        "tos_uri": "https://app.example.com/tos",
    });
    server.client("web", links).await;
    let login = server.browser().page(&server.authorize(&[])).await;
    assert_eq!(login.attribute("img#client-logo", "src").as_deref(), Some("/logo/web"));
    assert_eq!(login.attribute("a#client-policy", "href").as_deref(), Some("https://app.example.com/policy"));
    assert_eq!(login.attribute("a#client-tos", "href").as_deref(), Some("https://app.example.com/tos"));
    assert!(!login.has("#client-unverified"), "an administrator made it");
    assert!(receiver.requests("/logo.png").is_empty(), "no page waits for a logo");
    for _ in 0..3 {
        let response = get(&server, "/logo/web").await;
        assert_eq!(header(&response, "content-type"), "image/png", "by its bytes");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert_eq!(header(&response, "content-security-policy"), "default-src 'none'; sandbox");
        assert_eq!(header(&response, "cache-control"), "public, max-age=3600");
        assert_eq!(response.bytes().await.unwrap(), PNG);
    }
    let asked = receiver.requests("/logo.png");
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].headers.contains_key("cookie") && !asked[0].headers.contains_key("referer"));
    server.advance(86_400);
    get(&server, "/logo/web").await;
    assert_eq!(receiver.requests("/logo.png").len(), 2);
}

/// What is no small raster image is not passed on: the letters of the name stand there instead.
#[tokio::test]
async fn a_bad_logo_is_two_letters() {
    let server = Server::start_with(reachable).await;
    let receiver = Receiver::start().await;
    let mut large = PNG.to_vec();
    large.resize(256 * 1024 + 1, 0);
    for (path, answer) in [
        ("/missing", Answer::status(404)),
        ("/moved", Answer::status(302).header("location", receiver.at("/good"))),
        ("/svg", Answer::body("image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>")),
        ("/html", Answer::body("image/png", "<script>1</script>")),
        ("/large", Answer::body("image/png", large)),
        ("/endless", Answer::endless()),
        ("/empty", Answer::body("image/png", "")),
    ] {
        receiver.answer(path, answer);
        let client = format!("web{}", path.replace('/', "-"));
        server.client(&client, json!({ "logo_uri": receiver.at(path), "client_name": "<b>Lantern</b>" })).await;
        for _ in 0..2 {
            let response = get(&server, &format!("/logo/{client}")).await;
            assert_eq!(
                (response.status().as_u16(), header(&response, "content-type").as_str()),
                (200, "image/svg+xml")
            );
            assert_eq!(header(&response, "content-security-policy"), "default-src 'none'; sandbox", "{path}");
            let body = response.text().await.unwrap();
            assert!(body.contains(">Bl<") && !body.contains("script"), "{path}: {body}");
        }
        assert_eq!(receiver.requests(path).len(), 1, "{path}: a failure is remembered");
    }
    server.client("plain", json!({})).await;
    for nothing in ["/logo/plain", "/logo/nobody", "/logo/%ff", "/logo/a%20b"] {
        assert_eq!(get(&server, nothing).await.status(), 404, "{nothing}");
    }
    // T19: an address of somebody's inside is not asked, whoever named it.
    let guarded = Server::start().await;
    receiver.answer("/good", Answer::body("image/png", PNG));
    guarded.client("web", json!({ "logo_uri": receiver.at("/good") })).await;
    assert_eq!(header(&get(&guarded, "/logo/web").await, "content-type"), "image/svg+xml");
    assert!(receiver.requests("/good").is_empty());
}

#[tokio::test]
async fn a_client_that_registered_itself_is_marked() {
    let server = Server::start_with(|config| config.registration = RegistrationMode::Open).await;
    server.user("alice").await;
    let body = json!({ "client_name": "Your Bank", "redirect_uris": ["https://bank.example/cb", CALLBACK], "policy_uri": "https://app.example.com/p" });
    let request = reqwest::Client::new().post(format!("{}/oauth2/register", server.url)).json(&body);
    let client: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    let browser = server.browser();
    let asked = server.authorize(&[("client_id", client["client_id"].as_str().unwrap()), ("scope", "openid")]);
    let login = browser.page(&asked).await;
    let consent = browser.submit(&login, &[("username", "alice"), ("password", crate::support::PASSWORD)]).await;
    for page in [login, consent.expect("consent")] {
        assert!(page.has("#client-name") && page.has("a#client-policy"), "{}", page.path);
        let mark = page.html.split("id=\"client-unverified\"").nth(1).unwrap_or_else(|| panic!("{}", page.html));
        let mark = mark.split("</p>").next().unwrap();
        assert!(mark.contains("Not verified") && mark.contains("127.0.0.1"), "{mark}");
        assert!(!mark.contains("bank.example"), "where the answer goes, not where it likes to be from: {mark}");
    }
    let apps = browser.page("/account/apps").await;
    assert!(!apps.html.contains("Not verified"), "nothing was allowed yet");
    browser.sign_in(&asked).await;
    let apps = browser.page("/account/apps").await;
    assert!(apps.html.contains("Your Bank") && apps.html.contains("Not verified"), "{}", apps.html);
}
