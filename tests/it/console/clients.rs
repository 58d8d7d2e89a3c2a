//! Apps: connecting one of each kind, turning off, a new secret, deleting, and finding them again. Next door:
//! [`super::client_settings`], changing one.

use serde_json::{Value, json};
use signet::domain::client::Client;
use signet::domain::client_metadata::ApplicationType;
use signet::domain::ids::ClientId;
use signet::manage::AuditContext;
use signet::manage::apply::{ApplyOptions, apply};
use signet::manage::document::{Document, DocumentFormat};
use signet::store::clients;

use super::with_admin;
use crate::support::{Browser, CALLBACK, Page, SECRET, Server, VERIFIER};

const FORM: &str = "main form[method=post]";

pub async fn stored(server: &Server, id: &str) -> Client {
    let id = ClientId::parse(id).unwrap();
    clients::by_id(server.app.store().read(), &id).await.unwrap().unwrap()
}

/// Fills the form for a new app of that kind.
pub async fn connect(admin: &Browser, kind: &str, fields: &[(&str, &str)]) -> Page {
    let page = admin.page(&format!("/admin/clients/new/{kind}")).await;
    admin.fill(&page, FORM, fields).await
}

pub fn shown_secret(page: &Page) -> Option<String> {
    Some(page.text(".notice .copy code")).filter(|secret| secret.starts_with("sgs_"))
}

