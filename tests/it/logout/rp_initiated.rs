//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): who is signed out without a question, and where they go.

use reqwest::Method;

use super::{address, is_signed_in, signed_in};
use crate::support::Server;

const BYE: &str = "http://127.0.0.1:9999/bye";

/// §2: an expired hint is a hint all the same.
#[tokio::test]
async fn a_hint_of_this_session_signs_out_at_once_even_expired() {
    let server = Server::with_alice().await;
    let (browser, hint) = signed_in(&server).await;
    server.advance(3601);
    let back = browser
        .open(&address(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE), ("state", "a b&c")]))
        .await;
    assert_eq!(back.err().expect("back at the app")["state"], "a b&c");
    assert!(!is_signed_in(&browser).await);
}

#[tokio::test]
async fn another_sessions_hint_asks_first() {
    let server = Server::with_alice().await;
    let (_, other) = signed_in(&server).await;
    let (browser, _) = signed_in(&server).await;
    let page = browser.page(&address(&[("id_token_hint", &other), ("post_logout_redirect_uri", BYE)])).await;
    assert_eq!(page.name(), "logout");
    assert!(page.has("#client-name") && is_signed_in(&browser).await);
    let stay = browser.submit(&page, &[("decision", "deny")]).await.ok().unwrap();
    assert!(stay.path == "/" && is_signed_in(&browser).await);
    let back = browser.submit(&page, &[("decision", "allow")]).await;
    assert!(back.is_err() && !is_signed_in(&browser).await, "out, and back at the app");
}

/// What Chromium says of a form on another site.
const FOREIGN: [(&str, &str); 2] = [("origin", "https://app.example"), ("sec-fetch-site", "cross-site")];

/// §2: a POST is decided like a GET: nothing of it gets into an address.
#[tokio::test]
async fn a_post_signs_out_as_a_get_does() {
    let server = Server::with_alice().await;
    for sites in [&[][..], &[("origin", "http://127.0.0.1:9999"), ("sec-fetch-site", "same-site")]] {
        let (browser, hint) = signed_in(&server).await;
        let form = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE), ("state", "a b")];
        let request = browser.request(Method::POST, "/oauth2/logout").form(&form);
        let response = sites.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await;
        let response = response.unwrap();
        let to = response.headers()["location"].to_str().unwrap();
        assert_eq!((response.status().as_u16(), to), (303, format!("{BYE}?state=a+b").as_str()));
        let ends = response.headers().get_all("set-cookie").iter().any(|it| it.to_str().unwrap().contains("-session="));
        assert!(ends && !is_signed_in(&browser).await, "{sites:?}");
        // Nobody vouches for this one.
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        let form = [("client_id", "web"), ("post_logout_redirect_uri", BYE)].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let question = browser.follow(browser.raw_post("/oauth2/logout", &form).await).await.ok().unwrap();
        assert!(question.name() == "logout" && is_signed_in(&browser).await);
        assert!(browser.submit(&question, &[("decision", "allow")]).await.is_err() && !is_signed_in(&browser).await);
    }
}

/// A form of another site comes without the browser's cookies, so that a page of ours sends it again. It says nothing of the
/// session before that.
#[tokio::test]
async fn a_cross_site_post_is_sent_again_with_the_cookies() {
    let server = Server::with_alice().await;
    let (browser, hint) = signed_in(&server).await;
    let form = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE), ("client_id", "web")];
    let request = reqwest::Client::new().post(format!("{}/oauth2/logout", server.url)).form(&form);
    let response = FOREIGN.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await;
    let response = response.unwrap();
    assert!(response.headers().get("set-cookie").is_none());
    let page = browser.follow(response).await.ok().unwrap();
    assert_eq!((page.status, page.name().as_str()), (200, "form-post"));
    assert!(is_signed_in(&browser).await && page.has("script[src*='form_post.js']"));
    let (action, fields) = page.form(&[]);
    assert_eq!(action, "/oauth2/logout");
    let back = browser.submit(&page, &[]).await;
    assert!(back.is_err() && !is_signed_in(&browser).await, "signed out, and back at the app: {fields:?}");
    // A browser that does not say where its own form comes from is not sent in a circle.
    let request = server.browser().request(Method::POST, "/oauth2/logout").form(&fields);
    let response = request.header("origin", "null").send().await.unwrap();
    assert!(response.headers().contains_key("location"), "it is decided");
}

