//! The order of an interaction: nothing advances a step but what the step asks for, and each request is answered once.

use reqwest::Method;
use serde_json::json;

use crate::support::{Browser, CALLBACK, PASSWORD, Page, Server};
use crate::token::claims;

/// A browser at each interactive step of a sign-in, by the step's name; `path` is where its form goes.
async fn at_each_step(server: &Server) -> Vec<(&'static str, Browser, Page)> {
    let login = server.browser();
    let login_page = login.open(&server.authorize(&[])).await.ok().unwrap();
    let consent = server.browser();
    let page = consent.open(&server.authorize(&[])).await.ok().unwrap();
    let consent_page = consent.submit(&page, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    let select = server.browser();
    select.sign_in_as("alice").await;
    let select_page = select.open(&server.authorize(&[("prompt", "select_account")])).await.ok().unwrap();
    let logout = server.browser();
    logout.sign_in_as("alice").await;
    let logout_page = logout.page("/oauth2/logout").await;
    let own = server.browser();
    let own_page = own.page("/login").await;
    vec![
        ("login", login, login_page),
        ("consent", consent, consent_page),
        ("select-account", select, select_page),
        ("logout", logout, logout_page),
        ("login", own, own_page),
    ]
}

/// T2, CVE-2026-49448: a stage passed by an empty POST. Every step gets an empty body, its fields one by one left out,
/// the wrong type, the wrong method and no token; it stays where it is.
#[tokio::test]
async fn no_step_is_passed_by_less_than_it_asks_for() {
    let server = Server::with_alice().await;
    for (name, browser, page) in at_each_step(&server).await {
        let (action, hidden) = page.form(&[]);
        let whole =
            page.form(&[("username", "alice"), ("password", PASSWORD), ("decision", "maybe"), ("account", "")]).1;
        let without = |field: &str| whole.iter().filter(|(known, _)| known != field).cloned().collect::<Vec<_>>();
        let mut bad = vec![vec![], hidden.clone(), without("csrf")];
        if name == "login" {
            bad.extend([without("password"), without("username")]);
            bad.push(page.form(&[("username", ""), ("password", "")]).1);
        } else {
            bad.extend([without("decision"), whole.clone()]);
        }
        for form in bad {
            let answer = browser.raw_post(&action, &form).await;
            assert!(!advanced(&browser, answer).await, "{name} with {form:?}");
        }
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&whole).finish();
        for kind in ["text/plain", "application/json", "multipart/form-data; boundary=x", ""] {
            let request = browser.request(Method::POST, &action).header("content-type", kind).body(body.clone());
            assert!(!advanced(&browser, request.send().await.unwrap()).await, "{name} as {kind:?}");
        }
        // What a POST carries does nothing in a GET's query.
        let response = browser.raw(&format!("{action}?{body}&decision=allow")).await;
        assert!(!advanced(&browser, response).await, "{name} by GET");
        for method in [Method::PUT, Method::PATCH, Method::DELETE] {
            let response = browser.request(method, &action).form(&whole).send().await.unwrap();
            assert_eq!(response.status(), 405, "{name}");
        }
        // It is still the same step, and the right answer is still taken.
        if name != "login" {
            let field = if name == "select-account" { "account" } else { "decision" };
            let value = if name == "select-account" { "new" } else { "deny" };
            let response = browser.raw_post(&action, &page.form(&[(field, value)]).1).await;
            assert_eq!(response.status(), 303, "{name}");
        }
    }
}

/// Whether an answer signed somebody in, let an app have a code, or signed somebody out.
async fn advanced(browser: &Browser, answer: reqwest::Response) -> bool {
    let session = |line: &axum::http::HeaderValue| line.to_str().unwrap().contains("-session=");
    if answer.headers().get_all("set-cookie").iter().any(session) {
        return true;
    }
    match browser.follow(answer).await {
        Err(callback) => callback.contains_key("code"),
        Ok(page) => page.name() == "signed-out",
    }
}

