//! The first administrator: one link, one use, whoever is quicker; and the front page that comes after it.

use signet::manage::AuditContext;
use signet::manage::apply::{ApplyOptions, apply};
use signet::manage::document::{Document, DocumentFormat};
use signet::web::pages::setup;

use crate::support::{PASSWORD, Server};

const FIELDS: [(&str, &str); 4] =
    [("name", "Alice Example"), ("email", "alice@example.com"), ("username", "alice"), ("password", PASSWORD)];

async fn link(server: &Server) -> Option<String> {
    let link = setup::link(&server.app).await.unwrap()?;
    Some(link.expose().strip_prefix(&server.url).expect("an address of ours").to_owned())
}

#[tokio::test]
async fn the_link_makes_the_first_administrator_who_is_signed_in() {
    let server = Server::start().await;
    let browser = server.browser();
    let used = link(&server).await.unwrap();
    let page = browser.page(&used).await;
    assert_eq!(page.name(), "setup");
    let home = browser.submit(&page, &FIELDS).await.ok().unwrap();
    assert_eq!((home.path.as_str(), home.name().as_str()), ("/admin/start", "admin"));
    assert!(home.html.contains("Alice Example") && home.has("a[href='/admin']"));
    assert!(server.person("alice").await.admin);
    assert_eq!(link(&server).await, None, "there is an administrator: no further link");
    assert_eq!(browser.page(&used).await.status, 400);
}

/// An impatient second click: the browser drops the first answer and shows the second.
#[tokio::test]
async fn a_set_up_form_sent_twice_signs_in_twice() {
    let server = Server::start().await;
    let browser = server.browser();
    let page = browser.page(&link(&server).await.unwrap()).await;
    let (action, form) = page.form(&FIELDS);
    let (first, second) = tokio::join!(browser.raw_post(&action, &form), browser.raw_post(&action, &form));
    for answer in [first, second] {
        assert_eq!(answer.status(), 303);
        assert_eq!(answer.headers()["location"], "/admin/start");
    }
    let (_, other) = page.form(&[("username", "alice"), ("password", "another good passphrase")]);
    assert_eq!(browser.raw_post(&action, &other).await.status(), 400);
    assert_eq!(server.browser().raw_post(&action, &form).await.status(), 400, "another browser");
    server.advance(61);
    assert_eq!(browser.raw_post(&action, &form).await.status(), 400, "a minute later");
}

#[tokio::test]
async fn set_up_leads_to_what_to_do_next() {
    let server = Server::start().await;
    let browser = server.browser();
    let page = browser.page(&link(&server).await.unwrap()).await;
    let next = browser.submit(&page, &FIELDS).await.ok().unwrap();
    assert_eq!(next.path, "/admin/start");
    let discovery = format!("<code>{}/.well-known/openid-configuration</code>", server.url);
    assert!(next.html.contains(&discovery), "{}", next.html);
    for (step, link) in [
        ("#next-app", "/admin/clients/new"),
        ("#next-people", "/admin/people/new"),
        ("#next-passkey", "/account/passkeys"),
    ] {
        assert!(next.has(&format!("{step} a[href='{link}']")), "{step}");
        assert!(!next.has(&format!("{step} .badge")), "{step} is not done");
        assert_eq!(browser.page(link).await.status, 200, "{link}");
    }
    assert!(next.has("#next-address .badge.warn"), "nobody else reaches an issuer at loopback");
    server.client("web", serde_json::json!({})).await;
    server.user("bob").await;
    let later = browser.page("/admin/start").await;
    assert!(later.has("#next-app .badge.ok") && later.has("#next-people .badge.ok"));
    assert!(browser.page("/admin").await.has("a[href='/admin/start']"));
}

#[tokio::test]
async fn without_the_newest_link_nobody_gets_in() {
    let server = Server::start().await;
    let browser = server.browser();
    let old = link(&server).await.unwrap();
    let new = link(&server).await.unwrap();
    for path in ["/setup", "/setup?token=", "/setup?token=sgi_x", &old, &format!("{new}x"), &new.to_lowercase()] {
        let page = browser.page(path).await;
        assert_eq!((page.status, page.name().as_str()), (400, "error"), "{path}");
    }
    // A page that was opened with an older link, sent after a newer one was made.
    let page = browser.page(&new).await;
    link(&server).await.unwrap();
    assert_eq!(browser.submit(&page, &FIELDS).await.ok().unwrap().status, 400);
}

/// `apply` or a command was quicker: nobody fills in a form that cannot be accepted any more.
#[tokio::test]
async fn the_link_ends_with_an_administrator_made_another_way() {
    let server = Server::start().await;
    let link = link(&server).await.unwrap();
    let document = r#"{ "users": [{ "username": "root", "admin": true }] }"#;
    let document = Document::parse(document, DocumentFormat::Json).unwrap();
    apply(&server.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default()).await.unwrap();
    let page = server.browser().page(&link).await;
    assert_eq!((page.status, page.name().as_str()), (400, "error"));
}

/// Ten browsers with the one link, at the same moment.
#[tokio::test]
async fn of_ten_at_once_one_becomes_administrator() {
    let server = Server::start().await;
    let link = link(&server).await.unwrap();
    // All have the page before one sends it: a link that is used up has none.
    let opened = futures::future::join_all((0..10).map(|n| {
        let (browser, link) = (server.browser(), &link);
        async move { (n, browser.page(link).await, browser) }
    }));
    let attempts = opened.await.into_iter().map(|(n, page, browser)| async move {
        let name = format!("user{n}");
        browser.submit(&page, &[("username", &name), ("password", PASSWORD)]).await.ok().unwrap().path == "/admin/start"
    });
    let won = futures::future::join_all(attempts).await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
}

#[tokio::test]
async fn what_is_refused_is_said_at_its_field_and_nothing_typed_is_lost_but_the_password() {
    let server = Server::start().await;
    let browser = server.browser();
    let page = browser.page(&link(&server).await.unwrap()).await;
    for (field, value) in [
        ("username", ""),
        ("username", "a b"),
        ("email", "no address"),
        ("password", ""),
        ("password", "short"),
        ("password", "password1"),
    ] {
        let fields = FIELDS.map(|(name, known)| (name, if name == field { value } else { known }));
        let again = browser.submit(&page, &fields).await.ok().unwrap();
        assert_eq!((again.status, again.name().as_str()), (422, "setup"), "{field}={value}");
        assert!(again.has(&format!("#{field}-error")), "{field}={value}");
        assert_eq!(again.attribute("#name", "value").as_deref(), Some("Alice Example"));
        assert!(!again.html.contains(PASSWORD));
    }
    assert_eq!(browser.submit(&page, &FIELDS).await.ok().unwrap().path, "/admin/start", "the link still works");
}
