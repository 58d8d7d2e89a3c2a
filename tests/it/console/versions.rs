//! Two administrators who edit one thing: nobody's change is lost. A save on an older version shows both values of what both
//! have changed, and asks; what only one of them has changed is merged.
//!
//! [`at_once`]: saves at the same time; [`interrupted`]: forms that wait; [`templates`]: no form is left out.

mod at_once;
mod interrupted;
mod templates;

use serde_json::{Value, json};
use signet::manage::apply::{self, ApplyOptions};
use signet::manage::users::UserEdit;
use signet::manage::{AuditContext, apis, users};

use super::access::state;
use super::make_admin;
use crate::passkey::add;
use crate::support::authenticator::Authenticator;
use crate::support::{Browser, Page, Server};

const ROUNDS: usize = 3;
const API: &str = "/admin/apis/https%3A%2F%2Forders.example.com";
const WEB: &str = "/admin/clients/web";

/// One field of a form that edits something.
struct Editing {
    page: String,
    /// The form.
    selector: String,
    /// What both change.
    control: &'static str,
    /// The name of the field that the page asks about.
    field: &'static str,
    theirs: &'static str,
    mine: &'static str,
    /// What one of them changes alone.
    other: Option<(&'static str, &'static str)>,
}

impl Editing {
    fn question(&self) -> String {
        format!("[data-conflict=version_{}]", self.field)
    }

    fn decision(&self) -> String {
        format!("version_{}", self.field)
    }

    async fn open(&self, browser: &Browser) -> Page {
        browser.page(&self.page).await
    }

    async fn send(&self, browser: &Browser, page: &Page, changes: &[(&str, &str)]) -> Page {
        browser.fill(page, &self.selector, changes).await
    }

    /// What is stored in a control, as a page shows it that is opened now.
    async fn stored(&self, browser: &Browser, control: &str) -> String {
        let page = self.open(browser).await;
        if control == "new_groups" {
            return page.text("main form[action$='/groups'] fieldset");
        }
        page.value(&format!("{} [name={control}]", self.selector))
    }
}

/// alice, who administers and has a passkey; bob, who administers; and what they edit.
async fn server() -> (Server, Browser, Browser) {
    let server = Server::start().await;
    let mut browsers = Vec::new();
    for name in ["alice", "bob", "carol"] {
        server.user(name).await;
        if name != "carol" {
            make_admin(&server, name).await;
            let browser = server.browser();
            browser.sign_in_as(name).await;
            browsers.push(browser);
        }
    }
    let user = server.person("bob").await;
    let mut edit = UserEdit::present(&user);
    edit.profile.name = Some("Bob Builder".to_owned());
    users::update(&server.app.manager(), &AuditContext::command_line(), user.id, edit).await.unwrap();
    let api = json!({
        "identifier": "https://orders.example.com", "name": "Orders", "scopes": ["read", "write"], "gate": "orders",
        "accepts": ["bearer"], "rules": [{ "methods": ["GET"], "path": "/public/**", "allow": "anonymous" }],
        "rate_limit": { "burst": 5, "per_second": 0.5 },
    });
    apis::put(&server.app.manager(), &AuditContext::command_line(), serde_json::from_value(api).unwrap())
        .await
        .unwrap();
    server.client("web", json!({ "scope": "openid profile" })).await;
    let (bob, alice) = (browsers.pop().unwrap(), browsers.pop().unwrap());
    (server, alice, bob)
}

/// Every form that edits, by a field of each kind.
async fn editing(server: &Server) -> Vec<Editing> {
    let carol = format!("/admin/people/{}", server.person("carol").await.id);
    let details = format!("form[action='{carol}']");
    let groups = format!("form[action='{carol}/groups']");
    let settings = "#settings".to_owned();
    let one = |(page, selector): (&str, &str), control, field, (theirs, mine), other| Editing {
        page: page.to_owned(),
        selector: selector.to_owned(),
        control,
        field,
        theirs,
        mine,
        other,
    };
    let (client, api) = ((WEB, settings.as_str()), (API, settings.as_str()));
    let uris = ("https://one.example/cb", "https://two.example/cb");
    vec![
        one(
            client,
            "client_name",
            "client_name",
            ("Theirs", "Mine"),
            Some(("policy_uri", "https://web.example/policy")),
        ),
        one(client, "redirect_uris", "redirect_uris", uris, Some(("client_name", "Another name"))),
        one(client, "scope", "scope", ("openid", "email openid"), Some(("require_pkce", "true"))),
        one(client, "default_max_age", "default_max_age", ("300", "600"), Some(("refresh_token_rotation", "never"))),
        one(client, "contacts", "contacts", ("a@example.com", "b@example.com"), None),
        one(api, "name", "name", ("Theirs", "Mine"), Some(("access_token_lifetime", "300"))),
        one(api, "rule_0_path", "rules", ("/theirs/**", "/mine/**"), Some(("name", "Another name"))),
        one(api, "burst", "rate_limit", ("6", "7"), Some(("scopes", "read write delete"))),
        one(
            (carol.as_str(), details.as_str()),
            "name",
            "name",
            ("Theirs", "Mine"),
            Some(("email", "another@example.com")),
        ),
        one(
            (carol.as_str(), details.as_str()),
            "email",
            "email",
            ("their@example.com", "my@example.com"),
            Some(("name", "Another name")),
        ),
        one((carol.as_str(), groups.as_str()), "new_groups", "groups", ("theirs", "mine"), None),
        one(("/account/passkeys", "form[action$='/rename']"), "name", "name", ("Theirs", "Mine"), None),
    ]
}

