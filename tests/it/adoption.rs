//! Accounts that strangers made by signing up get rights and groups only when an administrator adopts them, and then nothing
//! of the stranger is left: by `apply`, in the console and at the command line.

use serde_json::{Value, json};
use signet::config::SignUpMode;
use signet::domain::api_key::Owner;
use signet::domain::event::EventKind;
use signet::manage::access::RemovalSummary;
use signet::manage::apply::{ApplyOptions, ApplyPlan, apply};
use signet::manage::document::{Document, DocumentFormat};
use signet::manage::{AuditContext, ManageError, export, users};
use signet::store::{api_keys as stored_keys, consents, events, passkeys, sessions};

use crate::api_keys;
use crate::console::make_admin;
use crate::passkey::{add, finish, signed};
use crate::support::authenticator::Authenticator;
use crate::support::program::Program;
use crate::support::{Browser, PASSWORD, Server};

const STRANGERS: &str = "what the stranger chose";

/// A server with open sign-up on which a stranger has taken `newadmin` and holds a session, a passkey, an API key and
/// tokens of an app.
struct Taken {
    server: Server,
    stranger: Browser,
    device: Authenticator,
    tokens: Value,
    key: signet::domain::api_key::ApiKeySecret,
}

async fn taken() -> Taken {
    let server = Server::start_with(|config| config.sign_up = SignUpMode::Open).await;
    server.user("alice").await;
    server.client("web", json!({ "scope": "openid offline_access" })).await;
    let stranger = server.browser();
    let page = stranger.page("/signup").await;
    let after = stranger.submit(&page, &[("username", "newadmin"), ("password", STRANGERS)]).await.ok().unwrap();
    assert_eq!(after.path, "/");
    let mut device = Authenticator::new(&server.url);
    assert!(add(&stranger, &mut device).await.html.contains("is added"));
    let consent = stranger.open(&server.authorize(&[("scope", "openid offline_access")])).await.ok().unwrap();
    let callback = stranger.submit(&consent, &[("decision", "allow")]).await.err().unwrap();
    let (_, tokens) = server.redeem(&callback["code"]).await;
    api_keys::put_api(&server, "orders", &["api_key"]).await;
    let owner = Owner::User(server.person("newadmin").await.id);
    let (key, _) = api_keys::made(&server, owner).await;
    Taken { server, stranger, device, tokens, key }
}

impl Taken {
    async fn apply(&self, row: Value) -> Result<ApplyPlan, ManageError> {
        let document = Document::parse(&json!({ "users": [row] }).to_string(), DocumentFormat::Json).unwrap();
        apply(&self.server.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default()).await
    }

    async fn signs_in_by_passkey(&mut self) -> bool {
        let browser = self.server.browser();
        let login = browser.page("/login").await;
        let fields = signed(&browser, &login, &mut self.device).await;
        finish(&browser, &fields).await.ok().unwrap().path == "/"
    }

    async fn signs_in_with(&self, password: &str) -> bool {
        let browser = self.server.browser();
        let login = browser.page("/login").await;
        browser.submit(&login, &[("username", "newadmin"), ("password", password)]).await.ok().unwrap().path == "/"
    }

    async fn refreshes(&self) -> bool {
        let refresh = self.tokens["refresh_token"].as_str().unwrap();
        self.server.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await.0 == 200
    }

