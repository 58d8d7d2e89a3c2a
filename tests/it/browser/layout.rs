//! Every page at five widths, with the longest names there are: nothing is wider than the window or sticks out of its card, no text
//! is cut off, and dates stay on one line. The signed-in pages are found by their links, so that a new one is looked at too; a page
//! that is not reached fails the test by its name in the templates.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use signet::config::SignUpMode;
use signet::manage::AuditContext;
use signet::manage::apply::{ApplyOptions, apply};
use signet::manage::document::{Document, DocumentFormat};
use signet::web::pages::setup;

use super::landing;
use crate::api_keys::{make, new_key};
use crate::support::chromium::Chromium;
use crate::support::{PASSWORD, SECRET, Server};

const WIDTHS: [u32; 5] = [320, 390, 768, 1024, 1280];
const SCRIPT: &str = include_str!("layout.js");

/// 64 characters without a place to break.
fn long(start: &str) -> String {
    format!("{start:w<64}")
}

/// As long as an address may be (RFC 5321 §4.5.3.1): 64 characters, and 254 in all.
fn email(start: &str) -> String {
    let labels = ["m".repeat(63), "n".repeat(63), "o".repeat(57), "org".to_owned()];
    format!("{}@{}", long(start), labels.join("."))
}

/// What `apply` makes: long users, groups, APIs and clients.
fn document(redirect: &str) -> Value {
    let (group, scope) = (long("g"), long("s"));
    let groups: Vec<_> =
        (0..20).map(|n| json!({ "name": long(&format!("g{n}")) })).chain([json!({ "name": group })]).collect();
    let user = |name: &str, admin: bool| {
        json!({ "username": long(name), "password": PASSWORD, "name": long(&name.to_uppercase()), "email": email(name),
                "admin": admin, "groups": [group, long("g1"), long("g2")] })
    };
    let api = format!("https://{}.example/{}", "a".repeat(63), long("p"));
    let client = |id: &str, more: Value| {
        let mut client = json!({
            "client_id": long(id), "client_secret": SECRET, "client_name": long(&id.to_uppercase()),
            "redirect_uris": [redirect, format!("https://{}.example/{}", "r".repeat(63), "c".repeat(200))],
            "client_uri": format!("https://{}.example/", "u".repeat(63)), "policy_uri": format!("https://{}.example/", "u".repeat(63)),
            "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
            "scope": format!("openid profile email groups offline_access {scope}"),
        });
        client.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client
    };
    json!({
        "groups": groups,
        "users": [user("admin", true), user("user", false)],
        "apis": [{ "identifier": api, "name": long("API"), "scopes": [scope, long("t")], "gate": "orders",
                   "accepts": ["bearer", "api_key", "basic", "message_signature", "session", "oauth1"],
                   "origins": [format!("https://{}.example", "o".repeat(63))],
                   "rules": [{ "methods": ["GET", "POST", "DELETE"], "path": format!("/{}/**", long("x")), "scopes": [scope],
                               "groups": [group] }] }],
        "clients": [client("web", json!({})), client("closed", json!({ "allowed_groups": [long("g3")] }))],
    })
}

/// What is wrong with the page that is shown, at each width.
struct Look<'a> {
    browser: &'a Chromium,
    seen: BTreeSet<String>,
    wrong: Vec<String>,
}

impl<'a> Look<'a> {
    fn new(browser: &'a Chromium) -> Self {
        Self { browser, seen: BTreeSet::new(), wrong: Vec::new() }
    }

    async fn at_page(&mut self, page: &str) {
        self.browser.wait_for_page(page).await;
        self.all_widths().await;
    }

    async fn all_widths(&mut self) {
        let path = self.browser.url().await.path().to_owned();
        let name = self.browser.attribute("main", "data-page").await.unwrap_or_default();
        for width in WIDTHS {
            self.browser.set_size(width, 900).await;
            let found: Vec<String> = serde_json::from_value(self.browser.script(SCRIPT).await).unwrap();
            if let (Some(folder), false) = (std::env::var_os("LAYOUT_PICTURES"), found.is_empty()) {
                let file = format!("{name}{}-{width}.png", path.chars().take(40).collect::<String>().replace('/', "_"));
                self.browser.screenshot(&Path::new(&folder).join(file)).await;
            }
            self.wrong.extend(found.into_iter().map(|wrong| format!("{name} {path} at {width}: {wrong}")));
        }
        self.browser.set_size(1280, 900).await;
        self.seen.insert(name);
    }
}

#[tokio::test]
async fn long_names_fit_every_page_at_every_width() {
    let server = Server::start_with(|config| config.sign_up = SignUpMode::Open).await;
    let browser = Chromium::start().await;
    let mut look = Look::new(&browser);
    browser.open(setup::link(&server.app).await.unwrap().unwrap().expose()).await;
    look.at_page("setup").await;
    let redirect = landing::address().await;
    let document = Document::parse(&document(&redirect).to_string(), DocumentFormat::Json).unwrap();
    apply(&server.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default()).await.unwrap();
    sign_in_pages(&server, &redirect, &mut look).await;
    device_pages(&server, &mut look).await;
    console_and_account(&server, &redirect, &mut look).await;
    let unseen: Vec<_> = pages_of_templates().difference(&look.seen).cloned().collect();
    assert!(unseen.is_empty(), "these pages were not looked at: {unseen:?}");
    assert!(look.wrong.is_empty(), "{} things:\n{}", look.wrong.len(), look.wrong.join("\n"));
}