#[tokio::test]
async fn a_save_on_an_older_version_shows_both_values_and_asks() {
    let (server, alice, bob) = server().await;
    add(&alice, &mut Authenticator::new(&server.url)).await;
    for case in editing(&server).await {
        let (what, decision) = (format!("{} {}", case.page, case.control), case.decision());
        // The record is in order of time.
        server.advance(1);
        // A person's own pages are opened in two tabs.
        let is_own = case.page.starts_with("/account");
        let (theirs, mine) = (if is_own { &alice } else { &bob }, &alice);
        let (tab, other_tab) = (case.open(theirs).await, case.open(mine).await);
        let saved = case.send(theirs, &tab, &[(case.control, case.theirs)]).await;
        assert_eq!(saved.status, 200, "{what}: {}", saved.html);
        let before = state(&server).await;
        let refused = case.send(mine, &other_tab, &[(case.control, case.mine)]).await;
        assert_eq!(refused.status, 409, "{what}: {}", refused.html);
        assert_eq!(refused.count("[data-conflict]"), 1, "{what}");
        let question = refused.text(&case.question());
        assert!(question.contains(case.theirs) && question.contains(case.mine), "{what}: {question}");
        assert!(refused.text("main [role=alert]").contains("Nothing was saved"), "{what}");
        if !is_own {
            assert!(refused.text("main [role=alert]").contains("Bob Builder"), "{what}");
            assert_eq!(question.contains("Bob Builder"), case.page != API, "{what}: {question}");
        }
        assert_eq!(state(&server).await, before, "{what}: nothing was saved");
        assert!(case.stored(mine, case.control).await.contains(case.theirs), "{what}");

        // Without an answer it is asked again.
        let again = case.send(mine, &refused, &[]).await;
        assert_eq!((again.status, again.count("[data-conflict] .error")), (409, 1), "{what}");
        assert_eq!(state(&server).await, before, "{what}: nothing was saved");
        // What is stored stays.
        let kept = case.send(mine, &again, &[(decision.as_str(), "stored")]).await;
        assert_eq!(kept.status, 200, "{what}: {}", kept.html);
        assert!(case.stored(mine, case.control).await.contains(case.theirs), "{what}");
        // And what was typed is saved by the same page, as nobody has changed it since.
        let saved = case.send(mine, &again, &[(decision.as_str(), "typed")]).await;
        assert_eq!(saved.status, 200, "{what}: {}", saved.html);
        assert!(case.stored(mine, case.control).await.contains(case.mine), "{what}");
        // The answer counted for what was shown.
        let late = case.send(mine, &refused, &[(case.control, "third"), (decision.as_str(), "typed")]).await;
        assert_eq!(late.status, 409, "{what}: {}", late.html);
    }
}

#[tokio::test]
async fn changes_of_different_fields_are_merged() {
    let (server, alice, bob) = server().await;
    for case in editing(&server).await {
        let Some((other, value)) = case.other else { continue };
        let what = format!("{} {} {other}", case.page, case.control);
        let (tab, other_tab) = (case.open(&bob).await, case.open(&alice).await);
        assert_eq!(case.send(&bob, &tab, &[(case.control, case.theirs)]).await.status, 200, "{what}");
        let saved = case.send(&alice, &other_tab, &[(other, value)]).await;
        assert_eq!(saved.status, 200, "{what}: {}", saved.html);
        assert!(saved.text("main").contains("Saved. What was changed meanwhile stays as it is: "), "{what}");
        assert_eq!(case.stored(&alice, case.control).await, case.theirs, "{what}");
        assert_eq!(case.stored(&alice, other).await, value, "{what}");
        // The same change twice is no conflict.
        let twice = case.send(&alice, &other_tab, &[(case.control, case.theirs), (other, value)]).await;
        assert_eq!(twice.status, 200, "{what}: {}", twice.html);
    }
}

