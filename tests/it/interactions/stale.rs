//! Forms of a page that was opened in another session of this browser.

use super::{ALICE, server};
use crate::device;
use crate::logout::sign_out;
use crate::support::{Browser, PASSWORD, Page, Server};

/// alice's page is open; then bob signs in in another tab.
async fn bob_takes_over(server: &Server, browser: &Browser) {
    server.user("bob").await;
    browser.sign_in_as("bob").await;
}

/// Nothing is done for it; bob is asked himself.
#[tokio::test]
async fn a_consent_page_of_somebody_else_is_shown_again() {
    let server = server().await;
    let browser = server.browser();
    let login = browser.page(&server.authorize(&[])).await;
    let consent = browser.submit(&login, &ALICE).await.expect("the consent page");
    bob_takes_over(&server, &browser).await;
    for decision in ["allow", "deny"] {
        let again = browser.submit(&consent, &[("decision", decision)]).await.expect("no answer to the app");
        assert_eq!(again.name(), "consent", "{decision}");
        assert!(again.text("main").contains("bob@example.com") && again.has(".notice"), "{}", again.html);
    }
    let again = browser.page(&consent.path).await;
    let answer = browser.submit(&again, &[("decision", "allow")]).await.err().unwrap();
    let (_, tokens) = server.redeem(&answer["code"]).await;
    let claims = crate::token::claims(tokens["id_token"].as_str().unwrap());
    assert_eq!(claims["sub"], server.person("bob").await.id.to_string());
}

#[tokio::test]
async fn an_account_choice_of_somebody_else_is_shown_again() {
    let server = server().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let page = browser.page(&server.authorize(&[("client_id", "first"), ("prompt", "select_account")])).await;
    let alice = server.person("alice").await.id.to_string();
    bob_takes_over(&server, &browser).await;
    for account in [alice.as_str(), "new"] {
        let again = browser.submit(&page, &[("account", account)]).await.expect("a page");
        assert_eq!(again.name(), "select-account", "{account}");
        assert!(again.text("main").contains("bob@example.com"), "{account}");
    }
}

#[tokio::test]
async fn a_device_question_of_somebody_else_is_shown_again() {
    let server = device::with_tv().await;
    let waiting = device::ask(&server, "openid").await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let question = device::question(&browser, &waiting).await;
    bob_takes_over(&server, &browser).await;
    let again = browser.submit(&question, &[("decision", "allow")]).await.expect("a page");
    assert!(again.has("#device-code") && again.text("main").contains("bob@example.com"), "{}", again.html);
    assert_eq!(device::refused(&server, &waiting).await, "authorization_pending");
}

/// alice administers, and has opened the form for a new user; then she has signed out.
async fn with_an_open_form() -> (Server, Browser, Page) {
    let server = server().await;
    crate::console::make_admin(&server, "alice").await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let page = browser.page("/admin/people/new").await;
    sign_out(&browser).await;
    (server, browser, page)
}

/// Sends the form of `page`, though no session of it is there.
async fn send(browser: &Browser, page: &Page, typed: &[(&str, &str)]) -> Page {
    browser.fill(page, &format!("form[action='{}']", page.form(&[]).0), typed).await
}

/// A form of the account or the console keeps what was typed, but no password; it is sent when its user sends it again.
#[tokio::test]
async fn a_form_keeps_what_was_typed_but_no_password() {
    let (server, browser, page) = with_an_open_form().await;
    // Another session.
    browser.sign_in_as("alice").await;
    let typed = [("username", "carol"), ("name", "Carol <b>"), ("email", "carol@example.com"), ("password", PASSWORD)];
    let again = send(&browser, &page, &typed).await;
    assert_eq!((again.status, again.name().as_str()), (409, "stale-form"));
    assert!(!again.html.contains(PASSWORD) && !again.html.contains("Carol <b>"));
    for (name, value) in &typed[..3] {
        let kept = again.attribute(&format!("[name={name}]"), "value");
        assert_eq!(kept.as_deref(), Some(*value), "{name}");
    }
    assert_eq!(again.form(&[]).0, page.form(&[]).0);
    let name = signet::domain::user::Username::parse("carol").unwrap();
    let found = async || signet::store::users::by_username(server.app.store().read(), &name).await.unwrap();
    assert!(found().await.is_none(), "nothing was done");
    let done = browser.fill(&again, "main form", &[("password", PASSWORD)]).await;
    assert!(found().await.is_some(), "{} {}", done.status, done.html);
    // A token of no page of this browser is not enough for that.
    let (action, mut form) = page.form(&typed);
    form.iter_mut().filter(|(name, _)| name == "csrf").for_each(|(_, value)| *value = "AAAA.AAAA".to_owned());
    assert_eq!(browser.raw_post(&action, &form).await.status(), 400);
}

/// The session has ended and nobody is signed in: the page shows what was typed and says to sign in in another tab.
#[tokio::test]
async fn a_form_sent_after_signing_out_keeps_what_was_typed() {
    let (server, browser, page) = with_an_open_form().await;
    let typed = [("username", "carol"), ("name", "Carol"), ("email", ""), ("password", PASSWORD)];
    let kept = send(&browser, &page, &typed).await;
    assert_eq!((kept.status, kept.name().as_str()), (403, "stale-form"));
    assert!(!kept.html.contains(PASSWORD));
    assert_eq!(kept.attribute("[name=username]", "value").as_deref(), Some("carol"));
    assert_eq!(kept.attribute("a[target=_blank]", "href").as_deref(), Some("/login?next=%2Fadmin"));
    browser.sign_in_as("alice").await;
    let again = browser.fill(&kept, "main form", &[("password", PASSWORD)]).await;
    assert_eq!(
        (again.status, again.name().as_str()),
        (409, "stale-form"),
        "nothing is done without a look at the account"
    );
    browser.fill(&again, "main form", &[("password", PASSWORD)]).await;
    assert_eq!(server.person("carol").await.profile.name.as_deref(), Some("Carol"));
    // A form in which nothing was typed, and one of no page of this browser, lead to the sign-in page as before.
    sign_out(&browser).await;
    let (action, form) = page.form(&typed);
    let empty: Vec<_> = form.iter().filter(|(name, _)| name == "csrf").cloned().collect();
    assert_eq!(browser.raw_post(&action, &empty).await.headers()["location"], "/login?next=%2Fadmin");
    assert_eq!(server.browser().raw_post(&action, &form).await.headers()["location"], "/login?next=%2Fadmin");
}

/// Signing out twice is signing out.
#[tokio::test]
async fn signing_out_twice_is_signing_out() {
    let server = server().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let page = browser.page("/oauth2/logout").await;
    for _ in 0..2 {
        assert!(browser.submit(&page, &[("decision", "allow")]).await.expect("a page").has("#logged-out"));
    }
    browser.sign_in_as("alice").await;
    let asked = browser.submit(&page, &[("decision", "allow")]).await.expect("a page");
    assert!(asked.has("#logout-confirm"), "whoever is signed in now is asked");
}