    /// Nothing by which the stranger got in does so any more.
    async fn assert_nothing_is_left(&mut self) {
        assert!(!self.signs_in_by_passkey().await, "the passkey");
        assert!(!self.signs_in_with(STRANGERS).await, "the password");
        assert_eq!(self.stranger.raw("/account").await.status(), 303, "the session");
        assert!(!self.refreshes().await, "the grant");
        assert!(!api_keys::is_good(&self.server, &self.key).await, "the API key");
        let (read, user) = (self.server.app.store().read(), self.server.person("newadmin").await);
        assert!(!user.self_registered);
        assert!(passkeys::of_user(read, user.id).await.unwrap().is_empty());
        assert_eq!(stored_keys::count(read, &Owner::User(user.id)).await.unwrap(), 0);
        assert!(sessions::of_user(read, user.id, self.server.app.env().now()).await.unwrap().is_empty());
        assert!(consents::of_user(read, user.id).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn apply_refuses_rights_for_a_self_registered_user() {
    let mut taken = taken().await;
    for row in [
        json!({ "username": "newadmin", "admin": true }),
        json!({ "username": "newadmin", "groups": ["staff"] }),
        json!({ "username": "NewAdmin", "password": PASSWORD, "admin": true }),
    ] {
        let refused = taken.apply(row).await.unwrap_err();
        assert!(matches!(refused, ManageError::NeedsAdoption { row: Some(0), .. }), "{refused}");
    }
    // Nor is it made more than it was without a word: apps link accounts by an address that is proven.
    for row in [
        json!({ "username": "newadmin", "password": PASSWORD }),
        json!({ "username": "newadmin", "email": "nora@example.com" }),
        json!({ "username": "newadmin", "email": "nora@example.com", "email_verified": true }),
        json!({ "username": "newadmin", "phone_number": "+15550100", "phone_number_verified": true }),
    ] {
        let refused = taken.apply(row.clone()).await.map(drop);
        assert!(matches!(refused, Err(ManageError::NeedsAdoption { row: Some(0), .. })), "{row}: {refused:?}");
    }
    let user = taken.server.person("newadmin").await;
    assert!(user.self_registered && !user.admin && taken.signs_in_by_passkey().await && taken.refreshes().await);
    // What gives no rights is done.
    taken.apply(json!({ "username": "newadmin", "name": "Nora" })).await.unwrap();
    assert!(taken.server.person("newadmin").await.self_registered && taken.signs_in_with(STRANGERS).await);
}

#[tokio::test]
async fn apply_adopts_and_removes_what_the_stranger_had() {
    let mut taken = taken().await;
    let row =
        json!({ "username": "newadmin", "admin": true, "groups": ["staff"], "password": PASSWORD, "adopt": true });
    let plan = taken.apply(row.clone()).await.unwrap();
    let change = plan.changes.iter().find(|change| change.kind == "user").unwrap();
    let removed = RemovalSummary { password: true, passkeys: 1, api_keys: 1, sessions: 1, grants: 1, consents: 1 };
    assert_eq!(change.removed, Some(removed));
    assert!(taken.server.person("newadmin").await.admin);
    taken.assert_nothing_is_left().await;
    assert!(taken.signs_in_with(PASSWORD).await);
    let filter = events::EventFilter { kinds: vec![EventKind::UserAdopted], most: 9, ..events::EventFilter::default() };
    let recorded = events::list(taken.server.app.store().read(), &filter).await.unwrap();
    assert!(recorded.len() == 1 && recorded[0].detail.contains("1 passkey"), "{recorded:?}");
    // Again: nothing to do, and nobody is signed out.
    assert!(taken.apply(row).await.unwrap().changes.is_empty());
}

#[tokio::test]
async fn an_adoption_without_a_password_leaves_none() {
    let mut taken = taken().await;
    taken.apply(json!({ "username": "newadmin", "admin": true, "adopt": true })).await.unwrap();
    assert!(taken.server.person("newadmin").await.password.is_none());
    taken.assert_nothing_is_left().await;
}

/// The stranger's own password in the document is the document's from then on.
#[tokio::test]
async fn an_adoption_keeps_a_password_that_the_document_sets() {
    let taken = taken().await;
    let row = json!({ "username": "newadmin", "password": STRANGERS, "admin": true, "adopt": true });
    assert!(!taken.apply(row).await.unwrap().changes[0].removed.as_ref().unwrap().password);
    assert!(taken.signs_in_with(STRANGERS).await);
}

#[tokio::test]
async fn the_mark_survives_export_and_apply() {
    let taken = taken().await;
    let text = serde_json::to_string(&export::export(&taken.server.app.manager()).await.unwrap().users).unwrap();
    assert!(text.contains("\"self_registered\":true"), "{text}");
    let other = Server::start().await;
    let document = Document::parse(&format!("{{\"users\": {text}}}"), DocumentFormat::Json).unwrap();
    apply(&other.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default()).await.unwrap();
    assert!(other.person("newadmin").await.self_registered && !other.person("alice").await.self_registered);
    let raised = json!({ "users": [{ "username": "dora", "self_registered": true, "admin": true }] });
    let problems = Document::parse(&raised.to_string(), DocumentFormat::Json).unwrap().problems();
    assert_eq!(problems[0].field, "users[0].self_registered");
}

#[tokio::test]
async fn the_console_asks_before_it_adopts() {
    let mut taken = taken().await;
    make_admin(&taken.server, "alice").await;
    let admin = taken.server.browser();
    admin.sign_in_as("alice").await;
    let id = taken.server.person("newadmin").await.id;
    let here = format!("/admin/people/{id}");
    assert!(admin.page("/admin/people").await.html.contains("Self-registered"));
    let page = admin.page(&here).await;
    assert!(page.html.contains("Self-registered"));
    let details = format!("form[action='{here}']");
    let question = admin.fill(&page, &details, &[("name", "Nora"), ("admin", "true")]).await;
    assert!(question.status == 422 && question.has("input#adopt[type=checkbox]:not([checked])"), "{}", question.html);
    assert!(!taken.server.person("newadmin").await.admin && taken.signs_in_by_passkey().await);
    // Without the box it stays a question.
    let again = admin.fill(&question, &details, &[]).await;
    assert!(again.has("input#adopt") && !taken.server.person("newadmin").await.admin);
    let page = admin.fill(&again, &details, &[("adopt", "true")]).await;
    assert!(page.path == here && page.html.contains("is adopted") && page.html.contains("passkey"), "{}", page.html);
    let user = taken.server.person("newadmin").await;
    assert!(user.admin && user.profile.name.as_deref() == Some("Nora") && user.password.is_none());
    taken.assert_nothing_is_left().await;
}

/// Apps would take an address for proven that a stranger typed.
#[tokio::test]
async fn the_console_proves_no_address_of_a_stranger() {
    let taken = taken().await;
    make_admin(&taken.server, "alice").await;
    let admin = taken.server.browser();
    admin.sign_in_as("alice").await;
    let here = format!("/admin/people/{}", taken.server.person("newadmin").await.id);
    let (page, details) = (admin.page(&here).await, format!("form[action='{here}']"));
    let proven = [("email", "director@corp.example"), ("email_verified", "true")];
    let question = admin.fill(&page, &details, &proven).await;
    assert!(question.status == 422 && question.has("input#adopt"), "{}", question.html);
    let page = admin.page(&here).await;
    admin.fill(&page, &details, &[("email", "director@corp.example")]).await;
    let user = taken.server.person("newadmin").await;
    assert_eq!((user.profile.email.as_deref(), user.sign_in_email()), (Some("director@corp.example"), None));
}

#[tokio::test]
async fn the_console_adopts_for_groups_too() {
    let taken = taken().await;
    make_admin(&taken.server, "alice").await;
    let admin = taken.server.browser();
    admin.sign_in_as("alice").await;
    let id = taken.server.person("newadmin").await.id;
    let groups = format!("form[action='/admin/people/{id}/groups']");
    let page = admin.page(&format!("/admin/people/{id}")).await;
    let question = admin.fill(&page, &groups, &[("new_groups", "staff, night")]).await;
    assert!(question.status == 422 && question.value("[name=new_groups]") == "staff, night");
    let page = admin.fill(&question, &groups, &[("adopt", "true")]).await;
    assert_eq!(page.count("input[name=groups][checked]"), 2);
}

/// A password change that the stranger has begun does not come in after the adoption.
#[tokio::test]
async fn a_session_that_was_ended_changes_nothing_more() {
    let taken = taken().await;
    let user = taken.server.person("newadmin").await;
    let read = taken.server.app.store().read();
    let session = sessions::of_user(read, user.id, taken.server.app.env().now()).await.unwrap().remove(0);
    let by = AuditContext::user(user.id, session.id, signet::domain::event::RequestOrigin::default());
    taken.apply(json!({ "username": "newadmin", "admin": true, "adopt": true })).await.unwrap();
    let manager = taken.server.app.manager();
    let password = signet::domain::secret::Secret::new(STRANGERS.to_owned());
    let late = users::set_password(&manager, &by, user.id, password, Some(session.id)).await;
    assert!(matches!(late, Err(ManageError::SessionEnded)), "{late:?}");
    let key = api_keys::new_key(Owner::User(user.id), "orders");
    let late = signet::manage::api_keys::create(&manager, &by, key).await;
    assert!(matches!(late, Err(ManageError::SessionEnded)));
    assert!(taken.server.person("newadmin").await.password.is_none());
}

/// A passkey that was about to be added, or about to sign in, has gone with the rest.
#[tokio::test]
async fn a_passkey_on_its_way_does_not_outlive_the_adoption() {
    let mut taken = taken().await;
    let page = taken.stranger.page("/account/passkeys").await;
    let challenge: Value = taken.stranger.ask(&page, "/account/passkeys/options").await.json().await.unwrap();
    let credential = Authenticator::new(&taken.server.url).create(&challenge["publicKey"]);
    let ticket = challenge["ticket"].as_str().unwrap();
    let (action, form) = page.form_at("form[data-passkey-finish]", &[("ticket", ticket), ("credential", &credential)]);
    taken.apply(json!({ "username": "newadmin", "admin": true, "adopt": true })).await.unwrap();
    taken.stranger.raw_post(&action, &form).await;
    taken.assert_nothing_is_left().await;
}

/// At the command line, with the program itself.
#[tokio::test]
async fn commands_refuse_rights_and_name_the_way() {
    let mut program = Program::installed().await;
    program.set("SIGNET_SIGN_UP", "open");
    let server = program.serve(&["serve"]);
    let browser = program.browser();
    let page = browser.page("/signup").await;
    browser.submit(&page, &[("username", "newadmin"), ("password", STRANGERS)]).await.ok().unwrap();
    let create = ["user", "create", "newadmin", "--admin", "--password-stdin"];
    let line = program.run_with(&create, PASSWORD).refused();
    assert!(line.contains("--adopt") && line.contains("newadmin"), "{line}");
    program.write("raise.json", &json!({ "users": [{ "username": "newadmin", "admin": true }] }).to_string());
    let line = program.run(&["apply", "raise.json"]).refused();
    assert!(line.contains("users[0].adopt") && line.contains("\"adopt\": true") && line.contains("line 1"), "{line}");
    let listed = program.json(&["user", "list", "--json"]);
    assert_eq!((&listed[0]["self_registered"], &listed[0]["admin"]), (&json!(true), &json!(false)));
    assert!(program.done(&["user", "list"]).contains("self-registered"));
    let adopted = program.run_with(&[&create[..], &["--adopt", "--json"]].concat(), PASSWORD).done();
    let adopted: Value = serde_json::from_str(&adopted).unwrap();
    assert_eq!((&adopted["admin"], &adopted["removed"]["sessions"]), (&json!(true), &json!(1)));
    assert_eq!(browser.raw("/account").await.status(), 303);
    // There is nothing to adopt any more: the name is simply taken.
    assert!(program.run_with(&[&create[..], &["--adopt"]].concat(), PASSWORD).refused().contains("already"));
    server.stop();
}
