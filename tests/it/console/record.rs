//! The overview, the audit record and the signing keys.

use serde_json::Value;

use super::with_admin;
use crate::budgets::Statements;
use crate::support::{Browser, Server};

async fn jwks(server: &Server) -> Vec<String> {
    let document: Value = server.browser().raw("/.well-known/jwks.json").await.json().await.unwrap();
    document["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The key of RS256 in that state, as the page shows it.
fn key(page: &crate::support::Page, state: &str) -> String {
    let table = page.text("section[aria-labelledby=alg-RS256] tbody");
    let words: Vec<&str> = table.split_whitespace().collect();
    let at = words.iter().position(|word| *word == state);
    at.and_then(|at| words.get(at - 1)).map_or_else(|| panic!("{words:?}"), |word| (*word).to_owned())
}

#[tokio::test]
async fn keys_are_rotated_and_withdrawn() {
    let (server, admin) = with_admin().await;
    let page = admin.page("/admin/keys").await;
    let (next, active) = (key(&page, "Next"), key(&page, "Active"));
    assert_eq!(jwks(&server).await.len(), 9);
    let page = admin.press("/admin/keys", "/admin/keys/RS256/rotate").await;
    assert_eq!((key(&page, "Active"), key(&page, "Retired")), (next.clone(), active.clone()));
    let published = jwks(&server).await;
    assert!(published.len() == 10 && published.contains(&active), "the old one stays published");
    // A retired one, and one that signs: the next one takes its place.
    for kid in [active, next] {
        let confirm = admin.page(&format!("/admin/keys/{kid}/retire")).await;
        let refused = admin.fill(&confirm, "main form[method=post]", &[("confirm", "ES256")]).await;
        assert!(refused.status == 422 && refused.has("#confirm-error") && jwks(&server).await.contains(&kid));
        let done = admin.fill(&confirm, "main form[method=post]", &[("confirm", "RS256")]).await;
        assert!(done.path == "/admin/keys" && !jwks(&server).await.contains(&kid));
        assert!(!key(&done, "Active").is_empty() && !key(&done, "Next").is_empty());
    }
}

#[tokio::test]
async fn a_key_that_apps_encrypt_to_is_changed_and_withdrawn() {
    let (server, admin) = with_admin().await;
    for alg in ["RSA-OAEP-256", "ECDH-ES"] {
        let before = jwks(&server).await;
        let page = admin.press("/admin/keys", &format!("/admin/keys/{alg}/rotate")).await;
        let states = page.text(&format!("section[aria-labelledby=alg-{alg}] tbody"));
        assert!(states.contains("Active") && states.contains("Retired") && !states.contains("Next"), "{states}");
        let after = jwks(&server).await;
        assert_eq!(after.len(), before.len(), "only the active one is published");
        let new = after.iter().find(|kid| !before.contains(kid)).unwrap();
        let confirm = admin.page(&format!("/admin/keys/{new}/retire")).await;
        let done = admin.fill(&confirm, "main form[method=post]", &[("confirm", alg)]).await;
        assert!(done.path == "/admin/keys" && !jwks(&server).await.contains(new), "{alg}");
    }
}

async fn fail(server: &Server, name: &str) -> Browser {
    let browser = server.browser();
    let login = browser.page("/login").await;
    browser.submit(&login, &[("username", name), ("password", "wrong wrong")]).await.ok().unwrap();
    browser
}

#[tokio::test]
async fn the_overview_counts_and_draws_two_weeks() {
    let (server, admin) = with_admin().await;
    server.user("bob").await;
    server.client("web", serde_json::json!({})).await;
    server.browser().sign_in_as("bob").await;
    fail(&server, "bob").await;
    server.advance(86_400);
    admin.sign_in_as("alice").await;
    fail(&server, "nobody").await;
    let page = admin.page("/admin").await;
    let tiles = page.text(".tiles");
    let numbers: Vec<&str> = tiles.split_whitespace().filter(|word| word.parse::<u32>().is_ok()).collect();
    // One app, two people, the one session that is alive, and three sign-ins of two days (the 14 is in the label).
    assert_eq!(numbers, ["1", "2", "1", "14", "3", "2"], "{tiles}");
    assert_eq!((page.count("svg[role=img] g"), page.count(".chart table tbody tr")), (14, 14));
    let (today, yesterday) = (page.text(".chart tbody tr:nth-child(1)"), page.text(".chart tbody tr:nth-child(2)"));
    assert!(today.ends_with(" 1 1") && yesterday.ends_with(" 2 1"), "{today} {yesterday}");
    assert_eq!(page.count("section[aria-labelledby=fails] tbody tr"), 2);
    assert!(page.text("section[aria-labelledby=recent]").contains("Signed in"));
}

#[tokio::test]
async fn the_record_tells_what_was_done_by_whom_to_what() {
    let (server, admin) = with_admin().await;
    let bob = server.user("bob").await;
    server.client("web", serde_json::json!({ "client_name": "Lantern <i>" })).await;
    // Each in a moment of its own: what happens in one millisecond has no order.
    server.advance(1);
    admin.press("/admin/clients/web", "/admin/clients/web/disable").await;
    server.advance(1);
    admin.press(&format!("/admin/people/{bob}"), &format!("/admin/people/{bob}/disable")).await;
    let page = admin.page("/admin/events").await;
    let (newest, before) = (page.text("tbody tr:nth-child(1)"), page.text("tbody tr:nth-child(2)"));
    for text in ["Person turned off", "user.disabled", "Alice Example", "127.0.0.1", "Done"] {
        assert!(newest.contains(text), "{text}: {newest}");
    }
    assert!(before.contains("App turned off") && before.contains("Lantern <i>") && !page.html.contains("Lantern <i>"));
    let alice = server.person("alice").await.id;
    for href in ["/admin/clients/web".to_owned(), format!("/admin/people/{bob}"), format!("/admin/people/{alice}")] {
        assert!(page.has(&format!("tbody a[href='{href}']")), "{href}");
    }
    let request = page.text("tbody tr:nth-child(1) dl div:nth-last-child(2) code");
    for (query, rows) in [
        ("kind=client.disabled".to_owned(), 1),
        (format!("q={request}"), 1),
        ("q=bob".to_owned(), 1),
        ("q=BOB%40example.com".to_owned(), 1),
        // Her sign-in, and the two things she did.
        ("q=alice".to_owned(), 3),
        ("q=lantern+%3Ci%3E".to_owned(), 1),
        ("q=web".to_owned(), 1),
        ("q=nobody".to_owned(), 0),
    ] {
        assert_eq!(admin.page(&format!("/admin/events?{query}")).await.count("tbody > tr"), rows, "{query}");
    }
    let confirm = admin.page("/admin/clients/web/delete").await;
    admin.fill(&confirm, "main form[method=post]", &[("confirm", "web")]).await;
    let page = admin.page("/admin/events?q=web").await;
    assert!(!page.has("tbody a[href='/admin/clients/web']") && page.text("tbody").contains("App deleted"));
}

#[tokio::test]
async fn the_record_comes_in_pages() {
    let (server, admin) = with_admin().await;
    for _ in 0..30 {
        admin.press("/admin/keys", "/admin/keys/ES256/rotate").await;
        server.advance(1);
        admin.press("/admin/keys", "/admin/keys/EdDSA/rotate").await;
    }
    let first = admin.page("/admin/events?kind=key.rotated").await;
    assert_eq!(first.count("tbody > tr"), 50);
    let older = first.attribute("a[rel=next]", "href").unwrap();
    assert!(older.starts_with("/admin/events?kind=key.rotated&after="));
    let second = admin.page(&older).await;
    assert_eq!((second.count("tbody > tr"), second.has("a[rel=next]")), (10, false));
    assert!(second.html.contains("First page"));
}

/// Names and groups are looked up for a page, not for a row.
#[tokio::test]
async fn a_longer_table_asks_no_more_questions() {
    let (server, admin) = with_admin().await;
    let (statements, _guard) = Statements::record();
    let mut asked = Vec::new();
    for number in 0..12 {
        server.user(&format!("user{number}")).await;
        let id = server.person(&format!("user{number}")).await.id;
        let page = admin.page(&format!("/admin/people/{id}")).await;
        admin.fill(&page, "form[action$='/groups']", &[("new_groups", "staff")]).await;
        server.client(&format!("app{number}"), serde_json::json!({})).await;
        let path = format!("/admin/clients/app{number}");
        admin.press(&path, &format!("{path}/disable")).await;
        statements.take();
        for list in ["/admin", "/admin/people", "/admin/clients", "/admin/events"] {
            admin.page(list).await;
        }
        asked.push(statements.take().0.len());
    }
    assert!(asked[0] > 10 && asked.iter().all(|questions| *questions == asked[0]), "{asked:?}");
}
