//! The gate's cookie on an app's host: what it is good for, from which pages, and until when (T5, T12, T15). Next door:
//! [`super::session`], how a browser gets it.

use serde_json::json;
use signet::manage::{AuditContext, apis, users};

use super::session::{APP, alice, asked, at_app, cookie_of, for_browsers, with_app};
use super::{Answer, ask, put_api, with_gate};
use crate::budgets::Statements;

#[tokio::test]
async fn a_changed_or_foreign_cookie_is_none() {
    let server = with_app().await;
    let cookie = cookie_of(&server, &alice(&server).await).await;
    let with = async |cookie: &str| asked(&server, "GET", &[("cookie", cookie)]).await;
    assert_eq!(with(&cookie).await.status, 200);
    assert_eq!(with(&format!("a=\u{e4}; {cookie};b=2")).await.status, 200, "beside an app's own");
    // T15: every byte.
    let value = cookie.find('=').unwrap() + 1;
    for at in value..cookie.len() {
        let mut changed = cookie.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let answer = with(&String::from_utf8(changed).unwrap()).await;
        assert_eq!((answer.status, answer.reason()), (401, "invalid_credential"), "byte {at}");
    }
    for other in ["__Host-signet-gate-orders=", "__Host-signet-gate-orders=x", "__Host-signet-gate-orders=a.b.c.d.e"] {
        assert_eq!(with(other).await.reason(), "invalid_credential", "{other}");
    }
    for unread in
        [cookie.replace("__Host-", ""), cookie.replace("orders", "Orders"), cookie.replace("-orders", "-others")]
    {
        assert_eq!(with(&unread).await.reason(), "no_credential", "{unread}");
    }
    let answer = with(&format!("{cookie}; {cookie}")).await;
    assert_eq!((answer.meant(), answer.reason()), (400, "malformed_credential"));
}

/// T12, T13: for its own gate and origin alone, and only where the API takes sessions.
#[tokio::test]
async fn it_is_for_one_gate_at_one_origin() {
    let server = with_app().await;
    let cookie = cookie_of(&server, &alice(&server).await).await;
    let at = async |gate: &str, url: &str, cookie: &str| -> Answer {
        ask(&server, gate, &[("x-original-method", "GET"), ("x-original-url", url), ("cookie", cookie)]).await
    };
    assert_eq!(at("orders", "https://app.example/me", &cookie).await.status, 200);
    // Cookies have no ports: an app at one has it in the name.
    let bare = cookie.replace("__Host-signet-gate-orders=", "signet-gate-orders.3000=");
    for (url, cookie, reason) in [
        ("http://localhost:3000/me", &bare, "invalid_credential"),
        ("http://localhost:3000/me", &cookie, "no_credential"),
        ("http://app.example/me", &cookie, "no_credential"),
        ("https://app.example:443/me", &cookie, "no_credential"),
        ("https://app.example:8443/me", &cookie, "no_credential"),
        ("https://APP.example/me", &cookie, "no_credential"),
        ("https://evil.example/me", &cookie, "no_credential"),
    ] {
        let answer = at("orders", url, cookie).await;
        assert_eq!((answer.status, answer.reason()), (401, reason), "{url}");
    }
    let others = json!({ "identifier": "https://others.example.com", "gate": "others", "accepts": ["session"],
                         "origins": [APP] });
    put_api(&server, others).await;
    let renamed = cookie.replace("-orders", "-others");
    assert_eq!(at("others", "https://app.example/me", &renamed).await.reason(), "invalid_credential");
    put_api(&server, json!({})).await;
    assert_eq!(at("orders", "https://app.example/me", &cookie).await.reason(), "no_credential", "taken no more");
}

/// Another API that gets the gate's name gets none of the sessions that were let in there.
#[tokio::test]
async fn it_is_not_for_another_api_at_the_same_gate() {
    let server = with_app().await;
    let cookie = cookie_of(&server, &alice(&server).await).await;
    let orders = signet::domain::api::ApiId::parse(super::ORDERS).unwrap();
    apis::delete(&server.app.manager(), &AuditContext::command_line(), orders).await.unwrap();
    let namesake = json!({ "identifier": "https://others.example.com", "gate": "orders", "accepts": ["session"],
                           "origins": [APP] });
    put_api(&server, namesake).await;
    assert_eq!(asked(&server, "GET", &[("cookie", &cookie)]).await.reason(), "invalid_credential");
}

/// The cookie comes along with everything a browser sends, so it counts only where there is nothing else.
#[tokio::test]
async fn what_else_is_presented_decides() {
    let server = with_app().await;
    let cookie = cookie_of(&server, &alice(&server).await).await;
    for (other, reason) in [
        (("authorization", "Bearer nonsense"), "invalid_credential"),
        (("authorization", "Negotiate abc"), "invalid_credential"),
        (("x-api-key", "sgk_x"), "invalid_credential"),
        (("signature", "a=:YQ==:"), "malformed_credential"),
    ] {
        let answer = asked(&server, "GET", &[("cookie", &cookie), other, ("sec-fetch-mode", "navigate")]).await;
        assert_eq!((answer.reason(), answer.header("x-gate-sign-in")), (reason, ""), "{other:?}");
    }
}