/// T2, T17: pages opened out of order. A consent given before the sign-in that the request wants does not stand in for
/// it, and choosing "another account" is not undone by going back.
#[tokio::test]
async fn going_ahead_of_the_order_skips_nothing() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    server.advance(100);
    let login = browser.open(&server.authorize(&[("prompt", "login consent")])).await.ok().unwrap();
    assert_eq!(login.name(), "login");
    let consent = browser.page(&login.path.replace("/login/", "/consent/")).await;
    let next = browser.submit(&consent, &[("decision", "allow")]).await.expect("no code yet");
    assert_eq!(next.name(), "login", "signing in is still asked for");
    let callback = browser.submit(&next, &[("username", "alice"), ("password", PASSWORD)]).await.err().unwrap();
    let (_, tokens) = server.redeem(&callback["code"]).await;
    let now = server.app.env().now().seconds();
    assert_eq!(claims(tokens["id_token"].as_str().unwrap())["auth_time"], now);

    let choose = browser.open(&server.authorize(&[("prompt", "select_account")])).await.ok().unwrap();
    let login = browser.submit(&choose, &[("account", "new")]).await.ok().unwrap();
    assert_eq!(login.name(), "login");
    let back = browser.page(&login.path.replace("/login/", "/oauth2/authorize/")).await;
    assert_eq!(back.name(), "login");
    // Nobody is chosen who is not signed in here.
    let bob = server.user("bob").await.to_string();
    let stays = browser.submit(&choose, &[("account", &bob)]).await.ok().unwrap();
    assert_eq!(stays.name(), "select-account");
}

