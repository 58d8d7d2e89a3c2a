//! Usernames and email addresses are one namespace: whoever sets either, by any way, cannot take what another user signs in
//! with, in whatever spelling, and not by coming at the same moment.

use serde_json::{Value, json};
use signet::config::SignUpMode;
use signet::domain::ids::UserId;
use signet::domain::secret::Secret;
use signet::domain::user::Profile;
use signet::manage::apply::{ApplyOptions, ApplyPlan, apply};
use signet::manage::document::{Document, DocumentFormat};
use signet::manage::users::{self, Adoption, NewUser, UserEdit};
use signet::manage::{AuditContext, FieldError, ManageError};
use signet::store::users as stored;

use crate::console::make_admin;
use crate::support::program::Program;
use crate::support::{PASSWORD, Server};

fn email(address: &str) -> Profile {
    Profile { email: Some(address.to_owned()), ..Profile::default() }
}

fn new(username: &str, profile: Profile) -> NewUser {
    NewUser { username: username.to_owned(), profile, groups: Vec::new(), password: None, admin: false }
}

async fn create(server: &Server, username: &str, profile: Profile) -> Result<UserId, ManageError> {
    users::create(&server.app.manager(), &AuditContext::command_line(), new(username, profile))
        .await
        .map(|user| user.id)
}

async fn put(server: &Server, users: Value) -> Result<(), ManageError> {
    put_with(server, &users, false).await.map(drop)
}

async fn put_with(server: &Server, users: &Value, dry_run: bool) -> Result<ApplyPlan, ManageError> {
    let document = Document::parse(&json!({ "users": users }).to_string(), DocumentFormat::Json).unwrap();
    let options = ApplyOptions { dry_run, ..ApplyOptions::default() };
    apply(&server.app.manager(), &AuditContext::command_line(), document, options).await
}

/// More users than one transaction takes, each with an address.
fn many() -> Value {
    let row = |n: usize| json!({ "username": format!("user{n}"), "email": format!("user{n}@example.com") });
    (0..600).map(row).collect()
}

/// Refused for that member, and everybody signs in as before.
async fn assert_refused<T: std::fmt::Debug>(server: &Server, done: Result<T, ManageError>, member: &str) {
    let Err(ManageError::Taken(fields)) = &done else { panic!("{member}: {done:?}") };
    let names_member = |error: &FieldError| error.field == member || error.field.ends_with(&format!("].{member}"));
    assert!(fields.iter().all(names_member) && fields.len() == 1, "{fields:?}");
    for (typed, owner) in [("alice@example.com", "alice"), ("carol@example.com", "carol@example.com")] {
        let found = stored::by_login(server.app.store().read(), typed).await.unwrap().unwrap();
        assert_eq!(found.username.as_str(), owner, "{typed}");
    }
}

/// alice, who signs in with `alice@example.com` too, and a user whose username is `carol@example.com`.
async fn with_names() -> Server {
    let server = Server::start_with(|config| config.sign_up = SignUpMode::Open).await;
    server.user("alice").await;
    create(&server, "carol@example.com", Profile::default()).await.unwrap();
    server
}

#[tokio::test]
async fn a_username_and_an_email_of_two_users_never_agree() {
    let server = with_names().await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let bob = create(&server, "bob", email("bob@example.com")).await.unwrap();
    for spelling in ["alice@example.com", "ALICE@Example.com", "\u{ff41}lice@example.com", " alice@example.com "] {
        assert_refused(&server, create(&server, spelling, Profile::default()).await, "username").await;
        let edit = UserEdit { username: spelling.to_owned(), profile: Profile::default(), admin: false };
        assert_refused(&server, users::update(&manager, &by, bob, edit).await, "username").await;
        assert_refused(&server, put(&server, json!([{ "username": spelling }])).await, "username").await;
    }
    for spelling in ["carol@example.com", "Carol@EXAMPLE.com", "\u{ff23}arol@example.com", "alice@example.com"] {
        assert_refused(&server, create(&server, "dora", email(spelling)).await, "email").await;
        let edit = UserEdit { username: "bob".to_owned(), profile: email(spelling), admin: false };
        assert_refused(&server, users::update(&manager, &by, bob, edit).await, "email").await;
        let row = json!([{ "username": "bob", "email": spelling }]);
        assert_refused(&server, put(&server, row).await, "email").await;
    }
    // Within one document, too.
    let rows = json!([{ "username": "x@example.com" }, { "username": "y", "email": "X@example.com" }]);
    let refused = put(&server, rows).await.unwrap_err().to_string();
    assert!(refused.contains("users[1].email"), "{refused}");
}

