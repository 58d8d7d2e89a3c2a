//! Forms name every field that is wrong at once, warn of scopes that nothing defines, and ask about a key without scopes.

use serde_json::json;
use signet::domain::api::Api;
use signet::manage::{AuditContext, apis};

use super::clients::connect;
use super::with_admin;
use crate::support::{Page, Server};

const FORM: &str = "main form[method=post]";

async fn put_api(server: &Server, api: serde_json::Value) {
    let api: Api = serde_json::from_value(api).unwrap();
    apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
}

fn names(page: &Page, fields: &[&str]) {
    assert_eq!(page.status, 422);
    for field in fields {
        assert!(page.has(&format!("#{field}-error")), "{field}: {}", page.text("main"));
    }
}

#[tokio::test]
async fn form_for_a_person_names_every_bad_field() {
    let (server, admin) = with_admin().await;
    let page = admin.page("/admin/people/new").await;
    let fields = [("username", "two words"), ("email", "nonsense"), ("password", "short"), ("new_groups", "a\u{7}b")];
    names(&admin.fill(&page, FORM, &fields).await, &["username", "email", "password", "new_groups"]);
    let taken = [("username", "alice"), ("email", "nonsense"), ("password", "short")];
    names(&admin.fill(&page, FORM, &taken).await, &["username", "email", "password"]);
    assert_eq!(signet::store::users::count(server.app.store().read()).await.unwrap(), 1);
}

#[tokio::test]
async fn form_for_an_app_names_every_bad_field() {
    let (server, admin) = with_admin().await;
    server.client("web", json!({})).await;
    for api in ["https://a.example", "https://b.example"] {
        put_api(&server, json!({ "identifier": api, "scopes": ["read"] })).await;
    }
    let fields = [("client_name", " "), ("client_id", "web"), ("redirect_uris", "nowhere"), ("scope", "openid read")];
    let page = connect(&admin, "web", &fields).await;
    names(&page, &["client_name", "redirect_uris", "scope"]);
    let fields = [("client_name", "Web"), ("client_id", "web"), ("redirect_uris", ""), ("scope", "openid read")];
    names(&connect(&admin, "web", &fields).await, &["client_id", "redirect_uris", "scope"]);
    let page = admin.page("/admin/clients/web").await;
    let fields = [
        ("post_logout_redirect_uris", "nowhere"),
        ("default_max_age", "soon"),
        ("refresh_token_grace", "601"),
        ("scope", "openid read"),
        ("id_token_claims", "email emial"),
    ];
    let refused = admin.fill(&page, "#settings", &fields).await;
    names(&refused, &fields.map(|(field, _)| field));
}

#[tokio::test]
async fn form_for_an_api_names_every_bad_field() {
    let (_server, admin) = with_admin().await;
    let page = admin.page("/admin/apis/new").await;
    let fields =
        [("identifier", "no address"), ("scopes", "a\"b"), ("gate", "No Name"), ("access_token_lifetime", "x")];
    names(&admin.fill(&page, FORM, &fields).await, &["identifier", "scopes", "gate", "access_token_lifetime"]);
}

#[tokio::test]
async fn scopes_that_nothing_defines_are_warned_of() {
    let (server, admin) = with_admin().await;
    let fields = [("client_name", "Lantern"), ("redirect_uris", "https://app.example/cb"), ("client_id", "web")];
    let page = connect(&admin, "web", &[&fields[..], &[("scope", "openid prfile orders:read")]].concat()).await;
    assert_eq!(page.path, "/admin/clients/web");
    let warning = page.text("#unknown-scopes");
    assert!(warning.contains("prfile orders:read") && warning.contains("Add it to an API"), "{warning}");
    put_api(&server, json!({ "identifier": "https://a.example", "scopes": ["orders:read"] })).await;
    let page = admin.page("/admin/clients/web").await;
    assert!(page.text("#unknown-scopes").contains("prfile") && !page.text("#unknown-scopes").contains("orders"));
    let saved = admin.fill(&page, "#settings", &[("scope", "openid profile orders:read")]).await;
    assert!(saved.status == 200 && !saved.has("#unknown-scopes"));
}

#[tokio::test]
async fn key_without_a_scope_is_asked_about() {
    let (server, admin) = with_admin().await;
    let api =
        json!({ "identifier": "https://a.example", "scopes": ["read"], "gate": "orders", "accepts": ["api_key"] });
    put_api(&server, api).await;
    server.client("job", json!({ "scope": "openid read" })).await;
    for path in ["/account/api-keys/new/orders", "/admin/clients/job/api-keys/new/orders"] {
        let page = admin.page(path).await;
        assert!(!page.has("[name=without_scope]"));
        let asked = admin.fill(&page, "#new-key", &[("name", "backup")]).await;
        names(&asked, &["scope"]);
        let made = admin.fill(&asked, "#new-key", &[("without_scope", "true")]).await;
        assert!(made.status == 200 && made.html.contains("The key is made"), "{path}: {}", made.text("main"));
        let both = admin.fill(&page, "#new-key", &[("name", ""), ("expires", "31"), ("allow", "nowhere")]).await;
        names(&both, &["name", "expires", "allow", "scope"]);
    }
}
