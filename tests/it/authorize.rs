//! The authorization endpoint from a browser (RFC 6749 §4.1, OpenID Connect Core §3.1.2).

use crate::support::{CALLBACK, PASSWORD, Server};

#[tokio::test]
async fn a_person_signs_in_allows_and_the_app_gets_a_code() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    let login = browser.open(&server.authorize(&[])).await.ok().unwrap();
    assert_eq!((login.status, login.name().as_str()), (200, "login"));
    assert!(login.has("#login-heading") && login.has("input#username") && login.has("input#password"));
    let consent = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    assert_eq!(consent.name(), "consent");
    assert!(consent.has("[data-scope=openid]") && consent.has("[data-scope=email]"));
    let callback = browser.submit(&consent, &[("decision", "allow")]).await.err().expect("back at the app");
    assert!(callback["code"].starts_with("sgc_"));
    assert_eq!(callback["state"], "s t&a=te");
    assert_eq!(callback["iss"], server.url);
    // Signed in and allowed: nobody is asked again, but for new scopes.
    let again = browser.open(&server.authorize(&[])).await.err().expect("no page");
    assert!(again.contains_key("code"));
    let more = browser.open(&server.authorize(&[("scope", "openid offline_access")])).await.ok().unwrap();
    assert_eq!(more.name(), "consent");
}

#[tokio::test]
async fn what_is_wrong_before_the_address_is_trusted_is_a_page_and_never_a_redirect() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    for (changes, code) in [
        (vec![("client_id", "nobody")], "invalid_client"),
        (vec![("client_id", "")], "invalid_request"),
        (vec![("redirect_uri", "")], "invalid_request"),
        (vec![("redirect_uri", "https://evil.example/cb")], "invalid_request"),
        (vec![("redirect_uri", "http://127.0.0.1:9999/cb/")], "invalid_request"),
        (vec![("redirect_uri", "http://127.0.0.1:9998/cb")], "invalid_request"),
        (vec![("redirect_uri", "http://127.0.0.1:9999/cb#a")], "invalid_request"),
    ] {
        let response = browser.raw(&server.authorize(&changes)).await;
        assert_eq!(response.status(), 400, "{changes:?}");
        assert!(response.headers().get("location").is_none());
        let page = browser.follow(response).await.ok().unwrap();
        assert_eq!(page.error(), code, "{changes:?}");
        assert!(page.has("#error-code") && page.has("#error-description") && page.has("#request-id"));
    }
}

