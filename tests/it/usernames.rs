//! Which usernames a stranger may take by signing up: none that operators need, none that somebody had before, and none that
//! looks like one of these (Unicode Technical Standard #39).

use serde_json::json;
use signet::config::SignUpMode;
use signet::domain::user::{Profile, Username};
use signet::manage::users::{self, UserEdit};
use signet::manage::{AuditContext, ManageError};
use signet::store::users as stored;

use crate::support::{PASSWORD, Page, Server};

async fn open() -> Server {
    let server = Server::start_with(|config| {
        config.sign_up = SignUpMode::Open;
        config.trusted_proxies = serde_json::from_value(json!("127.0.0.1,::1")).unwrap();
    })
    .await;
    server.user("alice").await;
    server
}

/// What becomes of a sign-up, from an address of its own so that none is throttled.
async fn sign_up(server: &Server, at: usize, name: &str) -> Page {
    let browser = server.browser();
    let (action, form) = browser.page("/signup").await.form(&[("username", name), ("password", PASSWORD)]);
    let request =
        browser.request(reqwest::Method::POST, &action).header("x-forwarded-for", format!("10.9.{}.{at}", at / 250));
    browser.follow(request.form(&form).send().await.unwrap()).await.ok().unwrap()
}

async fn assert_refused(server: &Server, at: usize, name: &str) {
    let page = sign_up(server, at, name).await;
    assert!(page.status == 422 && page.has("#username-error"), "{name:?}: {}", page.status);
    if let Ok(name) = Username::parse(name) {
        let found = stored::by_username(server.app.store().read(), &name).await.unwrap();
        assert!(found.is_none_or(|user| !user.self_registered), "{name}");
    }
}

#[tokio::test]
async fn reserved_usernames_and_non_names_are_not_for_sign_up() {
    let server = open().await;
    for (at, name) in [
        "admin",
        "Administrator",
        "root",
        "system",
        "support",
        "security",
        "postmaster",
        "hostmaster",
        "webmaster",
        "signet",
        "null",
        "undefined",
        ".",
        "..",
        "-rf",
        "--help",
        ".ssh",
        "_",
        "++",
    ]
    .into_iter()
    .enumerate()
    {
        assert_refused(&server, at, name).await;
    }
    assert_eq!(sign_up(&server, 200, "carol").await.path, "/");
}

#[tokio::test]
async fn administrators_may_take_reserved_usernames_but_no_non_names() {
    let server = open().await;
    let new = |name: &str| users::NewUser {
        username: name.to_owned(),
        profile: Profile::default(),
        groups: Vec::new(),
        password: None,
        admin: true,
    };
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    users::create(&manager, &by, new("root")).await.unwrap();
    for name in ["..", "-rf", "@"] {
        assert!(matches!(users::create(&manager, &by, new(name)).await, Err(ManageError::Invalid(_))), "{name}");
    }
}

/// What apps behind the gate know as alice stays hers, whoever comes later.
#[tokio::test]
async fn a_username_once_held_is_not_for_sign_up() {
    let server = open().await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let alice = server.person("alice").await;
    users::delete(&manager, &by, alice.id).await.unwrap();
    assert_refused(&server, 1, "alice").await;
    assert_refused(&server, 2, "ALICE").await;
    // Renamed: both the old name and the new one.
    let bob = server.user("bob").await;
    let edit = UserEdit { username: "robert".to_owned(), profile: Profile::default(), admin: false };
    users::update(&manager, &by, bob, edit).await.unwrap();
    assert_refused(&server, 3, "bob").await;
    assert_refused(&server, 4, "robert").await;
    // One that signed up and was deleted.
    assert_eq!(sign_up(&server, 5, "carol").await.path, "/");
    users::delete(&manager, &by, server.person("carol").await.id).await.unwrap();
    assert_refused(&server, 6, "carol").await;
    // An administrator may give it to somebody again.
    server.user("alice").await;
}

#[tokio::test]
async fn confusable_mixed_and_invisible_usernames_are_not_for_sign_up() {
    let server = open().await;
    server.user("paypal").await;
    for (at, name) in [
        // All Cyrillic, and the same as paypal to the eye; Cyrillic in Latin; digits and letters that look alike.
        "\u{440}\u{430}\u{443}\u{440}\u{430}\u{4cf}",
        "p\u{430}ypal",
        "paypa1",
        "a1ice",
        "al\u{131}ce",
        "\u{ff41}lice",
        "r00t",
        "\u{430}dmin",
        // Invisible ones.
        "ali\u{200d}ce",
        "ali\u{200b}ce2",
        "dora\u{3164}",
        "do\u{115f}ra",
        "do\u{ad}ra",
        "\u{202e}dora",
    ]
    .into_iter()
    .enumerate()
    {
        assert_refused(&server, at, name).await;
    }
    for (at, name) in ["dora", "\u{434}\u{43e}\u{440}\u{430}2", "m\u{fc}ller"].into_iter().enumerate() {
        assert_eq!(sign_up(&server, 100 + at, name).await.path, "/", "{name}");
    }
}

/// Of two that look alike and come at once one is made.
#[tokio::test]
async fn two_confusable_sign_ups_at_once_make_one_user() {
    let server = open().await;
    let names = ["bobby", "b0bby", "b0bby", "bobby"];
    let pages = names.into_iter().enumerate().map(|(at, name)| sign_up(&server, at, name));
    let pages = futures::future::join_all(pages).await;
    assert_eq!(pages.iter().filter(|page| page.path == "/").count(), 1);
}
