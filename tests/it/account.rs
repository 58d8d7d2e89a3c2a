//! A person's own pages: who am I, my password, where I am signed in, which apps I allowed.

use serde_json::{Value, json};
use signet::domain::event::EventKind;
use signet::store::events;

use crate::support::{Browser, PASSWORD, Page, Server};

const NEW: &str = "another long sentence";
const PAGES: [&str; 6] =
    ["/account", "/account/passkeys", "/account/password", "/account/sessions", "/account/apps", "/account/api-keys"];

async fn refreshes(server: &Server, tokens: &Value) -> bool {
    let refresh = tokens["refresh_token"].as_str().unwrap();
    server.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await.0 == 200
}

async fn is_signed_in(browser: &Browser) -> bool {
    browser.raw("/account").await.status() == 200
}

#[tokio::test]
async fn nobody_sees_an_account_page_without_signing_in_and_signing_in_leads_back() {
    let server = Server::with_alice().await;
    for path in PAGES {
        let browser = server.browser();
        let login = browser.page(path).await;
        assert_eq!(login.name(), "login", "{path}");
        let page = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
        assert_eq!((page.status, page.path.as_str(), page.name().as_str()), (200, path, "account"));
        let csrf = page.attribute("input[name=csrf]", "value").unwrap();
        assert!(!server.browser().raw_post(path, &[("csrf".into(), csrf)]).await.status().is_success());
    }
}

#[tokio::test]
async fn the_front_page_tells_who_i_am_and_what_happened() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.submit(&browser.page("/login").await, &[("username", "alice"), ("password", "wrong wrong")]).await.ok();
    browser.sign_in_as("alice").await;
    let page = browser.page("/account").await;
    for text in ["Alice Example", "alice@example.com", "A sign-in was refused", "Signed in with a password"] {
        assert!(page.html.contains(text), "{text}");
    }
}

async fn change(browser: &Browser, current: &str, new: &str) -> Page {
    let page = browser.page("/account/password").await;
    let fields = [("current", current), ("password", new)];
    browser.submit_at(&page, "form[action='/account/password']", &fields).await.ok().unwrap()
}

/// T5: a new password ends what was signed in with the old one, tokens too; this browser stays, under a new cookie.
#[tokio::test]
async fn a_new_password_ends_everything_but_this_browser() {
    let server = Server::with_alice().await;
    let (here, there) = (server.browser(), server.browser());
    let callback = there.sign_in(&server.authorize(&[("scope", "openid offline_access")])).await;
    let (_, tokens) = server.redeem(&callback["code"]).await;
    here.sign_in_as("alice").await;
    let page = change(&here, PASSWORD, NEW).await;
    assert_eq!(page.path, "/account");
    assert!(page.html.contains("Your password is changed"));
    assert!(!here.page("/account").await.html.contains("Your password is changed"), "said once");
    assert!(is_signed_in(&here).await && !is_signed_in(&there).await);
    assert!(!refreshes(&server, &tokens).await);
    let stranger = server.browser();
    let login = stranger.page("/login").await;
    assert_eq!(
        stranger.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap().name(),
        "login"
    );
    assert_eq!(stranger.submit(&login, &[("username", "alice"), ("password", NEW)]).await.ok().unwrap().path, "/");
}

#[tokio::test]
async fn a_refused_password_says_why_and_changes_nothing() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    for (current, new, status, field) in [
        ("not the present one", NEW, 422, "current-error"),
        (PASSWORD, "short", 422, "password-error"),
        (PASSWORD, "password1", 422, "password-error"),
        (PASSWORD, "x".repeat(300).as_str(), 422, "password-error"),
        ("", "", 422, "current-error"),
    ] {
        let page = change(&browser, current, new).await;
        assert_eq!(page.status, status, "{current} {new}");
        assert!(page.has(&format!("#{field}")), "{current} {new}: {}", page.html);
        assert!(!page.html.contains(PASSWORD) && !page.html.contains(NEW), "no password comes back");
    }
    server.browser().sign_in_as("alice").await;
}

/// T23: whoever sits at an open session does not get to guess the password either.
#[tokio::test]
async fn guessing_the_present_password_is_throttled() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    for _ in 0..10 {
        assert_eq!(change(&browser, "a wrong guess", NEW).await.status, 422);
    }
    assert_eq!(change(&browser, PASSWORD, NEW).await.status, 429);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_or_together() {
    let server = Server::with_alice().await;
    let (here, there, third) = (server.browser(), server.browser(), server.browser());
    for browser in [&there, &third, &here] {
        browser.sign_in_as("alice").await;
    }
    let page = here.page("/account/sessions").await;
    assert!(page.html.contains("3 devices") && page.html.contains("This device"));
    let page = here.submit_at(&page, "form[action$='/end']", &[]).await.ok().unwrap();
    assert!(page.html.contains("That device is signed out") && page.html.contains("2 devices"));
    assert_eq!(usize::from(is_signed_in(&there).await) + usize::from(is_signed_in(&third).await), 1);
    let page = here.submit_at(&page, "form[action$='/end-others']", &[]).await.ok().unwrap();
    assert!(page.html.contains("The other device is signed out"));
    assert!(is_signed_in(&here).await && !is_signed_in(&there).await && !is_signed_in(&third).await);
}