#[tokio::test]
async fn one_user_may_have_both_and_what_is_given_up_is_free() {
    let server = with_names().await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let erin = create(&server, "erin@example.com", email("Erin@example.com")).await.unwrap();
    assert_refused(&server, create(&server, "dora", email("erin@example.com")).await, "email").await;
    let edit = UserEdit { username: "erin".to_owned(), profile: email("erin@example.com"), admin: false };
    users::update(&manager, &by, erin, edit).await.unwrap();
    assert_refused(&server, create(&server, "erin@example.com", Profile::default()).await, "username").await;
    let edit = UserEdit { username: "erin".to_owned(), profile: Profile::default(), admin: false };
    users::update(&manager, &by, erin, edit).await.unwrap();
    let dora = create(&server, "dora", email("erin@example.com")).await.unwrap();
    users::delete(&manager, &by, dora).await.unwrap();
    create(&server, "erin@example.com", Profile::default()).await.unwrap();
}

#[tokio::test]
async fn an_address_that_was_only_typed_takes_no_name() {
    let server = with_names().await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let browser = server.browser();
    let page = browser.page("/signup").await;
    let fields = [("username", "stranger"), ("password", PASSWORD), ("email", "carol@example.com")];
    assert_eq!(browser.submit(&page, &fields).await.ok().unwrap().path, "/", "nothing is told of carol");
    let refused = browser.page("/signup").await;
    let fields = [("username", "alice@example.com"), ("password", PASSWORD)];
    assert_eq!(server.browser().submit(&refused, &fields).await.ok().unwrap().path, "/signup");
    // Whoever makes the address theirs meets its owner.
    let stranger = server.person("stranger").await.id;
    let edit = UserEdit {
        username: "stranger".to_owned(),
        profile: Profile { email_verified: true, ..email("carol@example.com") },
        admin: false,
    };
    let updated = users::update(&manager, &by, stranger, edit.clone()).await;
    assert!(matches!(updated, Err(ManageError::NeedsAdoption { .. })), "{updated:?}");
    let adoption = Adoption {
        profile: Some(edit.profile.into()),
        password: Some(Secret::new(PASSWORD.to_owned())),
        ..Adoption::default()
    };
    assert_refused(&server, users::adopt(&manager, &by, stranger, adoption).await, "email").await;
    let row = json!([{ "username": "stranger", "email": "carol@example.com", "email_verified": true, "adopt": true }]);
    assert_refused(&server, put(&server, row).await, "email").await;
}

#[tokio::test]
async fn the_console_says_which_field_another_user_has() {
    let server = with_names().await;
    make_admin(&server, "alice").await;
    let admin = server.browser();
    admin.sign_in_as("alice").await;
    let page = admin.page("/admin/people/new").await;
    for (username, email, taken) in [
        ("Alice@example.com", "", &["username"][..]),
        ("dora", "CAROL@example.com", &["email"]),
        ("dora", "alice@example.com", &["email"]),
        ("alice", "carol@example.com", &["username", "email"]),
        ("carol@example.com", "alice@example.com", &["username", "email"]),
    ] {
        let fields = [("username", username), ("email", email), ("password", PASSWORD)];
        let refused = admin.fill(&page, "main form[method=post]", &fields).await;
        assert_eq!(refused.status, 422, "{username} {email}");
        for field in ["username", "email", "password"] {
            let is_named = refused.has(&format!("#{field}-error"));
            assert_eq!(is_named, taken.contains(&field), "{username} {email}: {}", refused.html);
        }
    }
}