async fn sign_in_pages(server: &Server, redirect: &str, look: &mut Look<'_>) {
    let browser = look.browser;
    let authorize = |client: &str, more: (&str, &str)| {
        let client = long(client);
        format!("{}{}", server.url, server.authorize(&[("client_id", &client), ("redirect_uri", redirect), more]))
    };
    for (name, value) in
        [("client_id", long("nobody")), ("redirect_uri", format!("https://{}.example/{}", long("x"), long("y")))]
    {
        let client = long("web");
        browser.open(&format!("{}{}", server.url, server.authorize(&[("client_id", &client), (name, &value)]))).await;
        look.at_page("error").await;
    }
    browser.open(&server.url).await;
    look.at_page("home").await;
    browser.open(&authorize("web", ("prompt", "create"))).await;
    look.at_page("signup").await;
    browser.open(&authorize("web", ("login_hint", &email("user")))).await;
    look.at_page("login").await;
    browser.sign_in(&long("nobody"), "wrong").await;
    browser.wait_for("#login-error").await;
    look.at_page("login").await;
    let scope = format!("openid profile email groups offline_access {}", long("s"));
    browser.open(&authorize("web", ("scope", &scope))).await;
    browser.sign_in(&long("user"), PASSWORD).await;
    look.at_page("consent").await;
    browser.open(&authorize("web", ("prompt", "select_account"))).await;
    look.at_page("select-account").await;
    browser.open(&authorize("closed", ("state", "s"))).await;
    look.at_page("error").await;
}

async fn device_pages(server: &Server, look: &mut Look<'_>) {
    let browser = look.browser;
    let form =
        [("client_id", long("web")), ("client_secret", SECRET.to_owned()), ("scope", format!("openid {}", long("s")))];
    let request = reqwest::Client::new().post(format!("{}/oauth2/device_authorization", server.url)).form(&form);
    let device: Value = request.send().await.unwrap().json().await.unwrap();
    browser.open(&format!("{}/device", server.url)).await;
    look.at_page("device").await;
    browser.open(device["verification_uri_complete"].as_str().unwrap_or_else(|| panic!("{device}"))).await;
    look.at_page("device").await;
    browser.click("button.primary[type=submit]").await;
    browser.wait_for("button[name=decision][value=allow]").await;
    look.at_page("device").await;
    browser.click("button[name=decision][value=allow]").await;
    browser.wait_for("#device-allowed").await;
    look.at_page("device").await;
}

/// Signs out, and in as the administrator; then follows every link.
async fn console_and_account(server: &Server, redirect: &str, look: &mut Look<'_>) {
    let browser = look.browser;
    browser.open(&format!("{}/account/password", server.url)).await;
    let stale = browser
        .script(
            "document.querySelector('main form').id = 'stale'; return document.querySelector('main form').outerHTML",
        )
        .await;
    browser.open(&format!("{}/oauth2/logout", server.url)).await;
    look.at_page("logout").await;
    browser.click("#logout-confirm").await;
    look.at_page("signed-out").await;
    browser.open(&format!("{}/login", server.url)).await;
    browser.sign_in(&long("admin"), PASSWORD).await;
    look.at_page("home").await;
    // A form of the earlier session, sent in this one.
    let send = format!("document.querySelector('main').innerHTML = {stale}; const form = document.querySelector('#stale');
        for (const field of form.querySelectorAll('input[type=password]')) field.value = 'wrong wrong wrong'; form.submit()");
    browser.script(&send).await;
    look.at_page("stale-form").await;

    let admin = server.person(&long("admin")).await;
    for owner in [
        signet::domain::api_key::Owner::User(admin.id),
        signet::domain::api_key::Owner::Client(signet::domain::ids::ClientId::parse(&long("web")).unwrap()),
    ] {
        let mut key = new_key(owner, "orders");
        key.name = long("key");
        key.scopes = [long("s").as_str()].into_iter().collect();
        make(server, key).await.unwrap();
    }
    let (mut ahead, mut known) =
        (VecDeque::from(["/".to_owned(), "/admin".into(), "/account".into()]), BTreeSet::new());
    while let Some(path) = ahead.pop_front() {
        let page = path.split(['?', '#']).next().unwrap().to_owned();
        // Links that do something, and documents that are no pages.
        if ["/oauth2/", "/.well-known/", "/logo/"].iter().any(|start| page.starts_with(start)) || !known.insert(page) {
            continue;
        }
        browser.open(&format!("{}{path}", server.url)).await;
        browser.wait_for("main").await;
        look.all_widths().await;
        let links = "return [...document.querySelectorAll('a[href]')].filter((link) => link.origin === location.origin)
                         .map((link) => link.pathname + link.search)";
        ahead.extend(serde_json::from_value::<Vec<String>>(browser.script(links).await).unwrap());
    }
    for path in
        ["/admin/start", "/admin/clients/new", "/admin/events", "/admin/keys", "/account/passkeys", "/account/api-keys"]
    {
        assert!(known.contains(path), "a link leads to {path}: {known:?}");
    }
    // A request that is over when its user signs in.
    browser.open(&format!("{}/oauth2/logout", server.url)).await;
    browser.click("#logout-confirm").await;
    browser.wait_for_page("signed-out").await;
    let client = long("web");
    let request = server.authorize(&[("client_id", &client), ("redirect_uri", redirect)]);
    browser.open(&format!("{}{request}", server.url)).await;
    browser.wait_for_page("login").await;
    server.advance(server.app.config.lifetimes.interaction + 1);
    browser.sign_in(&long("user"), PASSWORD).await;
    look.at_page("signed-in").await;
}

/// The names of pages that stand in the templates.
fn pages_of_templates() -> BTreeSet<String> {
    let mut names = BTreeSet::from(["account".to_owned(), "admin".to_owned()]);
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/pages")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let named = text.split("data-page=\"").nth(1).and_then(|rest| rest.split('"').next());
        names.extend(named.map(str::to_owned));
    }
    // It sends itself, and shows nothing.
    names.remove("form-post");
    names
}