/// §2, §3 and §4: what does not validate is not used, and the rest is done: the user is asked, signed out, and not redirected.
#[tokio::test]
async fn what_does_not_validate_is_dropped_and_the_rest_done() {
    let server = Server::with_alice().await;
    server.client("other", serde_json::json!({ "post_logout_redirect_uris": ["https://other.example/bye"] })).await;
    server.client("off", serde_json::json!({})).await;
    let off = signet::domain::ids::ClientId::parse("off").unwrap();
    signet::manage::clients::disable(&server.app.manager(), &signet::manage::AuditContext::command_line(), &off)
        .await
        .unwrap();
    for (what, parameters, is_asked) in [
        ("an unregistered address", vec![("hint", ""), ("post_logout_redirect_uri", "https://evil.example/")], false),
        (
            "another client's address",
            vec![("hint", ""), ("post_logout_redirect_uri", "https://other.example/bye")],
            false,
        ),
        ("a longer address", vec![("hint", ""), ("post_logout_redirect_uri", "http://127.0.0.1:9999/bye/")], false),
        (
            "no hint, unregistered",
            vec![("client_id", "web"), ("post_logout_redirect_uri", "https://evil.example/")],
            true,
        ),
        ("no hint, another's", vec![("client_id", "other"), ("post_logout_redirect_uri", BYE)], true),
        ("an address and no app", vec![("post_logout_redirect_uri", BYE)], true),
        ("an unknown app", vec![("client_id", "nobody"), ("post_logout_redirect_uri", BYE)], true),
        ("a malformed app", vec![("client_id", "no body"), ("post_logout_redirect_uri", BYE)], true),
        ("a disabled app", vec![("client_id", "off"), ("post_logout_redirect_uri", BYE)], true),
        ("two apps", vec![("hint", ""), ("client_id", "other"), ("post_logout_redirect_uri", BYE)], true),
        ("a hint and a malformed app", vec![("hint", ""), ("client_id", "no body")], true),
        ("a broken hint", vec![("broken", ""), ("post_logout_redirect_uri", BYE)], true),
        ("no token at all", vec![("id_token_hint", "nonsense"), ("post_logout_redirect_uri", BYE)], true),
        ("a long hint", vec![("long", ""), ("post_logout_redirect_uri", BYE)], true),
    ] {
        for post in [false, true] {
            let (browser, hint) = signed_in(&server).await;
            let (broken, long) = (modified(&hint), format!("{hint}{}", "a".repeat(16 * 1024)));
            let parameters: Vec<(String, String)> = parameters
                .iter()
                .map(|(name, value)| match *name {
                    "hint" => ("id_token_hint", hint.as_str()),
                    "broken" => ("id_token_hint", broken.as_str()),
                    "long" => ("id_token_hint", long.as_str()),
                    name => (name, *value),
                })
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let response = if post {
                browser.raw_post("/oauth2/logout", &parameters).await
            } else {
                let pairs: Vec<_> = parameters.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
                browser.raw(&address(&pairs)).await
            };
            assert!(response.headers().get("location").is_none(), "{what}");
            let mut page = browser.follow(response).await.ok().unwrap();
            if is_asked {
                assert_eq!((page.status, page.name().as_str()), (200, "logout"), "{what}");
                assert!(is_signed_in(&browser).await, "{what}");
                page = browser.submit(&page, &[("decision", "allow")]).await.expect(what);
            }
            assert_eq!((page.status, page.name().as_str()), (200, "signed-out"), "{what}");
            assert!(!page.html.contains("evil.example") && !is_signed_in(&browser).await, "{what}");
        }
    }
}

/// §2: a hint that does not validate is as none: an app that names itself gets its user back after the question.
#[tokio::test]
async fn a_broken_hint_beside_a_named_app_asks_and_leads_back() {
    let server = Server::with_alice().await;
    let (browser, hint) = signed_in(&server).await;
    let broken = modified(&hint);
    let request =
        [("id_token_hint", broken.as_str()), ("client_id", "web"), ("post_logout_redirect_uri", BYE), ("state", "x")];
    let question = browser.page(&address(&request)).await;
    assert_eq!((question.name().as_str(), question.has("#client-name")), ("logout", true));
    let back = browser.submit(&question, &[("decision", "allow")]).await;
    assert_eq!(back.err().expect("back at the app")["state"], "x");
    assert!(!is_signed_in(&browser).await);
}

#[tokio::test]
async fn a_repeated_parameter_is_not_used() {
    let server = Server::with_alice().await;
    let (browser, _) = signed_in(&server).await;
    let page = browser.page(&address(&[("client_id", "web"), ("client_id", "web")])).await;
    assert_eq!((page.status, page.name().as_str(), page.has("#client-name")), (200, "logout", false));
    assert_eq!(browser.submit(&page, &[("decision", "allow")]).await.ok().map(|page| page.status), Some(200));
    assert!(!is_signed_in(&browser).await);
}

#[tokio::test]
async fn who_is_signed_out_already_is_told_so() {
    let server = Server::with_alice().await;
    let page = server.browser().page("/oauth2/logout").await;
    assert_eq!((page.status, page.name().as_str()), (200, "signed-out"));
    assert!(page.has("#logged-out"));
}

