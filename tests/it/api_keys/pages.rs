//! Keys on a person's own pages and in the console.

use signet::domain::api_key::{ApiKeySecret, network};
use signet::manage::api_keys::NewApiKey;
use signet::manage::{AuditContext, apis};

use super::{alice, is_good, made, make, new_key, put_api, reads, web, with_apis};
use crate::console::make_admin;
use crate::support::{Browser, PASSWORD, Page, Server};

const HERE: &str = "/account/api-keys";
const FORM: &str = "#new-key";

async fn signed_in(server: &Server, name: &str) -> Browser {
    let browser = server.browser();
    browser.sign_in_as(name).await;
    browser
}

/// The key on the page that shows it, as a program would use it.
fn shown(page: &Page) -> ApiKeySecret {
    ApiKeySecret::parse(&page.text(".notice .copy code")).expect(&page.html)
}

#[tokio::test]
async fn a_person_makes_a_key_sees_it_once_and_revokes_it() {
    let server = with_apis().await;
    let browser = signed_in(&server, "alice").await;
    let list = browser.page(HERE).await;
    assert!(list.html.contains("No key yet") && list.count("a[href^='/account/api-keys/new/']") == 2);
    let form = browser.page("/account/api-keys/new/orders").await;
    assert!(form.text("h1").contains("The orders") && form.count("input[name=scope]") == 2);
    assert_eq!((form.value("#expires").as_str(), form.has("input[name=scope][checked]")), ("90", false));
    let typed = [("name", "My laptop"), ("scope", "read"), ("allow", "10.1.2.3/8\r\n192.0.2.1\r\n")];
    let page = browser.fill(&form, FORM, &typed).await;
    assert_eq!((page.status, page.path.as_str()), (200, HERE));
    let key = shown(&page);
    assert!(is_good(&server, &key).await);
    assert!(!browser.page(HERE).await.html.contains(key.expose()), "shown once");
    let line = page.text(".list");
    for words in ["My laptop", "The orders", "read", "not used yet", "ends", "10.0.0.0/8 , 192.0.2.1/32"] {
        assert!(line.contains(words), "{words}: {line}");
    }
    assert!(browser.page("/account").await.html.contains("API key made"));

    let action = page.attribute("form[action$='/revoke']", "action").unwrap();
    let page = browser.press(HERE, &action).await;
    assert!(page.html.contains("The key is revoked") && page.html.contains("No key yet"));
    assert!(!is_good(&server, &key).await);
}

#[tokio::test]
async fn a_key_may_be_for_ever_and_have_no_scope() {
    let server = with_apis().await;
    let browser = signed_in(&server, "alice").await;
    let form = browser.page("/account/api-keys/new/stock").await;
    let page = browser.fill(&form, FORM, &[("name", "backup"), ("expires", "never"), ("without_scope", "true")]).await;
    let key = shown(&page);
    assert!(page.text(".list").contains("never ends"));
    server.advance(400 * 86_400);
    assert!(is_good(&server, &key).await);
}

#[tokio::test]
async fn what_is_refused_is_said_at_its_field_and_kept() {
    let server = with_apis().await;
    let browser = signed_in(&server, "alice").await;
    let form = browser.page("/account/api-keys/new/orders").await;
    let many = (0..21).map(|n| format!("10.0.0.{n}")).collect::<Vec<_>>().join("\n");
    for (field, typed) in [
        ("name", ""),
        ("name", "a\u{7}b"),
        ("scope", "delete"),
        ("scope", "\""),
        ("expires", "31"),
        ("expires", ""),
        ("allow", "example.com"),
        ("allow", "10.0.0.0/33"),
        ("allow", &many),
    ] {
        let mut fields = vec![("name", "ci"), ("scope", "read"), ("allow", "192.0.2.1")];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, typed));
        let page = browser.fill(&form, FORM, &fields).await;
        assert_eq!(page.status, 422, "{field} {typed:?}");
        assert!(page.has(&format!("#{field}-error")) && page.html.contains("Nothing was saved"), "{field} {typed:?}");
        assert!(page.html.contains("<title>Key not made"), "{field}");
        let kept = [("#name", "ci"), ("#allow", "192.0.2.1"), ("input[name=scope][checked]", "read")];
        for (selector, value) in kept.into_iter().filter(|(selector, _)| !selector.contains(field)) {
            assert_eq!(page.value(selector), value, "{field} {typed:?}: {selector}");
        }
    }
    for _ in 0..100 {
        made(&server, alice(&server).await).await;
    }
    let page = browser.fill(&form, FORM, &[("name", "one more"), ("scope", "read")]).await;
    assert_eq!(page.status, 422);
    assert!(page.text("[role=alert]").contains("here are 100 keys already"), "{}", page.text("[role=alert]"));
    assert_eq!(browser.page(HERE).await.count(".list form"), 100);
    for gone in ["closed", "nowhere", "Orders", "%2f"] {
        assert_eq!(browser.page(&format!("/account/api-keys/new/{gone}")).await.status, 404, "{gone}");
    }
}