#[tokio::test]
async fn commands_are_refused_the_name_of_another_user() {
    let program = Program::installed().await;
    let make = |arguments: &[&str]| {
        program.run_with(&[&["user", "create"], arguments, &["--password-stdin"]].concat(), PASSWORD)
    };
    make(&["alice", "--email", "alice@example.com"]).done();
    make(&["carol@example.com"]).done();
    assert!(make(&["ALICE@example.com"]).refused().contains("username: another user"));
    assert!(make(&["dora", "--email", "Carol@Example.com"]).refused().contains("email: another user"));
    let row = json!({ "users": [{ "username": "dora", "email": "carol@example.com" }] });
    let line = program.run_with(&["apply", "-"], &row.to_string()).refused();
    assert!(line.contains("users[0].email") && line.contains("line 1"), "{line}");
}

#[tokio::test]
async fn of_two_at_once_one_gets_the_name() {
    let server = Server::start().await;
    for round in 0..8 {
        let name = format!("name{round}@example.com");
        let other = format!("other{round}");
        let (by_username, by_email) =
            tokio::join!(create(&server, &name, Profile::default()), create(&server, &other, email(&name)));
        assert!(by_username.is_ok() != by_email.is_ok(), "{by_username:?} {by_email:?}");
        let refused = by_username.err().or(by_email.err()).unwrap();
        assert!(matches!(&refused, ManageError::Taken(fields) if fields.len() == 1), "{refused:?}");
    }
    // Two that exist change towards each other's new name.
    for round in 0..8 {
        let first = create(&server, &format!("first{round}"), Profile::default()).await.unwrap();
        let second = create(&server, &format!("second{round}"), Profile::default()).await.unwrap();
        let name = format!("wanted{round}@example.com");
        let (manager, by) = (server.app.manager(), AuditContext::command_line());
        let edit = |username: String, profile| UserEdit { username, profile, admin: false };
        let (one, two) = tokio::join!(
            users::update(&manager, &by, first, edit(name.clone(), Profile::default())),
            users::update(&manager, &by, second, edit(format!("second{round}"), email(&name)))
        );
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        let refused = one.err().or(two.err()).unwrap();
        assert!(matches!(&refused, ManageError::Taken(fields) if fields.len() == 1), "{refused:?}");
    }
}

#[tokio::test]
async fn every_taken_name_is_named_at_once() {
    let server = with_names().await;
    let fields = |refused: ManageError| match refused {
        ManageError::Taken(fields) | ManageError::Invalid(fields) => {
            fields.into_iter().map(|error| error.field).collect::<Vec<_>>()
        }
        error => panic!("{error:?}"),
    };
    let both = create(&server, "alice", email("carol@example.com")).await.unwrap_err();
    assert_eq!(fields(both), ["username", "email"]);
    let wrong_too = Profile { name: Some("a\u{1}".into()), ..email("carol@example.com") };
    assert_eq!(fields(create(&server, "alice", wrong_too.clone()).await.unwrap_err()), ["name", "username", "email"]);
    let bob = create(&server, "bob", email("bob@example.com")).await.unwrap();
    let edit = UserEdit { username: "alice".into(), profile: wrong_too, admin: false };
    let refused = users::update(&server.app.manager(), &AuditContext::command_line(), bob, edit).await.unwrap_err();
    assert_eq!(fields(refused), ["name", "username", "email"]);
    // Their own names are not taken.
    let own = Profile { name: Some("a\u{1}".into()), ..email("bob@example.com") };
    let edit = UserEdit { username: "bob".into(), profile: own, admin: false };
    let refused = users::update(&server.app.manager(), &AuditContext::command_line(), bob, edit).await.unwrap_err();
    assert_eq!(fields(refused), ["name"]);
    // New users of one document: those whose names clash with one another's and those whose names others have.
    let rows = json!([
        { "username": "new@example.com" },
        { "username": "one", "email": "NEW@example.com" },
        { "username": "two", "email": "alice@example.com" },
        { "username": "alice@EXAMPLE.com", "email": "bob@example.com" },
        { "username": "three", "email": "three@example.com" },
        { "username": "THREE@example.com", "email": "new@example.com" },
    ]);
    let clashes = [
        "users[1].email",
        "users[2].email",
        "users[3].username",
        "users[3].email",
        "users[5].username",
        "users[5].email",
    ];
    assert_eq!(fields(put(&server, rows.clone()).await.unwrap_err()), clashes);
    let mut wrong = rows;
    wrong[4]["picture"] = json!("nowhere");
    let named = fields(put(&server, wrong).await.unwrap_err());
    assert!(named[0].starts_with("users[4]") && named[1..] == clashes, "{named:?}");
    assert_eq!(stored::count(server.app.store().read()).await.unwrap(), 3, "nobody was created");
}