#[tokio::test]
async fn what_is_wrong_after_it_goes_back_to_the_app() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    for (changes, code) in [
        (vec![("response_type", "")], "invalid_request"),
        (vec![("response_type", "token")], "unsupported_response_type"),
        (vec![("response_type", "code id_token"), ("response_mode", "query")], "unauthorized_client"),
        (vec![("code_challenge_method", "plain")], "invalid_request"),
        (vec![("code_challenge_method", "")], "invalid_request"),
        (vec![("code_challenge", "short")], "invalid_request"),
        (vec![("scope", "openid address")], "invalid_scope"),
        (vec![("scope", "")], "invalid_scope"),
        (vec![("scope", "nonsense")], "invalid_scope"),
        (vec![("prompt", "none login")], "invalid_request"),
        (vec![("prompt", "none")], "login_required"),
        (vec![("max_age", "-1")], "invalid_request"),
        (vec![("id_token_hint", "e30.e30.e30")], "invalid_request"),
        (vec![("resource", "https://unknown.example")], "invalid_target"),
        (vec![("request", "e30.e30.")], "invalid_request_object"),
        (vec![("request_uri", "https://a.example/r")], "invalid_request_uri"),
        (vec![("claims", "[]")], "invalid_request"),
        (vec![("registration", "{}")], "registration_not_supported"),
    ] {
        let callback = browser.open(&server.authorize(&changes)).await.err().unwrap_or_else(|| panic!("{changes:?}"));
        assert_eq!(callback["error"], code, "{changes:?}");
        assert_eq!(callback["state"], "s t&a=te");
        assert_eq!(callback["iss"], server.url);
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_look_the_same() {
    let server = Server::with_alice().await;
    let mut answers = Vec::new();
    for name in ["alice", "nobody"] {
        let browser = server.browser();
        let login = browser.open("/login").await.ok().unwrap();
        let page = browser.submit(&login, &[("username", name), ("password", "not the password")]).await.ok().unwrap();
        assert_eq!(page.name(), "login");
        let csrf = page.form(&[]).1.into_iter().find(|(name, _)| name == "csrf").unwrap().1;
        answers.push((page.status, page.html.replace(name, "NAME").replace(&csrf, "CSRF")));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn failures_are_throttled_and_a_browser_that_knows_the_person_is_not_locked_out() {
    let server = Server::with_alice().await;
    let known = server.browser();
    known.sign_in(&server.authorize(&[])).await;
    let stranger = server.browser();
    let login = stranger.open("/login").await.ok().unwrap();
    for _ in 0..10 {
        stranger.submit(&login, &[("username", "alice"), ("password", "wrong wrong")]).await.ok().unwrap();
    }
    let refused = stranger.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    assert_eq!(refused.status, 429);
    let login = known.open(&server.authorize(&[("prompt", "login")])).await.ok().unwrap();
    let back = known.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await;
    assert!(back.err().expect("signed in").contains_key("code"));
    server.advance(15 * 60 + 1);
    let back = stranger.submit(&login_page(&stranger).await, &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(back.ok().unwrap().path, "/");
}

async fn login_page(browser: &crate::support::Browser) -> crate::support::Page {
    browser.open("/login").await.ok().unwrap()
}

#[tokio::test]
async fn an_interaction_is_worth_nothing_in_another_browser() {
    let server = Server::with_alice().await;
    let login = server.browser().open(&server.authorize(&[])).await.ok().unwrap();
    let thief = server.browser();
    thief.sign_in(&server.authorize(&[])).await;
    let resumed = thief.open(&login.path.replace("/login/", "/oauth2/authorize/")).await.ok().unwrap();
    assert_eq!((resumed.status, resumed.error().as_str()), (400, "invalid_request"));
}

#[tokio::test]
async fn forms_from_elsewhere_and_empty_ones_change_nothing() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    let login = browser.open(&server.authorize(&[])).await.ok().unwrap();
    let fields = [("username", "alice"), ("password", PASSWORD)].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(browser.raw_post(&login.path, &fields).await.status(), 400, "no token");
    assert_eq!(browser.raw_post(&login.path, &[]).await.status(), 400, "an empty form");
    let (action, mut form) = login.form(&[("username", "alice"), ("password", PASSWORD)]);
    let stranger = server.browser();
    assert_eq!(stranger.raw_post(&action, &form).await.status(), 400, "another browser");
    form.push(("username".into(), "bob".into()));
    assert_eq!(browser.raw_post(&action, &form).await.status(), 400, "a repeated field");
    assert_eq!(browser.open(&login.path).await.ok().unwrap().name(), "login");
}

#[tokio::test]
async fn denying_tells_the_app_and_ends_the_interaction() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    let login = browser.open(&server.authorize(&[])).await.ok().unwrap();
    let callback = browser.submit(&login, &[("decision", "deny")]).await.err().unwrap();
    assert_eq!(callback["error"], "access_denied");
    let again = browser.page(&login.path).await;
    assert_eq!((again.name().as_str(), again.has("button[value=deny]")), ("login", false), "the app waits no more");
}

#[tokio::test]
async fn prompt_login_asks_again_and_auth_time_tells() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    server.advance(100);
    for changes in [[("prompt", "login")], [("max_age", "50")], [("prompt", "select_account")]] {
        assert!(browser.open(&server.authorize(&changes)).await.is_ok(), "{changes:?} shows a page");
    }
    let callback = browser.sign_in(&server.authorize(&[("max_age", "50")])).await;
    let (_, tokens) = server.redeem(&callback["code"]).await;
    let claims = crate::token::claims(tokens["id_token"].as_str().unwrap());
    assert_eq!(claims["auth_time"], server.app.env().now().seconds());
}

/// Asked once more, people find their name typed; where somebody else is looked for, they do not.
#[tokio::test]
async fn the_sign_in_page_knows_who_is_asked_again() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    let typed = |page: &crate::support::Page| page.attribute("#username", "value").unwrap();
    let login = browser.page(&server.authorize(&[("login_hint", "bob")])).await;
    assert_eq!(typed(&login), "bob");
    browser.sign_in(&server.authorize(&[])).await;
    let again = browser.page(&server.authorize(&[("prompt", "login")])).await;
    assert_eq!(typed(&again), "alice");
    assert!(again.html.contains("You’re signed in as Alice Example."));
    let hinted = browser.page(&server.authorize(&[("prompt", "login"), ("login_hint", "bob")])).await;
    assert_eq!(typed(&hinted), "bob");
    let choose = browser.page(&server.authorize(&[("prompt", "select_account")])).await;
    let another = browser.submit(&choose, &[("account", "new")]).await.ok().unwrap();
    assert_eq!((another.name().as_str(), typed(&another).as_str()), ("login", ""));
}

#[tokio::test]
async fn fragment_and_form_post_carry_the_answer() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    let response = browser.raw(&server.authorize(&[("response_mode", "fragment")])).await;
    let to = response.headers()["location"].to_str().unwrap().to_owned();
    assert!(to.starts_with(&format!("{CALLBACK}#code=")), "{to}");
    let page = browser.open(&server.authorize(&[("response_mode", "form_post")])).await.ok().unwrap();
    assert!(
        page.html.contains(&format!("action=\"{CALLBACK}\""))
            && page.has("input[name=code]")
            && page.has("input[name=iss]")
    );
    // A browser that knows no modules sends it too.
    let script = page.attribute("script[src*=form_post]", "src").unwrap();
    assert!(page.attribute("script[src*=form_post]", "type").is_none());
    let script = browser.raw(&script).await.text().await.unwrap();
    for newer in ["=>", "const ", "let ", "`", "?.", "import ", "await "] {
        assert!(!script.contains(newer), "{newer}");
    }
}

/// OpenID Connect Core §3.1.2.1: the request by POST, from a page of the app's.
#[tokio::test]
async fn a_request_by_post_is_as_good() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    let request = server.authorize(&[]);
    let (path, query) = request.split_once('?').unwrap();
    let form: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let answer = browser.follow(browser.raw_post(path, &form).await).await.err().unwrap();
    assert!(answer.contains_key("code") && answer["state"] == "s t&a=te", "{answer:?}");
}
