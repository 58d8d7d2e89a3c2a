//! People: adding somebody who then signs in, changing them, a new password, groups, sessions, turning off, deleting; and
//! that an administrator cannot lock everybody out.

use serde_json::json;
use signet::domain::ids::UserId;
use signet::store::users as stored;

use super::{make_admin, with_admin};
use crate::passkey::{add, finish, signed};
use crate::support::authenticator::Authenticator;
use crate::support::{Browser, PASSWORD, Page, Server};

const NEW: &str = "another long sentence";
const FORM: &str = "main form[method=post]";

async fn with_bob() -> (Server, Browser, UserId) {
    let (server, admin) = with_admin().await;
    let bob = server.user("bob").await;
    (server, admin, bob)
}

/// The page after somebody typed that into the sign-in page: `home` where it was right.
async fn sign_in(browser: &Browser, name: &str, password: &str) -> String {
    let login = browser.page("/login").await;
    browser.submit(&login, &[("username", name), ("password", password)]).await.ok().unwrap().path
}

async fn is_signed_in(browser: &Browser) -> bool {
    browser.raw("/account").await.status() == 200
}

async fn change(admin: &Browser, id: UserId, part: &str, changes: &[(&str, &str)]) -> Page {
    let page = admin.page(&format!("/admin/people/{id}")).await;
    admin.fill(&page, &format!("form[action='/admin/people/{id}{part}']"), changes).await
}

#[tokio::test]
async fn somebody_new_is_added_and_signs_in() {
    let (server, admin) = with_admin().await;
    let page = admin.page("/admin/people/new").await;
    let fields = [
        ("username", "Bob"),
        ("name", "Bob <b>Example</b>"),
        ("email", "bob@example.com"),
        ("email_verified", "true"),
        ("password", NEW),
        ("new_groups", "staff, night shift"),
    ];
    let page = admin.fill(&page, FORM, &fields).await;
    let bob = server.person("bob").await;
    assert_eq!(page.path, format!("/admin/people/{}", bob.id));
    assert!(page.html.contains("can sign in now") && !page.html.contains("<b>Example"), "escaped");
    assert!(bob.profile.email_verified && !bob.admin);
    assert_eq!(sign_in(&server.browser(), "bob", NEW).await, "/");
    let list = admin.page("/admin/people?q=BOB").await;
    assert!(list.count("tbody tr") == 1 && list.html.contains("night shift") && !list.html.contains("<b>Example"));
}

#[tokio::test]
async fn a_refused_form_keeps_what_was_typed_but_no_password() {
    let (server, admin, bob) = with_bob().await;
    let page = admin.page("/admin/people/new").await;
    for (field, typed) in [
        ("username", "two words"),
        ("username", "bob"),
        ("email", "bob@example.com"),
        ("email", "nonsense"),
        ("password", "short"),
        ("password", "password1"),
        ("new_groups", "ok, a\u{7}b"),
    ] {
        let fields = [("username", "carol"), ("name", "Carol Example"), ("password", NEW)];
        let mut fields: Vec<(&str, &str)> = fields.into_iter().filter(|(name, _)| *name != field).collect();
        fields.push((field, typed));
        let page = admin.fill(&page, FORM, &fields).await;
        assert!(page.status == 422 && page.has(&format!("#{field}-error")), "{field}: {typed}");
        assert_eq!(page.value("[name=name]"), "Carol Example");
        assert!(!page.html.contains(NEW) && (field != "password" || page.value("#password").is_empty()));
    }
    let refused = change(&admin, bob, "", &[("name", "Robert"), ("email", "alice@example.com")]).await;
    assert!(refused.status == 422 && refused.has("#email-error") && refused.value("#name") == "Robert");
    let refused = change(&admin, bob, "/groups", &[("new_groups", "\u{1}")]).await;
    assert!(refused.status == 422 && refused.has("#new_groups-error"));
    let refused = change(&admin, bob, "/password", &[("password", "short")]).await;
    assert!(refused.status == 422 && refused.has("#password-error"));
    assert_eq!(stored::count(server.app.store().read()).await.unwrap(), 2);
    assert_eq!(server.person("bob").await.display_name(), "Alice Example");
}

#[tokio::test]
async fn details_change_and_other_claims_stay() {
    let (server, admin, id) = with_bob().await;
    let mut bob = server.person("bob").await;
    bob.profile.phone_number = Some("+44 1".into());
    let row = bob.clone();
    server.app.store().write(move |tx| Box::pin(async move { stored::update(tx, &row).await })).await.unwrap();
    assert!(change(&admin, id, "", &[("name", "Bob"), ("email", "")]).await.html.contains("Saved."));
    let after = server.person("bob").await;
    assert_eq!((after.profile.name.as_deref(), after.profile.email.as_deref()), (Some("Bob"), None));
    assert_eq!((after.profile.phone_number, after.profile.email_verified), (bob.profile.phone_number, false));
    assert!(after.password == bob.password);
}

