//! What a user who may not use an app is told, and what an administrator sees of who may use what.

use serde_json::json;

use super::settings::console;
use super::{open_to, put_into, refusals, signed_in, with_staff};
use crate::support::PASSWORD;

/// The sentence, the way to another account and the way back to the app, at the sign-in and with a session.
#[tokio::test]
async fn user_outside_is_told_and_can_switch_or_go_back() {
    let server = with_staff().await;
    let browser = server.browser();
    let login = browser.page(&server.authorize(&[])).await;
    let page = browser.submit(&login, &[("username", "bob"), ("password", PASSWORD)]).await.ok().unwrap();
    assert_eq!((page.status, page.name().as_str(), page.error().as_str()), (403, "error", "access_denied"));
    assert!(page.path.starts_with("/not-allowed/"), "{}", page.path);
    assert_eq!(page.text("#error-description"), "This account isn’t one of those that Web is open to.");
    assert_eq!((page.text("#error-code"), page.text("#client-name")), ("access_denied".into(), "Web".into()));
    let found = refusals(&server, "bob").await;
    assert_eq!(found.len(), 1, "{found:?}");

    // Another account goes on to the app.
    let switch = page.attribute("a#switch-account", "href").unwrap();
    let accounts = browser.page(&switch).await;
    let login = browser.submit(&accounts, &[("account", "new")]).await.ok().unwrap();
    let callback = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.err().unwrap();
    assert!(callback.contains_key("code"), "{callback:?}");

    // Back to the app, which is told; a second click gives the same answer.
    let bob = signed_in(&server, "bob").await;
    let page = bob.page(&server.authorize(&[])).await;
    assert_eq!((page.status, page.error().as_str()), (403, "access_denied"));
    let (action, form) = page.form(&[("decision", "deny")]);
    let back = bob.follow(bob.raw_post(&action, &form).await).await.err().unwrap();
    assert_eq!((back["error"].as_str(), back["state"].as_str()), ("access_denied", "s t&a=te"));
    let again = bob.follow(bob.raw_post(&action, &form).await).await;
    assert_eq!(again.err().unwrap(), back);
}

/// Every other POST leaves the answer open, and another browser sees nothing of it.
#[tokio::test]
async fn page_for_users_outside_answers_only_its_form() {
    let server = with_staff().await;
    let bob = signed_in(&server, "bob").await;
    let page = bob.page(&server.authorize(&[])).await;
    let other = signed_in(&server, "bob").await;
    assert_eq!(other.page(&page.path).await.error(), "invalid_request");
    for fields in [vec![], vec![("decision", "allow")]] {
        let shown = bob.submit(&page, &fields).await.ok().unwrap();
        assert_eq!((shown.status, shown.path.as_str()), (403, page.path.as_str()), "{fields:?}");
    }
    // Nor does consent get them in.
    open_to(&server, "web", json!(["staff"])).await;
    let id = page.path.rsplit('/').next().unwrap();
    let csrf = page.attribute("input[name=csrf]", "value").unwrap();
    let form = [("csrf".to_owned(), csrf), ("decision".to_owned(), "allow".to_owned())];
    let shown = bob.follow(bob.raw_post(&format!("/consent/{id}"), &form).await).await.ok().unwrap();
    assert_eq!((shown.status, shown.error().as_str()), (403, "access_denied"));
    // Whoever is let in meanwhile only has to load the page again.
    put_into(&server, "bob", &["staff"]).await;
    assert!(bob.open(&page.path).await.err().unwrap().contains_key("code"));
}

/// Not shown before somebody has signed in: the page would tell a stranger nothing about accounts, and there is no account.
#[tokio::test]
async fn stranger_sees_the_sign_in_page_of_a_closed_app() {
    let server = with_staff().await;
    assert_eq!(server.browser().page(&server.authorize(&[])).await.name(), "login");
    assert!(refusals(&server, "bob").await.is_empty());
}

#[tokio::test]
async fn app_list_has_no_app_that_the_user_may_not_use() {
    let server = with_staff().await;
    for (id, groups) in [("inside", json!(["staff"])), ("outside", json!(["ops"])), ("open", json!([]))] {
        let start = "https://app.example/start";
        let meta =
            json!({ "client_name": id, "consent": "trusted", "initiate_login_uri": start, "allowed_groups": groups });
        server.client(id, meta).await;
    }
    for (name, listed) in [("alice", ["inside", "open"].as_slice()), ("bob", &["open"])] {
        let page = signed_in(&server, name).await.page("/account/apps").await;
        for id in ["inside", "outside", "open"] {
            assert_eq!(page.html.contains(&format!("<bdi>{id}</bdi>")), listed.contains(&id), "{name} {id}");
        }
    }
}

#[tokio::test]
async fn console_shows_who_may_use_an_app() {
    let (server, admin) = console().await;
    server.client("open", json!({})).await;
    let page = admin.page("/admin/clients/web").await;
    let shown = page.text("[aria-labelledby=users]");
    assert!(shown.contains("staff 1 person") && shown.contains("Alice Example"), "{shown}");
    let shown = admin.page("/admin/clients/open").await.text("[aria-labelledby=users]");
    assert!(shown.contains("Everybody who can sign in here: 3 people"), "{shown}");
    super::delete_group(&server, "staff").await;
    let shown = admin.page("/admin/clients/web").await.text("[aria-labelledby=users]");
    assert!(shown.contains("There is no such group: it lets nobody in."), "{shown}");
}

#[tokio::test]
async fn console_shows_what_a_user_may_use() {
    let (server, admin) = console().await;
    server.client("open", json!({ "client_name": "Open" })).await;
    server.client("ops", json!({ "client_name": "Ops", "allowed_groups": ["ops"] })).await;
    server
        .client(
            "job",
            json!({ "client_name": "Job", "redirect_uris": [], "scope": "", "grant_types": ["client_credentials"] }),
        )
        .await;
    for (name, words) in
        [("alice", ["Open Open to everybody", "Web As a member of staff"].as_slice()), ("bob", &["Open"])]
    {
        let id = server.person(name).await.id;
        let shown = admin.page(&format!("/admin/people/{id}")).await.text("[aria-labelledby=usable]");
        for word in words {
            assert!(shown.contains(word), "{name}: {shown}");
        }
        for absent in if name == "bob" { ["Ops", "Job", "Web"].as_slice() } else { &["Ops", "Job"] } {
            assert!(!shown.contains(absent), "{name}: {shown}");
        }
    }
}

/// The administrator finds the refusal by the request id that the page shows, by the app and by the user.
#[tokio::test]
async fn administrator_finds_the_refusal() {
    let (server, admin) = console().await;
    let page = signed_in(&server, "bob").await.page(&server.authorize(&[])).await;
    assert_eq!(page.status, 403);
    let request = refusals(&server, "bob").await[0].origin.request_id.clone();
    for query in
        [format!("q={request}"), "q=web&kind=access.refused".to_owned(), "q=bob&kind=access.refused".to_owned()]
    {
        let events = admin.page(&format!("/admin/events?{query}")).await;
        let shown = events.text("tbody");
        assert!(shown.contains("Person may not use the app") && shown.contains("Refused"), "{query}: {shown}");
    }
}