async fn token(server: &Server, id: &str, secret: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{}/oauth2/token", server.url)).basic_auth(id, Some(secret));
    let response = request.form(form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// What the client is told about a code that is none: `invalid_client` unless its secret is right.
pub async fn knows(server: &Server, id: &str, secret: &str) -> bool {
    let form = [("grant_type", "authorization_code"), ("code", "sgc_none"), ("redirect_uri", CALLBACK)];
    token(server, id, secret, &form).await.1["error"] == "invalid_grant"
}

#[tokio::test]
async fn a_web_app_is_connected_and_its_secret_is_shown_once() {
    let (server, admin) = with_admin().await;
    let fields = [("client_name", "Lantern"), ("client_id", "lantern"), ("redirect_uris", CALLBACK)];
    let page = connect(&admin, "web", &fields).await;
    assert_eq!((page.status, page.path.as_str()), (200, "/admin/clients/lantern"));
    let secret = shown_secret(&page).expect("the secret");
    assert!(page.html.contains("Lantern is connected.") && page.html.contains(&server.url));
    assert!(knows(&server, "lantern", &secret).await && !knows(&server, "lantern", "sgs_wrong").await);
    let again = admin.page("/admin/clients/lantern").await;
    assert!(shown_secret(&again).is_none() && !again.html.contains(&secret), "shown once");
    let client = stored(&server, "lantern").await;
    assert!(client.meta.require_pkce && client.meta.application_type() == ApplicationType::Web);
    // Tokens for who signs in, with PKCE alone.
    let browser = server.browser();
    let callback = browser.sign_in(&server.authorize(&[("client_id", "lantern")])).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", callback["code"].as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let (status, tokens) = token(&server, "lantern", &secret, &form).await;
    assert_eq!(status, 200, "{tokens}");
    let plain = server.authorize(&[("client_id", "lantern"), ("code_challenge", ""), ("code_challenge_method", "")]);
    assert_eq!(browser.sign_in(&plain).await["error"], "invalid_request");
}

#[tokio::test]
async fn an_app_without_a_server_has_no_secret_and_on_a_device_any_port() {
    let (server, admin) = with_admin().await;
    let fields = [("client_name", "Pocket"), ("client_id", "pocket"), ("redirect_uris", "http://127.0.0.1/cb")];
    let page = connect(&admin, "browser", &[fields.as_slice(), &[("scope", "openid offline_access")]].concat()).await;
    assert!(shown_secret(&page).is_none() && page.html.contains("signs in without a secret"));
    assert_eq!(stored(&server, "pocket").await.meta.application_type(), ApplicationType::Native);
    let request = server.authorize(&[("client_id", "pocket"), ("scope", "openid offline_access")]);
    let callback = server.browser().sign_in(&request).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", callback["code"].as_str()),
        ("client_id", "pocket"),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let response =
        reqwest::Client::new().post(format!("{}/oauth2/token", server.url)).form(&form).send().await.unwrap();
    let tokens: Value = response.json().await.unwrap();
    assert!(tokens["refresh_token"].is_string(), "{tokens}");
    let fields = [("client_name", "Page"), ("client_id", "page"), ("redirect_uris", "https://app.example/cb")];
    connect(&admin, "browser", &fields).await;
    assert_eq!(stored(&server, "page").await.meta.application_type(), ApplicationType::Web);
}

#[tokio::test]
async fn a_machine_acts_for_itself() {
    let (server, admin) = with_admin().await;
    let page = connect(&admin, "machine", &[("client_name", "Nightly job"), ("scope", "reports")]).await;
    let secret = shown_secret(&page).unwrap();
    let id = page.path.trim_start_matches("/admin/clients/").to_owned();
    let (status, answer) = token(&server, &id, &secret, &[("grant_type", "client_credentials")]).await;
    assert_eq!(status, 200, "{answer}");
    assert!(page.html.contains("Machine"));
}

#[tokio::test]
async fn a_new_secret_voids_the_old_one() {
    let (server, admin) = with_admin().await;
    server.client("web", json!({})).await;
    assert!(knows(&server, "web", crate::support::SECRET).await);
    let page = admin.page("/admin/clients/web").await;
    // Another page that is opened before the answer arrives neither shows the secret nor uses it up.
    let (action, form) = page.filled("form[action$='/rotate-secret']", &[]);
    let answer = admin.raw_post(&action, &form).await;
    assert!(!admin.page("/admin/clients").await.html.contains("sgs_"));
    let page = admin.follow(answer).await.ok().unwrap();
    let secret = shown_secret(&page).unwrap();
    assert!(knows(&server, "web", &secret).await && !knows(&server, "web", crate::support::SECRET).await);
    assert!(shown_secret(&admin.page("/admin/clients/web").await).is_none());
}

/// Of two nodes one changes the secret and the other, whose clock is five minutes ahead, shows it.
#[tokio::test]
async fn a_new_secret_is_shown_by_a_node_with_another_clock() {
    let (server, admin) = with_admin().await;
    let ahead = server.skewed_node(300).await;
    server.client("web", json!({})).await;
    let (action, form) = admin.page("/admin/clients/web").await.filled("form[action$='/rotate-secret']", &[]);
    let answer = admin.raw_post(&action, &form).await;
    assert_eq!(answer.status(), 303);
    let secret = shown_secret(&admin.at(&ahead).page("/admin/clients/web").await).expect("the new secret");
    assert!(knows(&server, "web", &secret).await);
}

/// T5: what it held is void, and it works again only for what comes after.
#[tokio::test]
async fn an_app_that_is_off_gets_nothing() {
    let (server, admin) = with_admin().await;
    server.client("web", json!({})).await;
    let (_, tokens) = server.redeem(&server.code("openid offline_access").await).await;
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let page = admin.press("/admin/clients/web", "/admin/clients/web/disable").await;
    assert!(page.html.contains("Web is off.") && page.has("form[action='/admin/clients/web/enable']"));
    assert_eq!(server.token(&refresh).await.0, 401);
    assert_eq!(server.browser().page(&server.authorize(&[])).await.status, 400);
    admin.press("/admin/clients/web", "/admin/clients/web/enable").await;
    assert_eq!(server.token(&refresh).await.1["error"], "invalid_grant");
    assert_eq!(server.browser().page(&server.authorize(&[])).await.name(), "login");
}

#[tokio::test]
async fn an_app_is_deleted_when_its_id_has_been_typed() {
    let (server, admin) = with_admin().await;
    // An id that is an address, and one that is the name of another page.
    for (id, path) in [("https://app.example/id", "https%3A%2F%2Fapp.example%2Fid"), ("new", "%6Eew")] {
        server.client(id, json!({})).await;
        let list = admin.page("/admin/clients").await;
        let href = list.attribute("tbody a", "href").unwrap();
        assert_eq!(href, format!("/admin/clients/{path}"));
        assert_eq!(admin.press(&href, &format!("{href}/disable")).await.path, href);
        let page = admin.page(&format!("{href}/delete")).await;
        let refused = admin.fill(&page, FORM, &[("confirm", "Web")]).await;
        assert!(refused.status == 422 && refused.has("#confirm-error") && refused.value("#confirm") == "Web");
        let page = admin.fill(&page, FORM, &[("confirm", id)]).await;
        assert_eq!(page.path, "/admin/clients");
        assert!(page.html.contains("Web is deleted.") && page.html.contains("No app is connected yet"));
    }
}

#[tokio::test]
async fn apps_are_found_and_come_in_pages() {
    let (server, admin) = with_admin().await;
    for number in 0..60 {
        server.client(&format!("app-{number:02}"), json!({ "client_name": format!("App {number:02}") })).await;
    }
    server.client("a_b", json!({ "client_name": "<script>alert(1)</script>" })).await;
    let hidden = json!({ "client_name": "Émile", "redirect_uris": ["https://else.example/Back"] });
    server.client("c", hidden).await;
    server.client("p", json!({ "client_name": "Pocket", "token_endpoint_auth_method": "none" })).await;
    server.client("m", json!({ "client_name": "Job", "grant_types": ["client_credentials"], "scope": "" })).await;
    let first = admin.page("/admin/clients").await;
    assert_eq!(first.count("tbody tr"), 50);
    assert!(first.html.contains("&#60;script&#62;") && !first.html.contains("<script>alert"), "escaped");
    let second = admin.page(&first.attribute("a[rel=next]", "href").unwrap()).await;
    assert_eq!((second.count("tbody tr"), second.has("a[rel=next]")), (14, false));
    assert!(second.html.contains("First page") && second.html.contains("Pocket"));
    for (query, rows) in [
        ("q=app+07", 1),
        ("q=APP-07", 1),
        ("q=else.example%2Fback", 1),
        ("q=émile", 1),
        ("q=_", 1),
        ("q=%25", 0),
        // Names of metadata are not what anybody searches for.
        ("q=redirect_uris", 0),
        ("kind=machine", 1),
        ("kind=browser", 1),
        ("kind=browser&state=off", 0),
    ] {
        assert_eq!(admin.page(&format!("/admin/clients?{query}")).await.count("tbody tr"), rows, "{query}");
    }
    let filtered = admin.page("/admin/clients?q=app&kind=web&state=on").await;
    let next = filtered.attribute("a[rel=next]", "href").unwrap();
    assert!(next.starts_with("/admin/clients?q=app&kind=web&state=on&after="), "{next}");
}

#[tokio::test]
async fn an_imported_short_secret_is_marked_until_it_is_replaced() {
    let (server, admin) = with_admin().await;
    let client =
        |id: &str, secret: &str| json!({ "client_id": id, "client_secret": secret, "redirect_uris": [CALLBACK] });
    let document =
        json!({ "imported": true, "clients": [client("old", "hunter2"), client("new", SECRET)] }).to_string();
    let document = Document::parse(&document, DocumentFormat::Json).unwrap();
    apply(&server.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default()).await.unwrap();
    let marks = async || {
        let list = admin.page("/admin/clients").await;
        let page = async |id: &str| admin.page(&format!("/admin/clients/{id}")).await.has("#short-secret");
        (list.html.matches("Rotate secret").count(), page("old").await, page("new").await)
    };
    assert_eq!(marks().await, (1, true, false));
    let page = admin.page("/admin/clients/old").await;
    let shown = admin.fill(&page, "form[action='/admin/clients/old/rotate-secret']", &[]).await;
    assert!(shown.html.contains("Copy the secret now"), "{}", shown.html);
    assert_eq!(marks().await, (0, false, false));
}

/// Where an administrator says so: a scheme without a domain name in it, and plain http in the own network.
#[tokio::test]
async fn app_with_its_own_scheme_or_in_the_lan_is_connected() {
    let (server, admin) = with_admin().await;
    let cursor = [("client_name", "Editor"), ("client_id", "editor"), ("redirect_uris", "cursor://callback")];
    assert_eq!(connect(&admin, "browser", &cursor).await.path, "/admin/clients/editor");
    assert!(stored(&server, "editor").await.is_native());
    let films = [("client_name", "Films"), ("client_id", "films"), ("redirect_uris", "http://nas.lan:8096/cb")];
    let page = connect(&admin, "web", &films).await;
    assert!(page.status == 422 && page.text("#redirect_uris-error").contains("http_redirect_hosts"), "{}", page.html);
    let page = connect(&admin, "web", &[&films[..], &[("http_redirect_hosts", "NAS")]].concat()).await;
    assert!(page.status == 422 && page.has("#http_redirect_hosts-error"));
    let page = connect(&admin, "web", &[&films[..], &[("http_redirect_hosts", "nas.lan 10.0.0.0/8")]].concat()).await;
    assert_eq!(page.path, "/admin/clients/films");
    assert_eq!(json!(stored(&server, "films").await.meta)["http_redirect_hosts"], json!(["nas.lan", "10.0.0.0/8"]));
}