/// T5: what was signed in with the old password ends.
#[tokio::test]
async fn a_password_is_set_anew() {
    let (server, admin, id) = with_bob().await;
    let browser = server.browser();
    browser.sign_in_as("bob").await;
    change(&admin, id, "/password", &[("password", NEW)]).await;
    assert!(!is_signed_in(&browser).await);
    assert_eq!(sign_in(&browser, "bob", PASSWORD).await, "/login");
    assert_eq!(sign_in(&browser, "bob", NEW).await, "/");
    // One's own: this browser stays, others don't.
    let other = server.browser();
    other.sign_in_as("alice").await;
    let alice = server.person("alice").await.id;
    let page = change(&admin, alice, "/password", &[("password", NEW)]).await;
    assert!(page.html.contains("The password is set") && !is_signed_in(&other).await);
}

#[tokio::test]
async fn groups_are_set_and_reach_apps() {
    let (server, admin, id) = with_bob().await;
    let page = change(&admin, id, "/groups", &[("new_groups", "staff,night")]).await;
    assert_eq!(page.count("input[name=groups][checked]"), 2);
    let page = admin.fill(&page, "form[action$='/groups']", &[("groups", "night")]).await;
    assert_eq!((page.count("input[name=groups]"), page.count("input[name=groups][checked]")), (2, 1));
    assert_eq!(stored::groups_of(server.app.store().read(), id).await.unwrap(), ["night"]);
    let page = admin.fill(&page, "form[action$='/groups']", &[("-groups", "")]).await;
    assert_eq!(page.count("input[name=groups][checked]"), 0);
}

#[tokio::test]
async fn sessions_are_ended_one_by_one_or_together() {
    let (server, admin, id) = with_bob().await;
    let (one, two) = (server.browser(), server.browser());
    one.sign_in_as("bob").await;
    two.sign_in_as("bob").await;
    let here = format!("/admin/people/{id}");
    let page = admin.page(&here).await;
    let buttons = "form[action$='/sessions/end'] button";
    assert_eq!(page.count(buttons), 2);
    let session = page.attribute(buttons, "value").unwrap();
    let page = admin.fill(&page, "form[action$='/sessions/end']", &[("session", &session)]).await;
    assert_eq!((page.count(buttons), u8::from(is_signed_in(&one).await) + u8::from(is_signed_in(&two).await)), (1, 1));
    let page = admin.fill(&page, "form[action$='/sessions/end']", &[("session", &session)]).await;
    assert!(page.html.contains("has ended already"));
    let page = admin.fill(&page, "form[action$='/sessions/end-all']", &[]).await;
    assert!(page.html.contains("Not signed in anywhere") && !is_signed_in(&one).await && !is_signed_in(&two).await);
    // Another person's page does not end a session of somebody else.
    let mine = admin.page(&format!("/admin/people/{}", server.person("alice").await.id)).await;
    let own = mine.attribute(buttons, "value").unwrap();
    one.sign_in_as("bob").await;
    let page = admin.page(&here).await;
    let page = admin.fill(&page, "form[action$='/sessions/end']", &[("session", &own)]).await;
    assert!(page.html.contains("has ended already") && is_signed_in(&admin).await);
}

/// T5.
#[tokio::test]
async fn who_is_disabled_is_signed_out_and_comes_back_when_enabled() {
    let (server, admin, id) = with_bob().await;
    server.client("web", json!({ "consent": "trusted" })).await;
    let browser = server.browser();
    browser.sign_in_as("bob").await;
    let scope = server.authorize(&[("scope", "openid offline_access")]);
    let code = browser.open(&scope).await.err().unwrap()["code"].clone();
    let (_, tokens) = server.redeem(&code).await;
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let here = format!("/admin/people/{id}");
    let page = admin.page(&here).await;
    assert!(page.html.contains("openid offline_access") && page.has("a[href='/admin/clients/web']"));
    let page = admin.press(&here, &format!("{here}/disable")).await;
    assert!(page.html.contains("is disabled and signed out everywhere"));
    assert!(!is_signed_in(&browser).await);
    assert_eq!(server.token(&refresh).await.1["error"], "invalid_grant");
    assert_eq!(sign_in(&browser, "bob", PASSWORD).await, "/login");
    assert_eq!(admin.page("/admin/people?state=off").await.count("tbody tr"), 1);
    admin.press(&here, &format!("{here}/enable")).await;
    assert_eq!(sign_in(&browser, "bob", PASSWORD).await, "/");
}

