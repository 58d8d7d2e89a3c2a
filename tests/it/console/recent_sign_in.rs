//! Administration asks for a recent sign-in, with the strongest method that the account has, and what was interrupted goes
//! on afterwards: that and nothing else.

use super::access::{csrf, routes, state, with_bob_and_web};
use super::with_admin;
use crate::logout::sign_out;
use crate::passkey::{add, signed};
use crate::support::authenticator::Authenticator;
use crate::support::{Browser, PASSWORD, Page, Server};

const LATE: i64 = 15 * 60 + 1;
const NEW: &str = "another long sentence";

async fn confirm(browser: &Browser, question: &Page, password: &str) -> Page {
    browser.submit(question, &[("username", "alice"), ("password", password)]).await.ok().unwrap()
}

/// Every route of the console that changes something, read from the router.
#[tokio::test]
async fn every_console_post_asks_for_a_recent_sign_in() {
    let (server, admin) = with_bob_and_web().await;
    let token = csrf(&admin, "/admin").await;
    server.advance(LATE);
    let (routes, before) = (routes(&server).await, state(&server).await);
    let posts: Vec<_> = routes.into_iter().filter(|route| route.post).collect();
    assert!(posts.len() > 20, "the router was read");
    for route in posts {
        let path = &route.path;
        // Each field that some form has, so that none is refused for what it lacks.
        let mut form = token.clone();
        for (name, value) in [("name", "x"), ("confirm", "bob"), ("key", "x"), ("passkey", "x"), ("password", NEW)] {
            form.push((name.to_owned(), value.to_owned()));
        }
        let answer = admin.raw_post(path, &form).await;
        assert_eq!(answer.status(), 403, "{path}");
        assert!(answer.headers().get("location").is_none(), "{path}");
        let page = admin.follow(answer).await.ok().unwrap();
        assert_eq!(page.name(), "login", "{path}");
        assert!(page.has("input[type=hidden][name=continue]") && !page.html.contains(NEW), "{path}");
    }
    assert_eq!(state(&server).await, before, "nothing was done");
}

#[tokio::test]
async fn pages_are_shown_without_a_recent_sign_in() {
    let (server, admin) = with_bob_and_web().await;
    server.advance(LATE);
    for route in routes(&server).await.into_iter().filter(|route| route.get) {
        assert_eq!(admin.page(&route.path).await.name(), "admin", "{}", route.path);
    }
}

/// The question that an administrator is asked who sends the form of bob with `typed`, too late.
struct Interrupted {
    server: Server,
    admin: Browser,
    here: String,
    question: Page,
}

impl Interrupted {
    async fn with(typed: &[(&str, &str)]) -> Self {
        let (server, admin) = with_admin().await;
        let here = format!("/admin/people/{}", server.user("bob").await);
        let page = admin.page(&here).await;
        server.advance(LATE);
        let question = admin.fill(&page, &format!("form[action='{here}']"), typed).await;
        Self { server, admin, here, question }
    }
}

#[tokio::test]
async fn the_interrupted_form_is_sent_after_the_sign_in() {
    let typed = [("name", "Bob & <b>\u{e9}"), ("admin", "true")];
    let Interrupted { server, admin, here, question } = Interrupted::with(&typed).await;
    assert_eq!((question.status, question.path.as_str()), (403, here.as_str()));
    assert!(!server.person("bob").await.admin);
    // A wrong password asks again and loses nothing.
    let again = confirm(&admin, &question, "wrong wrong").await;
    assert!(again.status == 403 && again.has("#login-error") && !server.person("bob").await.admin);
    let done = confirm(&admin, &again, PASSWORD).await;
    assert!(done.path == here && done.html.contains("Saved."), "{}", done.html);
    let bob = server.person("bob").await;
    assert!(bob.admin && bob.profile.name.as_deref() == Some("Bob & <b>\u{e9}"));
    // The sign-in counts from now on.
    server.advance(14 * 60);
    assert!(admin.press(&here, &format!("{here}/disable")).await.html.contains("is disabled"));
}