#[tokio::test]
async fn nobody_ends_another_persons_session() {
    let server = Server::with_alice().await;
    server.user("bob").await;
    let (alice, bob) = (server.browser(), server.browser());
    alice.sign_in_as("alice").await;
    server.browser().sign_in_as("alice").await;
    bob.sign_in_as("bob").await;
    let (action, _) = alice.page("/account/sessions").await.form_at("form[action$='/end']", &[]);
    let form = bob.page("/account/password").await.form(&[]).1;
    let page = bob.follow(bob.raw_post(&action, &form).await).await.ok().unwrap();
    assert!(page.html.contains("signed out already"));
    assert!(alice.page("/account/sessions").await.html.contains("2 devices"));
}

/// T5: what an app held is void at once, and it has to ask again.
#[tokio::test]
async fn an_app_is_removed() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    let callback = browser.sign_in(&server.authorize(&[("scope", "openid email offline_access")])).await;
    let (_, tokens) = server.redeem(&callback["code"]).await;
    let page = browser.page("/account/apps").await;
    assert!(page.html.contains("See your email address") && page.html.contains("Stay connected"));
    let page = browser.submit_at(&page, "form[action='/account/apps/web/revoke']", &[]).await.ok().unwrap();
    assert!(page.html.contains("The app is removed") && page.html.contains("No app uses your account"));
    assert!(!refreshes(&server, &tokens).await);
    assert_eq!(browser.open(&server.authorize(&[("scope", "openid email")])).await.ok().unwrap().name(), "consent");
}

/// OpenID Connect Core §4: an app that says where it begins is opened there, and told which server asks.
#[tokio::test]
async fn an_app_is_opened_where_it_begins() {
    let server = Server::with_alice().await;
    let begins = "https://app.example/start?tenant=a%20b";
    server.client("opens", serde_json::json!({ "initiate_login_uri": begins })).await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    assert!(!browser.page("/account/apps").await.has("a[href^='https://app.example']"), "web says nothing");
    browser.sign_in(&server.authorize(&[("client_id", "opens")])).await;
    let page = browser.page("/account/apps").await;
    let iss: String = url::form_urlencoded::byte_serialize(server.url.as_bytes()).collect();
    assert_eq!(page.attribute("a[href^='https://app.example']", "href").unwrap(), format!("{begins}&iss={iss}"));
    let opens = signet::domain::ids::ClientId::parse("opens").unwrap();
    let by = signet::manage::AuditContext::command_line();
    signet::manage::clients::disable(&server.app.manager(), &by, &opens).await.unwrap();
    assert!(!browser.page("/account/apps").await.has("a[href^='https://app.example']"), "it is turned off");
    // One of our own stands there for everybody, whether they have used it or not.
    let portal = serde_json::json!({ "initiate_login_uri": "https://portal.example/", "consent": "trusted" });
    server.client("portal", portal).await;
    let page = browser.page("/account/apps").await;
    assert!(page.has("a[href^='https://portal.example']") && !page.has("form[action$='/portal/revoke']"));
    signet::manage::clients::disable(
        &server.app.manager(),
        &by,
        &signet::domain::ids::ClientId::parse("portal").unwrap(),
    )
    .await
    .unwrap();
    assert!(!browser.page("/account/apps").await.has("a[href^='https://portal.example']"));
}

/// A client id may hold a slash: in an address it is one segment all the same.
#[tokio::test]
async fn an_app_whose_id_is_an_address_is_removed_too() {
    let server = Server::with_alice().await;
    server.client("https://app.example/id", serde_json::json!({})).await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[("client_id", "https://app.example/id")])).await;
    let page = browser.page("/account/apps").await;
    let page = browser.submit_at(&page, "form[action$='/revoke']", &[]).await.ok().unwrap();
    assert!(page.html.contains("No app uses your account"), "{}", page.html);
}

#[tokio::test]
async fn a_session_lives_while_it_is_used_and_ends_when_it_is_not() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    for _ in 0..5 {
        server.advance(90 * 60);
        assert!(is_signed_in(&browser).await, "used every hour and a half");
    }
    server.advance(2 * 60 * 60 + 1);
    assert!(!is_signed_in(&browser).await, "two hours without a request");
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    for _ in 0..12 {
        server.advance(3600);
        browser.raw("/account").await;
    }
    assert!(!is_signed_in(&browser).await, "twelve hours at most, whatever happens");
}