/// Another site's page makes a browser send the cookie too; nothing is changed by it.
#[tokio::test]
async fn what_changes_something_comes_from_the_apps_own_pages() {
    let server = with_app().await;
    let mut api = for_browsers();
    api["rules"] = json!([{ "methods": ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"], "path": "/**" }]);
    put_api(&server, api).await;
    let cookie = cookie_of(&server, &alice(&server).await).await;
    let (site, own, evil) = ("sec-fetch-site", ("origin", APP), ("origin", "https://evil.example"));
    let rows: &[(&[(&str, &str)], bool)] = &[
        (&[], false),
        (&[(site, "same-origin")], true),
        (&[(site, "none")], true),
        (&[(site, "same-site")], false),
        (&[(site, "cross-site")], false),
        (&[(site, "Same-Origin")], false),
        (&[(site, "")], false),
        (&[(site, "same-origin"), (site, "same-origin")], false),
        (&[own], true),
        (&[evil], false),
        (&[own, own], false),
        (&[("origin", "null")], false),
        (&[("origin", "")], false),
        (&[("origin", "https://app.example.evil")], false),
        (&[("origin", "https://app.example:443")], false),
        (&[("origin", "http://app.example")], false),
        (&[("origin", "http://localhost:3000")], false),
        (&[(site, "same-origin"), own], true),
        (&[(site, "same-origin"), evil], false),
        (&[(site, "cross-site"), own], false),
        (&[(site, "same-origin"), ("origin", "null")], true),
        (&[(site, "none"), ("origin", "null")], false),
        (&[("referer", "https://app.example/")], false),
    ];
    for (headers, good) in rows {
        for method in ["POST", "PUT", "DELETE", "PROPFIND"] {
            let answer = asked(&server, method, &[&[("cookie", cookie.as_str())], *headers].concat()).await;
            let expected = if *good { (200, "") } else { (401, "invalid_credential") };
            assert_eq!((answer.status, answer.reason()), expected, "{method} {headers:?}");
            assert!(*good || answer.body["detail"].as_str().unwrap().contains("same origin"), "{}", answer.body);
        }
        for method in ["GET", "HEAD", "OPTIONS"] {
            let answer = asked(&server, method, &[&[("cookie", cookie.as_str())], *headers].concat()).await;
            assert_eq!(answer.status, 200, "{method} {headers:?}");
        }
        // A WebSocket is more than something to look at.
        let socket = [&[("cookie", cookie.as_str()), ("sec-websocket-key", "x")], *headers].concat();
        assert_eq!(asked(&server, "GET", &socket).await.status == 200, *good, "{headers:?}");
    }
    // Where anybody may, such a request is anybody's.
    put_api(
        &server,
        json!({ "accepts": ["session"], "origins": [APP],
                             "rules": [{ "methods": ["POST"], "path": "/**", "allow": "anonymous" }] }),
    )
    .await;
    let answer = asked(&server, "POST", &[("cookie", &cookie), (site, "cross-site")]).await;
    assert_eq!((answer.status, answer.header("x-gate-way")), (200, "anonymous"));
}

/// Who looks at a page is sent to sign in; a program, a script and everybody else get the 401 that they understand.
#[tokio::test]
async fn only_browsers_are_sent_to_sign_in() {
    let server = with_app().await;
    let page = ("accept", "text/html,application/xhtml+xml;q=0.9");
    let navigate = ("sec-fetch-mode", "navigate");
    for (method, headers, offered) in [
        ("GET", vec![page], true),
        ("GET", vec![navigate], true),
        ("GET", vec![navigate, page, ("cookie", "__Host-signet-gate-orders=x")], true),
        ("GET", vec![], false),
        ("GET", vec![("accept", "*/*")], false),
        ("GET", vec![("sec-fetch-mode", "cors"), page], false),
        ("HEAD", vec![page], false),
        ("POST", vec![navigate], false),
        ("GET", vec![navigate, ("authorization", "Bearer x")], false),
    ] {
        let answer = asked(&server, method, &headers).await;
        let told = (answer.status, !answer.header("x-gate-sign-in").is_empty());
        assert_eq!(told, (401, offered), "{method} {headers:?}");
        assert!(answer.header("www-authenticate").starts_with("Bearer realm=\"Orders\""), "{answer:?}");
    }
    // T10: none of the API's origins; and a proxy that does not know of our pages leads nobody round.
    for url in ["https://evil.example/orders/1", "https://app.example/.signet/sign-in?rd=%2F"] {
        let elsewhere = [("x-original-method", "GET"), ("x-original-url", url), navigate];
        assert_eq!(ask(&server, "orders", &elsewhere).await.header("x-gate-sign-in"), "", "{url}");
    }
    // The other proxies hand our answer on.
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let forwarding = http
        .get(format!("{}/gate/verify/orders", server.url))
        .header("x-forwarded-method", "GET")
        .header("x-forwarded-uri", "/orders/1");
    let envoy = http.get(format!("{}/gate/verify/orders/orders/1", server.url)).header("host", "app.example");
    for request in [forwarding.header("x-forwarded-host", "app.example"), envoy] {
        let request = request.header("x-forwarded-proto", "https").header("accept", "text/html");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 302);
        assert_eq!(response.headers()["location"], "https://app.example/.signet/sign-in?rd=%2Forders%2F1");
    }
    put_api(&server, json!({})).await;
    assert_eq!(asked(&server, "GET", &[navigate]).await.header("x-gate-sign-in"), "", "sessions are not taken");
}

/// T5: at once here, and elsewhere as soon as it is read of.
#[tokio::test]
async fn what_ends_a_session_ends_it_at_the_gate() {
    for what in ["sign out", "end it", "disable", "delete", "new password", "an hour", "nothing"] {
        let server = with_app().await;
        let other = server.node().await;
        let browser = alice(&server).await;
        server.advance(1);
        let cookie = cookie_of(&server, &browser).await;
        for node in [&server, &other] {
            assert_eq!(asked(node, "GET", &[("cookie", &cookie)]).await.status, 200, "{what}");
        }
        server.advance(1);
        let (manager, by, alice) =
            (server.app.manager(), AuditContext::command_line(), server.person("alice").await.id);
        match what {
            "sign out" => {
                let page = browser.page("/oauth2/logout").await;
                browser.submit(&page, &[("decision", "allow")]).await.unwrap();
            }
            "end it" => drop(users::end_sessions(&manager, &by, alice, None).await.unwrap()),
            "disable" => drop(users::disable(&manager, &by, alice).await.unwrap()),
            "delete" => users::delete(&manager, &by, alice).await.unwrap(),
            "new password" => {
                let new = signet::domain::secret::Secret::new("another horse battery staple".into());
                users::set_password(&manager, &by, alice, new, None).await.unwrap();
            }
            "an hour" => server.advance(3599),
            _ => {}
        }
        other.app.store().authority().catch_up(other.app.store()).await.unwrap();
        let expected = if what == "nothing" { (200, "") } else { (401, "invalid_credential") };
        for node in [&server, &other] {
            let answer = asked(node, "GET", &[("cookie", &cookie)]).await;
            assert_eq!((answer.status, answer.reason()), expected, "{what}");
        }
    }
}

/// T33: two people, one browser: the app is told of whoever is signed in now.
#[tokio::test]
async fn somebody_elses_sign_in_ends_the_session_before() {
    let server = with_app().await;
    server.user("bob").await;
    let browser = alice(&server).await;
    let hers = cookie_of(&server, &browser).await;
    let who = async |cookie: &str| {
        let answer = asked(&server, "GET", &[("cookie", cookie)]).await;
        (answer.status, answer.header("remote-user").to_owned())
    };
    assert_eq!(who(&hers).await, (200, "alice".to_owned()));
    server.advance(1);
    browser.sign_in_as("bob").await;
    assert_eq!(who(&hers).await, (401, String::new()));
    assert_eq!(who(&cookie_of(&server, &browser).await).await, (200, "bob".to_owned()));
}

/// Whoever goes on using the app stays signed in: the way there and back is gone again without a page.
#[tokio::test]
async fn an_app_in_use_keeps_the_session_alive_to_its_end() {
    let server = with_app().await;
    let browser = alice(&server).await;
    for hour in 0..11 {
        let cookie = cookie_of(&server, &browser).await;
        assert_eq!(asked(&server, "GET", &[("cookie", &cookie)]).await.status, 200, "hour {hour}");
        server.advance(3600);
        assert_eq!(asked(&server, "GET", &[("cookie", &cookie)]).await.status, 401, "hour {hour}");
    }
    let cookie = cookie_of(&server, &browser).await;
    server.advance(3600);
    assert_eq!(asked(&server, "GET", &[("cookie", &cookie)]).await.status, 401);
    let begun = at_app(&server, "orders", APP, "sign-in?rd=%2F", "").await;
    assert_eq!(browser.page(&begun.location).await.name(), "login", "twelve hours are all");
}

#[tokio::test]
async fn rules_hold_for_sessions_too_and_no_statement_is_asked() {
    let server = with_gate(for_browsers()).await;
    let cookie = cookie_of(&server, &alice(&server).await).await;
    let own = [("cookie", cookie.as_str()), ("origin", APP)];
    assert_eq!(asked(&server, "POST", &own).await.reason(), "missing_group");
    assert_eq!(asked(&server, "PATCH", &own).await.reason(), "no_rule");
    let (statements, _guard) = Statements::record();
    assert_eq!(asked(&server, "GET", &own).await.status, 200);
    assert_eq!(statements.take(), (vec![], vec![]));
}