/// Whatever a page shows of an object that nobody has touched, sending it back is no change.
#[tokio::test]
async fn an_untouched_form_undoes_nothing() {
    let (server, alice, _) = server().await;
    server.client("public", json!({ "token_endpoint_auth_method": "none", "allowed_groups": ["staff"] })).await;
    let carol = server.person("carol").await.id;
    let mut old = Vec::new();
    for page in [WEB.to_owned(), "/admin/clients/public".to_owned(), API.to_owned(), format!("/admin/people/{carol}")] {
        old.push(alice.page(&page).await);
    }
    // Everything that can differ does.
    let client = json!({
        "client_name": "New", "redirect_uris": ["https://new.example/cb"], "scope": "openid", "contacts": ["a@b.c"],
        "access_token_format": "opaque", "policy_uri": "https://new.example/policy", "default_max_age": 60,
        "refresh_token_rotation": "always", "allowed_groups": ["ops"], "consent": "trusted", "require_auth_time": true,
    });
    let with_id = |id: &str, more: Value| {
        let mut row = client.clone();
        row["client_id"] = json!(id);
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let document = json!({
        "clients": [with_id("web", json!({})), with_id("public", json!({ "token_endpoint_auth_method": "none" }))],
        "apis": [{ "identifier": "https://orders.example.com", "name": "New", "scopes": ["new"], "gate": "new",
                   "accepts": ["basic"], "access_token_format": "opaque", "access_token_lifetime": 60,
                   "rules": [{ "methods": ["PUT"], "path": "/new" }] }],
        "users": [{ "username": "carol", "name": "New", "email": "new@example.com", "phone_number": "+1 555" }],
    });
    let document = serde_json::from_value(document).unwrap();
    apply::apply(&server.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default())
        .await
        .unwrap();
    let before = state(&server).await;
    for page in old {
        let sent = alice.fill(&page, &format!("form[action='{}']", page.path), &[]).await;
        assert_eq!(sent.status, 200, "{}: {}", page.path, sent.html);
        assert_eq!(state(&server).await, before, "{}", page.path);
    }
}

/// A claim that the form does not show, and an address that somebody else vouches for.
#[tokio::test]
async fn what_a_form_does_not_show_stays_and_a_verified_address_is_one_value() {
    let (server, alice, _) = server().await;
    let carol = server.person("carol").await;
    let page = format!("/admin/people/{}", carol.id);
    let form = format!("form[action='{page}']");
    let old = alice.page(&page).await;
    let mut edit = UserEdit::present(&carol);
    edit.profile.phone_number = Some("+1 555".to_owned());
    (edit.profile.email, edit.profile.email_verified) = (Some("new@example.com".to_owned()), false);
    users::update(&server.app.manager(), &AuditContext::command_line(), carol.id, edit).await.unwrap();
    assert_eq!(alice.fill(&old, &form, &[("name", "Carol")]).await.status, 200);
    let now = server.person("carol").await.profile;
    assert_eq!((now.name.as_deref(), now.phone_number.as_deref()), (Some("Carol"), Some("+1 555")));
    assert_eq!((now.email.as_deref(), now.email_verified), (Some("new@example.com"), false));
    // The box was for the address that the form shows.
    let refused = alice.fill(&old, &form, &[("email", "carol@example.com"), ("-email_verified", "")]).await;
    assert!(refused.status == 409 && refused.has("[data-conflict=version_email]"), "{}", refused.html);
}

#[tokio::test]
async fn a_form_without_a_good_version_is_refused_and_says_what_to_do() {
    let (server, alice, _) = server().await;
    add(&alice, &mut Authenticator::new(&server.url)).await;
    server.client("other", json!({})).await;
    let foreign = alice.page("/admin/clients/other").await.value("[name=version]");
    let before = state(&server).await;
    for case in editing(&server).await {
        let what = format!("{} {}", case.page, case.control);
        let page = case.open(&alice).await;
        let own = page.value(&format!("{} [name=version]", case.selector));
        let changed = own.len() - 5;
        let forged: String = own.chars().enumerate().map(|(at, c)| if at == changed { 'A' } else { c }).collect();
        for changes in [
            vec![("-version", "")],
            vec![("version", "")],
            vec![("version", "1")],
            vec![("version", foreign.as_str()), ("client_name", "Mine")],
            vec![("version", forged.as_str())],
        ] {
            if own == forged {
                continue;
            }
            let refused = case.send(&alice, &page, &changes).await;
            assert_eq!((refused.status, refused.name().as_str()), (400, "error"), "{what} {changes:?}");
            assert!(refused.text("main").contains("nothing was saved"), "{what}: {}", refused.html);
            assert!(refused.has(&format!("main a[href='{}']", case.page)), "{what}: {}", refused.html);
        }
    }
    assert_eq!(state(&server).await, before);
}