/// What is added to a request, and how old a session may then be; -1 where none will do.
type Asked = (&'static [(&'static str, &'static str)], Option<i64>);

/// T17, CVE-2026-97176 and GHSA-hp74-gm6m-2qm5: step-up satisfied by an older session. For each way to ask for a fresh
/// sign-in and each age of the session: what is issued says when somebody really signed in, or nothing is issued.
#[tokio::test]
async fn what_is_issued_says_when_and_how_somebody_signed_in() {
    let server = Server::start().await;
    server.user("alice").await;
    server.client("web", json!({ "consent": "trusted" })).await;
    let requests: [Asked; 8] = [
        (&[], None),
        (&[("max_age", "60")], Some(60)),
        (&[("max_age", "1")], Some(1)),
        (&[("max_age", "0")], Some(0)),
        (&[("prompt", "login")], Some(-1)),
        (&[("prompt", "login"), ("max_age", "100000")], Some(-1)),
        (&[("acr_values", "phr urn:signet:acr:password")], None),
        (&[("acr_values", "urn:example:unknown"), ("max_age", "60")], Some(60)),
    ];
    for age in [None, Some(1), Some(61), Some(3600)] {
        for (changes, most) in requests {
            let browser = server.browser();
            if let Some(age) = age {
                browser.sign_in_as("alice").await;
                server.advance(age);
            }
            let case = format!("{changes:?} with a session of {age:?} seconds");
            let fits = age.is_some_and(|age| most.is_none_or(|most| age <= most));
            let signed_in_at = server.app.env().now().seconds() - age.unwrap_or(0);
            let path = server.authorize(changes);
            let silent = if changes.iter().any(|(name, _)| *name == "prompt") {
                None
            } else {
                Some(server.authorize(&[changes, &[("prompt", "none")]].concat()))
            };
            if let Some(silent) = silent {
                let answer = browser.open(&silent).await.err().expect("no page");
                assert_eq!(answer.contains_key("code"), fits, "{case}, silently: {answer:?}");
            }
            let (answer, asked) = match browser.open(&path).await {
                Err(answer) => (answer, false),
                Ok(login) => {
                    assert_eq!(login.name(), "login", "{case}");
                    let fields = [("username", "alice"), ("password", PASSWORD)];
                    (browser.submit(&login, &fields).await.err().expect("signed in"), true)
                }
            };
            assert_eq!(asked, !fits, "{case}");
            let (_, tokens) = server.redeem(&answer["code"]).await;
            let id_token = claims(tokens["id_token"].as_str().unwrap());
            let expected = if asked { server.app.env().now().seconds() } else { signed_in_at };
            assert_eq!(id_token["auth_time"], expected, "{case}");
            assert_eq!((&id_token["acr"], &id_token["amr"]), (&json!("urn:signet:acr:password"), &json!(["pwd"])));
        }
    }
}

/// T17: a hint that names somebody else than who is, or then signs in, never gets that other person's code.
#[tokio::test]
async fn a_hint_is_not_satisfied_by_somebody_else() {
    let server = Server::with_alice().await;
    server.user("bob").await;
    let alice = server.browser();
    let code = alice.sign_in(&server.authorize(&[])).await["code"].clone();
    let hint = server.redeem(&code).await.1["id_token"].as_str().unwrap().to_owned();
    let bob = server.browser();
    bob.sign_in_as("bob").await;
    let silent = server.authorize(&[("prompt", "none"), ("id_token_hint", &hint)]);
    assert_eq!(bob.open(&silent).await.err().unwrap()["error"], "login_required");
    let login = bob.open(&server.authorize(&[("id_token_hint", &hint)])).await.ok().unwrap();
    assert_eq!(login.name(), "login");
    let answer = bob.submit(&login, &[("username", "bob"), ("password", PASSWORD)]).await.err().unwrap();
    assert_eq!(answer["error"], "login_required");
    // Nor is it anybody's but the client's that it was made for.
    server.client("other", json!({})).await;
    let foreign = server.authorize(&[("client_id", "other"), ("prompt", "none"), ("id_token_hint", &hint)]);
    assert_eq!(alice.open(&foreign).await.err().unwrap()["error"], "invalid_request");
}

/// T18, CVE-2026-96446: a one-time request used again along another path. Whatever way an interaction ends (a code, a
/// refusal at either page, an error), all of its pages lead to the answer that it had, and no second one is ever made; when
/// the code is spent, or the minute is over, they lead nowhere but back to the app.
#[tokio::test]
async fn an_interaction_ends_once_on_every_path() {
    let server = Server::with_alice().await;
    server.user("bob").await;
    let hint = super::text(&super::tokens(&server, "openid profile email").await, "id_token");
    for path in ["code", "denied at login", "denied at consent", "the wrong person"] {
        let browser = server.browser();
        let changes: &[(&str, &str)] = match path {
            "the wrong person" => &[("id_token_hint", &hint)],
            _ => &[("prompt", "consent")],
        };
        let login = browser.open(&server.authorize(changes)).await.ok().unwrap();
        let name = if path == "the wrong person" { "bob" } else { "alice" };
        let fields = [("username", name), ("password", PASSWORD)];
        let ended = match path {
            "denied at login" => browser.submit(&login, &[("decision", "deny")]).await,
            "the wrong person" => browser.submit(&login, &fields).await,
            decided => {
                let consent = browser.submit(&login, &fields).await.ok().unwrap();
                let decision = if decided == "code" { "allow" } else { "deny" };
                browser.submit(&consent, &[("decision", decision)]).await
            }
        };
        let answer = ended.err().expect("back at the app");
        assert_eq!(answer.contains_key("code"), path == "code", "{path}");
        assert_eq!(answer["state"], "s t&a=te");
        let pages = ["/consent/", "/select-account/", "/oauth2/authorize/"].map(|to| login.path.replace("/login/", to));
        for page in &pages {
            assert_eq!(browser.open(page).await.err().as_ref(), Some(&answer), "{path}, then {page}");
        }
        if path == "code" {
            assert_eq!(server.redeem(&answer["code"]).await.0, 200);
        } else {
            server.advance(server.app.config.lifetimes.code);
        }
        for page in &pages {
            let over = browser.page(page).await.name();
            let expected = if path == "denied at login" { "login" } else { "signed-in" };
            assert_eq!(over, expected, "{path}, then {page}");
        }
        let again = browser.submit(&login, &fields).await.expect("a page, no answer");
        assert_eq!(again.name(), "signed-in", "{path}, then the back button");
    }
}

/// T18: a code is used up by every attempt of a known client, a wrong one too; and an interaction that nobody answers
/// ends by itself.
#[tokio::test]
async fn a_code_is_used_up_by_a_wrong_attempt() {
    let server = Server::with_alice().await;
    for wrong in
        [("code_verifier", "x"), ("redirect_uri", "http://127.0.0.1:9999/other"), ("resource", "https://no.example")]
    {
        let code = server.code("openid").await;
        let mut form = vec![("grant_type", "authorization_code"), ("code", code.as_str())];
        form.push(wrong);
        for right in [("redirect_uri", CALLBACK), ("code_verifier", crate::support::VERIFIER)] {
            if right.0 != wrong.0 {
                form.push(right);
            }
        }
        assert_eq!(server.token(&form).await.0, 400, "{wrong:?}");
        assert_eq!(server.redeem(&code).await.1["error"], "invalid_grant", "{wrong:?}");
    }
    let browser = server.browser();
    let login = browser.open(&server.authorize(&[])).await.ok().unwrap();
    server.advance(server.app.config.lifetimes.interaction + 1);
    let late = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    assert_eq!(late.name(), "signed-in", "and no code");
}