/// A form that is refused after the sign-in keeps what was typed, as always; one with a password sets it.
#[tokio::test]
async fn what_was_typed_is_kept_through_the_sign_in() {
    let (server, admin) = with_admin().await;
    let page = admin.page("/admin/people/new").await;
    server.advance(LATE);
    let fields = [("username", "two words"), ("name", "Carol Example"), ("password", NEW)];
    let question = admin.fill(&page, "main form[method=post]", &fields).await;
    let refused = confirm(&admin, &question, PASSWORD).await;
    assert!(refused.status == 422 && refused.value("[name=name]") == "Carol Example");
    let done = admin.fill(&refused, "main form[method=post]", &[("username", "carol"), ("password", NEW)]).await;
    assert!(done.html.contains("can sign in now"));
    // One's own password: the session goes on under a new cookie.
    let alice = server.person("alice").await.id;
    let here = format!("/admin/people/{alice}");
    let page = admin.page(&here).await;
    server.advance(LATE);
    let question = admin.fill(&page, "form[action$='/password']", &[("password", NEW)]).await;
    let done = confirm(&admin, &question, PASSWORD).await;
    assert!(done.path == here && done.html.contains("The password is set"), "{}", done.html);
}

/// The sealed form is good for one address, one session and one account, for a quarter of an hour.
#[tokio::test]
async fn an_interrupted_form_does_nothing_elsewhere() {
    let (server, admin) = with_admin().await;
    let (bob, carol) = (server.user("bob").await, server.user("carol").await);
    let (here, there) = (format!("/admin/people/{bob}/disable"), format!("/admin/people/{carol}/disable"));
    let token = csrf(&admin, "/admin").await;
    server.advance(LATE);
    let question = admin.follow(admin.raw_post(&here, &token).await).await.ok().unwrap();
    let (_, form) = question.form(&[("password", PASSWORD)]);
    assert_eq!(admin.raw_post(&there, &form).await.status(), 400, "another address");
    // Another administrator's browser, with a token of its own.
    super::make_admin(&server, "carol").await;
    let other = server.browser();
    other.sign_in_as("carol").await;
    let mut theirs = csrf(&other, "/admin").await;
    theirs.extend(form.iter().filter(|(name, _)| name != "csrf").cloned());
    assert_eq!(other.raw_post(&here, &theirs).await.status(), 400, "another account");
    let broken: Vec<_> = form
        .iter()
        .map(|(name, value)| (name.clone(), if name == "continue" { format!("{value}x") } else { value.clone() }))
        .collect();
    assert_eq!(admin.raw_post(&here, &broken).await.status(), 400, "not ours");
    server.advance(15 * 60);
    assert_eq!(admin.raw_post(&here, &form).await.status(), 409, "too late: it is shown again");
    assert!(!server.person("bob").await.disabled && !server.person("carol").await.disabled);
    // The token of the form is asked for as ever.
    let question = admin.follow(admin.raw_post(&here, &token).await).await.ok().unwrap();
    let without: Vec<_> =
        question.form(&[("password", PASSWORD)]).1.into_iter().filter(|(name, _)| name != "csrf").collect();
    assert_eq!(admin.raw_post(&here, &without).await.status(), 400);
    assert!(confirm(&admin, &question, PASSWORD).await.html.contains("is disabled"));
}

/// Who has a passkey administers with it, and a password alone does not do.
#[tokio::test]
async fn an_administrator_with_a_passkey_uses_it() {
    let (server, admin) = with_admin().await;
    let bob = server.user("bob").await;
    let mut device = Authenticator::new(&server.url);
    add(&admin, &mut device).await;
    server.advance(1);
    admin.sign_in_as("alice").await;
    let token = csrf(&admin, "/admin").await;
    let here = format!("/admin/people/{bob}/disable");
    // The session is recent, but by password.
    let question = admin.follow(admin.raw_post(&here, &token).await).await.ok().unwrap();
    assert!(question.status == 403 && question.has("button#passkey") && !question.has("#password"));
    assert_eq!(confirm(&admin, &question, PASSWORD).await.status, 403);
    assert!(!server.person("bob").await.disabled);
    // Somebody else's passkey is none of hers.
    let other = server.browser();
    other.sign_in_as("bob").await;
    let mut theirs = Authenticator::new(&server.url);
    add(&other, &mut theirs).await;
    let fields = signed(&admin, &question, &mut theirs).await;
    let refused = admin.follow(admin.raw_post(&here, &fields).await).await.ok().unwrap();
    assert!(refused.status == 403 && refused.html.contains("another account"), "{}", refused.html);
    let fields = signed(&admin, &refused, &mut device).await;
    let done = admin.follow(admin.raw_post(&here, &fields).await).await.ok().unwrap();
    assert!(done.html.contains("is disabled"), "{}", done.html);
    // From here on she has signed in with it.
    assert!(
        admin.press(&format!("/admin/people/{bob}"), &here.replace("disable", "enable")).await.html.contains("again")
    );
}

