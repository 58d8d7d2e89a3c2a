//! Who gets into the console, what forms that are not whole do (nothing), and what no page shows.

use std::collections::BTreeSet;

use serde_json::Value;
use signet::manage::export::export;
use signet::manage::{AuditContext, apis, registration};
use signet::store::api_keys as rows;
use signet::store::signing_keys;

use super::with_admin;
use crate::api_keys;
use crate::support::{Browser, Server};

/// A route of the console, an address for it, and its methods.
pub struct Route {
    pub path: String,
    pub get: bool,
    pub post: bool,
}

/// Every route that the router has, read from its source, so that none is forgotten here.
pub async fn routes(server: &Server) -> Vec<Route> {
    let kid = signing_keys::all(server.app.store().read()).await.unwrap().remove(0).kid;
    let bob = server.person("bob").await.id.to_string();
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let keys = rows::list(server.app.store().read(), &rows::ApiKeyFilter { most: 9, ..rows::ApiKeyFilter::default() })
        .await
        .unwrap();
    let key = keys.into_iter().find(|key| key.owner == api_keys::web()).unwrap().id.to_string();
    let (_, access) = registration::create_initial_access_token(&manager, &by, None, 60).await.unwrap();
    let access = access.id.to_string();
    let source = include_str!("../../../src/web/console/mod.rs");
    let lines = source.lines().filter_map(|line| line.trim().strip_prefix(".route(")?.split_once(", "));
    let all: Vec<Route> = lines
        .map(|(path, methods)| {
            let constants = [("CONSOLE", "/admin"), ("APIS", "/admin/apis"), ("START", "/admin/start")];
            let path =
                constants.iter().fold(path.trim_matches('"').to_owned(), |path, (name, is)| path.replace(name, is));
            let id = match path.split('/').nth(2) {
                Some("people") => &bob,
                Some("registration") => &access,
                Some("apis") => "https%3A%2F%2Fapi.example.com",
                _ => "web",
            };
            let path = path.replace("{id}", id).replace("{kind}", "web").replace("{alg}", "RS256");
            let path = path.replace("{gate}", "orders").replace("{key}", &key);
            Route { path: path.replace("{kid}", &kid), get: methods.contains("get("), post: methods.contains("post(") }
        })
        .collect();
    assert!(all.len() > 20, "the source was read");
    all
}

pub async fn with_bob_and_web() -> (Server, Browser) {
    let (server, admin) = with_admin().await;
    server.user("bob").await;
    server.client("web", serde_json::json!({ "scope": "openid read" })).await;
    api_keys::put_api(&server, "orders", &["api_key"]).await;
    api_keys::made(&server, api_keys::web()).await;
    api_keys::made(&server, api_keys::alice(&server).await).await;
    let api = serde_json::json!({ "identifier": "https://api.example.com", "gate": "billing" });
    apis::put(&server.app.manager(), &AuditContext::command_line(), serde_json::from_value(api).unwrap())
        .await
        .unwrap();
    (server, admin)
}

/// Everything that people, clients and keys are. (An initial access token is made with each look at the routes.)
pub async fn state(server: &Server) -> Value {
    let keys = signing_keys::all(server.app.store().read()).await.unwrap();
    let keys: BTreeSet<String> = keys.iter().map(|key| format!("{key:?}")).collect();
    let filter = rows::ApiKeyFilter { most: 9, ..rows::ApiKeyFilter::default() };
    let api_keys = rows::list(server.app.store().read(), &filter).await.unwrap();
    let api_keys: Vec<String> = api_keys.iter().map(|key| format!("{key:?}")).collect();
    serde_json::json!([export(&server.app.manager()).await.unwrap(), keys, api_keys])
}

pub async fn csrf(browser: &Browser, page: &str) -> Vec<(String, String)> {
    let token = browser.page(page).await.attribute("input[name=csrf]", "value").unwrap();
    vec![("csrf".to_owned(), token)]
}

/// T30: default deny.
#[tokio::test]
async fn nobody_but_an_administrator_gets_any_page_or_does_anything() {
    let (server, _) = with_bob_and_web().await;
    let (stranger, bob) = (server.browser(), server.browser());
    bob.sign_in_as("bob").await;
    let token = csrf(&bob, "/account").await;
    let before = state(&server).await;
    for route in routes(&server).await {
        let path = &route.path;
        let mut answers = Vec::new();
        if route.get {
            answers.push((stranger.raw(path).await, bob.raw(path).await));
        }
        if route.post {
            answers.push((stranger.raw_post(path, &token).await, bob.raw_post(path, &token).await));
        }
        for (strangers, bobs) in answers {
            assert_eq!((strangers.status().as_u16(), bobs.status().as_u16()), (303, 403), "{path}");
            assert!(strangers.headers()["location"].to_str().unwrap().starts_with("/login?next=%2Fadmin"), "{path}");
        }
    }
    assert_eq!(state(&server).await, before);
}