#[tokio::test]
async fn who_asks_to_stay_signed_in_stays_for_weeks() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    let login = browser.page("/login").await;
    let fields = [("username", "alice"), ("password", PASSWORD), ("remember", "1")];
    browser.submit(&login, &fields).await.ok().unwrap();
    for _ in 0..4 {
        server.advance(13 * 86_400);
        let response = browser.raw("/account").await;
        assert_eq!(response.status(), 200);
        // The cookie outlives the browser's window, or being remembered would be worth nothing.
        let cookie =
            response.headers().get_all("set-cookie").iter().find(|it| it.to_str().unwrap().contains("-session="));
        assert!(cookie.unwrap().to_str().unwrap().contains("Max-Age"));
    }
    server.advance(14 * 86_400);
    assert!(!is_signed_in(&browser).await);
}

/// T2: what is empty, from elsewhere or no form at all, to every address of a person's own pages that takes one.
#[tokio::test]
async fn forms_that_are_not_ours_change_nothing() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    let token = browser.page("/account/password").await.form(&[]).1;
    let session = server.app.store().env().uuid();
    let before = server.person("alice").await;
    for path in [
        "/account/password".to_owned(),
        "/account/sessions/end-others".to_owned(),
        format!("/account/sessions/{session}/end"),
        "/account/sessions/nonsense/end".to_owned(),
        "/account/apps/nobody/revoke".to_owned(),
        "/account/apps/%ff/revoke".to_owned(),
        "/account/passkeys/finish".to_owned(),
        format!("/account/passkeys/{session}/rename"),
        "/account/passkeys/nonsense/delete".to_owned(),
        "/account/api-keys/new/nowhere".to_owned(),
        format!("/account/api-keys/{session}/revoke"),
        "/account/api-keys/nonsense/revoke".to_owned(),
    ] {
        let status = |response: reqwest::Response| response.status().as_u16();
        let no_token = [("csrf".to_owned(), "AAAA".to_owned())];
        assert!([400, 404].contains(&status(browser.raw_post(&path, &[]).await)), "{path}: empty");
        assert!([400, 404].contains(&status(browser.raw_post(&path, &no_token).await)), "{path}: a foreign token");
        assert_eq!(status(browser.raw_post(&path, &[token.clone(), token.clone()].concat()).await) / 100, 4, "{path}");
        let alone = status(browser.raw_post(&path, &token).await);
        assert!([303, 400, 404, 422].contains(&alone), "{path}: the token alone, {alone}");
    }
    assert_eq!(server.person("alice").await, before);
    assert!(browser.page("/account/apps").await.html.contains("Web"), "the app is still there");
}

/// The user's own address and browser are shown, an administrator's never.
#[tokio::test]
async fn activity_shows_no_address_of_an_administrator() {
    let server =
        Server::start_with(|config| config.trusted_proxies = serde_json::from_value(json!("127.0.0.1")).unwrap()).await;
    for name in ["alice", "root"] {
        server.user(name).await;
    }
    crate::console::make_admin(&server, "root").await;
    let (own, theirs) = ("192.0.2.77", "198.51.100.9");
    let from = async |name: &str, address: &str, agent: &str| {
        let browser = server.browser();
        let login = browser.page("/login").await;
        let (action, form) = login.form(&[("username", name), ("password", PASSWORD)]);
        let request = browser.request(reqwest::Method::POST, &action).header("x-forwarded-for", address);
        assert!(request.header("user-agent", agent).form(&form).send().await.unwrap().status().is_redirection());
        browser
    };
    let alice = from("alice", own, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0").await;
    let root = from("root", theirs, "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1").await;
    let id = server.person("alice").await.id;
    let page = root.page(&format!("/admin/people/{id}")).await;
    for (part, fields) in [("", [("name", "Alice Changed")]), ("/groups", [("new_groups", "staff")])] {
        let (action, form) = page.filled(&format!("form[action='/admin/people/{id}{part}']"), &fields);
        let request = root.request(reqwest::Method::POST, &action).header("x-forwarded-for", theirs);
        let request =
            request.header("user-agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1");
        assert!(request.form(&form).send().await.unwrap().status().is_redirection(), "{part}");
    }
    let shown = alice.page("/account").await.text("[aria-labelledby=recent]");
    assert!(shown.contains(own) && shown.contains("Firefox on Linux"), "{shown}");
    assert!(shown.matches("by an administrator").count() >= 2, "{shown}");
    assert!(!shown.contains(theirs) && !shown.contains("iPhone"), "{shown}");
}

/// Nobody tried to sign in: the record says what it was, and both fields that are wrong are named.
#[tokio::test]
async fn wrong_current_password_is_no_refused_sign_in() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let page = change(&browser, "not the present one", "short").await;
    assert!(page.has("#current-error") && page.has("#password-error"), "{}", page.html);
    let user = Some(server.person("alice").await.id);
    let found =
        events::list(server.app.store().read(), &events::EventFilter { user, most: 10, ..Default::default() }).await;
    // All at one time of the test's clock, so in no order.
    let mut kinds: Vec<&str> = found.unwrap().iter().map(|event| event.kind.name()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [EventKind::PasswordRefused.name(), EventKind::SignedIn.name()]);
    let shown = browser.page("/account").await.text("[aria-labelledby=recent]");
    assert!(shown.contains("The current password was wrong") && !shown.contains("sign-in was refused"), "{shown}");
}