/// An account's own passkeys, password and API keys are guarded in the same way.
#[tokio::test]
async fn ones_own_credentials_ask_for_a_recent_sign_in() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let mut device = Authenticator::new(&server.url);
    add(&browser, &mut device).await;
    server.advance(1);
    browser.sign_in_as("alice").await;
    let page = browser.page("/account/passkeys").await;
    // A password that somebody found out does not replace the passkey, recent or not.
    let question = browser.submit_at(&page, "form[action$='/delete']", &[]).await.ok().unwrap();
    assert!(question.status == 403 && question.has("button#passkey"));
    assert_eq!(browser.ask(&page, "/account/passkeys/options").await.status(), 403);
    let password = browser.page("/account/password").await;
    let fields = [("current", PASSWORD), ("password", NEW)];
    let question = browser.submit_at(&password, "form[action='/account/password']", &fields).await.ok().unwrap();
    assert_eq!((question.status, question.name().as_str()), (403, "login"));
    let fields = signed(&browser, &question, &mut device).await;
    let done = browser.follow(browser.raw_post("/account/password", &fields).await).await.ok().unwrap();
    assert!(done.html.contains("Your password is changed"), "{}", done.html);
}

#[tokio::test]
async fn how_recent_is_a_setting() {
    let server = Server::start_with(|config| config.lifetimes.recent_sign_in = 60).await;
    let alice = server.user("alice").await;
    super::make_admin(&server, "alice").await;
    let admin = server.browser();
    admin.sign_in_as("alice").await;
    let token = csrf(&admin, "/admin").await;
    let here = format!("/admin/people/{alice}/sessions/end-all");
    server.advance(61);
    assert_eq!(admin.raw_post(&here, &token).await.status(), 403);
    // A form as long as any that is taken comes back whole.
    let mut long = token.clone();
    long.push(("name".to_owned(), "x".repeat(60 * 1024)));
    let question = admin.follow(admin.raw_post(&format!("/admin/people/{alice}"), &long).await).await.ok().unwrap();
    assert_eq!(question.status, 403);
    assert_ne!(confirm(&admin, &question, PASSWORD).await.status, 413);
    long[1].1 = "x".repeat(65 * 1024);
    assert_eq!(admin.raw_post(&format!("/admin/people/{alice}"), &long).await.status(), 400);
}

/// The question was left open too long, or another sign-in came between: what was typed is shown again, and nothing is done.
#[tokio::test]
async fn a_late_confirmation_keeps_what_was_typed() {
    for what in ["too long", "signed in elsewhere"] {
        let Interrupted { server, admin, question, .. } = Interrupted::with(&[("name", "Bobby")]).await;
        assert!(question.has("input[type=hidden][name=continue]"));
        if what == "too long" {
            server.advance(LATE);
        } else {
            sign_out(&admin).await;
            admin.sign_in_as("alice").await;
        }
        let kept = confirm(&admin, &question, PASSWORD).await;
        assert_eq!((kept.status, kept.name().as_str()), (409, "stale-form"), "{what}");
        assert_eq!(kept.attribute("[name=name]", "value").as_deref(), Some("Bobby"), "{what}");
        assert_ne!(server.person("bob").await.profile.name.as_deref(), Some("Bobby"), "{what}");
        let mut done = admin.fill(&kept, "main form", &[]).await;
        if done.has("input[type=hidden][name=continue]") {
            done = confirm(&admin, &done, PASSWORD).await;
        }
        assert_eq!(server.person("bob").await.profile.name.as_deref(), Some("Bobby"), "{what}: {}", done.html);
    }
}