/// T2: an empty POST, or one with the token alone, changes nothing but where the button is all there is.
#[tokio::test]
async fn a_form_that_is_not_whole_changes_nothing() {
    let (server, admin) = with_bob_and_web().await;
    let token = csrf(&admin, "/admin").await;
    let before = state(&server).await;
    let buttons = ["/disable", "/enable", "/rotate-secret", "/sessions/end-all", "/RS256/rotate", "/revoke"];
    for route in routes(&server).await.into_iter().filter(|route| route.post) {
        let path = &route.path;
        assert_eq!(admin.raw_post(path, &[]).await.status(), 400, "{path}");
        if !buttons.iter().any(|button| path.ends_with(button)) {
            let status = admin.raw_post(path, &token).await.status().as_u16();
            assert!([400, 422].contains(&status) || path.ends_with("/sessions/end"), "{path}: {status}");
        }
    }
    assert_eq!(state(&server).await, before);
}

/// Golden scan (T29).
#[tokio::test]
async fn no_page_shows_a_hash_or_a_private_key() {
    let (server, admin) = with_bob_and_web().await;
    let store = server.app.store();
    let mut secrets = Vec::new();
    for key in signing_keys::all(store.read()).await.unwrap() {
        secrets.push(key.sealed);
    }
    for user in ["alice", "bob"] {
        secrets.push(server.person(user).await.password.unwrap().0);
    }
    let id = signet::domain::ids::ClientId::parse("web").unwrap();
    let web = signet::store::clients::by_id(store.read(), &id).await.unwrap().unwrap();
    secrets.push(web.secret.unwrap().0);
    let mut pages: Vec<String> = routes(&server).await.into_iter().filter(|it| it.get).map(|it| it.path).collect();
    pages.extend(["/admin/events?q=bob".to_owned(), "/admin/people?q=bob".to_owned()]);
    for path in pages {
        let page = admin.page(&path).await;
        assert_eq!((page.status, page.name().as_str()), (200, "admin"), "{path}");
        for secret in &secrets {
            assert!(secret.len() > 20 && !page.html.contains(secret), "{path}");
        }
        for part in ["$argon2", "\"d\":", "PRIVATE KEY"] {
            assert!(!page.html.contains(part), "{path}: {part}");
        }
    }
}

#[tokio::test]
async fn what_there_is_none_of_is_a_page_that_says_so() {
    let (server, admin) = with_admin().await;
    let nobody = "/admin/people/00000000-0000-7000-8000-000000000000";
    for path in [
        "/nowhere",
        "/admin/nowhere",
        "/admin/people/alice",
        "/admin/people/%ff",
        nobody,
        &format!("{nobody}/delete"),
        "/admin/clients/nobody",
        "/admin/clients/a b",
        "/admin/clients/nobody/delete",
        "/admin/clients/nobody/api-keys",
        "/admin/clients/nobody/api-keys/new/orders",
        "/admin/clients/nobody/signature-keys",
        "/admin/clients/new/nonsense",
        "/admin/keys/nonsense/retire",
        "/admin/apis/nonsense",
        "/admin/apis/https%3A%2F%2Fnowhere.example",
        "/admin/apis/https%3A%2F%2Fnowhere.example/delete",
    ] {
        let page = admin.page(path).await;
        assert_eq!((page.status, page.error().as_str()), (404, "not_found"), "{path}");
        assert!(page.has("#error-code") && page.has("#error-description") && page.has("#request-id"), "{path}");
    }
    let token = csrf(&admin, "/admin").await;
    for path in [
        "/admin/clients/nobody/disable",
        "/admin/clients/nobody/api-keys/nonsense/revoke",
        &format!("{nobody}/enable"),
        "/admin/keys/HS256/rotate",
        "/admin/registration/tokens/nonsense/revoke",
        "/admin/registration/tokens/00000000-0000-7000-8000-000000000000/revoke",
    ] {
        assert_eq!(admin.raw_post(path, &token).await.status(), 404, "{path}");
    }
    assert_eq!(server.browser().page("/nowhere").await.status, 404);
}

#[tokio::test]
async fn what_is_no_cursor_or_filter_is_refused() {
    let (_server, admin) = with_admin().await;
    for list in ["/admin/clients", "/admin/people", "/admin/events"] {
        // Not base64url, not JSON, another table's, and one of another type.
        for after in ["%25", "e30", "WyIvYWRtaW4iLCJhIl0", "WyIvYWRtaW4vcGVvcGxlIiw3XQ"] {
            assert_eq!(admin.raw(&format!("{list}?after={after}")).await.status(), 400, "{list} {after}");
        }
        for query in ["kind=nonsense", "state=nonsense", "q=a&q=b", "q=%ff"] {
            let known = query != "kind=nonsense" || list != "/admin/people";
            let known = known && (query != "state=nonsense" || list != "/admin/events");
            let expected = if known { 400 } else { 200 };
            assert_eq!(admin.raw(&format!("{list}?{query}")).await.status(), expected, "{list} {query}");
        }
        assert_eq!(admin.raw(&format!("{list}?q={}", "%27%25_%5C".repeat(200))).await.status(), 200, "{list}");
    }
}
