//! Headers that say who is asking, for what address: nothing of ours is built from them.

use serde_json::json;

use super::{http, open_server};
use crate::support::Server;

const HOSTILE: [(&str, &str); 12] = [
    ("host", "evil.example"),
    ("forwarded", "for=1.2.3.4;host=evil.example;proto=https"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-port", "4444"),
    ("x-forwarded-for", "203.0.113.9"),
    ("x-forwarded-prefix", "/evil"),
    ("x-forwarded-server", "evil.example"),
    ("x-original-url", "https://evil.example/oauth2/token"),
    ("x-original-host", "evil.example"),
    ("x-rewrite-url", "/admin"),
    ("x-http-method-override", "DELETE"),
];

/// T10, GHSA-2wmj-46rj-qm2w and CVE-2026-29067: a link built from a header. Discovery, pages, cookies, redirects and CORS
/// answers are the same, byte for byte, whatever the headers say.
#[tokio::test]
async fn no_address_comes_from_a_header() {
    let server = open_server().await;
    let paths = [
        "/.well-known/openid-configuration".to_owned(),
        "/.well-known/oauth-authorization-server".to_owned(),
        "/.well-known/jwks.json".to_owned(),
        "/.well-known/oauth-protected-resource".to_owned(),
        "/oauth2/userinfo".to_owned(),
        "/login".to_owned(),
        "/device?user_code=WDJB-MJHT".to_owned(),
        "/device/qr?user_code=WDJB-MJHT".to_owned(),
        "/signup".to_owned(),
        "/account".to_owned(),
        "/".to_owned(),
        "/oauth2/logout".to_owned(),
        "/oauth2/check_session".to_owned(),
        "/logo/web".to_owned(),
        server.authorize(&[]),
        server.authorize(&[("prompt", "none")]),
        server.authorize(&[("redirect_uri", "https://evil.example/")]),
    ];
    for path in &paths {
        let plain = answer(&server, path, &[]).await;
        for header in HOSTILE {
            assert_eq!(answer(&server, path, &[header]).await, plain, "{path} with {header:?}");
        }
        let hostile = answer(&server, path, &HOSTILE).await;
        assert_eq!(hostile, plain, "{path} with all of them");
        assert!(!hostile.contains("evil.example") || path.contains("evil.example"));
    }
}

/// Everything of an answer that could hold an address.
async fn answer(server: &Server, path: &str, headers: &[(&str, &str)]) -> String {
    let mut request = http().get(format!("{}{path}", server.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.header("origin", "https://spa.example").send().await.unwrap();
    let mut text = format!("{}\n", response.status());
    for (name, value) in response.headers() {
        if !["date", "x-request-id", "content-length"].contains(&name.as_str()) {
            text.push_str(name.as_str());
            text.push_str(": ");
            text.push_str(value.to_str().unwrap());
            text.push('\n');
        }
    }
    text.push_str(&response.text().await.unwrap());
    without_ids(&text)
}

/// Cuts out every run of 20 and more characters that ids and tokens have: no host name here is as long.
fn without_ids(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let (mut out, mut run) = (String::new(), String::new());
    for c in text.chars().chain(['\n']) {
        if is_part(c) {
            run.push(c);
            continue;
        }
        out.push_str(if run.len() >= 20 { "RANDOM" } else { &run });
        run.clear();
        out.push(c);
    }
    out
}

/// T12, CVE-2026-40575: who is believed to have forwarded something. Nobody, unless named; and of a trusted proxy only
/// what it wrote itself: a header that a stranger began does not choose the address they are counted by.
#[tokio::test]
async fn a_forwarded_address_is_believed_from_a_trusted_proxy_alone() {
    let trusting = Server::start_with(|config| {
        config.trusted_proxies = serde_json::from_value(json!("127.0.0.1,::1,10.0.0.0/8")).unwrap();
    })
    .await;
    let plain = Server::start().await;
    for (header, seen) in [
        ("203.0.113.9", "203.0.113.9"),
        ("1.2.3.4, 203.0.113.9", "203.0.113.9"),
        ("1.2.3.4, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("1.2.3.4, 203.0.113.9:4711", "203.0.113.9"),
        ("1.2.3.4, \"[2001:db8::1]:4711\", 10.1.2.3:80", "2001:db8::1"),
        ("1.2.3.4, for=203.0.113.9;proto=https", "203.0.113.9"),
        // What is no address ends it: before it stands what anybody may have written.
        ("1.2.3.4, unknown, 10.1.2.3", ""),
        ("1.2.3.4, ", ""),
        // A client inside of a trusted network.
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3, 10.9.9.9", "10.9.9.9"),
    ] {
        assert_eq!(seen_address(&trusting, header).await, seen, "{header}");
        assert_eq!(seen_address(&plain, header).await, "127.0.0.1", "{header}");
    }
}

/// The address of the newest failed sign-in, with that header.
async fn seen_address(server: &Server, header: &str) -> String {
    server.advance(1);
    let client = reqwest::Client::builder().cookie_store(true).no_proxy().build().unwrap();
    let url = server.url.replace("localhost", "127.0.0.1");
    let html = client.get(format!("{url}/login")).send().await.unwrap().text().await.unwrap();
    let csrf = html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = [("csrf", csrf.as_str()), ("username", "nobody"), ("password", "wrong wrong")];
    let response =
        client.post(format!("{url}/login")).header("x-forwarded-for", header).form(&form).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let kinds = vec![signet::domain::event::EventKind::SignInFailed];
    let newest = signet::store::events::EventFilter { kinds, most: 1, ..Default::default() };
    signet::store::events::list(server.app.store().read(), &newest).await.unwrap()[0].origin.address.clone()
}