#[tokio::test]
async fn somebody_is_deleted_when_their_username_has_been_typed() {
    let (server, admin, id) = with_bob().await;
    let browser = server.browser();
    browser.sign_in_as("bob").await;
    let page = admin.page(&format!("/admin/people/{id}/delete")).await;
    let refused = admin.fill(&page, FORM, &[("confirm", "BOB")]).await;
    assert!(refused.status == 422 && refused.has("#confirm-error") && is_signed_in(&browser).await);
    let page = admin.fill(&page, FORM, &[("confirm", "bob")]).await;
    assert!(page.path == "/admin/people" && page.html.contains("is deleted.") && page.count("tbody tr") == 1);
    assert!(!is_signed_in(&browser).await);
    assert_eq!(sign_in(&browser, "bob", PASSWORD).await, "/login");
    // In the record they go on under their id.
    let events = admin.page(&format!("/admin/events?q={id}")).await;
    assert!(events.text("tbody").contains(&id.to_string()) && events.html.contains("Person deleted"));
    assert!(!events.has(&format!("a[href='/admin/people/{id}']")));
}

#[tokio::test]
async fn nobody_turns_off_or_deletes_themself_and_the_last_administrator_stays() {
    let (server, admin) = with_admin().await;
    let alice = server.person("alice").await.id;
    let here = format!("/admin/people/{alice}");
    let page = admin.page(&here).await;
    assert!(!page.has("a[href$='/delete']") && !page.has("form[action$='/disable']"));
    let (_, token) = page.filled("form[action$='/groups']", &[]);
    for path in ["/disable", "/delete"] {
        let page = admin.follow(admin.raw_post(&format!("{here}{path}"), &token).await).await.ok().unwrap();
        assert!(page.path == here && page.html.contains("yourself."), "{path}");
    }
    let page = change(&admin, alice, "", &[("-admin", "")]).await;
    assert!(page.status == 422 && page.has("#admin-error") && page.html.contains("the last administrator"));
    assert!(server.person("alice").await.admin);
    // With another administrator the rights can be given away, and are gone at once.
    server.user("bob").await;
    make_admin(&server, "bob").await;
    let page = change(&admin, alice, "", &[("-admin", "")]).await;
    assert!(page.path == "/account" && page.html.contains("no administrator any more"));
    assert_eq!(admin.raw("/admin").await.status(), 403);
}

#[tokio::test]
async fn people_are_found_and_come_in_pages() {
    let (server, admin) = with_admin().await;
    for number in 0..55 {
        let mut user = server.person("alice").await;
        user.id = UserId(server.app.env().uuid());
        user.username = signet::domain::user::Username::parse(&format!("user.{number:02}")).unwrap();
        user.profile.email = None;
        user.profile.name = Some(format!("Émile {number:02}"));
        user.admin = false;
        server.app.store().write(move |tx| Box::pin(async move { stored::insert(tx, &[user]).await })).await.unwrap();
    }
    let first = admin.page("/admin/people").await;
    assert_eq!(first.count("tbody tr"), 50);
    let second = admin.page(&first.attribute("a[rel=next]", "href").unwrap()).await;
    assert_eq!((second.count("tbody tr"), second.has("a[rel=next]")), (6, false));
    for (query, rows) in [
        ("q=%C3%89MILE+07", 1),
        ("q=user.07", 1),
        ("q=alice%40EXAMPLE.com", 1),
        ("q=_", 0),
        ("q=email_verified", 0),
        ("state=admin", 1),
        ("state=off", 0),
    ] {
        assert_eq!(admin.page(&format!("/admin/people?{query}")).await.count("tbody tr"), rows, "{query}");
    }
}

#[tokio::test]
async fn an_administrator_lists_and_removes_passkeys() {
    let (server, admin, id) = with_bob().await;
    let browser = server.browser();
    browser.sign_in_as("bob").await;
    let mut device = Authenticator::new(&server.url);
    add(&browser, &mut device).await;
    let here = format!("/admin/people/{id}");
    let page = admin.page(&here).await;
    assert!(page.html.contains("Test on Linux"));
    let form = "form[action$='/passkeys/remove']";
    let passkey = page.attribute(&format!("{form} button"), "value").unwrap();
    let page = admin.fill(&page, form, &[("passkey", &passkey)]).await;
    assert!(page.html.contains("The passkey is removed") && !page.html.contains("Test on Linux"));
    let login = browser.page("/login").await;
    let fields = signed(&browser, &login, &mut device).await;
    assert_eq!(finish(&browser, &fields).await.ok().unwrap().name(), "login");
    // Reset: passkeys go, unless the box says to keep them.
    for (keep, left) in [("-keep_passkeys", false), ("keep_passkeys", true)] {
        browser.submit(&browser.page("/login").await, &[("username", "bob"), ("password", PASSWORD)]).await.ok();
        add(&browser, &mut Authenticator::new(&server.url)).await;
        let page = change(&admin, id, "/password", &[("password", PASSWORD), (keep, "true")]).await;
        assert!(page.html.contains("The password is set. Removed:"), "{}", page.html);
        assert_eq!(page.html.contains("Test on Linux"), left);
        assert!(!is_signed_in(&browser).await);
    }
}