/// T17: what outlives the session is made by who has signed in lately, and so are passkeys.
#[tokio::test]
async fn making_one_needs_a_sign_in_of_the_last_minutes() {
    let server = with_apis().await;
    let browser = signed_in(&server, "alice").await;
    let form = browser.page("/account/api-keys/new/orders").await;
    server.advance(15 * 60);
    assert_eq!(browser.page("/account/api-keys/new/orders").await.path, "/account/api-keys/new/orders");
    server.advance(1);
    let login = browser.fill(&form, FORM, &[("name", "ci"), ("scope", "read")]).await;
    assert_eq!(login.name(), "login");
    assert!(browser.page(HERE).await.html.contains("No key yet"), "nothing was made");
    assert_eq!(browser.page("/account/api-keys/new/orders").await.name(), "login");
    let page = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    assert!(page.path == HERE && page.html.contains("The key is made"), "what was typed is done");
    server.advance(16 * 60);
    // Ending one needs no more than the session.
    let action = page.attribute("form[action$='/revoke']", "action").unwrap();
    assert!(browser.press(HERE, &action).await.html.contains("The key is revoked"));
}

#[tokio::test]
async fn nobody_sees_or_ends_another_persons_key() {
    let server = with_apis().await;
    server.user("bob").await;
    let (secret, key) = made(&server, alice(&server).await).await;
    let (_, of_web) = made(&server, web()).await;
    let bob = signed_in(&server, "bob").await;
    let page = bob.page(HERE).await;
    assert!(page.html.contains("No key yet") && !page.html.contains(&key.id.to_string()));
    let token = page.form_at("form[action='/oauth2/logout']", &[]).1;
    for id in [key.id.to_string(), of_web.id.to_string(), "nonsense".to_owned()] {
        let answer = bob.follow(bob.raw_post(&format!("{HERE}/{id}/revoke"), &token).await).await.ok().unwrap();
        assert!(answer.html.contains("There is no such key any more"), "{id}");
    }
    assert!(is_good(&server, &secret).await);
}

#[tokio::test]
async fn the_way_there_is_shown_where_an_api_takes_keys() {
    let server = Server::with_alice().await;
    let browser = signed_in(&server, "alice").await;
    let way = format!("nav a[href='{HERE}']");
    assert!(!browser.page("/account").await.has(&way));
    put_api(&server, "closed", &["bearer"]).await;
    assert!(!browser.page("/account").await.has(&way));
    assert!(browser.page(HERE).await.html.contains("no API here that takes keys"));
    put_api(&server, "orders", &["bearer", "api_key"]).await;
    assert!(browser.page("/account").await.has(&way));
    assert_eq!(browser.page(HERE).await.attribute("nav [aria-current]", "href").unwrap(), HERE);
    let id = signet::domain::api::ApiId::parse("https://orders.example").unwrap();
    apis::delete(&server.app.manager(), &AuditContext::command_line(), id).await.unwrap();
    assert!(!browser.page("/account").await.has(&way));
}