/// In one document, in either order, and by three users in a circle.
#[tokio::test]
async fn users_exchange_their_addresses_in_one_document() {
    let server = Server::start().await;
    let users = |addresses: [&str; 3]| {
        let names = ["one", "two", "three"];
        let row = |(name, address): (&str, &str)| json!({ "username": name, "email": address });
        Value::Array(names.into_iter().zip(addresses).map(row).collect())
    };
    for addresses in [
        ["a@example.com", "b@example.com", "c@example.com"],
        ["b@example.com", "a@example.com", "c@example.com"],
        ["c@example.com", "b@example.com", "a@example.com"],
        ["a@example.com", "c@example.com", "b@example.com"],
        ["B@example.com", "a@example.com", "c@example.com"],
    ] {
        put(&server, users(addresses)).await.unwrap();
        for (name, address) in ["one", "two", "three"].into_iter().zip(addresses) {
            let found = stored::by_login(server.app.store().read(), address).await.unwrap().unwrap();
            assert_eq!(found.username.as_str(), name, "{addresses:?}");
        }
    }
    let same = put(&server, users(["a@example.com", "c@example.com", "c@example.com"])).await;
    assert!(matches!(&same, Err(ManageError::Taken(fields)) if fields[0].field == "users[1].email"), "{same:?}");
    let found = stored::by_login(server.app.store().read(), "b@example.com").await.unwrap().unwrap();
    assert_eq!(found.username.as_str(), "one", "nothing was changed");
}

/// Of whom one is an administrator, so that all three would be in parts of their own.
#[tokio::test]
async fn users_of_three_parts_exchange_their_addresses() {
    let server = Server::start().await;
    let mut rows = many();
    rows[300]["admin"] = json!(true);
    put(&server, rows.clone()).await.unwrap();
    for (row, address) in [(0, "user599@example.com"), (599, "user300@example.com"), (300, "user0@example.com")] {
        rows[row]["email"] = json!(address);
    }
    let rehearsed = put_with(&server, &rows, true).await.unwrap();
    assert_eq!(rehearsed.changes.len(), 3);
    assert_eq!(put_with(&server, &rows, false).await.unwrap().changes, rehearsed.changes);
    for (name, address) in [("user0", "user599"), ("user599", "user300"), ("user300", "user0")] {
        let typed = format!("{address}@example.com");
        let found = stored::by_login(server.app.store().read(), &typed).await.unwrap().unwrap();
        assert_eq!(found.username.as_str(), name);
    }
    assert!(put_with(&server, &rows, false).await.unwrap().changes.is_empty());
}

#[tokio::test]
async fn names_of_other_users_are_refused_before_any_part() {
    let server = with_names().await;
    let mut rows = many();
    rows[590]["email"] = json!("User1@example.com");
    rows[595]["username"] = json!("user2@example.com");
    rows[597]["email"] = json!("alice@example.com");
    for dry_run in [true, false] {
        let refused = put_with(&server, &rows, dry_run).await;
        let Err(ManageError::Taken(fields)) = &refused else { panic!("{refused:?}") };
        let fields: Vec<&str> = fields.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["users[590].email", "users[595].username", "users[597].email"]);
        assert_eq!(stored::count(server.app.store().read()).await.unwrap(), 2, "nothing was changed");
    }
}