/// What a request of the conformance suite leads to, for a person who is signed in.
#[derive(Debug, PartialEq)]
enum Leads {
    /// Back to the app, signed out, with that query.
    Back(&'static str),
    /// Signed out, and a page here that says so.
    Done,
    /// A question, and after it the page that says so.
    Question,
}

/// Each of the conformance suite's tests of this spec, by its name: a redirect only where hint and address are good, and a
/// page in every other case.
#[tokio::test]
async fn the_conformance_suites_requests_lead_where_it_expects() {
    let server = Server::with_alice().await;
    for (name, parameters, leads) in [
        ("oidcc-rp-initiated-logout", "hint uri state", Leads::Back("state=st%20ate")),
        ("oidcc-rp-initiated-logout-no-state", "hint uri", Leads::Back("")),
        ("oidcc-rp-initiated-logout-no-params", "", Leads::Question),
        ("oidcc-rp-initiated-logout-only-state", "state", Leads::Question),
        ("oidcc-rp-initiated-logout-no-post-logout-redirect-uri", "hint state", Leads::Done),
        ("oidcc-rp-initiated-logout-no-id-token-hint", "uri state", Leads::Question),
        ("oidcc-rp-initiated-logout-bad-id-token-hint", "bad-hint uri state", Leads::Question),
        ("oidcc-rp-initiated-logout-modified-id-token-hint", "modified-hint uri state", Leads::Question),
        ("oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", "hint bad-uri state", Leads::Done),
        ("oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", "hint uri-and-query state", Leads::Done),
    ] {
        let (browser, hint) = signed_in(&server).await;
        let modified = modified(&hint);
        let request: Vec<(&str, &str)> = parameters
            .split_whitespace()
            .map(|parameter| match parameter {
                "hint" => ("id_token_hint", hint.as_str()),
                "bad-hint" => ("id_token_hint", "not a token"),
                "modified-hint" => ("id_token_hint", modified.as_str()),
                "uri" => ("post_logout_redirect_uri", BYE),
                "bad-uri" => ("post_logout_redirect_uri", "http://127.0.0.1:9999/elsewhere"),
                "uri-and-query" => ("post_logout_redirect_uri", "http://127.0.0.1:9999/bye?foo=bar"),
                _ => ("state", "st ate"),
            })
            .collect();
        let response = browser.raw(&address(&request)).await;
        let to = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        match (leads, to) {
            (Leads::Back(query), Some(to)) => {
                let query = query.replace("%20", "+");
                assert_eq!(to, if query.is_empty() { BYE.to_owned() } else { format!("{BYE}?{query}") }, "{name}");
                assert!(!is_signed_in(&browser).await, "{name}");
            }
            (leads, None) => {
                let page = browser.follow(response).await.ok().unwrap();
                match leads {
                    Leads::Done => {
                        assert_eq!((page.status, page.name().as_str()), (200, "signed-out"), "{name}");
                        assert!(!is_signed_in(&browser).await, "{name}");
                    }
                    Leads::Question => {
                        assert!(is_signed_in(&browser).await, "{name}");
                        assert_eq!((page.status, page.name().as_str()), (200, "logout"), "{name}");
                        assert!(page.has("#logout-confirm[value=allow]") && page.has("button[value=deny]"), "{name}");
                        let done = browser.submit(&page, &[("decision", "allow")]).await.ok().unwrap();
                        assert_eq!(done.name(), "signed-out", "{name}");
                        assert!(done.has("#logged-out") && !is_signed_in(&browser).await, "{name}");
                    }
                    Leads::Back(_) => panic!("{name}: the page {}", page.name()),
                }
            }
            (leads, to) => panic!("{name}: {to:?} and not {leads:?}"),
        }
    }
}

/// The token with another person in it, and the old signature.
fn modified(token: &str) -> String {
    let mut parts: Vec<String> = token.split('.').map(ToOwned::to_owned).collect();
    let claims = String::from_utf8(signet::domain::secret::from_base64url(&parts[1]).unwrap()).unwrap();
    parts[1] = signet::domain::secret::base64url(claims.replacen("\"sub\":\"", "\"sub\":\"0", 1).as_bytes());
    parts.join(".")
}

/// §2: `logout_hint` and `ui_locales` may come along.
#[tokio::test]
async fn hints_of_language_and_person_are_taken_and_change_nothing() {
    let server = Server::with_alice().await;
    let (browser, hint) = signed_in(&server).await;
    let request = [
        ("id_token_hint", hint.as_str()),
        ("post_logout_redirect_uri", BYE),
        ("logout_hint", "alice"),
        ("ui_locales", "fr-CA fr"),
        ("state", "x"),
    ];
    let back = browser.open(&address(&request)).await;
    assert_eq!(back.err().expect("back at the app")["state"], "x");
    assert!(!is_signed_in(&browser).await);
}