#[tokio::test]
async fn an_administrator_makes_and_revokes_an_apps_keys() {
    let server = with_apis().await;
    make_admin(&server, "alice").await;
    let admin = signed_in(&server, "alice").await;
    let here = "/admin/clients/web/api-keys";
    assert!(admin.page("/admin/clients/web").await.has(&format!("a[href='{here}']")));
    let form = admin.page(&format!("{here}/new/orders")).await;
    assert_eq!(form.count("input[name=scope]"), 1, "what the app may have, and no more");
    let refused = admin.fill(&form, FORM, &[("name", "job"), ("scope", "write")]).await;
    assert!(refused.status == 422 && refused.has("#scope-error"), "{}", refused.html);
    let page = admin.fill(&form, FORM, &[("name", "job"), ("scope", "read")]).await;
    assert_eq!((page.path.as_str(), page.name().as_str()), (here, "admin"));
    let key = shown(&page);
    assert!(is_good(&server, &key).await && !admin.page(here).await.html.contains(key.expose()));
    let action = page.attribute("form[action$='/revoke']", "action").unwrap();
    // Not under another app's address.
    server.client("other", serde_json::json!({})).await;
    let token = page.form_at(&format!("form[action='{action}']"), &[]).1;
    let elsewhere = action.replace("/web/", "/other/");
    let answer = admin.follow(admin.raw_post(&elsewhere, &token).await).await.ok().unwrap();
    assert!(answer.html.contains("There is no such key") && is_good(&server, &key).await);
    assert!(admin.press(here, &action).await.html.contains("The key job is revoked"));
    assert!(!is_good(&server, &key).await);
    let record = admin.page("/admin/events").await.html;
    assert!(record.contains("API key made") && record.contains("API key revoked") && !record.contains(key.expose()));
    assert_eq!(admin.page("/admin/clients/web/api-keys/new/closed").await.status, 404);
}

/// Ids with signs in them are one part of an address, and an app called `new` has keys too.
#[tokio::test]
async fn an_app_of_any_id_has_keys() {
    let server = with_apis().await;
    make_admin(&server, "alice").await;
    let admin = signed_in(&server, "alice").await;
    for id in ["https://app.example/id", "new"] {
        server.client(id, reads()).await;
        let here = format!("{}/api-keys", signet::web::urls::console_client(&id.to_owned().try_into().unwrap()));
        let form = admin.page(&format!("{here}/new/orders")).await;
        let page = admin.fill(&form, FORM, &[("name", "job"), ("scope", "read")]).await;
        assert!(is_good(&server, &shown(&page)).await, "{id}");
        let action = page.attribute("form[action$='/revoke']", "action").unwrap();
        assert!(admin.press(&here, &action).await.html.contains("is revoked"), "{id}");
    }
}

#[tokio::test]
async fn an_administrator_sees_and_ends_a_persons_keys() {
    let server = with_apis().await;
    server.user("bob").await;
    make_admin(&server, "bob").await;
    let admin = signed_in(&server, "bob").await;
    let until = Some(server.app.env().now().plus_seconds(3600));
    let networks = vec![network("10.0.0.0/8").unwrap()];
    let new = NewApiKey { expires_at: until, networks, ..new_key(alice(&server).await, "orders") };
    let (secret, key) = make(&server, new).await.unwrap();
    let here = format!("/admin/people/{}", server.person("alice").await.id);
    let page = admin.page(&here).await;
    let panel = page.text("section[aria-labelledby=api-keys]");
    assert!(panel.contains("ci") && panel.contains("Only from 10.0.0.0/8") && !panel.contains("Expired"), "{panel}");
    server.advance(3600);
    admin.sign_in_as("bob").await;
    let page = admin.page(&here).await;
    assert!(page.text("section[aria-labelledby=api-keys]").contains("Expired"));
    let press = |key: String| {
        let (action, mut form) = page.form_at("form[action$='/api-keys/revoke']", &[]);
        form.push(("key".to_owned(), key));
        let (admin, here) = (&admin, &here);
        async move {
            let page = admin.follow(admin.raw_post(&action, &form).await).await.ok().unwrap();
            assert_eq!(&page.path, here);
            page.html
        }
    };
    let (_, bobs) = made(&server, signet::domain::api_key::Owner::User(server.person("bob").await.id)).await;
    for other in [bobs.id.to_string(), "nonsense".to_owned()] {
        assert!(press(other).await.contains("There is no such key any more"));
    }
    assert!(press(key.id.to_string()).await.contains("The key ci is revoked"));
    assert!(server.app.store().authority().api_key(server.app.store(), &secret.digest()).await.unwrap().is_none());
    assert!(admin.page(&here).await.html.contains("No program uses this account by a key"));
}
